package testbed

import "time"

// timings are the figures the server tells of the clients' times, under names that begin or end differently.
func timings(of []time.Duration) (list []pyFloat, total, average, least, most pyFloat) {
	list = []pyFloat{}
	var sum, low, high time.Duration
	for i, d := range of {
		d = d.Truncate(time.Microsecond)
		list = append(list, seconds(d))
		sum += d
		if i == 0 || d < low {
			low = d
		}
		high = max(high, d)
	}
	if len(of) > 0 {
		average = pyFloat(sum.Seconds() / float64(len(of)))
	}
	return list, seconds(sum), average, seconds(low), seconds(high)
}

func statistics(of []time.Duration) object {
	_, total, average, least, most := timings(of)
	return object{"total_time": total, "average_time": average, "min_time": least, "max_time": most, "count": len(of)}
}

const modelMB = pyFloat(modelBytes / 1048576.0)

// tally sorts the clients by what became of them.
func (r *roundRun) tally() Round {
	round := Round{Training: r.training, Number: r.number, Begin: r.begin, End: r.now, ModelBytes: modelBytes}
	d := &round.details
	d.aggregating, d.evaluating = r.aggregating, r.evaluating
	d.aggregation, d.evaluation = r.aggregated.Sub(r.aggregating), r.now.Sub(r.evaluating)
	var examples int
	for _, f := range r.fates {
		switch {
		case f.denied != "":
			round.Denied = append(round.Denied, f.client.id)
			continue
		case f.drops:
			round.Dropped = append(round.Dropped, f.client.id)
			round.Failed++
			continue
		case f.straggle > 1:
			round.Stragglers = append(round.Stragglers, f.client.id)
		}
		round.Participants = append(round.Participants, f.client.id)
		round.Successful++
		examples += f.client.examples
		round.Accuracy += f.accuracy * float64(f.client.examples)
		round.Loss += f.loss * float64(f.client.examples)
		d.clientTrainings = append(d.clientTrainings, f.training)
		d.clientEvaluations = append(d.clientEvaluations, f.evaluate)
	}
	if examples > 0 {
		round.Accuracy /= float64(examples)
		round.Loss /= float64(examples)
	}
	round.Clients = round.Successful + round.Failed
	return round
}

// logAggregation is the server's state after the models were put together.
func (r *roundRun) logAggregation() {
	round := r.tally()
	list, total, average, least, most := timings(round.details.clientTrainings)
	r.fl.bump("aggregate_fit_count")
	m := r.fl.metrics
	m["current_round"] = r.number
	m["last_aggregation_duration"] = seconds(round.details.aggregation)
	m["last_round_partial_duration"] = seconds(r.now.Sub(r.begin))
	m["aggregation_timestamp"] = r.fl.iso()
	m["last_client_training_stats"] = statistics(round.details.clientTrainings)
	r.fl.log("AGGREGATION_COMPLETED", object{
		"round": r.number, "successful_clients": round.Successful, "failed_clients": round.Failed, "total_clients": round.Clients,
		"aggregation_duration": seconds(round.details.aggregation), "round_duration_partial": seconds(r.now.Sub(r.begin)),
		"timestamp": r.fl.iso(), "aggregated_metrics": object{}, "client_training_durations": list,
		"total_client_training_time": total, "average_client_training_time": average,
		"min_client_training_time": least, "max_client_training_time": most,
		"unique_model_types": []string{"cnn"}, "unique_datasets": []string{"mnist"},
		"model_type_distribution": object{"cnn": round.Successful}, "dataset_distribution": object{"mnist": round.Successful},
		"model_size_mb": modelMB,
	})
}

// finish is the end of the round.
func (r *roundRun) finish() {
	round := r.tally()
	d := &round.details
	evaluated := r.evaluationMetrics(&round)
	r.fl.store(round)
	r.fl.bump("aggregate_evaluate_count")
	m := r.fl.metrics
	for key, value := range (object{
		"current_round": r.number, "last_round_metrics": evaluated, "last_evaluation_duration": seconds(d.evaluation),
		"last_round_total_duration": seconds(round.End.Sub(round.Begin)), "last_round_accuracy": pyFloat(round.Accuracy),
		"last_round_loss": pyFloat(round.Loss), "model_size_mb": modelMB, "evaluation_timestamp": r.fl.iso(),
		"last_client_evaluation_stats": statistics(d.clientEvaluations), "data_state": "training",
	}) {
		m[key] = value
	}
	r.then(r.now.Add(60*time.Microsecond), func() { r.fl.log("EVALUATION_COMPLETED", evaluated) })
	r.then(r.now.Add(90*time.Microsecond), func() {
		completed := object{"phase_breakdown": object{
			"aggregation_duration": seconds(d.aggregation), "evaluation_duration": seconds(d.evaluation),
			"total_duration": seconds(round.End.Sub(round.Begin)),
		}}
		for key, value := range evaluated {
			completed[key] = value
		}
		r.fl.log("ROUND_COMPLETED", completed)
	})
	r.then(r.now.Add(max(r.options.RoundEvery/500, 100*time.Microsecond)), func() { r.decide(&round) })
}

// decide asks whether there shall be another round, and plans it or ends the training.
func (r *roundRun) decide(round *Round) {
	context := r.serverContext("decide_next_round", r.number, object{
		"max_rounds": r.options.Rounds, "accuracy": pyFloat(round.Accuracy), "loss": pyFloat(round.Loss),
		"accuracy_improvement": pyFloat(0), "successful_clients": round.Successful, "failed_clients": round.Failed,
	})
	r.ask(r.network.byIP[addressFL].port)
	if !r.fl.checked(r.policy.check("fl_server_control", context, r.fl.stopping)) {
		r.fl.stop(r.number, r.evaluationMetrics(round))
		return
	}
	if r.number >= r.options.Rounds {
		r.complete(r.trainingBegan())
		return
	}
	next := r.begin.Add(r.options.RoundEvery)
	if soonest := r.now.Add(r.options.RoundEvery / 20); next.Before(soonest) {
		next = soonest
	}
	r.planRound(next, r.number+1)
}

// trainingBegan is when the first round of this training began.
func (r *roundRun) trainingBegan() time.Time {
	for _, round := range r.fl.allRounds {
		if round.Training == r.training {
			return round.Begin
		}
	}
	return r.begin
}

// evaluationMetrics are what the server tells of the evaluation, in events and as last_round_metrics.
func (r *roundRun) evaluationMetrics(round *Round) object {
	d := &round.details
	list, total, average, least, most := timings(d.clientEvaluations)
	return object{
		"round": r.number, "accuracy": pyFloat(round.Accuracy), "loss": pyFloat(round.Loss),
		"evaluation_duration": seconds(d.evaluation), "total_round_duration": seconds(round.End.Sub(round.Begin)),
		"successful_evaluations": round.Successful, "failed_evaluations": round.Failed, "timestamp": r.fl.iso(),
		"client_evaluation_durations": list, "total_client_evaluation_time": total, "average_client_evaluation_time": average,
		"min_client_evaluation_time": least, "max_client_evaluation_time": most,
		"eval_unique_model_types": []string{"cnn"}, "eval_unique_datasets": []string{"mnist"},
		"eval_model_type_distribution": object{"cnn": round.Successful}, "eval_dataset_distribution": object{"mnist": round.Successful},
		"aggregation_duration": seconds(d.aggregation), "model_size_mb": modelMB,
	}
}

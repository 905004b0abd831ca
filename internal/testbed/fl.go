package testbed

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

func (t *Testbed) flRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{"status": "running", "endpoints": []string{"/health", "/metrics", "/events"}})
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, ask(t, func(s *scenario) object { return object{"status": "healthy", "timestamp": epoch(s.now)} }))
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, ask(t, (*scenario).flStatus))
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		withRounds := strings.EqualFold(r.FormValue("include_rounds"), "true")
		writeJSON(w, http.StatusOK, ask(t, func(s *scenario) object { return s.flMetrics(withRounds) }))
	})
	mux.HandleFunc("GET /rounds", t.serveRounds)
	mux.HandleFunc("GET /rounds/latest", t.serveLatestRounds)
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		limit, err := pythonInt(r.URL.Query(), "limit", 1000)
		if err != nil {
			writeJSON(w, http.StatusInternalServerError, object{"error": err.Error(), "events": []any{}, "last_event_id": nil})
			return
		}
		writeJSON(w, http.StatusOK, ask(t, func(s *scenario) object {
			return eventPage(s.fl.events, r.FormValue("since_event_id"), limit, s.flEvent)
		}))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusNotFound, object{
			"error": "Endpoint not found", "available_endpoints": []string{"/", "/health", "/metrics", "/events"},
		})
	})
	return mux
}

// pythonInt reads a parameter as int() does, whose error becomes the answer.
func pythonInt(query url.Values, name string, absent int) (int, error) {
	text := query.Get(name)
	if !query.Has(name) {
		return absent, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return 0, fmt.Errorf("invalid literal for int() with base 10: '%s'", text)
	}
	return n, nil
}

// pythonSlice is list[from:from+limit] for a from that is not negative.
func pythonSlice[T any](list []T, from, limit int) []T {
	to := from + min(limit, len(list))
	if to < 0 {
		to = max(0, to+len(list))
	}
	to = min(to, len(list))
	return list[min(from, to):to]
}

// eventPage answers from a buffer of events: those after the one named, or, if it isn't there, all. The last id
// is that of the buffer.
func eventPage(buffer []Event, since string, limit int, spell func(Event) object) object {
	from := 0
	for i, event := range buffer {
		if event.ID == since {
			from = i + 1
		}
	}
	events := []object{}
	for _, event := range pythonSlice(buffer, from, limit) {
		events = append(events, spell(event))
	}
	page := object{"events": events, "last_event_id": nil}
	if len(buffer) > 0 {
		page["last_event_id"] = buffer[len(buffer)-1].ID
	}
	return page
}

func (s *scenario) flEvent(event Event) object {
	return object{
		"event_id": event.ID, "timestamp": isoTime(event.Time, s.options.NaiveTimes), "source_component": "FL_SERVER",
		"event_type": event.Type, "details": event.Details,
	}
}

func (s *scenario) flStatus() object {
	round, _ := s.fl.metrics["current_round"].(int)
	clients, _ := s.fl.metrics["connected_clients"].(int)
	status := "ready"
	switch {
	case s.fl.paused:
		status = "paused"
	case s.fl.active && round > 0:
		status = "training"
	case clients == 0:
		status = "waiting_for_clients"
	}
	var reason, stopReason any
	if s.fl.paused {
		reason = s.fl.reason
	}
	if s.fl.stopped > 0 {
		stopReason = s.fl.stopReason
	}
	return object{
		"server_status": status, "training_stopped_by_policy": s.fl.stopped > 0,
		"training_paused": s.fl.paused, "pause_reason": reason, "stop_reason": stopReason,
		"current_round": round, "max_rounds": s.options.Rounds, "restart_allowed": s.fl.stopped > 0,
		"connected_clients": clients, "training_active": s.fl.active, "timestamp": s.fl.iso(),
	}
}

func (s *scenario) flMetrics(withRounds bool) object {
	metrics := maps.Clone(s.fl.metrics)
	metrics["training_active"] = s.fl.active
	if s.fl.paused {
		metrics["training_paused"], metrics["pause_reason"] = true, s.fl.reason
	}
	if s.fl.stopped > 0 {
		metrics["training_stopped_by_policy"], metrics["stop_reason"] = true, s.fl.stopReason
	}
	if withRounds {
		metrics["rounds"] = metrics["rounds_history"]
	}
	return metrics
}

// roundRow is a round as /rounds tells it.
func (s *scenario) roundRow(r Round) object {
	d := &r.details
	total := seconds(r.End.Sub(r.Begin))
	return object{
		"round": r.Number, "timestamp": isoTime(r.End, s.options.NaiveTimes), "status": "complete", "accuracy": pyFloat(r.Accuracy),
		"loss": pyFloat(r.Loss), "training_duration": total, "model_size_mb": modelMB, "clients": r.Clients,
		"raw_metrics": object{
			"aggregated_loss": pyFloat(r.Loss), "aggregated_metrics": object{}, "evaluation_results_count": r.Successful,
			"round_start_time": epoch(r.Begin), "aggregation_start_time": epoch(d.aggregating), "evaluation_start_time": epoch(d.evaluating),
			"phase_durations":     object{"total": total, "aggregation": seconds(d.aggregation), "evaluation": seconds(d.evaluation)},
			"client_timing_stats": object{"training": object{}, "evaluation": statistics(d.clientEvaluations)},
		},
	}
}

// roundFilter is what /rounds can be asked for.
type roundFilter struct {
	start, limit, offset int
	end                  *int // nil: no end
	least, most          *float64
}

func readRoundFilter(query url.Values) (f roundFilter, err error) {
	if f.start, err = pythonInt(query, "start_round", 1); err != nil {
		return f, err
	}
	if query.Get("end_round") != "" {
		end, err := pythonInt(query, "end_round", 0)
		if err != nil {
			return f, err
		}
		f.end = &end
	}
	if f.limit, err = pythonInt(query, "limit", 1000); err != nil {
		return f, err
	}
	f.limit = min(f.limit, 10000)
	if f.offset, err = pythonInt(query, "offset", 0); err != nil {
		return f, err
	}
	for name, bound := range map[string]**float64{"min_accuracy": &f.least, "max_accuracy": &f.most} {
		if value, err := strconv.ParseFloat(query.Get(name), 64); err == nil { // else Flask takes none
			*bound = &value
		}
	}
	return f, nil
}

// apply returns the rounds that pass, and the page of them: a negative limit is none, as in SQLite.
func (f *roundFilter) apply(rounds []Round) (page []Round, total int) {
	var passed []Round
	for _, r := range rounds {
		if r.Number >= f.start && (f.end == nil || r.Number <= *f.end) &&
			(f.least == nil || r.Accuracy >= *f.least) && (f.most == nil || r.Accuracy <= *f.most) {
			passed = append(passed, r)
		}
	}
	page = passed[min(max(0, f.offset), len(passed)):]
	if f.limit >= 0 {
		page = page[:min(f.limit, len(page))]
	}
	return page, len(passed)
}

func (t *Testbed) serveRounds(w http.ResponseWriter, r *http.Request) {
	filter, err := readRoundFilter(r.URL.Query())
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, object{"error": err.Error(), "rounds": []any{}})
		return
	}
	writeJSON(w, http.StatusOK, ask(t, func(s *scenario) object {
		stored := s.fl.stored()
		page, total := filter.apply(stored)
		latest := 0
		if len(stored) > 0 {
			latest = stored[len(stored)-1].Number
		}
		return object{
			"rounds": s.roundRows(page), "total_rounds": total, "returned_rounds": len(page), "latest_round": latest,
			"pagination": object{"limit": filter.limit, "offset": filter.offset, "has_more": filter.offset+len(page) < total},
			"filters":    object{"start_round": filter.start, "end_round": filter.end, "min_accuracy": filter.least, "max_accuracy": filter.most},
		}
	}))
}

func (t *Testbed) serveLatestRounds(w http.ResponseWriter, r *http.Request) {
	limit, err := pythonInt(r.URL.Query(), "limit", 50)
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, object{"error": err.Error(), "rounds": []any{}})
		return
	}
	limit = min(limit, 1000)
	writeJSON(w, http.StatusOK, ask(t, func(s *scenario) object {
		stored := s.fl.stored()
		if len(stored) == 0 {
			return object{"rounds": []any{}, "latest_round": 0}
		}
		latest := stored[len(stored)-1].Number
		filter := roundFilter{start: max(1, latest-limit+1), limit: limit}
		page, _ := filter.apply(stored)
		return object{"rounds": s.roundRows(page), "latest_round": latest, "returned_rounds": len(page)}
	}))
}

func (s *scenario) roundRows(rounds []Round) []object {
	rows := make([]object, len(rounds))
	for i, r := range rounds {
		rows[i] = s.roundRow(r)
	}
	return rows
}

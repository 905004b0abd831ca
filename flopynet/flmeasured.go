package flopynet

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// clientTag is the tag by which metrics name a client.
const clientTag = "client_id"

// measuredClient is a client as metrics tell of it.
type measuredClient struct {
	id       string
	address  string
	lastSeen int64 // of its newest sample; ns
	round    int   // the newest that it told; 0: none
	roundAt  int64
	rounds   map[clientRound]bool
	training float64 // the mean of its training times, in seconds; NaN: it told none
}

// clientRound is a round of a training; the training is what tells rounds of one number apart.
type clientRound struct {
	training string
	number   int
}

// measuredClients reads clients off the metrics. What it has read serves further requests for a while, if the reading took
// long: so it takes a tenth of the time at most.
type measuredClients struct {
	db     *engine.DB
	now    func() time.Time
	rounds *flRounds

	mu      sync.Mutex
	last    map[string]*measuredClient
	partial bool
	until   time.Time
}

// What took at least memoFrom to read serves memoFactor times as long.
const (
	memoFrom   = 50 * time.Millisecond
	memoFactor = 10
)

// Bounds of what is read for one answer.
const (
	maxClientSeries = 100_000
	maxRoundSamples = 5_000_000
)

// list returns the clients by their keys; they mustn't be changed. partial says that they are too many to be told of whole.
func (c *measuredClients) list(ctx context.Context) (clients map[string]*measuredClient, partial bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	began := c.now()
	if c.last != nil && began.Before(c.until) {
		return c.last, c.partial, nil
	}
	read := &clientReader{measuredClients: c, clients: map[string]*measuredClient{}}
	for _, part := range []func(context.Context) error{read.latest, read.trainingTimes, read.roundMetric} {
		if err := part(ctx); err != nil {
			return nil, false, err
		}
	}
	c.last, c.partial = read.clients, read.partial
	c.until = began
	if ended := c.now(); ended.Sub(began) >= memoFrom {
		c.until = ended.Add(memoFactor * ended.Sub(began))
	}
	return c.last, c.partial, nil
}

// clientReader is one reading.
type clientReader struct {
	*measuredClients
	clients map[string]*measuredClient
	partial bool
}

// selection returns what selects the series of clients, of a metric or of all.
func (r *clientReader) selection(metric string, from int64) engine.Selection {
	s := engine.Selection{From: from, To: model.MaxTime, Matchers: []*model.Matcher{{Key: clientTag, Op: model.MatchNotEqual}}}
	if metric != "" {
		s.Matchers = append(s.Matchers, model.EqualMatcher(model.NameKey, metric))
	}
	return s
}

// client returns the client that tags name, nil if there are too many.
func (r *clientReader) client(tags model.Tags) *measuredClient {
	id := tagOf(tags, clientTag)
	key := clientKey(id)
	one := r.clients[key]
	if one == nil {
		if len(r.clients) >= maxClients || key == "" {
			r.partial = r.partial || key != ""
			return nil
		}
		one = &measuredClient{id: id, training: math.NaN(), rounds: map[clientRound]bool{}}
		r.clients[key] = one
	}
	return one
}

func tagOf(tags model.Tags, key string) string {
	for _, tag := range tags {
		if tag.Key == key {
			return tag.Value
		}
	}
	return ""
}

// latest reads when each client was last heard of, and what its tags tell. Where they have too many series, only those of
// the last day count, or of the last hour.
func (r *clientReader) latest(ctx context.Context) error {
	for _, span := range []time.Duration{0, 24 * time.Hour, time.Hour} {
		from := model.MinTime
		if span > 0 {
			from = max(from, r.now().Add(-span).UnixNano())
		}
		samples, err := r.db.Latest(ctx, r.selection("", from), maxClientSeries)
		if _, tooMany := errors.AsType[*engine.LimitError](err); tooMany {
			r.partial = true
			continue
		}
		if err != nil {
			return err
		}
		for i := range samples {
			r.takeLatest(&samples[i])
		}
		return nil
	}
	return nil
}

// takeLatest takes in the newest sample of a series.
func (r *clientReader) takeLatest(s *engine.LatestSample) {
	one := r.client(s.Series.Tags)
	if one == nil {
		return
	}
	one.lastSeen = max(one.lastSeen, s.Time)
	for _, key := range []string{"client_ip", "ip_address", "ip"} {
		if address, err := netip.ParseAddr(tagOf(s.Series.Tags, key)); err == nil {
			one.address = address.String()
		}
	}
	var round number
	_ = round.UnmarshalJSON(strconv.AppendQuote(nil, tagOf(s.Series.Tags, "round"))) // it never fails
	if round.integer() > 0 {
		one.took(clientRound{tagOf(s.Series.Tags, "training"), round.integer()}, s.Time)
	}
}

// took notes that a client told of a round.
func (m *measuredClient) took(round clientRound, at int64) {
	m.rounds[round] = true
	m.lastSeen = max(m.lastSeen, at)
	if at > m.roundAt {
		m.round, m.roundAt = round.number, at
	}
}

// trainingTimes reads the mean of each client's training times.
func (r *clientReader) trainingTimes(ctx context.Context) error {
	s := r.selection("training_time", model.MinTime)
	result, err := r.db.Aggregate(ctx, engine.AggregateRequest{
		Selection: s, Edges: []int64{s.From, s.To}, Functions: []engine.Function{{Kind: engine.Avg}}, GroupBy: []string{clientTag},
	})
	if _, tooMany := errors.AsType[*engine.LimitError](err); tooMany {
		r.partial = true
		return nil
	}
	if err != nil {
		return err
	}
	for _, group := range result.Groups {
		if one := r.client(group.Tags); one != nil && len(group.Values) == 1 && !engine.IsMissing(group.Values[0]) {
			one.training = group.Values[0]
		}
	}
	return nil
}

// roundMetric reads in which rounds each client took part off its metric round.
func (r *clientReader) roundMetric(ctx context.Context) error {
	trainings := endsOf(r.rounds.list())
	samples := 0
	err := r.db.Scan(ctx, r.selection("round", model.MinTime), func(series model.Series, times []int64, values []float64) error {
		one := r.client(series.Tags)
		if samples += len(times); samples > maxRoundSamples {
			return errEnough
		}
		if one == nil {
			return nil
		}
		for i, value := range values {
			if value >= 1 && value <= maxRoundNumber && value == math.Trunc(value) {
				one.took(clientRound{trainings.at(times[i]), int(value)}, times[i])
			}
		}
		return nil
	})
	_, tooMany := errors.AsType[*engine.LimitError](err)
	if errors.Is(err, errEnough) || tooMany {
		r.partial = true
		return nil
	}
	return err
}

// trainingEnds tell which training was under way at a time.
type trainingEnds struct {
	names []string
	ends  []int64 // of the last rounds of a training and of those before it
}

func endsOf(trainings []training) trainingEnds {
	t := trainingEnds{make([]string, len(trainings)), make([]int64, len(trainings))}
	var end int64
	for i := range trainings {
		end = max(end, trainings[i].LastTime)
		t.names[i], t.ends[i] = trainingName(trainings[i].Ordinal), end
	}
	return t
}

// at names the training that was under way: the first that had not ended its last round before. "" if there is none.
func (t *trainingEnds) at(ns int64) string {
	if len(t.ends) == 0 {
		return ""
	}
	i, _ := slices.BinarySearch(t.ends, ns)
	return t.names[min(i, len(t.names)-1)]
}

package testbed

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

type roundsAnswer struct {
	Rounds []struct {
		Round      int     `json:"round"`
		Timestamp  string  `json:"timestamp"`
		Status     string  `json:"status"`
		Accuracy   float64 `json:"accuracy"`
		Loss       float64 `json:"loss"`
		Duration   float64 `json:"training_duration"`
		ModelMB    float64 `json:"model_size_mb"`
		Clients    int     `json:"clients"`
		RawMetrics struct {
			RoundStartTime float64 `json:"round_start_time"`
		} `json:"raw_metrics"`
	} `json:"rounds"`
	Total      int `json:"total_rounds"`
	Returned   int `json:"returned_rounds"`
	Latest     int `json:"latest_round"`
	Pagination struct {
		Limit   int  `json:"limit"`
		Offset  int  `json:"offset"`
		HasMore bool `json:"has_more"`
	} `json:"pagination"`
}

func (a *roundsAnswer) numbers() string {
	var numbers []string
	for _, r := range a.Rounds {
		numbers = append(numbers, fmt.Sprint(r.Round))
	}
	return strings.Join(numbers, " ")
}

func TestRoundsInPages(t *testing.T) {
	bed, clock := open(t, Options{Seed: 1, Rounds: 12})
	clock.advance(5 * time.Minute)
	for query, want := range map[string]string{
		"":                               "1 2 3 4 5 6 7 8 9 10 11 12 of 12, more: false, limit 1000",
		"?limit=5":                       "1 2 3 4 5 of 12, more: true, limit 5",
		"?limit=5&offset=10":             "11 12 of 12, more: false, limit 5",
		"?start_round=4&limit=2":         "4 5 of 9, more: true, limit 2",
		"?start_round=4&end_round=5":     "4 5 of 2, more: false, limit 1000",
		"?limit=99999999":                "1 2 3 4 5 6 7 8 9 10 11 12 of 12, more: false, limit 10000",
		"?offset=100":                    " of 12, more: false, limit 1000",
		"?min_accuracy=2&max_accuracy=x": " of 0, more: false, limit 1000",
	} {
		a := getJSON[roundsAnswer](t, bed.FL.URL()+"/rounds"+query)
		got := fmt.Sprintf("%s of %d, more: %v, limit %d", a.numbers(), a.Total, a.Pagination.HasMore, a.Pagination.Limit)
		if got != want || a.Latest != 12 || a.Returned != len(a.Rounds) {
			t.Errorf("/rounds%s: %s, latest %d, returned %d; want %s", query, got, a.Latest, a.Returned, want)
		}
	}
	for _, query := range []string{"?limit=x", "?start_round=1.5", "?offset=", "?end_round=z"} {
		if status, body := get(t, bed.FL.URL()+"/rounds"+query); status != 500 || !strings.Contains(string(body), "invalid literal for int()") {
			t.Errorf("/rounds%s: %d %s", query, status, body)
		}
	}
	latest := getJSON[roundsAnswer](t, bed.FL.URL()+"/rounds/latest?limit=3")
	if latest.numbers() != "10 11 12" || latest.Latest != 12 || latest.Returned != 3 {
		t.Errorf("/rounds/latest: %+v", latest)
	}
}

// TestRoundsAreTheTruth compares what is answered with what was, and the time with the end of the round.
func TestRoundsAreTheTruth(t *testing.T) {
	for _, naive := range []bool{false, true} {
		bed, clock := open(t, Options{Seed: 2, NaiveTimes: naive, Start: noon.Add(-time.Hour)})
		clock.advance(0)
		truth := bed.Rounds()
		answer := getJSON[roundsAnswer](t, bed.FL.URL()+"/rounds")
		if len(truth) != 50 || len(answer.Rounds) != 50 {
			t.Fatalf("%d rounds, %d answered", len(truth), len(answer.Rounds))
		}
		layout := "2006-01-02T15:04:05.999999-07:00"
		if naive {
			layout = "2006-01-02T15:04:05.999999"
		}
		for i, r := range answer.Rounds {
			at, err := time.Parse(layout, r.Timestamp)
			if err != nil || !at.Equal(truth[i].End) {
				t.Errorf("round %d: %s, %v; want %v", r.Round, r.Timestamp, err, truth[i].End)
			}
			want := truth[i]
			if r.Accuracy != want.Accuracy || r.Loss != want.Loss || r.Clients != want.Clients || r.Status != "complete" ||
				r.Duration != float64(want.End.Sub(want.Begin).Microseconds())/1e6 || r.RawMetrics.RoundStartTime != float64(want.Begin.UnixMicro())/1e6 {
				t.Errorf("%+v isn't %+v", r, want)
			}
		}
	}
}

type eventsAnswer struct {
	Events []map[string]any `json:"events"`
	Last   *string          `json:"last_event_id"`
}

// TestEventsInPages reads both buffers by pages, each event once, in order, until nothing is left.
func TestEventsInPages(t *testing.T) {
	bed, clock := open(t, Options{Seed: 3})
	clock.advance(time.Minute)
	for _, c := range []struct {
		url, id string
		truth   []Event
		fields  []string
	}{
		{bed.FL.URL(), "event_id", bed.FLEvents(), []string{"details", "event_id", "event_type", "source_component", "timestamp"}},
		{bed.Policy.URL(), "id", bed.PolicyEvents(), []string{"details", "id", "source", "timestamp", "type"}},
	} {
		var got []string
		since := ""
		for {
			page := getJSON[eventsAnswer](t, c.url+"/events?limit=7&since_event_id="+since)
			if page.Last == nil || *page.Last != c.truth[len(c.truth)-1].ID {
				t.Fatalf("last_event_id %v, want the newest, %s", page.Last, c.truth[len(c.truth)-1].ID)
			}
			for _, e := range page.Events {
				since = e[c.id].(string)
				got = append(got, since)
				if keys := slices.Sorted(mapsKeys(e)); !slices.Equal(keys, c.fields) {
					t.Fatalf("an event has %v, want %v", keys, c.fields)
				}
			}
			if len(page.Events) < 7 {
				break
			}
		}
		var want []string
		for _, e := range c.truth {
			want = append(want, e.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d events, want %d", c.url, len(got), len(want))
		}
		unknown := getJSON[eventsAnswer](t, c.url+"/events?limit=1&since_event_id=00000000-0000-4000-8000-000000000000")
		if len(unknown.Events) != 1 || unknown.Events[0][c.id] != want[0] {
			t.Errorf("after an unknown id: %v, want the first", unknown.Events)
		}
		if none := getJSON[eventsAnswer](t, c.url+"/events?since_event_id="+want[len(want)-1]); len(none.Events) != 0 {
			t.Errorf("after the last: %v", none.Events)
		}
		if status, _ := get(t, c.url+"/events?limit=many"); status != 500 {
			t.Errorf("a limit that is none: %d", status)
		}
	}
}

func mapsKeys(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range m {
			if !yield(key) {
				return
			}
		}
	}
}

// TestLimitsArePythons: a limit is the end of a slice, counted from the back if it is negative.
func TestLimitsArePythons(t *testing.T) {
	list := []int{0, 1, 2, 3, 4}
	for _, c := range []struct {
		from, limit int
		want        string
	}{
		{0, 2, "[0 1]"}, {3, 2, "[3 4]"}, {3, 9, "[3 4]"}, {5, 2, "[]"}, {2, 0, "[]"}, {0, math.MaxInt, "[0 1 2 3 4]"}, {2, math.MaxInt, "[2 3 4]"},
		{0, -1, "[0 1 2 3]"}, {1, -3, "[1 2]"}, {0, -9, "[]"}, {0, math.MinInt, "[]"},
	} {
		if got := fmt.Sprint(pythonSlice(list, c.from, c.limit)); got != c.want {
			t.Errorf("[%d:%d+%d]: %s, want %s", c.from, c.from, c.limit, got, c.want)
		}
	}
}

// TestBuffersForget: the FL server has the last 1,000 events, the policy engine between 400 and 500.
func TestBuffersForget(t *testing.T) {
	bed, clock := open(t, Options{Seed: 3, Rounds: 300})
	clock.advance(time.Hour)
	fl, policy := bed.FLEvents(), bed.PolicyEvents()
	if len(fl) < 1100 || len(policy) < 1100 {
		t.Fatalf("only %d and %d events", len(fl), len(policy))
	}
	answer := getJSON[eventsAnswer](t, bed.FL.URL()+"/events?limit=5000")
	if len(answer.Events) != 1000 || answer.Events[0]["event_id"] != fl[len(fl)-1000].ID {
		t.Errorf("the FL server has %d events", len(answer.Events))
	}
	answer = getJSON[eventsAnswer](t, bed.Policy.URL()+"/events?limit=5000")
	if n := len(answer.Events); n < 400 || n > 500 || answer.Events[0]["id"] != policy[len(policy)-n].ID {
		t.Errorf("the policy engine has %d events", n)
	}
	if n := len(getJSON[[]any](t, bed.Policy.URL()+"/api/v1/policy_decisions?limit=100000")); n != 1000 {
		t.Errorf("the policy engine has %d decisions", n)
	}
}

// TestStatusFollowsTheTraining walks through the states, one of which is a pause.
func TestStatusFollowsTheTraining(t *testing.T) {
	bed, clock := open(t, Options{Seed: 4, Rounds: 6})
	type status struct {
		Server    string  `json:"server_status"`
		Round     int     `json:"current_round"`
		Max       int     `json:"max_rounds"`
		Clients   int     `json:"connected_clients"`
		Active    bool    `json:"training_active"`
		Paused    bool    `json:"training_paused"`
		Reason    *string `json:"pause_reason"`
		Timestamp string  `json:"timestamp"`
	}
	var states []string
	for range 600 {
		s := getJSON[status](t, bed.FL.URL()+"/status")
		if len(states) == 0 || states[len(states)-1] != s.Server {
			states = append(states, s.Server)
		}
		if s.Paused != (s.Reason != nil) || s.Paused != (s.Server == "paused") || s.Max != 6 {
			t.Errorf("%+v", s)
		}
		clock.advance(100 * time.Millisecond)
	}
	if want := []string{"waiting_for_clients", "ready", "training", "paused", "training", "ready"}; !reflect.DeepEqual(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
	type metrics struct {
		Complete bool           `json:"training_complete"`
		End      *float64       `json:"training_end_time"`
		Duration float64        `json:"total_training_duration"`
		State    string         `json:"data_state"`
		Round    int            `json:"current_round"`
		Fits     int            `json:"aggregate_fit_count"`
		Last     map[string]any `json:"last_round_metrics"`
		Checks   int            `json:"policy_checks_performed"`
		Allowed  int            `json:"policy_checks_allowed"`
		Denied   int            `json:"policy_checks_denied"`
	}
	m := getJSON[metrics](t, bed.FL.URL()+"/metrics")
	if !m.Complete || m.End == nil || m.Duration < 20 || m.State != "training_complete" || m.Round != 6 || m.Fits != 6 || m.Last["round"] != 6.0 ||
		m.Denied != 1 || m.Checks != m.Allowed+m.Denied {
		t.Errorf("in the end: %+v", m)
	}
}

package bench

import (
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"encoding/json"
)

func TestExpectedAnswers(t *testing.T) {
	w := NewWorkload(testShape, variantDec2, testDay)
	q := question{field: 2, host: -1, from: w.Start, to: w.End(), step: time.Minute, function: average}
	rows := w.expected(q, linear)
	if len(rows) != 5 {
		t.Fatalf("%d buckets of a minute in 300 s", len(rows))
	}
	var sum float64
	for host := range w.Hosts {
		for _, value := range w.series(host, 2)[6:12] {
			sum += value
		}
	}
	if got, want := rows[1].values[0], sum/24; math.Abs(got-want) > 1e-12 || rows[1].at != w.Start.Add(time.Minute).UnixMilli() {
		t.Errorf("the second minute is %+v, not %v", rows[1], want)
	}
	q.step, q.byHost, q.function = 0, true, totals
	if rows := w.expected(q, linear); len(rows) != w.Hosts || rows[0].values[0] != 30 {
		t.Errorf("count and sum by host are %+v", rows)
	}
}

func TestPercentiles(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	for _, test := range []struct {
		ranks ranking
		want  []float64
	}{
		{linear, []float64{50.5, 90.1, 95.05, 99.01}}, // numpy.percentile's
		{nearest, []float64{50, 90, 95, 99}},
		{only95, []float64{95.05}},
	} {
		got := ranked(hundred, test.ranks)
		if !slices.EqualFunc(got, test.want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
			t.Errorf("ranking %d gives %v, not %v", test.ranks, got, test.want)
		}
	}
}

// TestWrongAnswersAreFound changes an answer in each way that matters.
func TestWrongAnswersAreFound(t *testing.T) {
	right := func() []row { return []row{{"host_1", 1000, []float64{5, 6}}, {"host_0", 1000, []float64{7, 8}}} }
	if err := compareRows(right(), []row{right()[1], right()[0]}, 0); err != nil {
		t.Errorf("another order: %v", err)
	}
	if err := compareRows(right(), []row{{"host_1", 1000, []float64{5.04, 6}}, right()[1]}, 0.01); err != nil {
		t.Errorf("within the tolerance: %v", err)
	}
	for name, wrong := range map[string][]row{
		"a row is missing":   right()[:1],
		"a row too many":     append(right(), row{"host_2", 1000, []float64{1, 2}}),
		"another host":       {{"host_2", 1000, []float64{5, 6}}, right()[1]},
		"another time":       {{"host_1", 2000, []float64{5, 6}}, right()[1]},
		"a value is missing": {{"host_1", 1000, []float64{5}}, right()[1]},
		"another value":      {{"host_1", 1000, []float64{5, 6.1}}, right()[1]},
		"not a number":       {{"host_1", 1000, []float64{5, math.NaN()}}, right()[1]},
	} {
		if compareRows(right(), wrong, 0.01) == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
}

// TestAFastWrongAnswerFails times a server whose answers are right at first and then off by a little.
func TestAFastWrongAnswerFails(t *testing.T) {
	w := NewWorkload(testShape, variantDec2, testDay)
	q := question{name: "average", host: -1, from: w.Start, to: w.End(), step: time.Minute, function: average}
	requests := 0
	liar := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		type point struct {
			Timestamp time.Time `json:"timestamp"`
			Value     float64   `json:"value"`
		}
		var answer struct {
			DataPoints []point `json:"data_points"`
		}
		for _, r := range w.expected(q, linear) {
			answer.DataPoints = append(answer.DataPoints, point{time.UnixMilli(r.at).UTC(), r.values[0]})
		}
		if requests++; requests > 10 {
			answer.DataPoints[3].Value *= 1.000001
		}
		if err := json.NewEncoder(out).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	defer liar.Close()
	s := &server{system: &collector{}, client: newClient(liar.Listener.Addr().String())}
	defer s.client.close()
	run := &Run{progress: &progress{out: new(strings.Builder)}}
	if _, _, err := run.time(t.Context(), s, w, q); err == nil || requests != 11 {
		t.Errorf("after %d requests: %v", requests, err)
	}
	requests = -1000 // so that it tells the truth about all hosts in turn
	if _, _, err := run.time(t.Context(), s, w, q); err != nil {
		t.Error(err)
	}
	requests = 0
	run.Quick = true
	quick := q
	quick.to = w.Start.Add(2 * time.Minute) // of which the server says too much
	if _, _, err := run.time(t.Context(), s, w, quick); err == nil {
		t.Error("too many points were taken for an answer")
	}
}

package httpapi

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

const anomaliesPath = "/metrics/anomalies"

const jsonType = "application/json"

// anomalyStart is where the series of these tests begin.
const anomalyStart = "2024-01-15T10:00:00Z"

// writeSeries stores values, one each step, from anomalyStart on.
func (ts *testServer) writeSeries(name string, tags []string, step time.Duration, values []float64) {
	ts.t.Helper()
	var list model.Tags
	for i := 0; i < len(tags); i += 2 {
		list = append(list, model.Tag{Key: tags[i], Value: tags[i+1]})
	}
	id, err := ts.db.Resolve(name, model.Normalize(list))
	if err != nil {
		ts.t.Fatal(err)
	}
	var batch engine.Batch
	for i, value := range values {
		batch.Add(id, mustTime(ts.t, anomalyStart)+int64(i)*int64(step), value)
	}
	if err := ts.db.Write(&batch); err != nil {
		ts.t.Fatal(err)
	}
}

// around returns noise about a level.
func around(level float64, count int, seed uint64) []float64 {
	random := rand.New(rand.NewPCG(seed, 1))
	values := make([]float64, count)
	for i := range values {
		values[i] = math.Round(10*(level+random.NormFloat64())) / 10
	}
	return values
}

func (ts *testServer) anomalies(body string) map[string]any {
	ts.t.Helper()
	answer := ts.do(http.MethodPost, anomaliesPath, []byte(body), "Content-Type", jsonType)
	if answer.status != http.StatusOK {
		ts.t.Fatalf("%s: %d %s", body, answer.status, answer.body)
	}
	return decodeJSON(ts.t, answer.body)
}

// found tells an answer's anomalies in short.
func found(answer map[string]any) string {
	var all []string
	for _, one := range answer["anomalies"].([]any) {
		a := one.(map[string]any)
		all = append(all, fmt.Sprintf("%v=%v", strings.TrimPrefix(fmt.Sprint(a["timestamp"]), "2024-01-15T"), a["value"]))
	}
	return strings.Join(all, " ")
}

// TestAnomaliesOfTheSeed is the seed's example, word for word, with data to fit it.
func TestAnomaliesOfTheSeed(t *testing.T) {
	ts := startServer(t, Options{})
	for _, count := range []int{60, 12} {
		values := around(47.3, count, 1)
		values[25*count/60] = 85.2
		ts.writeSeries("cpu_usage", []string{"source", "fl_server", "host", "fl-server-01"}, time.Hour/time.Duration(count), values)
		answer := ts.anomalies(`{
"metric": "cpu_usage",
"source": "fl_server",
"from": "2024-01-15T10:00:00Z",
"to": "2024-01-15T11:00:00Z",
"algorithm": "isolation_forest",
"sensitivity": 0.1
}`)
		if found(answer) != "10:25:00Z=85.2" || answer["total_anomalies"] != 1.0 {
			t.Fatalf("%d points: %v", count, answer)
		}
		a := answer["anomalies"].([]any)[0].(map[string]any)
		context := a["context"].(map[string]any)
		baseline, deviation := context["baseline_avg"].(float64), context["deviation"].(float64)
		if a["source"] != "fl_server" || fmt.Sprint(a["tags"]) != "map[host:fl-server-01]" {
			t.Errorf("of the series %v %v", a["source"], a["tags"])
		}
		sum := -85.2
		for _, value := range values {
			sum += value
		}
		if want := sum / float64(count-1); math.Abs(baseline-want) > 1e-9 || math.Abs(deviation-(85.2-want)) > 1e-9 {
			t.Errorf("baseline %v, deviation %v; the mean of the others is %v", baseline, deviation, want)
		}
		if score := a["score"].(float64); score < 0.85 || a["severity"] != "high" && a["severity"] != "critical" {
			t.Errorf("score %v, severity %v", score, a["severity"])
		}
		if ms, ok := answer["analysis_time_ms"].(float64); !ok || ms <= 0 {
			t.Errorf("analysis_time_ms %v", answer["analysis_time_ms"])
		}
		if answer["algorithm"] != "isolation_forest" || answer["points_analyzed"] != float64(count) || answer["series_analyzed"] != 1.0 {
			t.Errorf("answer %v", answer)
		}
		ts.deleteAll("cpu_usage")
	}
}

func (ts *testServer) deleteAll(metric string) {
	ts.t.Helper()
	if answer := ts.do(http.MethodDelete, "/metrics?all=true&metric="+metric, nil); answer.status != http.StatusOK {
		ts.t.Fatalf("%d %s", answer.status, answer.body)
	}
}

// TestAnomaliesBySeries checks that series are analyzed apart, filtered, ordered and cut to the limit.
func TestAnomaliesBySeries(t *testing.T) {
	ts := startServer(t, Options{})
	for i, level := range []float64{10, 500, 1000} {
		values := around(level, 60, uint64(i))
		values[10+i] += 20 * float64(i+1)
		ts.writeSeries("load", []string{"source", "edge", "host", fmt.Sprint("h", i)}, time.Minute, values)
	}
	ts.writeSeries("load", []string{"host", "short"}, time.Minute, []float64{1, 1, 1, 900, 1, 1, 1, 1, 1})
	const in = `{"metric": "load", "from": "2024-01-15T10:00:00Z", "to": "2024-01-15T11:00:00Z"`
	all := ts.anomalies(in + `}`)
	if all["total_anomalies"] != 3.0 || all["series_analyzed"] != 3.0 || all["series_too_short"] != 1.0 || all["points_analyzed"] != 180.0 {
		t.Errorf("all: %v", all)
	}
	list := all["anomalies"].([]any)
	for i := range list[1:] {
		if list[i].(map[string]any)["score"].(float64) < list[i+1].(map[string]any)["score"].(float64) {
			t.Errorf("not the highest score first: %v", list)
		}
	}
	first := ts.anomalies(in + `, "limit": 1, "algorithm": "mad"}`)
	if text := found(first); !strings.HasPrefix(text, "10:12:00Z=") || strings.Contains(text, " ") || first["total_anomalies"] != 3.0 {
		t.Errorf("limit 1: %v", first)
	}
	for filter, want := range map[string]string{
		`"tags": {"host": "h1"}`: "10:11:00Z", `"tags": {"host": {"regex": "h[02]"}, "source": {"not": "x"}}`: "10:12:00Z 10:10:00Z",
		`"source": ["edge", "x"], "tags": {"host": ["h0", "short"]}`: "10:10:00Z", `"source": "nobody"`: "",
	} {
		var times []string
		for _, a := range strings.Fields(found(ts.anomalies(in + `, "algorithm": "mad", ` + filter + `}`))) {
			times = append(times, strings.Split(a, "=")[0])
		}
		if strings.Join(times, " ") != want {
			t.Errorf("%s: %v, want %s", filter, times, want)
		}
	}
	again := ts.anomalies(in + `}`)
	delete(all, "analysis_time_ms")
	delete(again, "analysis_time_ms")
	if fmt.Sprint(all) != fmt.Sprint(again) {
		t.Errorf("first %v, then %v", all, again)
	}
}

// TestAnomaliesOfBuckets checks what is analyzed with a granularity.
func TestAnomaliesOfBuckets(t *testing.T) {
	ts := startServer(t, Options{})
	values := around(50, 360, 3)
	for i := 120; i < 126; i++ {
		values[i] += 20 // the minute of 10:20
	}
	values[200] += 100
	ts.writeSeries("latency", []string{"source", "edge"}, 10*time.Second, values)
	const in = `{"metric": "latency", "start": "2024-01-15T10:00:00Z", "end": 1705316400`
	for options, want := range map[string]string{
		`, "granularity": "1m"`:                         "10:20:00Z 10:33:00Z",
		`, "granularity": "1m", "aggregation": "max"`:   "10:33:00Z 10:20:00Z",
		`, "granularity": "1m", "aggregation": "count"`: "",
	} {
		answer := ts.anomalies(in + options + `}`)
		var times []string
		for _, a := range strings.Fields(found(answer)) {
			times = append(times, strings.Split(a, "=")[0])
		}
		if strings.Join(times, " ") != want || answer["points_analyzed"] != 60.0 || answer["granularity"] != "1m" {
			t.Errorf("%s: %v", options, answer)
		}
	}
	auto := ts.anomalies(in + `, "granularity": "auto", "epoch": "s", "algorithm": "ewma", "sensitivity": 0.5}`)
	if auto["granularity"] != "10s" || auto["points_analyzed"] != 360.0 || !strings.Contains(found(auto), "1.7053148e+09=1") {
		t.Errorf("auto: %v", auto)
	}
}

// TestAnomaliesOfOddValues checks values that JSON has no numbers for.
func TestAnomaliesOfOddValues(t *testing.T) {
	ts := startServer(t, Options{})
	values := around(50, 60, 4)
	values[7], values[20], values[40] = math.NaN(), math.Inf(1), math.Inf(-1)
	ts.writeSeries("odd", nil, time.Minute, values)
	answer := ts.anomalies(`{"metric": "odd", "from": "2024-01-15T10:00:00Z", "to": "2024-01-15T11:00:00Z", "algorithm": "zscore"}`)
	if found(answer) != "10:20:00Z=+Inf 10:40:00Z=-Inf" || answer["points_analyzed"] != 59.0 {
		t.Errorf("answer %v", answer)
	}
	if a := answer["anomalies"].([]any)[0].(map[string]any); a["context"].(map[string]any)["deviation"] != "+Inf" || a["severity"] != "critical" {
		t.Errorf("anomaly %v", a)
	}
}

func TestAnomaliesRefused(t *testing.T) {
	ts := startServer(t, Options{})
	for body, want := range map[string]struct{ code, field, issue string }{
		`{}`:                                                                 {"INVALID_REQUEST", "metric", "give the name of a metric"},
		`{"metric": "m", "alg": ""}`:                                         {"INVALID_REQUEST", "alg", "There is no such field here"},
		`{"metric": "m", "sensitivty": 0.1}`:                                 {"INVALID_REQUEST", "sensitivty", "Did you mean sensitivity?"},
		`{"metric": "m", "algorithm": "forest"}`:                             {"INVALID_REQUEST", "algorithm", "use one of isolation_forest, zscore, mad, iqr, ewma, seasonal"},
		`{"metric": "m", "sensitivity": 0}`:                                  {"INVALID_REQUEST", "sensitivity", "use a number above 0"},
		`{"metric": "m", "sensitivity": 0.51}`:                               {"INVALID_REQUEST", "sensitivity", "use a number above 0"},
		`{"metric": "m", "sensitivity": "0.1"}`:                              {"INVALID_REQUEST", "sensitivity", "it must be a number"},
		`{"metric": "m", "limit": 0}`:                                        {"INVALID_REQUEST", "limit", "from 1 to 100000"},
		`{"metric": "m", "limit": 100001}`:                                   {"INVALID_REQUEST", "limit", "from 1 to 100000"},
		`{"metric": "m", "aggregation": "max"}`:                              {"INVALID_REQUEST", "aggregation", "it needs granularity"},
		`{"metric": "m", "aggregation": "max,min", "granularity": "1m"}`:     {"INVALID_REQUEST", "aggregation", "use a single one"},
		`{"metric": "m", "aggregation": "maximum", "granularity": "1m"}`:     {"INVALID_REQUEST", "aggregation", "unknown aggregation"},
		`{"metric": "m", "granularity": "1 parsec"}`:                         {"INVALID_REQUEST", "granularity", "auto"},
		`{"metric": "m", "timeout": "1h"}`:                                   {"INVALID_REQUEST", "timeout", "at most 30s"},
		`{"metric": "m", "epoch": "days"}`:                                   {"INVALID_REQUEST", "epoch", "use one of"},
		`{"metric": "m", "from": "2024-01-16", "to": "2024-01-15"}`:          {"INVALID_QUERY", "", "Start time must be before end time"},
		`{"metric": "m", "from": 0, "to": "2024-01-15", "granularity":"1s"}`: {"LIMIT_EXCEEDED", "", "coarser granularity"},
	} {
		status := http.StatusBadRequest
		if want.code == "LIMIT_EXCEEDED" {
			status = http.StatusUnprocessableEntity
		}
		failure := ts.do(http.MethodPost, anomaliesPath, []byte(body), "Content-Type", jsonType).wantError(t, status, want.code)
		if field, _ := failure.Details["field"].(string); field != want.field || !strings.Contains(fmt.Sprint(failure.Details["issue"]), want.issue) {
			t.Errorf("%s: %v", body, failure.Details)
		}
	}
	ts.do(http.MethodPost, anomaliesPath+"?metric=m", []byte(`{"metric": "m"}`)).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	ts.get(anomaliesPath).wantError(t, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
}

// TestAnomaliesLimits checks the bound on points, and that an analysis heeds its time.
func TestAnomaliesLimits(t *testing.T) {
	ts := startServer(t, Options{})
	values := make([]float64, 200_001)
	for i := range 5 {
		ts.writeSeries("many", []string{"host", fmt.Sprint(i)}, time.Millisecond, values[:200_000+i/4])
	}
	const in = `{"metric": "many", "from": "2024-01-15T10:00:00Z", "to": "2024-01-15T11:00:00Z"`
	failure := ts.do(http.MethodPost, anomaliesPath, []byte(in+`}`)).wantError(t, http.StatusUnprocessableEntity, "LIMIT_EXCEEDED")
	if failure.Details["max"] != 1e6 || failure.Details["limit"] != "points of an analysis" || !strings.Contains(fmt.Sprint(failure.Details["issue"]), "granularity") {
		t.Errorf("details %v", failure.Details)
	}
	if answer := ts.anomalies(in + `, "granularity": "1s"}`); answer["points_analyzed"] != 1000.0+1 {
		t.Errorf("with granularity: %v", answer)
	}
	if answer := ts.anomalies(in + `, "tags": {"host": ["0", "1", "2", "3"]}}`); answer["points_analyzed"] != 800_000.0 {
		t.Errorf("fewer series: %v", answer)
	}
	ts.do(http.MethodPost, anomaliesPath, []byte(in+`, "tags": {"host": ["0", "1"]}, "timeout": 1e-9}`)).wantError(t, http.StatusGatewayTimeout, "QUERY_TIMEOUT")
}

// TestAnomaliesHeedMemory leaves too little memory for the points, so that many such requests at once are bounded.
func TestAnomaliesHeedMemory(t *testing.T) {
	ts := startServer(t, Options{})
	for i := range 20 { // each is too short for its analysis alone to take too much
		ts.writeSeries("many", []string{"host", fmt.Sprint(i)}, time.Millisecond, make([]float64, 10_000))
	}
	const body = `{"metric": "many", "from": "2024-01-15T10:00:00Z", "to": "2024-01-15T11:00:00Z"}`
	memory := ts.server.memory
	memory.wait = time.Millisecond
	taken := memory.limit - 100_000*heldPointBytes
	if !memory.acquire(taken) {
		t.Fatal("the budget is in use")
	}
	ts.do(http.MethodPost, anomaliesPath, []byte(body), "Content-Type", jsonType).wantError(t, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
	memory.release(taken)
	ts.wantNoMemoryUsed()
	ts.anomalies(body)
	ts.wantNoMemoryUsed()
}

package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/pipeline"
)

// seedPipeline is the seed's request, word for word.
const seedPipeline = `{
"name": "experiment_summary",
"pipeline": [
{
"operation": "filter",
"params": {
"tags": {
"experiment_id": "exp_001"
}
}
},
{
"operation": "aggregate",
"params": {
"window": "5m",
"functions": ["avg", "max"]
}
},
{
"operation": "transform",
"params": {
"formula": "avg_cpu + max_memory"
}
}
],
"output": {
"destination": "webhook",
"url": "https://your-system.com/webhook"
}
}`

// startPipelines serves with pipelines that run by the clock of the options.
func startPipelines(t *testing.T, options Options, pipelines pipeline.Options, allowed ...string) *testServer {
	t.Helper()
	ts := startServer(t, options)
	var err error
	if pipelines.Guard, err = pipeline.NewGuard(allowed); err != nil {
		t.Fatal(err)
	}
	pipelines.Now, pipelines.Stored = options.Now, ts.server.NoteStored
	m, err := pipeline.Open(ts.db, pipelines)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	ts.server.SetPipelines(m)
	return ts
}

// seedHour is an hour's end in the seed's day.
func seedHour() time.Time { return time.Date(2024, 1, 15, 11, 0, 0, 0, time.UTC) }

// offline lets no attempt at a delivery leave the machine.
func offline(parent context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	cancel()
	return ctx, cancel
}

func (ts *testServer) postPipeline(body string, headers ...string) reply {
	ts.t.Helper()
	return ts.do(http.MethodPost, "/metrics/pipeline", []byte(body), append([]string{"Content-Type", "application/json"}, headers...)...)
}

func (ts *testServer) writeSeedPipeline() {
	ts.t.Helper()
	tags := []string{"source", "fl_server", "host", "fl-server-01", "experiment_id", "exp_001"}
	ts.write("cpu_usage", "percent", tags, "2024-01-15T10:30:00Z", 45.2, "2024-01-15T10:31:00Z", 47.8, "2024-01-15T10:36:00Z", 50.0)
	ts.write("memory_usage", "MB", tags, "2024-01-15T10:30:00Z", 512.5, "2024-01-15T10:32:00Z", 500.0)
	ts.write("active_clients", "count", []string{"source", "fl_server", "experiment_id", "exp_001"}, "2024-01-15T10:30:00Z", 5.0)
	ts.write("cpu_usage", "percent", []string{"source", "fl_server", "experiment_id", "exp_002"}, "2024-01-15T10:30:00Z", 99.0)
}

func TestSeedPipeline(t *testing.T) {
	ts := startPipelines(t, Options{Now: seedHour}, pipeline.Options{Deadline: offline})
	ts.writeSeedPipeline()
	answer := ts.postPipeline(seedPipeline)
	got := decodeJSON(t, answer.body)
	if answer.status != http.StatusCreated || got["name"] != "experiment_summary" || got["status"] != "completed" || got["row_count"] != 2.0 {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	output := got["output"].(map[string]any)
	if output["destination"] != "webhook" || output["status"] != "pending" || !strings.HasPrefix(output["delivery_id"].(string), "dlv_") {
		t.Errorf("output %v", output)
	}
	want := []any{
		map[string]any{"timestamp": "2024-01-15T10:30:00Z", "avg_active_clients": 5.0, "max_active_clients": 5.0, "avg_cpu_usage": 46.5,
			"max_cpu_usage": 47.8, "avg_memory_usage": 506.25, "max_memory_usage": 512.5, "value": 559.0},
		map[string]any{"timestamp": "2024-01-15T10:35:00Z", "avg_active_clients": nil, "max_active_clients": nil, "avg_cpu_usage": 50.0,
			"max_cpu_usage": 50.0, "avg_memory_usage": nil, "max_memory_usage": nil, "value": nil},
	}
	if diff := cmp.Diff(want, got["rows"]); diff != "" {
		t.Error(diff)
	}
	if again := ts.postPipeline(seedPipeline); again.status != http.StatusOK {
		t.Errorf("the same name again: %d %s", again.status, again.body)
	}
	runs := ts.getJSON("/api/v1/metrics/pipelines/experiment_summary/runs")["runs"].([]any)
	if len(runs) != 2 || runs[1].(map[string]any)["run_id"] != got["run_id"] {
		t.Errorf("runs %v", runs)
	}
	stored := ts.getJSON("/metrics/pipelines/experiment_summary")
	var seed struct {
		Pipeline any `json:"pipeline"`
	}
	if err := json.Unmarshal([]byte(seedPipeline), &seed); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(seed.Pipeline, stored["pipeline"]); diff != "" {
		t.Error(diff)
	}
}

// TestPipelineFaults holds each fault against its field and what is said of it.
func TestPipelineFaults(t *testing.T) {
	ts := startPipelines(t, Options{Now: seedHour}, pipeline.Options{Deadline: offline})
	ts.writeSeedPipeline()
	const window = `{"operation":"aggregate","params":{"window":"5m","functions":["avg","max"]}}`
	steps := func(steps string) string { return `{"name":"n","pipeline":[` + steps + `]}` }
	after := func(step string) string { return steps(window + "," + step) }
	with := func(rest string) string { return `{"name":"n","pipeline":[` + window + `],` + rest + `}` }
	for _, c := range []struct{ body, field, issue string }{
		{`{"pipeline":[]}`, "name", "give the pipeline a name"},
		{`{"name":"a b","pipeline":[` + window + `]}`, "name", "use letters"},
		{`{"name":"n"}`, "pipeline", "aggregate step"},
		{steps(`7`), "pipeline[0]", "must be an object"},
		{steps(`{"operation":"agregate"}`), "pipeline[0].operation", "Did you mean aggregate?"},
		{steps(`{"operation":"x"}`), "pipeline[0].operation", "use one of aggregate, fill, filter"},
		{steps(`{"operation":"filter","parms":{}}`), "pipeline[0].parms", "Did you mean params?"},
		{steps(`{"operation":"filter","params":{"tag":{}}}`), "pipeline[0].params.tag", "Did you mean tags?"},
		{steps(`{"operation":"filter","params":{"tags":{"a":{"regex":"("}}}}`), "pipeline[0].params.tags.a.regex", "missing closing )"},
		{steps(`{"operation":"filter","params":{"metric":"a","metrics":["b"]}}`), "pipeline[0].params.metrics", "the same as metric"},
		{steps(`{"operation":"aggregate","params":{"window":"five"}}`), "pipeline[0].params.window", "use a duration"},
		{steps(`{"operation":"aggregate","params":{"functions":["avg","mean"]}}`), "pipeline[0].params.functions[1]", "unknown aggregation"},
		{steps(`{"operation":"aggregate","params":{"group_by":["*","a"]}}`), "pipeline[0].params.group_by", "stands alone"},
		{steps(window + "," + window), "pipeline[1].operation", "there is one already"},
		{after(`{"operation":"transform","params":{}}`), "pipeline[1].params.formula", "give a formula"},
		{after(`{"operation":"transform","params":{"formula":"min_cpu"}}`), "pipeline[1].params.formula", "unknown name min_cpu"},
		{after(`{"operation":"transform","params":{"formula":"avg_cpu +"}}`), "pipeline[1].params.formula", "at character"},
		{after(`{"operation":"fill","params":{"method":"next"}}`), "pipeline[1].params.method", "previous"},
		{after(`{"operation":"sort","params":{"order":"up"}}`), "pipeline[1].params.order", "asc or desc"},
		{after(`{"operation":"limit","params":{"count":0}}`), "pipeline[1].params.count", "at least 1"},
		{after(`{"operation":"threshold","params":{"column":"avg_cpu"}}`), "pipeline[1].params", "above, below"},
		{after(`{"operation":"threshold","params":{"above":1,"mode":"drop"}}`), "pipeline[1].params.mode", "keep"},
		{with(`"schedule":"often","output":{"destination":"webhook","url":"https://a.example"}`), "schedule", "use a duration"},
		{with(`"schedule":"1m"`), "output.destination", "nobody to answer"},
		{with(`"schedule":"1m","to":"now","output":{"destination":"webhook","url":"https://a.example"}`), "to", "no end"},
		{with(`"schedule":"1s","from":"2020-01-01","output":{"destination":"webhook","url":"https://a.example"}`), "from", "runs would have to be made up"},
		{with(`"from":"yesterday"`), "from", "RFC 3339"},
		{with(`"output":{"destination":"mail"}`), "output.destination", "unknown destination"},
		{with(`"output":{"url":"https://a.example"}`), "output.url", "for the destination webhook"},
		{with(`"output":{"destination":"webhook","url":"https://a.example","metric":"m"}`), "output.metric", "for the destination metric"},
		{with(`"output":{"destination":"webhook","url":"file:///etc/passwd"}`), "output.url", "http or https"},
		{with(`"output":{"destination":"webhook","url":"http://169.254.169.254/latest"}`), "output.url", "webhooks.allowed"},
		{with(`"output":{"destination":"webhook","url":"http://[::ffff:127.0.0.1]:8000/"}`), "output.url", "webhooks.allowed"},
		{with(`"output":{"destination":"webhook","url":"http://2130706433/"}`), "", ""},
		{with(`"output":{"destination":"metric","metric":"m"}`), "output.destination", "add a transform step"},
		{with(`"output":{"destination":"metric","metric":"m","tags":{"source":"a"}}`), "output.tags", "not source"},
	} {
		answer := ts.postPipeline(c.body)
		if c.field == "" { // a name that a resolver might make an address of: it is for the dial to refuse
			if answer.status != http.StatusCreated {
				t.Errorf("%s: %d %s", c.body, answer.status, answer.body)
			}
			continue
		}
		details := answer.wantError(t, http.StatusBadRequest, "INVALID_REQUEST").Details
		if issue, _ := details["issue"].(string); details["field"] != c.field || !strings.Contains(issue, c.issue) {
			t.Errorf("%s: field %v, issue %v; want %s, %s", c.body, details["field"], issue, c.field, c.issue)
		}
	}
	ts.postPipeline(with(`"from":"2024-01-15T11:00:00Z","to":"2024-01-15T10:00:00Z"`)).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	tags := []string{"source", "s"}
	ts.write("cpu_temp", "", tags, "2024-01-15T10:30:00Z", 1.0)
	details := ts.postPipeline(after(`{"operation":"transform","params":{"formula":"avg_cpu"}}`)).wantError(t, http.StatusBadRequest, "INVALID_REQUEST").Details
	if diff := cmp.Diff([]any{"avg_cpu_temp", "avg_cpu_usage"}, details["candidates"]); diff != "" {
		t.Error(diff)
	}
}

// TestPipelineWebhook sends rows to a receiver, and shows what became of them.
func TestPipelineWebhook(t *testing.T) {
	got := make(chan *http.Request, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r }))
	t.Cleanup(hook.Close)
	ts := startPipelines(t, Options{Now: seedHour}, pipeline.Options{}, "127.0.0.1")
	ts.writeSeedPipeline()
	body := strings.Replace(seedPipeline, `"url": "https://your-system.com/webhook"`, `"url": "`+hook.URL+`/secret-path", "secret": "hush"`, 1)
	answer := ts.postPipeline(body)
	if answer.status != http.StatusCreated || strings.Contains(string(answer.body), "hush") {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	id := decodeJSON(t, answer.body)["output"].(map[string]any)["delivery_id"]
	select {
	case request := <-got:
		if request.Header.Get("X-Collector-Delivery") != id || request.Header.Get("X-Collector-Signature") == "" || request.URL.Path != "/secret-path" {
			t.Errorf("headers %v", request.Header)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was sent")
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		run := ts.getJSON("/metrics/pipelines/experiment_summary/runs?limit=1")["runs"].([]any)[0].(map[string]any)
		delivery := run["delivery"].(map[string]any)
		if delivery["status"] == "delivered" && delivery["last_status"] == 200.0 && delivery["attempts"] == 1.0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the delivery is %v", delivery)
		}
	}
	view := ts.get("/metrics/pipelines")
	if text := string(view.body); strings.Contains(text, "hush") || !strings.Contains(text, `"signed":true`) || !strings.Contains(text, "secret-path") {
		t.Errorf("%s", text)
	}
}

func TestPipelineSchedule(t *testing.T) {
	ts := startPipelines(t, Options{Now: seedHour}, pipeline.Options{})
	ts.writeSeedPipeline()
	rule := `{"name":"rule","schedule":"1m","pipeline":[{"operation":"filter","params":{"metric":"cpu_usage"}},
		{"operation":"aggregate","params":{"group_by":"host"}},{"operation":"transform","params":{"formula":"avg_cpu_usage / 100"}}],
		"output":{"destination":"metric","metric":"cpu_share","tags":{"made_by":"rule"}}}`
	answer := ts.postPipeline(rule)
	got := decodeJSON(t, answer.body)
	if answer.status != http.StatusCreated || got["status"] != "scheduled" || got["next_run"] != "2024-01-15T11:01:05Z" || got["row_count"] != 0.0 {
		t.Errorf("%d %s", answer.status, answer.body)
	}
	view := ts.getJSON("/metrics/pipelines/rule")
	if view["schedule"] != "1m" || view["processed_through"] != "2024-01-15T11:00:00Z" || view["status"] != "scheduled" {
		t.Errorf("%v", view)
	}
	itself := strings.Replace(rule, `{"metric":"cpu_usage"}`, `{"tags":{"made_by":"rule"}}`, 1)
	if details := ts.postPipeline(itself).wantError(t, http.StatusBadRequest, "INVALID_REQUEST").Details; details["field"] != "output.metric" {
		t.Errorf("what feeds itself: %v", details)
	}
	// Once, over the seed's hour.
	once := strings.Replace(rule, `"schedule":"1m",`, "", 1)
	answer = ts.postPipeline(once)
	got = decodeJSON(t, answer.body)
	if answer.status != http.StatusOK || got["output"].(map[string]any)["samples_written"] != 2.0 {
		t.Errorf("%d %s", answer.status, answer.body)
	}
	written := ts.getJSON("/metrics/query?metric=cpu_share&source=pipeline&tags=made_by:rule,host:fl-server-01&from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z")
	if written["total_points"] != 1.0 {
		t.Errorf("%v", written)
	}
	if answer := ts.do(http.MethodDelete, "/metrics/pipelines/rule", nil); answer.status != http.StatusOK {
		t.Errorf("%d %s", answer.status, answer.body)
	}
	ts.get("/metrics/pipelines/rule").wantError(t, http.StatusNotFound, "RESOURCE_NOT_FOUND")
	ts.get("/metrics/pipelines/rule/runs").wantError(t, http.StatusNotFound, "RESOURCE_NOT_FOUND")
	ts.do(http.MethodDelete, "/metrics/pipelines/rule", nil).wantError(t, http.StatusNotFound, "RESOURCE_NOT_FOUND")
	if list := ts.getJSON("/metrics/pipelines"); list["total"] != 0.0 {
		t.Errorf("%v", list)
	}
}

func TestPipelineRanges(t *testing.T) {
	ts := startPipelines(t, Options{Now: seedHour}, pipeline.Options{})
	ts.writeSeedPipeline()
	got := decodeJSON(t, ts.postPipeline(`{"name":"n","pipeline":[{"operation":"aggregate","params":{"functions":"count,p50","group_by":["experiment_id"]}},
		{"operation":"sort","params":{"by":"count_cpu_usage","order":"desc"}},{"operation":"limit","params":{"count":1}}],
		"start":"2024-01-15T10:30:30Z","end":"2024-01-15T10:40:00Z"}`).body)
	want := []any{map[string]any{"timestamp": "2024-01-15T10:30:30Z", "tags": map[string]any{"experiment_id": "exp_001"},
		"count_cpu_usage": 2.0, "p50_cpu_usage": 48.9, "count_memory_usage": 1.0, "p50_memory_usage": 500.0}}
	if diff := cmp.Diff(want, got["rows"]); diff != "" {
		t.Errorf("%s%v", diff, got)
	}
}

// TestPipelineFromTheEpoch begins at the time that is 0.
func TestPipelineFromTheEpoch(t *testing.T) {
	ts := startPipelines(t, Options{Now: seedHour}, pipeline.Options{})
	ts.writeSeedPipeline()
	const steps = `"pipeline":[{"operation":"filter","params":{"metric":"cpu_usage"}},{"operation":"aggregate","params":{"window":"1d"}},
		{"operation":"transform","params":{"formula":"avg_cpu_usage"}}],"output":{"destination":"metric","metric":"daily"},"from":"1970-01-01"`
	got := decodeJSON(t, ts.postPipeline(`{"name":"once",`+steps+`,"to":"1970-01-02"}`).body)
	if got["from"] != "1970-01-01T00:00:00Z" {
		t.Errorf("%v", got)
	}
	got = decodeJSON(t, ts.postPipeline(`{"name":"daily","schedule":"52w",`+steps+`}`).body)
	if got["next_run"] != "1970-12-31T00:00:05Z" {
		t.Errorf("%v", got)
	}
}

// TestPipelineRoles lets a reader run what only answers, and no more, and shows only an admin a webhook's address.
func TestPipelineRoles(t *testing.T) {
	ts := startPipelines(t, Options{Now: seedHour}, pipeline.Options{Deadline: offline})
	ts.openKeys(KeyOptions{Auth: testAuth})
	ts.writeSeedPipeline()
	ts.postPipeline(seedPipeline, bearer("reader-key")...).wantError(t, http.StatusForbidden, "FORBIDDEN")
	if answer := ts.postPipeline(seedPipeline, bearer("admin-key")...); answer.status != http.StatusCreated {
		t.Errorf("%d %s", answer.status, answer.body)
	}
	plain := strings.Replace(seedPipeline, `"destination": "webhook",`, `"destination": "response"`, 1)
	plain = strings.Replace(plain, `"url": "https://your-system.com/webhook"`, "", 1)
	ts.postPipeline(plain, bearer("reader-key")...).wantError(t, http.StatusForbidden, "FORBIDDEN") // it would replace the admin's
	other := strings.Replace(plain, "experiment_summary", "other", 1)
	if answer := ts.postPipeline(other, bearer("reader-key")...); answer.status != http.StatusCreated {
		t.Errorf("%d %s", answer.status, answer.body)
	}
	for key, url := range map[string]string{"reader-key": "https://your-system.com/...", "admin-key": "https://your-system.com/webhook"} {
		got := decodeJSON(t, ts.get("/metrics/pipelines/experiment_summary", bearer(key)...).body)
		if got["output"].(map[string]any)["url"] != url {
			t.Errorf("%s sees %v", key, got["output"])
		}
	}
}

// TestPipelineQueueFull says plainly that no more deliveries can wait.
func TestPipelineQueueFull(t *testing.T) {
	ts := startPipelines(t, Options{Now: seedHour}, pipeline.Options{Deadline: offline, MaxPending: 1})
	ts.writeSeedPipeline()
	if answer := ts.postPipeline(seedPipeline); answer.status != http.StatusCreated {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	answer := ts.postPipeline(strings.Replace(seedPipeline, "experiment_summary", "other", 1))
	details := answer.wantError(t, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE").Details
	if issue, _ := details["issue"].(string); !strings.Contains(issue, "too many deliveries wait") || answer.header.Get("Retry-After") == "" {
		t.Errorf("%v, Retry-After %q", details, answer.header.Get("Retry-After"))
	}
	ts.get("/metrics/pipelines/other").wantError(t, http.StatusNotFound, "RESOURCE_NOT_FOUND")
}

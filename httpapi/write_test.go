package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/ingest"
	"github.com/flopynet/collector/model"
)

// writeFixture is a server on an engine in memory, and a client of it.
type writeFixture struct {
	db     *engine.DB
	server *Server
	client *fasthttp.Client
}

var writeTestNow = time.Date(2024, 1, 15, 10, 30, 1, 0, time.UTC)

func newWriteFixture(t testing.TB, options engine.Options) *writeFixture {
	t.Helper()
	options.FS, options.MinFreeBytes = vfs.NewMem(), -1
	clock := func() time.Time { return writeTestNow }
	if options.Now == nil {
		options.Now = clock
	}
	db, err := engine.Open("data", options)
	if err != nil {
		t.Fatal(err)
	}
	server := New(db, Options{Now: clock})
	listener := fasthttputil.NewInmemoryListener()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil && !errors.Is(err, fasthttputil.ErrInmemoryListenerClosed) {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &writeFixture{db: db, server: server, client: &fasthttp.Client{
		Dial: func(string) (net.Conn, error) { return listener.Dial() },
	}}
}

// post sends a body and returns the status and the answer, in which ids that were made up are replaced.
func (f *writeFixture) post(t testing.TB, path, body string) (int, string) {
	t.Helper()
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.SetRequestURI("http://localhost" + path)
	request.Header.SetMethod(fasthttp.MethodPost)
	request.Header.SetContentType("application/json")
	request.SetBodyString(body)
	if err := f.client.DoTimeout(request, response, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	answer := madeUpIDs.ReplaceAllString(strings.TrimSpace(string(response.Body())), "${1}0")
	if !json.Valid([]byte(answer)) {
		t.Fatalf("the answer is not JSON: %s", answer)
	}
	return response.StatusCode(), answer
}

var madeUpIDs = regexp.MustCompile(`(batch_|req-)[0-9a-f]{12,16}`)

// stored lists the samples of a few metrics.
func (f *writeFixture) stored(t testing.TB, names ...string) []string {
	t.Helper()
	var list []string
	for _, name := range names {
		result, err := f.db.Samples(t.Context(), engine.SamplesRequest{
			Selection: engine.Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, name)}, To: model.MaxTime},
			Limit:     1000,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range result.Rows {
			s := result.Series[row.Series]
			list = append(list, fmt.Sprintf("%s%v %s %v", s.Name, s.Tags, s.Unit, row.Value))
		}
	}
	return list
}

const seedWrite = `{"source": "fl_server", "timestamp": "2024-01-15T10:30:00Z", "metrics": [
{"name": "cpu_usage", "value": 45.2, "unit": "percent", "tags": {"host": "fl-server-01", "experiment_id": "exp_001"}},
{"name": "active_clients", "value": 5, "unit": "count", "tags": {"experiment_id": "exp_001"}}]}`

const seedBatchWrite = `{"batches": [
{"source": "policy_engine", "timestamp": "2024-01-15T10:30:00Z", "metrics": [{"name": "policies_evaluated", "value": 150, "unit": "count"}]},
{"source": "sdn_controller", "timestamp": "2024-01-15T10:30:00Z", "metrics": [{"name": "flows_installed", "value": 25, "unit": "count"}]}]}`

func TestWriteStores(t *testing.T) {
	f := newWriteFixture(t, engine.Options{})
	for _, write := range []struct{ path, body, want string }{
		{"/metrics", seedWrite, `{"status":"success","metrics_accepted":2,"timestamp":"2024-01-15T10:30:01Z","batch_id":"batch_0"}`},
		{"/api/v1/metrics/", seedWrite, `{"status":"success","metrics_accepted":2,"timestamp":"2024-01-15T10:30:01Z","batch_id":"batch_0"}`},
		{"/metrics/batch", seedBatchWrite, `{"status":"success","metrics_accepted":2,"timestamp":"2024-01-15T10:30:01Z","batch_id":"batch_0","batches":[` +
			`{"source":"policy_engine","batch_id":"batch_0","metrics_accepted":1,"metrics_rejected":0},` +
			`{"source":"sdn_controller","batch_id":"batch_0","metrics_accepted":1,"metrics_rejected":0}]}`},
	} {
		if status, answer := f.post(t, write.path, write.body); status != fasthttp.StatusOK || answer != write.want {
			t.Errorf("%s: %d %s, want %s", write.path, status, answer, write.want)
		}
	}
	want := []string{
		"cpu_usage[{experiment_id exp_001} {host fl-server-01} {source fl_server}] percent 45.2",
		"active_clients[{experiment_id exp_001} {source fl_server}] count 5",
		"policies_evaluated[{source policy_engine}] count 150",
		"flows_installed[{source sdn_controller}] count 25",
	}
	if diff := cmp.Diff(want, f.stored(t, "cpu_usage", "active_clients", "policies_evaluated", "flows_installed")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if f.server.stored.Load() != writeTestNow.UnixNano() {
		t.Error("the server has not noted that samples were accepted")
	}
}

func TestWriteAnswers(t *testing.T) {
	const envelope = `"timestamp":"2024-01-15T10:30:01Z","request_id":"req-0","details":`
	tests := []struct {
		name, path, body string
		status           int
		want             string
	}{
		{"nothing", "/metrics", `{"metrics":[],"batch_id":"mine"}`, 200,
			`{"status":"success","metrics_accepted":0,"timestamp":"2024-01-15T10:30:01Z","batch_id":"mine"}`},
		{"bare array", "/metrics", `[{"name":"page_views","value":25}]`, 200,
			`{"status":"success","metrics_accepted":1,"timestamp":"2024-01-15T10:30:01Z","batch_id":"batch_0"}`},
		{"partial", "/metrics", `{"batch_id":"b","metrics":[{"name":"a","value":1},{"name":"b","value":"NaN"}]}`, 200,
			`{"status":"partial","metrics_accepted":1,"timestamp":"2024-01-15T10:30:01Z","batch_id":"b","metrics_rejected":1,` +
				`"errors":[{"index":1,"name":"b","reason":"value is the string \"NaN\", want a finite number"}]}`},
		{"partial batch", "/metrics/batch", `{"batches":[{"metrics":[{"name":"a","value":1}]},{"batch_id":"x","metrics":[5]}]}`, 200,
			`{"status":"partial","metrics_accepted":1,"timestamp":"2024-01-15T10:30:01Z","batch_id":"batch_0","metrics_rejected":1,` +
				`"errors":[{"batch":1,"index":0,"name":"","reason":"the metric is not an object"}],"batches":[` +
				`{"source":"default","batch_id":"batch_0","metrics_accepted":1,"metrics_rejected":0},` +
				`{"source":"default","batch_id":"x","metrics_accepted":0,"metrics_rejected":1}]}`},
		{"batches with an id", "/metrics/batch", `{"batch_id":"all","batches":[{"batch_id":"x","metrics":[]}]}`, 200,
			`{"status":"success","metrics_accepted":0,"timestamp":"2024-01-15T10:30:01Z","batch_id":"all","batches":[` +
				`{"source":"default","batch_id":"x","metrics_accepted":0,"metrics_rejected":0}]}`},
		{"warnings", "/metrics", `[{"name":"a","value":1,"typ":1},{"name":"a","value":2}]`, 200,
			`{"status":"success","metrics_accepted":2,"timestamp":"2024-01-15T10:30:01Z","batch_id":"batch_0","warnings":[` +
				`"unknown key \"typ\" in a metric is ignored","metrics[1] replaces an earlier sample of the same series and time in this request"]}`},
		{"none", "/metrics", `[{"name":"","value":1},{"name":"` + strings.Repeat("x", 257) + `","value":1}]`, 400,
			`{"error":{"code":"INVALID_REQUEST","message":"No metric was accepted",` + envelope + `{"metrics_rejected":2,"errors":[` +
				`{"index":0,"name":"","reason":"name is empty"},` +
				`{"index":1,"name":"` + strings.Repeat("x", 257) + `","reason":"name has 257 bytes, at most 256 are allowed"}]}}}`},
		{"only limits", "/metrics/batch", `{"batches":[{"metrics":[{"name":"a","value":1,"unit":"` + strings.Repeat("x", 257) + `"}]}]}`, 422,
			`{"error":{"code":"LIMIT_EXCEEDED","message":"No metric was accepted: each exceeds a limit",` + envelope +
				`{"metrics_rejected":1,"errors":[{"batch":0,"index":0,"name":"a","reason":"unit has 257 bytes, at most 256 are allowed"}]}}}`},
		{"not JSON", "/metrics", "{\"metrics\":\n[}", 400,
			`{"error":{"code":"INVALID_REQUEST","message":"The body is not valid JSON",` + envelope +
				`{"issue":"expected a value, found '}'","offset":13,"line":2,"column":2}}}`},
		{"not the shape", "/metrics/batch", `{"batches":[{"source":1,"metrics":[]}]}`, 400,
			`{"error":{"code":"INVALID_REQUEST","message":"The body is not a list of metrics as it should be",` + envelope +
				`{"issue":"batches[0].source is the number 1, want a string","field":"batches[0].source"}}}`},
		{"too many samples", "/metrics", "[" + strings.Repeat(`{"name":"a","value":1},`, 1_000_000) + `{"name":"a","value":1}]`, 422,
			`{"error":{"code":"LIMIT_EXCEEDED","message":"A limit is exceeded",` + envelope +
				`{"limit":"samples of a request","max":1000000,"issue":"send them in several requests"}}}`},
	}
	f := newWriteFixture(t, engine.Options{})
	for _, test := range tests {
		status, answer := f.post(t, test.path, test.body)
		if status != test.status || answer != test.want {
			t.Errorf("%s:\n got %d %s\nwant %d %s", test.name, status, answer, test.status, test.want)
		}
	}
	if status, answer := f.post(t, "/metrics?source=x", seedWrite); status != fasthttp.StatusBadRequest || !strings.Contains(answer, "INVALID_QUERY") {
		t.Errorf("an unknown parameter gives %d %s", status, answer)
	}
}

func TestWriteBeyondTheLimitsOfSeries(t *testing.T) {
	const known, both = `[{"name":"a","value":1}]`, `[{"name":"b","value":1},{"name":"a","value":1}]`
	for limit, options := range map[string]engine.Options{
		"the limit max_series = 1 is exceeded":                {MaxSeries: 1},
		"the limit max_new_series_per_minute = 1 is exceeded": {MaxNewSeries: 1},
	} {
		f := newWriteFixture(t, options)
		if status, answer := f.post(t, "/metrics", known); status != fasthttp.StatusOK {
			t.Fatal(status, answer)
		}
		const partial = `"metrics_accepted":1,"timestamp":"2024-01-15T10:30:01Z","batch_id":"batch_0","metrics_rejected":1,"errors":[{"index":0,"name":"b","reason":"`
		if status, answer := f.post(t, "/metrics", both); status != fasthttp.StatusOK || !strings.Contains(answer, partial+limit) {
			t.Errorf("%d %s, want %s%s", status, answer, partial, limit)
		}
		const none = `"code":"LIMIT_EXCEEDED","message":"No metric was accepted: each exceeds a limit"`
		status, answer := f.post(t, "/metrics", `[{"name":"b","value":1}]`)
		if status != fasthttp.StatusUnprocessableEntity || !strings.Contains(answer, none) || !strings.Contains(answer, `"reason":"`+limit) {
			t.Errorf("%d %s, want %s", status, answer, none)
		}
		if refused := f.db.Stats().SeriesRefused; refused != 2 {
			t.Errorf("%d refusals are counted, want 2", refused)
		}
	}
}

func TestWriteUnavailable(t *testing.T) {
	f := newWriteFixture(t, engine.Options{})
	if status, answer := f.post(t, "/metrics", seedWrite); status != fasthttp.StatusOK {
		t.Fatal(status, answer)
	}
	if err := f.db.Close(); err != nil {
		t.Fatal(err)
	}
	status, answer := f.post(t, "/metrics", seedWrite)
	if status != fasthttp.StatusServiceUnavailable || !strings.Contains(answer, "SERVICE_UNAVAILABLE") {
		t.Errorf("after Close: %d %s", status, answer)
	}
}

func TestWriteResponsesAreJSON(t *testing.T) {
	report := &ingest.Report{
		Accepted: 1, Rejected: 1, BatchID: "\"\x00\u2028", Warnings: []string{"\\", "\n"},
		Errors:  []ingest.Rejection{{Name: "\xff", Reason: "\""}, {Name: "é"}},
		Batches: []ingest.BatchReport{{Source: "\t"}, {}},
	}
	for _, shape := range []ingest.Shape{ingest.Metrics, ingest.Batches} {
		if answer := appendWriteResponse(nil, report, shape, 0); !json.Valid(answer) {
			t.Errorf("%s", answer)
		}
	}
}

// BenchmarkWrite sends 1,000 metrics a request, again and again the same, to an engine whose log is in
// memory.
func BenchmarkWrite(b *testing.B) {
	f := newWriteFixture(b, engine.Options{})
	var body bytes.Buffer
	body.WriteString(`{"source":"fl_server","metrics":[`)
	for i := range 1_000 {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"name":"cpu_usage_%d","value":%d.25,"unit":"percent","tags":{"host":"fl-server-%d","experiment_id":"exp_001"}}`, i%10, i, i/10)
	}
	body.WriteString("]}")
	text := body.String()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if status, answer := f.post(b, "/metrics", text); status != fasthttp.StatusOK || !strings.Contains(answer, `"metrics_accepted":1000,`) {
			b.Fatal(status, answer)
		}
	}
	b.ReportMetric(float64(b.N)*1_000/b.Elapsed().Seconds(), "samples/s")
}

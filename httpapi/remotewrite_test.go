package httpapi

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// The Content-Types of both versions.
const (
	remoteV1 = "application/x-protobuf"
	remoteV2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
)

const remoteMS = 1_705_314_600_000 // 2024-01-15T10:30:00Z

// proto appends fields of bytes to each other: pairs of a number and a content.
func proto(pairs ...any) string {
	var out []byte
	for i := 0; i < len(pairs); i += 2 {
		out = protowire.AppendTag(out, protowire.Number(pairs[i].(int)), protowire.BytesType)
		out = protowire.AppendString(out, pairs[i+1].(string))
	}
	return string(out)
}

// remotePoint is a sample.
func remotePoint(ms int64, value float64) string {
	out := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), math.Float64bits(value))
	return string(protowire.AppendVarint(protowire.AppendTag(out, 2, protowire.VarintType), uint64(ms)))
}

// remoteSeries is a series of version 1 with labels, "name=value" separated by spaces, and one sample for each value.
func remoteSeries(labels string, values ...float64) string {
	var out strings.Builder
	for _, label := range strings.Fields(labels) {
		name, value, _ := strings.Cut(label, "=")
		out.WriteString(proto(1, proto(1, name, 2, value)))
	}
	for i, value := range values {
		out.WriteString(proto(2, remotePoint(remoteMS+int64(i)*1000, value)))
	}
	return proto(1, out.String())
}

// remote sends a request as Prometheus does.
func (ts *testServer) remote(contentType, message string, headers ...string) reply {
	ts.t.Helper()
	return ts.do(http.MethodPost, "/api/v1/write", snappy.Encode(nil, []byte(message)),
		append([]string{"Content-Type", contentType, "Content-Encoding", "snappy", "X-Prometheus-Remote-Write-Version", "0.1.0"}, headers...)...)
}

// kept lists the samples of a metric: tags, unit, time and bits of the value.
func (ts *testServer) kept(name string) (list []string) {
	ts.t.Helper()
	result, err := ts.db.Samples(ts.t.Context(), engine.SamplesRequest{
		Selection: engine.Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, name)}, To: model.MaxTime},
		Limit:     1000,
	})
	if err != nil {
		ts.t.Fatal(err)
	}
	for _, row := range result.Rows {
		s := result.Series[row.Series]
		list = append(list, fmt.Sprintf("%v %s %d %x", s.Tags, s.Unit, row.Time/1e6-remoteMS, math.Float64bits(row.Value)))
	}
	return list
}

func TestRemoteWriteStores(t *testing.T) {
	ts := startServer(t, Options{})
	first := ts.remote(remoteV1, remoteSeries("__name__=cpu host=a job=node", 1.5, math.Inf(1), math.NaN())+
		remoteSeries("__name__=cpu host=b job=node source=edge", 2))
	if first.status != http.StatusNoContent || len(first.body) > 0 || first.header.Get(headerSamplesWritten) != "" {
		t.Fatalf("%d %s %v", first.status, first.body, first.header)
	}
	refs := string([]byte{1, 2, 3, 4})
	second := ts.remote(remoteV2, proto(4, "", 4, "__name__", 4, "cpu", 4, "host", 4, "c", 4, "percent",
		5, proto(1, refs, 2, remotePoint(remoteMS, 3), 4, "an exemplar", 5, "\x20\x05")))
	if second.status != http.StatusNoContent || second.header.Get(headerSamplesWritten) != "1" ||
		second.header.Get(headerHistogramsWritten) != "0" || second.header.Get(headerExemplarsWritten) != "0" {
		t.Fatalf("%d %s %v", second.status, second.body, second.header)
	}
	want := []string{
		"[{host a} {job node} {source node}]  0 3ff8000000000000", "[{host b} {job node} {source edge}]  0 4000000000000000",
		"[{host c} {source default}] percent 0 4008000000000000",
		"[{host a} {job node} {source node}]  1000 7ff0000000000000", "[{host a} {job node} {source node}]  2000 7ff8000000000001",
	}
	if diff := cmp.Diff(want, ts.kept("cpu")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	rate := ts.server.samples.rate(time.Now(), meterSlot)
	if rate <= 0 {
		t.Error("the samples don't count as stored")
	}
	// A request without anything is one of which all is stored.
	for _, contentType := range []string{remoteV1, remoteV1 + "; proto=prometheus.WriteRequest", remoteV2} {
		if empty := ts.remote(contentType, ""); empty.status != http.StatusNoContent {
			t.Errorf("%s: %d %s", contentType, empty.status, empty.body)
		}
	}
}

// TestRemoteWriteStaleMarkers ends a series as Prometheus does: the increase doesn't reach across the marker.
func TestRemoteWriteStaleMarkers(t *testing.T) {
	ts := startServer(t, Options{})
	stale := math.Float64frombits(0x7ff0000000000002)
	if answer := ts.remote(remoteV1, remoteSeries("__name__=requests job=a", 10, 20, stale, 70, 80)); answer.status != http.StatusNoContent {
		t.Fatal(answer.status, string(answer.body))
	}
	if kept := ts.kept("requests"); len(kept) != 4 {
		t.Errorf("the marker is returned, or something is lost: %v", kept)
	}
	if stored := ts.db.Stats().SamplesAccepted; stored != 5 {
		t.Errorf("%d samples are stored", stored)
	}
	answer := ts.getJSON("/metrics/query?metric=requests&aggregation=increase&from=2024-01-15T10:30:00Z&to=2024-01-15T11:00:00Z")
	if got := fmt.Sprint(answer["data_points"]); !strings.Contains(got, "value:20 ") && !strings.Contains(got, "value:20]") {
		t.Errorf("the increase is %s, want 20", got)
	}
}

func TestRemoteWriteRefuses(t *testing.T) {
	ts := startServer(t, Options{MaxBodyBytes: 64 << 10, MaxDecodedBytes: 128 << 10})
	message := remoteSeries("__name__=a job=x", 1) + remoteSeries("job=x", 1, 2) + remoteSeries("__name__=b a=1 a=2", 1) +
		proto(1, proto(1, proto(1, "__name__", 2, "h"), 4, "a histogram", 3, "an exemplar"))
	failure := ts.remote(remoteV1, message).wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
	want := map[string]any{
		"issue": "the label __name__ is missing", "samples_accepted": 1.0, "samples_rejected": 3.0, "histograms_rejected": 1.0, "exemplars_ignored": 1.0,
		"errors": []any{
			map[string]any{"index": 1.0, "name": "", "reason": "the label __name__ is missing"},
			map[string]any{"index": 2.0, "name": "b", "reason": `the label "a" is there twice`},
			map[string]any{"index": 3.0, "name": "h", "reason": "native histograms are not supported, this series has 1; have it scraped with classic buckets"},
		},
	}
	if diff := cmp.Diff(want, failure.Details); diff != "" || failure.Message != "Refused: 3 samples and 1 native histograms; stored: 1 samples" {
		t.Errorf("%s (-want +got):\n%s", failure.Message, diff)
	}
	if kept := ts.kept("a"); len(kept) != 1 {
		t.Errorf("the rest is not stored: %v", kept)
	}
	partial := ts.remote(remoteV2, proto(4, "", 4, "__name__", 4, "p", 5, proto(1, "\x01\x02", 2, remotePoint(remoteMS, 3)), 5, proto(1, "\x01", 2, remotePoint(remoteMS, 3))))
	partial.wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
	if partial.header.Get(headerSamplesWritten) != "1" {
		t.Errorf("the headers of a partial write: %v", partial.header)
	}
	cut := ts.remote(remoteV1, message[:len(message)-3]).wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
	if cut.Details["offset"] == nil || !strings.Contains(cut.Message, "protobuf") {
		t.Errorf("cut short: %+v", cut)
	}
	for contentType, body := range map[string]string{remoteV1: proto(4, "", 4, "__name__", 4, "m", 5, proto(1, "\x01\x02", 2, remotePoint(remoteMS, 3))), remoteV2: remoteSeries("__name__=m", 1)} {
		other := ts.remote(contentType, body).wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
		if issue, _ := other.Details["issue"].(string); !strings.Contains(issue, "which the Content-Type doesn't name") {
			t.Errorf("%s with a body of the other version: %+v", contentType, other)
		}
	}
	// What isn't remote write at all, and what is too much of it.
	for _, test := range []struct {
		body   []byte
		status int
		code   string
		header []string
	}{
		{nil, 415, "UNSUPPORTED_MEDIA_TYPE", []string{"Content-Type", remoteV1 + ";proto=io.prometheus.write.v3.Request"}},
		{nil, 415, "UNSUPPORTED_MEDIA_TYPE", []string{"Content-Type", remoteV1, "Content-Encoding", "br"}},
		{[]byte("no snappy"), 400, "INVALID_REQUEST", []string{"Content-Type", remoteV1, "Content-Encoding", "snappy"}},
		{snappy.Encode(nil, make([]byte, 129<<10)), 413, "PAYLOAD_TOO_LARGE", []string{"Content-Type", remoteV1, "Content-Encoding", "snappy"}},
		{make([]byte, 65<<10), 413, "PAYLOAD_TOO_LARGE", []string{"Content-Type", remoteV1}},
	} {
		ts.do(http.MethodPost, "/write", test.body, test.header...).wantError(t, test.status, test.code)
	}
	ts.do(http.MethodPost, "/write?precision=s", nil, "Content-Type", remoteV1).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
}

// TestRemoteWriteEncodings sends what other clients than Prometheus do: without compression, or with gzip.
func TestRemoteWriteEncodings(t *testing.T) {
	ts := startServer(t, Options{})
	if answer := ts.do(http.MethodPost, "/write/", []byte(remoteSeries("__name__=m", 1)), "Content-Type", remoteV1); answer.status != http.StatusNoContent {
		t.Errorf("plain: %d %s", answer.status, answer.body)
	}
	var packed strings.Builder
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write([]byte(remoteSeries("__name__=m", 2)))
	_ = zip.Close()
	if answer := ts.do(http.MethodPost, "/write", []byte(packed.String()), "Content-Type", remoteV1, "Content-Encoding", "gzip"); answer.status != http.StatusNoContent {
		t.Errorf("gzip: %d %s", answer.status, answer.body)
	}
	if kept := ts.kept("m"); len(kept) != 1 || !strings.HasSuffix(kept[0], fmt.Sprintf("%x", math.Float64bits(2))) {
		t.Errorf("%v", kept)
	}
}

// TestRemoteWriteKeys writes with keys that may not, or not as everybody.
func TestRemoteWriteKeys(t *testing.T) {
	ts := startServer(t, Options{})
	boss := []string{"Authorization", "Bearer " + ts.makeKey(`{"name":"boss","role":"admin"}`)}
	reader := ts.makeKey(`{"name":"reader","role":"read"}`, boss...)
	device := ts.makeKey(`{"name":"edge","role":"write","sources":["edge-7"]}`, boss...)
	message := remoteSeries("__name__=m job=edge-7", 1) + remoteSeries("__name__=m job=edge-8", 2) + remoteSeries("__name__=m job=edge-8 source=edge-7", 3)
	ts.remote(remoteV1, message).wantError(t, http.StatusUnauthorized, "UNAUTHORIZED")
	ts.remote(remoteV1, message, "Authorization", "Bearer "+reader).wantError(t, http.StatusForbidden, "FORBIDDEN")
	for range 2 {
		failure := ts.remote(remoteV1, message, "Authorization", "Bearer "+device).wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
		if failure.Details["issue"] != `source is "edge-8", which the key may not write as` || failure.Details["samples_accepted"] != 2.0 {
			t.Errorf("%v", failure.Details)
		}
		if answer := ts.remote(remoteV1, message, boss...); answer.status != http.StatusNoContent { // now all are in the cache
			t.Errorf("%d %s", answer.status, answer.body)
		}
	}
}

// TestRemoteWriteCanBeRetried asks while the store can't take anything, and beyond its limits.
func TestRemoteWriteCanBeRetried(t *testing.T) {
	ts, end := serveStore(t, t.TempDir(), engine.Options{MaxSeries: 1}, Options{})
	one, other := remoteSeries("__name__=m", 1), remoteSeries("__name__=n", 1)
	if answer := ts.remote(remoteV1, one); answer.status != http.StatusNoContent {
		t.Fatal(answer.status, string(answer.body))
	}
	ts.remote(remoteV1, other).wantError(t, http.StatusUnprocessableEntity, "LIMIT_EXCEEDED")
	ts.remote(remoteV1, one+other).wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
	if err := ts.db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, message := range []string{one, other} {
		answer := ts.remote(remoteV1, message)
		answer.wantError(t, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
		if answer.header.Get("Retry-After") == "" {
			t.Errorf("%v", answer.header)
		}
	}
	end()
}

package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// TestQueryBudgets exceeds the samples and the memory of a query, and the memory of all, by each endpoint that
// reads samples.
func TestQueryBudgets(t *testing.T) {
	for _, c := range []struct {
		options engine.Options
		status  int
		code    string
		limit   string
	}{
		{engine.Options{MaxQuerySamples: 100}, http.StatusUnprocessableEntity, "LIMIT_EXCEEDED", "query.max_samples"},
		{engine.Options{MaxQueryBytes: 1000}, http.StatusUnprocessableEntity, "LIMIT_EXCEEDED", "query.max_bytes"},
		{engine.Options{MaxQueriesBytes: 1000}, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE", ""},
	} {
		ts := startEngine(t, c.options, Options{})
		var samples []any
		for i := range 1000 {
			samples = append(samples, fmt.Sprintf("2024-01-15T10:%02d:%02dZ", i/60, i%60), float64(i))
		}
		ts.write("cpu_usage", "percent", nil, samples...)
		if err := ts.db.Flush(); err != nil {
			t.Fatal(err)
		}
		const at = "metric=cpu_usage&from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z"
		for _, path := range []string{"/metrics/query?" + at, "/metrics/query?aggregation=p50&" + at, "/metrics/summary?" + at} {
			answer := ts.get(path)
			failure := answer.wantError(t, c.status, c.code)
			if c.limit != "" && failure.Details["limit"] != c.limit {
				t.Errorf("%s: details %v, want the limit %s", path, failure.Details, c.limit)
			}
			if c.status == http.StatusServiceUnavailable && answer.header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", path)
			}
		}
		result := ts.multi(`{"queries": [{"metric": "cpu_usage", "from": "2024-01-15T10:00:00Z", "to": "2024-01-15T11:00:00Z"}]}`)[0]
		if failure := result["error"].(map[string]any); failure["code"] != c.code {
			t.Errorf("in a result: %v", failure)
		}
		if held := ts.db.Stats().QueryBytes; held != 0 {
			t.Errorf("%d bytes are held by no query", held)
		}
	}
}

// TestClientGoneEndsItsQuery reads over and over for a client, until it has gone: the read that is under way
// then ends with it. How soon it ends inside a series, the engine's tests count.
func TestClientGoneEndsItsQuery(t *testing.T) {
	entered, ended := make(chan struct{}), make(chan error, 1)
	selection := engine.Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "cpu_usage")}, To: model.MaxTime}
	ts := startServer(t, Options{}, route{role: roleNone, method: "GET", path: "/over-and-over", handler: func(s *Server, r *request) error {
		ctx, cancel := r.context(time.Hour)
		defer cancel()
		for read := 0; ; read++ {
			if _, err := s.db.Samples(ctx, engine.SamplesRequest{Selection: selection, Limit: 10}); err != nil {
				ended <- err
				return err
			}
			if read == 0 {
				close(entered)
			}
		}
	}})
	ts.write("cpu_usage", "", nil, "2024-01-15T10:00:00Z", 1.0, "2024-01-15T10:01:00Z", 2.0)
	conn, err := net.Dial("tcp", ts.addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /over-and-over HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the query ended with %v", err)
	}
	if stats := ts.db.Stats(); stats.QuerySamples < 2 || stats.QueryBytes != 0 {
		t.Errorf("%d samples were decoded, %d bytes are held", stats.QuerySamples, stats.QueryBytes)
	}
}

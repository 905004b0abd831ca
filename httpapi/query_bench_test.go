package httpapi

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// BenchmarkQuery asks for a day of 100 hosts over a connection that is kept, first without and then with the cache
// of results. Of its answers only the number of points is looked at: what is in them, the engine's benchmark of the
// same name checks.
func BenchmarkQuery(b *testing.B) {
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	now := start.Add(36 * time.Hour)
	store := engine.Options{Sync: engine.SyncOff, Now: func() time.Time { return now }, ResultCacheBytes: 64 << 20}
	ts := startEngine(b, store, Options{})
	var ids []model.SeriesID
	for host := range 100 {
		id, err := ts.db.Resolve("usage", model.Tags{{Key: "host", Value: fmt.Sprintf("host_%d", host)}, {Key: model.SourceKey, Value: "bench"}})
		if err != nil {
			b.Fatal(err)
		}
		ids = append(ids, id)
	}
	var batch engine.Batch
	for step := range 8640 {
		batch.Reset()
		for host, id := range ids {
			batch.Add(id, start.Add(time.Duration(step)*10*time.Second).UnixNano(), float64((step*(host+7))%10_000)/100)
		}
		if err := ts.db.Write(&batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := ts.db.Maintain(context.Background()); err != nil {
		b.Fatal(err)
	}
	for _, cache := range []int64{0, 64 << 20} {
		tuning := ts.db.Tuning()
		tuning.ResultCacheBytes = cache
		if err := ts.db.Reconfigure(tuning); err != nil {
			b.Fatal(err)
		}
		for _, q := range []struct {
			name, parameters string
			points           int
		}{
			{"a", "granularity=1m&aggregation=avg&tags=host:host_42&from=2024-01-01T10:00:00Z&to=2024-01-01T11:00:00Z", 60},
			{"b", "granularity=5m&aggregation=avg", 288},
			{"c", "granularity=1h&aggregation=avg&group_by=host", 24},
			{"d0", "granularity=1d&aggregation=p50,p90,p95,p99", 1},
			{"d1", "granularity=1d&aggregation=p50,p90,p95,p99&group_by=host", 1},
		} {
			parameters := q.parameters
			if q.name != "a" {
				parameters += "&from=" + url.QueryEscape(start.Format(time.RFC3339)) + "&to=2024-01-02T00:00:00Z"
			}
			b.Run(fmt.Sprintf("cached=%v/%s", cache > 0, q.name), func(b *testing.B) {
				client := fasthttp.HostClient{Addr: ts.addr, MaxResponseBodySize: 1 << 24}
				defer client.CloseIdleConnections()
				var body []byte
				var status int
				var err error
				for b.Loop() {
					if status, body, err = client.Get(body, ts.url+"/metrics/query?metric=usage&"+parameters); err != nil || status != 200 {
						b.Fatalf("%d, %v: %s", status, err, body)
					}
				}
				want := fmt.Sprintf(`"total_points":%d,`, q.points)
				if q.name == "c" || q.name == "d1" {
					want = fmt.Sprintf(`"total_points":%d,`, 100*q.points)
				}
				if text := string(body); !strings.Contains(text, want) {
					b.Fatalf("no %s in %.200s", want, text)
				}
			})
		}
	}
}

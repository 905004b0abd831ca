package engine

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/internal/quantile"
	"github.com/flopynet/collector/model"
)

// TestPercentilesOfLargeChunks asks for percentiles of chunks so large that their values stay where they were decoded:
// of all hosts, by host, in ranges that cut the chunks, and again, when that memory is used for the second time.
func TestPercentilesOfLargeChunks(t *testing.T) {
	r := seeded(t)
	now := time.Unix(0, worldStart+36*hour)
	db := mustOpen(t, Options{FS: vfs.NewMem(), MaintainInterval: -1, Now: func() time.Time { return now }})
	defer closeDB(t, db)
	const samples, step = 8640, int64(10e9)
	values := make(map[string][]float64)
	for _, host := range []string{"a", "b", "c"} {
		id, err := db.Resolve("m", model.Tags{{Key: "host", Value: host}})
		if err != nil {
			t.Fatal(err)
		}
		var batch Batch
		for i := range int64(samples) {
			v := math.Round(r.NormFloat64()*1e4) / 100
			values[host] = append(values[host], v)
			batch.Add(id, worldStart+i*step, v)
		}
		if err := db.Write(&batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	functions := []Function{{Kind: Quantile, Quantile: 0.5}, {Kind: Count}, {Kind: Quantile, Quantile: 0.99}, {Kind: Min}, {Kind: Max}}
	for range 3 {
		for _, part := range [][2]int{{0, samples}, {100, samples}, {0, samples - 1}, {4000, 4600}} {
			for _, by := range [][]string{nil, {"host"}} {
				request := AggregateRequest{Functions: functions, GroupBy: by}
				request.From, request.To = worldStart+int64(part[0])*step, worldStart+int64(part[1])*step
				request.Edges = []int64{request.From, request.To}
				request.Matchers = []*model.Matcher{model.EqualMatcher(model.NameKey, "m")}
				result, err := db.Aggregate(context.Background(), request)
				if err != nil || !result.Exact {
					t.Fatalf("%+v, %v", result, err)
				}
				for _, g := range result.Groups {
					hosts := []string{"a", "b", "c"}
					if by != nil {
						hosts = []string{g.Tags.Get("host")}
					}
					var all []float64
					for _, host := range hosts {
						all = append(all, values[host][part[0]:part[1]]...)
					}
					slices.Sort(all)
					qs := quantile.Of(quantile.Values{Pieces: [][]float64{all}, Low: all[0], High: all[len(all)-1]}, []float64{0.5, 0.99}, 1)
					middle := (all[(len(all)-1)/2] + all[len(all)/2]) / 2
					want := []float64{qs[0], float64(len(all)), qs[1], all[0], all[len(all)-1]}
					if !slices.Equal(g.Values, want) || math.Abs(qs[0]-middle) > 1e-12*math.Abs(middle) {
						t.Fatalf("samples %v of %v: %v, want %v, a median of %v", part, hosts, g.Values, want, middle)
					}
				}
			}
		}
	}
}

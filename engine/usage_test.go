package engine

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/flopynet/collector/model"
)

// workload is the one that the budgets are for: some hosts with ten metrics and ten tags, a sample every
// ten seconds for a day. Values are random walks of N(0, 1) steps within 0 to 100.
type workload struct {
	start  int64
	names  []string
	tags   []model.Tags
	values [][]float64 // by series
}

const (
	workloadSteps = 8640
	workloadStep  = int64(10 * time.Second)
)

func newWorkload(hosts int, round func(float64) float64) *workload {
	w := &workload{start: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()}
	metrics := []string{"user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"}
	for host := range hosts {
		tags := model.Tags{
			{Key: "arch", Value: []string{"x64", "x86"}[host%2]},
			{Key: "datacenter", Value: fmt.Sprintf("eu-west-1%c", 'a'+host%3)},
			{Key: "host", Value: fmt.Sprintf("host_%d", host)},
			{Key: "os", Value: "Ubuntu16.04LTS"},
			{Key: "rack", Value: fmt.Sprint(host)},
			{Key: "region", Value: "eu-west-1"},
			{Key: "service", Value: fmt.Sprint(host % 20)},
			{Key: "service_environment", Value: "production"},
			{Key: "service_version", Value: fmt.Sprint(host % 2)},
			{Key: model.SourceKey, Value: "workload"},
			{Key: "team", Value: []string{"SF", "LON", "NYC", "CHI"}[host%4]},
		}
		for _, metric := range metrics {
			random := rand.New(rand.NewPCG(3, uint64(len(w.values))))
			values, at := make([]float64, workloadSteps), random.Float64()*100
			for i := range values {
				at = min(max(at+random.NormFloat64(), 0), 100)
				values[i] = round(at)
			}
			w.names, w.tags, w.values = append(w.names, "usage_"+metric), append(w.tags, tags), append(w.values, values)
		}
	}
	return w
}

// write stores the workload in time order, 1,000 samples a batch.
func (w *workload) write(t *testing.T, db *DB) {
	t.Helper()
	ids := make([]model.SeriesID, len(w.values))
	for k := range ids {
		var err error
		if ids[k], err = db.Resolve(w.names[k], w.tags[k]); err != nil {
			t.Fatal(err)
		}
	}
	var batch Batch
	for step := range workloadSteps {
		for k, id := range ids {
			batch.Add(id, w.start+int64(step)*workloadStep, w.values[k][step])
			if batch.Len() < 1000 && (step < workloadSteps-1 || k < len(ids)-1) {
				continue
			}
			if err := db.Write(&batch); err != nil {
				t.Fatal(err)
			}
			batch.Reset()
		}
	}
}

// check reads every sample back.
func (w *workload) check(t *testing.T, db *DB) {
	t.Helper()
	for k, values := range w.values {
		result, err := db.Samples(context.Background(), SamplesRequest{
			Selection: Selection{From: w.start, To: w.start + 2*workloadSteps*workloadStep, Matchers: []*model.Matcher{
				model.EqualMatcher(model.NameKey, w.names[k]), model.EqualMatcher("host", w.tags[k].Get("host"))}},
			Limit: workloadSteps + 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Series) != 1 || len(result.Rows) != len(values) {
			t.Fatalf("series %d: %d series, %d samples", k, len(result.Series), len(result.Rows))
		}
		for i, row := range result.Rows {
			if row.Time != w.start+int64(i)*workloadStep || math.Float64bits(row.Value) != math.Float64bits(values[i]) {
				t.Fatalf("series %d, sample %d: %v came back for %v", k, i, row.Sample, values[i])
			}
		}
	}
}

// flushTables brings everything into tables of the chunk store.
func flushTables(t *testing.T, db *DB) {
	t.Helper()
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := db.chunks.Flush(); err != nil {
		t.Fatal(err)
	}
}

// compactTables brings the chunk store into its final shape. A table that overlaps with no other is only moved,
// so this takes two calls of flushTables before it.
func compactTables(t *testing.T, db *DB) {
	t.Helper()
	if err := db.chunks.Compact(context.Background(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
}

// TestDiskBudget holds the store to its bytes a sample, all overhead included, when a day is over, rolled up
// and compacted; and to every value, bit for bit. With COLLECTOR_WORKLOAD=full it takes all 100 hosts.
func TestDiskBudget(t *testing.T) {
	hosts := 10
	if os.Getenv("COLLECTOR_WORKLOAD") == "full" {
		hosts = 100
	}
	for _, variant := range []struct {
		name                 string
		round                func(float64) float64
		raw, tiers, sketches float64 // bytes a sample, at most; 0: no bound
	}{
		{"full", func(v float64) float64 { return v }, 6.5, 0, 0},
		{"dec2", func(v float64) float64 { return math.Round(v*100) / 100 }, 1.20, 0.30, 0.20},
		{"int", math.Floor, 0.34, 0, 0},
	} {
		t.Run(variant.name, func(t *testing.T) {
			t.Parallel()
			w := newWorkload(hosts, variant.round)
			now := time.Unix(0, w.start).AddDate(0, 0, 3)
			db, err := Open(t.TempDir(), Options{Now: func() time.Time { return now }, Sync: SyncOff, MaintainInterval: -1, MinFreeBytes: -1})
			if err != nil {
				t.Fatal(err)
			}
			w.write(t, db)
			flushTables(t, db)
			if err := db.Maintain(context.Background()); err != nil {
				t.Fatal(err)
			}
			flushTables(t, db)
			compactTables(t, db)
			u, err := db.Usage()
			if err != nil {
				t.Fatal(err)
			}
			samples := float64(len(w.values) * workloadSteps)
			for _, part := range []struct {
				name   string
				bytes  uint64
				budget float64
			}{
				{"raw chunks", u.RawChunks, 0},
				{"raw postings", u.RawPostings, 0},
				{"catalogue", u.Catalogue, 0},
				{"rest", u.Rest, 0},
				{"all of these", u.RawChunks + u.RawPostings + u.Catalogue + u.Rest, variant.raw},
				{"points of 5m", u.Points5m, 0},
				{"points of 1h", u.Points1h, 0},
				{"their postings", u.TierPostings, 0},
				{"all of these", u.Points5m + u.Points1h + u.TierPostings, variant.tiers},
				{"sketches", u.Sketches, variant.sketches},
				{"everything", u.Tables, 0},
			} {
				perSample := float64(part.bytes) / samples
				t.Logf("%-15s %9d bytes, %.4f a sample, budget %.2f", part.name, part.bytes, perSample, part.budget)
				if part.budget > 0 && (perSample > part.budget || part.bytes == 0) {
					t.Errorf("%s: %s: %.4f bytes a sample, at most %.2f are allowed", variant.name, part.name, perSample, part.budget)
				}
			}
			if stats := db.Stats(); u.ChunkStore < u.Tables || u.ChunkStore != stats.DiskBytes || u.WAL != uint64(stats.WALBytes) {
				t.Errorf("%+v doesn't agree with %d bytes of the chunk store and %d of the log", u, stats.DiskBytes, stats.WALBytes)
			}
			w.check(t, db)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Usage(); err == nil {
				t.Error("a closed store told its usage")
			}
		})
	}
}

package merge

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/model"
)

// newRandom returns a source of random cases whose seed stands in the test's log. COLLECTOR_SEED=n runs the
// cases of that seed again.
func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("COLLECTOR_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("COLLECTOR_SEED: %v", err)
		}
	}
	t.Logf("COLLECTOR_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// fakeRun is a run as the model sees it.
type fakeRun struct {
	samples []model.Sample // in time order, no time twice
	stored  bool
	rank    uint64
	hidden  []model.Span
}

func (r fakeRun) String() string {
	return fmt.Sprintf("rank %d stored %v samples %v hidden %v", r.rank, r.stored, r.samples, r.hidden)
}

// isHidden reports whether a delete hides what the run has at a time.
func (r fakeRun) isHidden(at int64) bool {
	return slices.ContainsFunc(r.hidden, func(s model.Span) bool { return s.Contains(at) })
}

// addTo adds the run in its form.
func (r fakeRun) addTo(t testing.TB, m *Runs) {
	t.Helper()
	if !r.stored {
		m.AddSamples(r.samples, r.rank, r.hidden)
		return
	}
	m.AddBlock(blockOf(t, r.samples), r.rank, r.hidden)
}

// blockOf returns the samples as a stored chunk.
func blockOf(t testing.TB, samples []model.Sample) chunk.Block {
	t.Helper()
	times, values := columnsOf(samples)
	key := []byte("key")
	block, err := chunk.Open(key, chunk.Encode(nil, key, times, values))
	if err != nil {
		t.Fatal(err)
	}
	return block
}

func columnsOf(samples []model.Sample) (times []int64, values []float64) {
	for _, sample := range samples {
		times, values = append(times, sample.Time), append(values, sample.Value)
	}
	return times, values
}

// at makes samples of one value at some times.
func at(value float64, times ...int64) []model.Sample {
	var samples []model.Sample
	for _, time := range times {
		samples = append(samples, model.Sample{Time: time, Value: value})
	}
	return samples
}

// modelOf says which samples of [from, to) the runs have together.
func modelOf(runs []fakeRun, from, to int64) (times []int64, values []float64) {
	byRank := slices.SortedStableFunc(slices.Values(runs), func(a, b fakeRun) int { return int(a.rank) - int(b.rank) })
	all := make(map[int64]float64)
	for _, r := range byRank {
		for _, sample := range r.samples {
			if sample.Time >= from && sample.Time < to && !r.isHidden(sample.Time) {
				all[sample.Time] = sample.Value
			}
		}
	}
	for _, time := range slices.Sorted(maps.Keys(all)) {
		times, values = append(times, time), append(values, all[time])
	}
	return times, values
}

func sameSamples(gotTimes []int64, gotValues []float64, times []int64, values []float64) bool {
	return slices.Equal(gotTimes, times) &&
		slices.EqualFunc(gotValues, values, func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })
}

// randomRun returns a run whose times lie near those of other runs of the case.
func randomRun(random *rand.Rand, rank uint64) fakeRun {
	r := fakeRun{rank: rank, stored: random.IntN(2) == 0}
	time := random.Int64N(200)
	for range 1 + random.IntN([]int{1, 5, 40}[random.IntN(3)]) {
		value := float64(random.IntN(1000)) / 10
		if random.IntN(8) == 0 {
			value = math.Float64frombits(random.Uint64())
		}
		r.samples = append(r.samples, model.Sample{Time: time, Value: value})
		time += 1 + random.Int64N([]int64{1, 3, 30}[random.IntN(3)])
	}
	for range random.IntN(4) - 1 {
		from := random.Int64N(250)
		r.hidden = append(r.hidden, model.Span{From: from, To: from + random.Int64N(60)})
	}
	return r
}

// TestAgainstModel merges random runs and compares every sample with the model's.
func TestAgainstModel(t *testing.T) {
	random := newRandom(t)
	var runs Runs
	for range 3000 {
		var all []fakeRun
		for i := range random.IntN(9) {
			all = append(all, randomRun(random, uint64(i)))
		}
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		from := random.Int64N(250)
		to := from + random.Int64N(250)
		if random.IntN(3) == 0 {
			from, to = model.MinTime, model.MaxTime
		}
		runs.Reset()
		for _, r := range all {
			r.addTo(t, &runs)
		}
		before := columns{times: []int64{-7}, values: []float64{-7}}
		times, values, err := runs.Append(slices.Clone(before.times), slices.Clone(before.values), from, to)
		if err != nil {
			t.Fatal(err)
		}
		wantTimes, wantValues := modelOf(all, from, to)
		if times[0] != -7 || values[0] != -7 || !sameSamples(times[1:], values[1:], wantTimes, wantValues) {
			t.Fatalf("[%d, %d) of\n%v\nis %v %v\nwant %v %v", from, to, all, times[1:], values[1:], wantTimes, wantValues)
		}
	}
}

// TestEqualRanks merges runs of one rank that agree where they meet, as those do that a flush moves while it
// is read.
func TestEqualRanks(t *testing.T) {
	var runs Runs
	for _, r := range []fakeRun{
		{samples: at(1, 10, 20, 30), rank: 5},
		{samples: at(1, 20, 30, 40), rank: 5, stored: true},
		{samples: at(2, 30), rank: 4},
	} {
		r.addTo(t, &runs)
	}
	times, values, err := runs.Append(nil, nil, 0, 100)
	if err != nil || !slices.Equal(times, []int64{10, 20, 30, 40}) || !slices.Equal(values, []float64{1, 1, 1, 1}) {
		t.Fatalf("merged %v %v, %v", times, values, err)
	}
}

// TestClusters checks which runs are brought together: those that have a time in common with one another,
// directly or through others, be it the last of the one and the first of the other.
func TestClusters(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to int64
		runs     [][]int64 // first and last time of each
		want     [][2]int64
	}{
		{"none", 0, 100, nil, nil},
		{"neighbours stay apart", 0, 100, [][]int64{{10, 19}, {20, 29}}, [][2]int64{{10, 19}, {20, 29}}},
		{"a common end", 0, 100, [][]int64{{20, 29}, {10, 20}}, [][2]int64{{10, 29}}},
		{"one inside another", 0, 100, [][]int64{{10, 50}, {20, 30}, {40, 45}, {51, 60}}, [][2]int64{{10, 50}, {51, 60}}},
		{"a chain", 0, 100, [][]int64{{10, 20}, {30, 40}, {15, 30}}, [][2]int64{{10, 40}}},
		{"single samples", 0, 100, [][]int64{{10, 10}, {10, 10}, {11, 11}}, [][2]int64{{10, 10}, {11, 11}}},
		{"ends at from", 19, 100, [][]int64{{10, 18}, {15, 19}, {20, 29}}, [][2]int64{{15, 19}, {20, 29}}},
		{"begins at to", 0, 20, [][]int64{{10, 19}, {19, 29}, {20, 30}}, [][2]int64{{10, 29}}},
		{"an empty range", 20, 20, [][]int64{{10, 19}, {21, 30}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var runs Runs
			for i, r := range c.runs {
				fakeRun{samples: at(1, slices.Compact(r)...), rank: uint64(i), stored: i%2 == 0}.addTo(t, &runs)
			}
			var got [][2]int64
			err := runs.Clusters(c.from, c.to, func(cluster Cluster) error {
				first, last := cluster.Bounds()
				got = append(got, [2]int64{first, last})
				return nil
			})
			if err != nil || !slices.Equal(got, c.want) {
				t.Fatalf("clusters %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

// TestClustersStop checks that an error of the callback ends the walk.
func TestClustersStop(t *testing.T) {
	var runs Runs
	for i := range int64(3) {
		fakeRun{samples: at(1, 10*i)}.addTo(t, &runs)
	}
	calls, stop := 0, errors.New("enough")
	err := runs.Clusters(0, 100, func(Cluster) error {
		calls++
		return stop
	})
	if !errors.Is(err, stop) || calls != 1 {
		t.Fatalf("%d calls, %v", calls, err)
	}
}

// TestNothingToAdd checks that empty samples don't become a run.
func TestNothingToAdd(t *testing.T) {
	var runs Runs
	runs.AddSamples(nil, 1, nil)
	if err := runs.Clusters(0, 100, func(Cluster) error { return errors.New("a cluster of nothing") }); err != nil {
		t.Fatal(err)
	}
	fakeRun{samples: at(1, 5)}.addTo(t, &runs)
	runs.Reset()
	if times, _, err := runs.Append(nil, nil, 0, 100); err != nil || len(times) > 0 {
		t.Fatalf("after a reset there is %v, %v", times, err)
	}
}

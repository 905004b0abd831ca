package merge

import (
	"errors"
	"slices"
	"testing"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/model"
)

// only returns the one cluster of the runs.
func only(t *testing.T, all ...fakeRun) Cluster {
	t.Helper()
	var runs Runs
	for _, r := range all {
		r.addTo(t, &runs)
	}
	var found []Cluster
	if err := runs.Clusters(model.MinTime, model.MaxTime, func(c Cluster) error {
		found = append(found, c)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 {
		t.Fatalf("there are %d clusters", len(found))
	}
	return found[0]
}

// TestAlone checks when a block's header speaks for its cluster, and what Blocks counts.
func TestAlone(t *testing.T) {
	span := func(from, to int64) []model.Span { return []model.Span{{From: from, To: to}} }
	block := fakeRun{samples: at(1, 10, 20, 30), stored: true, rank: 3}
	hiding := func(hidden []model.Span) fakeRun {
		r := block
		r.hidden = hidden
		return r
	}
	for _, c := range []struct {
		name            string
		runs            []fakeRun
		alone           bool
		blocks, samples int
	}{
		{"a block", []fakeRun{block}, true, 1, 3},
		{"samples", []fakeRun{{samples: at(1, 10, 20)}}, false, 0, 0},
		{"a block and a sample inside", []fakeRun{block, {samples: at(2, 25), rank: 9}}, false, 1, 3},
		{"an older block inside", []fakeRun{block, {samples: at(2, 25), stored: true, rank: 1}}, false, 2, 4},
		{"hidden before its first", []fakeRun{hiding(span(0, 10))}, true, 1, 3},
		{"hidden behind its last", []fakeRun{hiding(span(31, 40))}, true, 1, 3},
		{"hidden first", []fakeRun{hiding(span(5, 11))}, false, 1, 3},
		{"hidden last", []fakeRun{hiding(span(30, 31))}, false, 1, 3},
		{"hidden where there is no sample", []fakeRun{hiding(span(11, 12))}, false, 1, 3},
		{"one of two spans hides", []fakeRun{hiding(append(span(0, 5), span(20, 21)...))}, false, 1, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			cluster := only(t, c.runs...)
			got, alone := cluster.Alone()
			if alone != c.alone || alone && (got.MinTime() != 10 || got.Count() != 3) {
				t.Errorf("Alone is %v", alone)
			}
			if blocks, samples := cluster.Blocks(); blocks != c.blocks || samples != c.samples {
				t.Errorf("Blocks are %d with %d samples, want %d with %d", blocks, samples, c.blocks, c.samples)
			}
		})
	}
}

// TestBoundsHoldHiddenSamples checks that the bounds of a cluster don't hang on what is deleted.
func TestBoundsHoldHiddenSamples(t *testing.T) {
	cluster := only(t,
		fakeRun{samples: at(1, 20, 40), rank: 2, hidden: []model.Span{{From: 0, To: 100}}},
		fakeRun{samples: at(2, 10, 30), rank: 7, stored: true, hidden: []model.Span{{From: 0, To: 20}}},
		fakeRun{samples: at(3, 25, 50), rank: 1, hidden: []model.Span{{From: 50, To: 51}}})
	if first, last := cluster.Bounds(); first != 10 || last != 50 {
		t.Errorf("bounds are %d and %d", first, last)
	}
	times, values, err := cluster.Append(nil, nil, 0, 100)
	if err != nil || !slices.Equal(times, []int64{25, 30}) || !slices.Equal(values, []float64{3, 2}) {
		t.Errorf("samples are %v %v, %v", times, values, err)
	}
}

// TestAppendClips cuts one run, and merged ones, at every place there is.
func TestAppendClips(t *testing.T) {
	single := []fakeRun{{samples: at(1, 10, 20, 30), stored: true}}
	double := []fakeRun{single[0], {samples: at(2, 15, 20, 31), rank: 1}}
	for _, runs := range [][]fakeRun{single, double} {
		for from := int64(8); from < 34; from++ {
			for to := from; to < 34; to++ {
				times, values, err := only(t, runs...).Append([]int64{1}, []float64{1}, from, to)
				if err != nil {
					t.Fatal(err)
				}
				wantTimes, wantValues := modelOf(runs, from, to)
				if !sameSamples(times[1:], values[1:], wantTimes, wantValues) {
					t.Fatalf("[%d, %d) of %d runs is %v %v, want %v %v", from, to, len(runs), times[1:], values[1:], wantTimes, wantValues)
				}
			}
		}
	}
}

// TestDamagedBlock checks that a block whose payload can't be decoded is an error and leaves the columns as
// they were. Open would find it out, so its bytes change after that.
func TestDamagedBlock(t *testing.T) {
	samples := at(1, 10, 20, 30)
	for i := range samples {
		samples[i].Value = float64(i) * 0.3
	}
	times, values := columnsOf(samples)
	key := []byte("key")
	stored := chunk.Encode(nil, key, times, values)
	block, err := chunk.Open(key, stored)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(stored) / 2; i < len(stored); i++ {
		stored[i] ^= 0xff // a Block shares the memory
	}
	for _, others := range [][]fakeRun{nil, {{samples: at(2, 10), rank: 1}}} {
		var runs Runs
		runs.AddBlock(block, 0, nil)
		for _, r := range others {
			r.addTo(t, &runs)
		}
		got, gotValues, err := runs.Append([]int64{4}, []float64{4}, 0, 100)
		if !errors.Is(err, chunk.ErrCorrupt) || !slices.Equal(got, []int64{4}) || !slices.Equal(gotValues, []float64{4}) {
			t.Errorf("with %d other runs: %v %v, %v", len(others), got, gotValues, err)
		}
	}
}

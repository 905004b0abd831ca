package head

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/model"
)

const day = int64(24 * time.Hour)

// contents merges what the head says of a series the slow way.
func contents(t *testing.T, h *Head, id model.SeriesID) map[int64]uint64 {
	t.Helper()
	merged := map[int64]uint64{}
	for _, view := range h.Views(nil, id) {
		maps.Copy(merged, contentsOf(t, view))
	}
	return merged
}

// contentsOf returns the bits of a view's values by time, and checks the view.
func contentsOf(t *testing.T, view View) map[int64]uint64 {
	t.Helper()
	merged := map[int64]uint64{}
	last := int64(-1)
	for _, block := range view.Blocks {
		times, values, err := block.Decode(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(times) != block.Count() || times[0] != block.MinTime() || times[len(times)-1] != block.MaxTime() {
			t.Fatalf("block says %d samples from %d to %d, has %v", block.Count(), block.MinTime(), block.MaxTime(), times)
		}
		if times[0]/day != times[len(times)-1]/day {
			t.Fatalf("a block spans the days %d and %d", times[0]/day, times[len(times)-1]/day)
		}
		for i, time := range times {
			if time <= last {
				t.Fatalf("time %d in a block comes after %d", time, last)
			}
			last = time
			merged[time] = math.Float64bits(values[i])
		}
	}
	for _, sample := range view.Tail {
		if sample.Time <= last {
			t.Fatalf("time %d in the tail comes after %d", sample.Time, last)
		}
		last = sample.Time
		merged[sample.Time] = math.Float64bits(sample.Value)
	}
	view.SortLate()
	for _, sample := range view.Late {
		merged[sample.Time] = math.Float64bits(sample.Value)
	}
	return merged
}

// TestAgainstModel runs random writes, freezes, releases and thaws beside a map.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		h := New()
		appliers := h.Appliers(1 + random.IntN(4))
		const seriesCount = 40
		var current, frozen [seriesCount + 1]map[int64]uint64
		for i := range current {
			current[i], frozen[i] = map[int64]uint64{}, map[int64]uint64{}
		}
		clock := 3 * day
		isFrozen := false
		for range 60 {
			switch op := random.IntN(10); {
			case op < 8:
				var ids []model.SeriesID
				var times []int64
				var values []float64
				for range random.IntN(200) {
					clock += random.Int64N(3) * int64(time.Hour) / 20
					at := clock
					switch random.IntN(12) {
					case 0:
						at -= random.Int64N(2 * day)
					case 1:
						at += random.Int64N(1e6)
					case 2:
						at -= int64(time.Hour) / 20 * random.Int64N(5)
					}
					id := model.SeriesID(1 + random.IntN(seriesCount))
					value := math.Float64frombits(random.Uint64())
					ids, times, values = append(ids, id), append(times, at), append(values, value)
					current[id][at] = math.Float64bits(value)
				}
				for _, applier := range appliers {
					applier.Apply(ids, times, values)
				}
			case op == 8 && !isFrozen:
				isFrozen = true
				series := h.Freeze(0, 1)
				for i := range current {
					frozen[i], current[i] = current[i], map[int64]uint64{}
				}
				for _, s := range series {
					if len(frozen[s.ID]) == 0 || s.Count < len(frozen[s.ID]) {
						t.Fatalf("seed %d: series %d is frozen with %d samples, model has %d", seed, s.ID, s.Count, len(frozen[s.ID]))
					}
				}
			case op == 9 && isFrozen:
				isFrozen = false
				var release, thaw []model.SeriesID
				for id := model.SeriesID(1); id <= seriesCount; id++ {
					if random.IntN(2) == 0 {
						h.FrozenView(id, true)
						release = append(release, id)
					} else {
						thaw = append(thaw, id)
						for at, value := range current[id] {
							frozen[id][at] = value
						}
						current[id] = frozen[id]
					}
					frozen[id] = map[int64]uint64{}
				}
				h.Release(release)
				if err := h.Thaw(thaw, nil); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		}
		total := 0
		for id := model.SeriesID(1); id <= seriesCount; id++ {
			want := map[int64]uint64{}
			for _, part := range []map[int64]uint64{frozen[id], current[id]} {
				for at, value := range part {
					want[at] = value
				}
			}
			if diff := cmp.Diff(want, contents(t, h, id)); diff != "" {
				t.Fatalf("seed %d, series %d: (-model +head)\n%s", seed, id, diff)
			}
			total += len(frozen[id]) + len(current[id])
		}
		if h.Samples() < int64(total) {
			t.Fatalf("seed %d: head counts %d samples, the model has %d", seed, h.Samples(), total)
		}
	}
}

func TestReleaseEmptiesTheCount(t *testing.T) {
	h := New()
	applier := h.Appliers(1)[0]
	for i := range int64(100) {
		applier.Apply([]model.SeriesID{7, 7}, []int64{i * 10, 50}, []float64{1, 2})
	}
	frozen := h.Freeze(0, 1)
	if len(frozen) != 1 || frozen[0].ID != 7 || int64(frozen[0].Count) != h.Samples() {
		t.Fatalf("frozen %+v, head counts %d", frozen, h.Samples())
	}
	h.Release([]model.SeriesID{7})
	if h.Samples() != 0 || len(h.Views(nil, 7)) != 0 {
		t.Fatalf("%d samples and %d views are left", h.Samples(), len(h.Views(nil, 7)))
	}
}

func TestIdle(t *testing.T) {
	h := New()
	applier := h.Appliers(1)[0]
	apply := func(period int64, ids ...model.SeriesID) {
		applier.SetPeriod(period)
		for _, id := range ids {
			applier.Apply([]model.SeriesID{id}, []int64{h.Samples() + 1}, []float64{0})
		}
	}
	idle := func(period int64) (idle []model.SeriesID) {
		var all []model.SeriesID
		for _, series := range h.Freeze(period, 1) {
			all = append(all, series.ID)
			if series.Idle {
				idle = append(idle, series.ID)
			}
		}
		if err := h.Thaw(all, nil); err != nil {
			t.Fatal(err)
		}
		return idle
	}
	apply(5, 1, 2)
	if got := idle(6); len(got) != 0 {
		t.Fatalf("series %v are idle one period after their samples", got)
	}
	apply(6, 2)
	for range 2 { // a freeze by itself makes nothing idle
		if got := idle(7); !slices.Equal(got, []model.SeriesID{1}) {
			t.Fatalf("series %v are idle, want 1", got)
		}
	}
	h.Freeze(7, 1)
	apply(7, 1) // while frozen
	if err := h.Thaw([]model.SeriesID{1, 2}, nil); err != nil {
		t.Fatal(err)
	}
	if got := idle(8); !slices.Equal(got, []model.SeriesID{2}) {
		t.Fatalf("series %v are idle, want 2", got)
	}
}

// TestReadersBesideTheWriter checks that a view never changes once taken: each sample's value says when
// it was written.
func TestReadersBesideTheWriter(t *testing.T) {
	h := New()
	applier := h.Appliers(1)[0]
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				views := h.Views(nil, 3)
				first, second := 0, 0
				for _, count := range []*int{&first, &second} {
					for _, view := range views {
						for _, block := range view.Blocks {
							times, values, err := block.Decode(nil, nil)
							if err != nil {
								t.Error(err)
								return
							}
							for i := range times {
								if values[i] != float64(times[i]/1e9) {
									t.Errorf("time %d has value %v", times[i], values[i])
									return
								}
							}
							*count += len(times)
						}
						*count += len(view.Tail) + len(view.Late)
					}
				}
				if first != second {
					t.Errorf("a view had %d samples, then %d", first, second)
					return
				}
			}
		})
	}
	for i := range int64(20_000) {
		applier.Apply([]model.SeriesID{3}, []int64{i * 1e9}, []float64{float64(i)})
		if i%1000 == 999 {
			h.Freeze(0, 1)
			if i%2000 == 999 {
				h.FrozenView(3, true)
				h.Release([]model.SeriesID{3})
			} else if err := h.Thaw([]model.SeriesID{3}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	readers.Wait()
}

func BenchmarkApply(b *testing.B) {
	const batch = 1000
	ids := make([]model.SeriesID, batch)
	times := make([]int64, batch)
	values := make([]float64, batch)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range ids {
		ids[i] = model.SeriesID(i + 1)
	}
	h := New()
	applier := h.Appliers(1)[0]
	b.ReportAllocs()
	round := int64(0)
	for b.Loop() {
		round++
		for i := range times {
			times[i] = round * 10e9
			values[i] = math.Round(1e4*random.Float64()) / 100
		}
		applier.Apply(ids, times, values)
		if round%4000 == 0 {
			b.StopTimer()
			if got := h.Samples(); got != 4000*batch {
				b.Fatalf("head holds %d samples", got)
			}
			h.Freeze(0, 1)
			h.Release(ids)
			b.StartTimer()
		}
	}
	b.ReportMetric(float64(b.N)*batch/b.Elapsed().Seconds(), "samples/s")
}

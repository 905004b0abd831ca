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

// deletes is what an engine keeps of the deletes: spans of series by position of the log.
type deletes struct {
	mu   sync.Mutex
	list []deleted
}

type deleted struct {
	lsn  uint64
	span model.Span
	ids  []model.SeriesID
}

func (d *deletes) add(lsn uint64, span model.Span, ids []model.SeriesID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, deleted{lsn, span, ids})
}

func (d *deletes) hidden(id model.SeriesID, seq uint64) (spans []model.Span) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, delete := range d.list {
		if delete.lsn > seq && slices.Contains(delete.ids, id) {
			spans = append(spans, delete.span)
		}
	}
	return spans
}

// lifecycle drives a head beside a model: maps of the current and the frozen samples of each series.
type lifecycle struct {
	t        *testing.T
	seed     uint64
	random   *rand.Rand
	head     *Head
	appliers []*Applier
	deletes  deletes
	lsn      uint64
	frozenAt uint64
	isFrozen bool
	stales   bool // there are stale markers among what is written
	clock    int64

	current, frozen [lifecycleSeries + 1]map[int64]uint64
}

const lifecycleSeries = 12

func newLifecycle(t *testing.T, seed uint64) *lifecycle {
	l := &lifecycle{t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 2)), head: New(), stales: seed%2 == 0, clock: 3 * day}
	l.appliers = l.head.Appliers(1 + l.random.IntN(4))
	for i := range l.current {
		l.current[i], l.frozen[i] = map[int64]uint64{}, map[int64]uint64{}
	}
	return l
}

func (l *lifecycle) apply() {
	l.lsn++
	var ids []model.SeriesID
	var times []int64
	var values []float64
	for range l.random.IntN(300) {
		l.clock += l.random.Int64N(3) * int64(time.Minute)
		at := l.clock
		switch l.random.IntN(10) {
		case 0:
			at -= l.random.Int64N(day) / int64(time.Minute) * int64(time.Minute)
		case 1:
			at += l.random.Int64N(1e6)
		}
		id := model.SeriesID(1 + l.random.IntN(1+l.random.IntN(lifecycleSeries)))
		value := math.Float64frombits(l.random.Uint64())
		if l.stales && l.random.IntN(100) == 0 {
			value = math.Float64frombits(0x7ff0000000000002) // Prometheus' marker
		}
		ids, times, values = append(ids, id), append(times, at), append(values, value)
		l.current[id][at] = math.Float64bits(value)
	}
	for _, applier := range l.appliers {
		applier.Apply(ids, times, values)
	}
}

func (l *lifecycle) delete() {
	l.lsn++
	var ids []model.SeriesID
	for id := model.SeriesID(1); id <= lifecycleSeries+2; id++ {
		if l.random.IntN(3) > 0 {
			ids = append(ids, id)
		}
	}
	span := model.Span{To: l.clock - l.random.Int64N(day/2)}
	span.From = span.To - 1 - l.random.Int64N(1+l.random.Int64N(2*day))
	switch l.random.IntN(6) {
	case 0:
		span = model.Span{From: math.MinInt64, To: math.MaxInt64}
	case 1:
		span.To = math.MaxInt64
	case 2: // a single sample, perhaps
		span = model.Span{From: span.From / int64(time.Minute) * int64(time.Minute)}
		span.To = span.From + 1
	case 3: // exactly at the bounds of a block
		for _, view := range l.head.Views(nil, model.SeriesID(1+l.random.IntN(lifecycleSeries))) {
			if n := len(view.Blocks); n > 0 && view.Seq == math.MaxUint64 {
				block := view.Blocks[l.random.IntN(n)]
				span = model.Span{From: block.MinTime() + l.random.Int64N(2), To: block.MaxTime() + 1 - l.random.Int64N(2)}
			}
		}
	}
	if span.From >= span.To {
		return
	}
	l.deletes.add(l.lsn, span, ids)
	for _, applier := range l.appliers {
		if err := applier.Delete(ids, span.From, span.To); err != nil {
			l.t.Fatal(err)
		}
	}
	for _, id := range ids {
		if id <= lifecycleSeries {
			hide(l.current[id], span)
		}
	}
}

func hide(samples map[int64]uint64, span model.Span) {
	for at := range samples {
		if span.Contains(at) {
			delete(samples, at)
		}
	}
}

func (l *lifecycle) freeze() {
	l.isFrozen, l.frozenAt = true, l.lsn
	var want, got []model.SeriesID
	for _, series := range l.head.Freeze(0, l.lsn) {
		got = append(got, series.ID)
	}
	for i := range l.current {
		l.frozen[i], l.current[i] = l.current[i], map[int64]uint64{}
		if len(l.frozen[i]) > 0 {
			want = append(want, model.SeriesID(i))
		}
	}
	if !slices.Equal(got, want) {
		l.t.Fatalf("seed %d: series %v are frozen, want %v", l.seed, got, want)
	}
}

func (l *lifecycle) end() {
	l.isFrozen = false
	var release, thaw []model.SeriesID
	for id := model.SeriesID(1); id <= lifecycleSeries; id++ {
		if l.random.IntN(2) == 0 {
			view := l.head.FrozenView(id, true)
			if len(l.frozen[id]) > 0 && view.Seq != l.frozenAt {
				l.t.Fatalf("seed %d: frozen at %d, the view says %d", l.seed, l.frozenAt, view.Seq)
			}
			release = append(release, id)
		} else {
			thaw = append(thaw, id)
			for _, span := range l.deletes.hidden(id, l.frozenAt) {
				hide(l.frozen[id], span)
			}
			for at, value := range l.current[id] {
				l.frozen[id][at] = value
			}
			l.current[id] = l.frozen[id]
		}
		l.frozen[id] = map[int64]uint64{}
	}
	l.head.Release(release)
	asked := func(id model.SeriesID, seq uint64) []model.Span {
		if seq != l.frozenAt {
			l.t.Fatalf("seed %d: asked for what is hidden at %d, frozen at %d", l.seed, seq, l.frozenAt)
		}
		return l.deletes.hidden(id, seq)
	}
	if err := l.head.Thaw(thaw, asked); err != nil {
		l.t.Fatalf("seed %d: %v", l.seed, err)
	}
}

// check compares all views with the model.
func (l *lifecycle) check(what string) {
	l.t.Helper()
	held := int64(0)
	for id := model.SeriesID(1); id <= lifecycleSeries; id++ {
		got := map[uint64]map[int64]uint64{}
		for _, view := range l.head.Views(nil, id) {
			held += int64(len(view.Tail) + len(view.Late))
			for _, block := range view.Blocks {
				held += int64(block.Count())
			}
			got[view.Seq] = contentsOf(l.t, view)
		}
		want := map[uint64]map[int64]uint64{}
		if len(l.frozen[id]) > 0 {
			want[l.frozenAt] = l.frozen[id]
		}
		if len(l.current[id]) > 0 {
			want[math.MaxUint64] = l.current[id]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			l.t.Fatalf("seed %d, after %s, series %d: (-model +head)\n%s", l.seed, what, id, diff)
		}
		l.checkEnds(what, id)
		if l.head.Has(id) != (len(want) > 0) {
			l.t.Fatalf("seed %d, after %s: Has(%d) is %v", l.seed, what, id, l.head.Has(id))
		}
	}
	if l.head.Samples() != held {
		l.t.Fatalf("seed %d, after %s: the head counts %d samples, views show %d", l.seed, what, l.head.Samples(), held)
	}
}

// checkEnds compares the first and the last sample with the model's. Only stale markers excuse that the head can't tell.
func (l *lifecycle) checkEnds(what string, id model.SeriesID) {
	l.t.Helper()
	merged := maps.Clone(l.frozen[id])
	maps.Copy(merged, l.current[id])
	want := Ends{math.MaxInt64, math.MinInt64}
	for at, value := range merged {
		if !model.IsStale(math.Float64frombits(value)) {
			want.widen(at, at)
		}
	}
	got, ok := l.head.Ends(id)
	if ok && got != want || !ok && len(merged) > 0 && !l.stales {
		l.t.Fatalf("seed %d, after %s, series %d: the ends are %v, %v, want %v", l.seed, what, id, got, ok, want)
	}
}

// TestDeletesAgainstModel runs random writes, deletes, freezes, releases and thaws beside maps. A view taken
// earlier must stay as it was.
func TestDeletesAgainstModel(t *testing.T) {
	for seed := range uint64(80) {
		l := newLifecycle(t, seed)
		var kept []View
		var keptContents []map[int64]uint64
		for range 40 {
			var what string
			switch op := l.random.IntN(10); {
			case op < 5:
				what = "a write"
				l.apply()
			case op < 8:
				what = "a delete"
				l.delete()
			case op == 8 && !l.isFrozen:
				what = "a freeze"
				l.freeze()
			case op == 9 && l.isFrozen:
				what = "a thaw"
				l.end()
			default:
				continue
			}
			l.check(what)
			for i, view := range kept {
				if diff := cmp.Diff(keptContents[i], contentsOf(t, view)); diff != "" {
					t.Fatalf("seed %d: %s changed a view: %s", seed, what, diff)
				}
			}
			if l.random.IntN(10) == 0 {
				kept = l.head.Views(kept[:0], model.SeriesID(1+l.random.IntN(3)))
				keptContents = keptContents[:0]
				for _, view := range kept {
					keptContents = append(keptContents, contentsOf(t, view))
				}
			}
		}
	}
}

// TestDeleteKeepsBlocks checks that blocks without a sample in the range are not encoded again, and that
// nothing at all is when none has one.
func TestDeleteKeepsBlocks(t *testing.T) {
	const second = int64(time.Second)
	h := New()
	applier := h.Appliers(1)[0]
	for i := range int64(10_000) {
		applier.Apply([]model.SeriesID{3}, []int64{i * 8 * second}, []float64{float64(i)})
	}
	before := h.Views(nil, 3)[0]
	if len(before.Blocks) < 3 {
		t.Fatalf("%d blocks", len(before.Blocks))
	}
	current := h.shards[3].find(3).cur
	if err := applier.Delete([]model.SeriesID{2, 3, 19}, 8*second+1, 16*second); err != nil {
		t.Fatal(err)
	}
	if h.shards[3].find(3).cur != current {
		t.Error("a delete between two samples rebuilt the series")
	}
	if err := applier.Delete([]model.SeriesID{3}, 8*second, 16*second); err != nil {
		t.Fatal(err)
	}
	after := h.Views(nil, 3)[0]
	if h.Samples() != 9999 || len(after.Blocks) != len(before.Blocks) || after.Blocks[0].Count() != before.Blocks[0].Count()-1 {
		t.Errorf("%d samples in %d blocks, the first of %d; were %d blocks, the first of %d",
			h.Samples(), len(after.Blocks), after.Blocks[0].Count(), len(before.Blocks), before.Blocks[0].Count())
	}
	if diff := cmp.Diff(contentsOf(t, before)[80*second], contentsOf(t, after)[80*second]); diff != "" {
		t.Error(diff)
	}
}

// TestWriteAfterDelete writes again what was late and older than what a delete took from the blocks.
func TestWriteAfterDelete(t *testing.T) {
	h := New()
	applier := h.Appliers(1)[0]
	write := func(at int64, value float64) { applier.Apply([]model.SeriesID{1}, []int64{at}, []float64{value}) }
	for i := range int64(2 * tailSamples) {
		write(1000+i, 1)
	}
	write(500, 1) // late
	if err := applier.Delete([]model.SeriesID{1}, 600, 5000); err != nil {
		t.Fatal(err)
	}
	write(500, 2)
	if got := contents(t, h, 1); len(got) != 1 || got[500] != math.Float64bits(2) {
		t.Errorf("got %v, want the second value at 500 only", got)
	}
}

// TestDeleteBesideThaw has a delete race with the end of a flush, as in an engine: no sample may come back.
func TestDeleteBesideThaw(t *testing.T) {
	for range 200 {
		h := New()
		applier := h.Appliers(1)[0]
		var known deletes
		var ids []model.SeriesID
		for id := model.SeriesID(1); id <= 50; id++ {
			ids = append(ids, id)
			applier.Apply([]model.SeriesID{id, id}, []int64{10, 20}, []float64{1, 2})
		}
		h.Freeze(0, 5)
		var both sync.WaitGroup
		both.Go(func() {
			if err := h.Thaw(ids, known.hidden); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			known.add(6, model.Span{From: 15, To: 25}, ids)
			if err := applier.Delete(ids, 15, 25); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		for _, id := range ids {
			if got := contents(t, h, id); len(got) != 1 {
				t.Fatalf("series %d holds %v", id, got)
			}
		}
		if h.Samples() != int64(len(ids)) {
			t.Fatalf("the head counts %d samples", h.Samples())
		}
	}
}

// BenchmarkDelete takes an hour out of the middle of a day of samples of many series.
func BenchmarkDelete(b *testing.B) {
	const series, samples = 1000, 8640
	var ids []model.SeriesID
	for id := range series {
		ids = append(ids, model.SeriesID(id+1))
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		h := New()
		applier := h.Appliers(1)[0]
		values, times := make([]float64, series), make([]int64, series)
		for i := range int64(samples) {
			for j := range times {
				times[j], values[j] = 10e9*i, float64(i%100)/10
			}
			applier.Apply(ids, times, values)
		}
		b.StartTimer()
		if err := applier.Delete(ids, 10*int64(time.Hour), 11*int64(time.Hour)); err != nil {
			b.Fatal(err)
		}
		if got := h.Samples(); got != series*(samples-360) {
			b.Fatalf("%d samples are left", got)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N)/series, "µs/series")
}

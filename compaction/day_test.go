package compaction

import (
	"cmp"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

const (
	second  = int64(1e9)
	testDay = model.Partition(19_737) // 2024-01-15
)

// dayStart is the first time of testDay.
var dayStart, _ = model.TierRaw.Bounds(testDay)

// testStore is a chunk store in memory.
type testStore struct {
	testing.TB
	*pebble.DB
}

func newTestStore(t testing.TB) testStore {
	t.Helper()
	db, err := pebble.Open("chunks", &pebble.Options{FS: vfs.NewMem(), Logger: silentLogger{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return testStore{t, db}
}

// silentLogger keeps Pebble from talking.
type silentLogger struct{}

func (silentLogger) Infof(string, ...any)           {}
func (silentLogger) Errorf(string, ...any)          {}
func (silentLogger) Fatalf(format string, _ ...any) { panic(format) }

// testChunk is a chunk of testDay. Series below 100 have the metric's number 1, the others 2.
type testChunk struct {
	series model.SeriesID
	seq    uint64
	times  []int64
	values []float64
}

func nameOf(id model.SeriesID) uint64 {
	if id < 100 {
		return 1
	}
	return 2
}

func (c testChunk) key() []byte {
	return keys.AppendChunk(nil, keys.Chunk{Tier: model.TierRaw, Partition: testDay, NameID: nameOf(c.series),
		Series: c.series, MinTime: c.times[0], Seq: c.seq})
}

// evenly returns a chunk of n samples from some second of the day on, every so many seconds. Its values tell
// series, seq and place.
func evenly(id model.SeriesID, seq uint64, from, step int64, n int) testChunk {
	c := testChunk{series: id, seq: seq}
	for i := range int64(n) {
		c.times = append(c.times, dayStart+(from+i*step)*second)
		c.values = append(c.values, float64(id)*1000+float64(seq)+float64(from+i*step)/1e6)
	}
	return c
}

func (s testStore) put(chunks ...testChunk) {
	s.Helper()
	for _, c := range chunks {
		key := c.key()
		if err := s.Set(key, chunk.Encode(nil, key, c.times, c.values), nil); err != nil {
			s.Fatal(err)
		}
	}
}

// chunks returns what is stored of testDay, in the order of the keys.
func (s testStore) chunks() []testChunk {
	s.Helper()
	lower, upper := keys.PartitionRange(keys.PrefixChunk, model.TierRaw, testDay)
	it, err := s.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		s.Fatal(err)
	}
	var out []testChunk
	for it.First(); it.Valid(); it.Next() {
		key, err := keys.ParseChunk(it.Key())
		if err != nil {
			s.Fatal(err)
		}
		block, err := chunk.Open(it.Key(), it.Value())
		if err != nil {
			s.Fatal(err)
		}
		c := testChunk{series: key.Series, seq: key.Seq}
		if c.times, c.values, err = block.Decode(nil, nil); err != nil {
			s.Fatal(err)
		}
		out = append(out, c)
	}
	if err := it.Close(); err != nil {
		s.Fatal(err)
	}
	return out
}

// bury is a delete of a series' samples.
type bury struct {
	series model.SeriesID
	lsn    uint64
	model.Span
}

// hiding returns the Hidden of DayOptions for some deletes.
func hiding(deletes []bury) func(model.SeriesID, uint64) []model.Span {
	return func(id model.SeriesID, seq uint64) []model.Span {
		var spans []model.Span
		for _, d := range deletes {
			if d.series == id && d.lsn > seq {
				spans = append(spans, d.Span)
			}
		}
		return spans
	}
}

// visible is the model of a day: of each series the value of each time, as bits, of the chunk with the highest
// seq that has it and in which it isn't hidden.
func visible(chunks []testChunk, deletes []bury) map[model.SeriesID]map[int64]uint64 {
	hidden := hiding(deletes)
	out := make(map[model.SeriesID]map[int64]uint64)
	for _, c := range slices.SortedStableFunc(slices.Values(chunks), func(a, b testChunk) int { return cmp.Compare(a.seq, b.seq) }) {
		if out[c.series] == nil {
			out[c.series] = make(map[int64]uint64)
		}
		for i, time := range c.times {
			if !slices.ContainsFunc(hidden(c.series, c.seq), func(s model.Span) bool { return s.Contains(time) }) {
				out[c.series][time] = math.Float64bits(c.values[i])
			}
		}
	}
	maps.DeleteFunc(out, func(_ model.SeriesID, samples map[int64]uint64) bool { return len(samples) == 0 })
	return out
}

// samplesOf returns what a walk over the day finds, in the form of visible, and the series in their order.
func (s testStore) samplesOf(opts DayOptions) (out map[model.SeriesID]map[int64]uint64, order []model.SeriesID) {
	s.Helper()
	opts.Partition = testDay
	day, err := OpenDay(s.DB, opts)
	if err != nil {
		s.Fatal(err)
	}
	out = make(map[model.SeriesID]map[int64]uint64)
	for day.Next() {
		id, nameID := day.Series()
		if nameID != nameOf(id) {
			s.Fatalf("series %d has the number %d of a name", id, nameID)
		}
		times, values, err := day.Samples()
		if err != nil {
			s.Fatal(err)
		}
		again, _, err := day.Samples()
		if err != nil || !slices.Equal(times, again) {
			s.Fatalf("asked again, series %d has other samples; %v", id, err)
		}
		order = append(order, id)
		for i := range times {
			if i > 0 && times[i] <= times[i-1] {
				s.Fatalf("series %d has time %d after %d", id, times[i], times[i-1])
			}
			if out[id] == nil {
				out[id] = make(map[int64]uint64)
			}
			out[id][times[i]] = math.Float64bits(values[i])
		}
	}
	if err := day.Close(); err != nil {
		s.Fatal(err)
	}
	return out, order
}

func sameVisible(a, b map[model.SeriesID]map[int64]uint64) bool {
	return maps.EqualFunc(a, b, maps.Equal)
}

// TestDayWalk checks which series a walk meets, and with which samples.
func TestDayWalk(t *testing.T) {
	s := newTestStore(t)
	all := []testChunk{
		evenly(3, 10, 0, 10, 5), evenly(3, 12, 20, 10, 5), evenly(1, 11, 0, 1, 3),
		evenly(101, 9, 50, 1, 2), evenly(7, 30, 0, 10, 4), evenly(3, 30, 10, 10, 2), evenly(1, 20, 1, 7, 1),
	}
	s.put(all...)
	yesterday := evenly(1, 10, -10, 1, 5)
	key := keys.AppendChunk(nil, keys.Chunk{Tier: model.TierRaw, Partition: testDay - 1, NameID: 1, Series: 1, MinTime: yesterday.times[0], Seq: 10})
	if err := s.Set(key, chunk.Encode(nil, key, yesterday.times, yesterday.values), nil); err != nil {
		t.Fatal(err)
	}
	deletes := []bury{{3, 11, model.Span{From: dayStart + 20*second, To: dayStart + 31*second}},
		{1, 21, model.Span{From: dayStart, To: dayStart + second}}}
	for _, c := range []struct {
		name   string
		opts   DayOptions
		keep   func(testChunk) bool
		series []model.SeriesID
	}{
		{"all", DayOptions{Newest: 30}, func(testChunk) bool { return true }, []model.SeriesID{1, 3, 7, 101}},
		{"unfinished chunks are left alone", DayOptions{Newest: 29}, func(c testChunk) bool { return c.seq < 30 }, []model.SeriesID{1, 3, 101}},
		{"nothing is finished", DayOptions{Newest: 8}, func(testChunk) bool { return false }, nil},
		{"one metric", DayOptions{Newest: 30, NameID: 2}, func(c testChunk) bool { return c.series > 100 }, []model.SeriesID{101}},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := c.opts
			opts.Hidden = hiding(deletes)
			got, order := testStore{t, s.DB}.samplesOf(opts)
			want := visible(slices.DeleteFunc(slices.Clone(all), func(chunk testChunk) bool { return !c.keep(chunk) }), deletes)
			if !slices.Equal(order, c.series) || !sameVisible(got, want) {
				t.Fatalf("series %v with %v, want %v with %v", order, got, c.series, want)
			}
		})
	}
}

// TestDayDamaged checks that a damaged chunk ends the walk and that its series is named, and that those before
// it were given.
func TestDayDamaged(t *testing.T) {
	s := newTestStore(t)
	s.put(evenly(1, 5, 0, 10, 5), evenly(2, 5, 0, 10, 5), evenly(4, 5, 0, 10, 5))
	key := evenly(2, 5, 0, 10, 5).key()
	value, closer, err := s.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(value)
	damaged[len(damaged)-6] ^= 1
	if err := errors.Join(closer.Close(), s.Set(key, damaged, nil)); err != nil {
		t.Fatal(err)
	}
	day, err := OpenDay(s.DB, DayOptions{Partition: testDay, Newest: 10, Hidden: hiding(nil)})
	if err != nil {
		t.Fatal(err)
	}
	var met []model.SeriesID
	for day.Next() {
		id, _ := day.Series()
		met = append(met, id)
	}
	err = day.Close()
	if !slices.Equal(met, []model.SeriesID{1}) {
		t.Errorf("met %v", met)
	}
	if !errors.Is(err, ErrCorrupt) || !errors.Is(err, chunk.ErrCorrupt) || !strings.Contains(err.Error(), "series 2 in partition 19737") {
		t.Errorf("the walk ends with %v", err)
	}
}

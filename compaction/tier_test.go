package compaction

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/internal/rollup"
	"github.com/flopynet/collector/internal/sketch"
	"github.com/flopynet/collector/model"
)

const hourWidth = 3600 * second

// sameFloats compares bit for bit.
var sameFloats = cmp.Options{cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }),
	cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(rollup.Columns{})}

// sameColumns reports what sameFloats would find, in less time.
func sameColumns(a, b *rollup.Columns) bool {
	same := slices.Equal(a.Starts, b.Starts) && slices.Equal(a.Counts, b.Counts) && slices.Equal(a.NaNs, b.NaNs) && slices.Equal(a.Stale, b.Stale) &&
		slices.Equal(a.FirstTimes, b.FirstTimes) && slices.Equal(a.LastTimes, b.LastTimes)
	other := [][]float64{b.Sums, b.Mins, b.Maxs, b.Firsts, b.Lasts, b.Resets, b.M2s}
	for i, column := range [][]float64{a.Sums, a.Mins, a.Maxs, a.Firsts, a.Lasts, a.Resets, a.M2s} {
		same = same && slices.EqualFunc(column, other[i], func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) })
	}
	return same
}

// tierBounds returns where the partition of a tier begins that holds dayStart, and its number.
func tierBounds(tier model.Tier) (begin int64, number model.Partition) {
	number = tier.PartitionOf(dayStart)
	begin, _ = tier.Bounds(number)
	return begin, number
}

// tierModel is what a partition should hold: the samples of which the points of each series were made.
type tierModel map[model.SeriesID]map[int64]float64

// put puts samples in the place of all in a span.
func (m tierModel) put(id model.SeriesID, span model.Span, times []int64, values []float64) {
	if m[id] == nil {
		m[id] = make(map[int64]float64)
	}
	for time := range m[id] {
		if span.Contains(time) {
			delete(m[id], time)
		}
	}
	for i, time := range times {
		m[id][time] = values[i]
	}
}

// rolled returns the points and sketches of a series.
func (m tierModel) rolled(tier model.Tier, id model.SeriesID) (points rollup.Columns, sketches rollup.Sketches) {
	var times []int64
	for time := range m[id] {
		times = append(times, time)
	}
	slices.Sort(times)
	values := make([]float64, len(times))
	for i, time := range times {
		values[i] = m[id][time]
	}
	rollup.Roll(&points, tier, times, values)
	if tier == model.Tier1h {
		rollup.RollSketches(&sketches, times, values)
	}
	return points, sketches
}

// replace replaces points of one series by those of samples.
func (s testStore) replace(tier model.Tier, id model.SeriesID, span model.Span, times []int64, values []float64) (remain bool) {
	s.Helper()
	_, number := tierBounds(tier)
	writer, err := OpenTier(s.DB, tier, number)
	if err != nil {
		s.Fatal(err)
	}
	var points rollup.Columns
	var sketches rollup.Sketches
	rollup.Roll(&points, tier, times, values)
	rollup.RollSketches(&sketches, times, values)
	b := s.NewBatch()
	if remain, err = writer.Replace(b, id, nameOf(id), span, &points, &sketches); err != nil {
		s.Fatal(err)
	}
	if err := errors.Join(writer.Close(), b.Commit(nil)); err != nil {
		s.Fatal(err)
	}
	return remain
}

// lists calls fn with the lists of points and then with those of sketches that are stored of a series.
func (s testStore) lists(tier model.Tier, id model.SeriesID, fn func(prefix byte, key, value []byte) error) {
	s.Helper()
	_, number := tierBounds(tier)
	for _, prefix := range []byte{keys.PrefixChunk, keys.PrefixSketch} {
		lower, upper := keys.SeriesRange(tier, number, nameOf(id), id)
		lower, upper = slices.Clone(lower), slices.Clone(upper)
		lower[0], upper[0] = prefix, prefix
		it, err := s.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			s.Fatal(err)
		}
		for it.First(); it.Valid(); it.Next() {
			if err := fn(prefix, it.Key(), it.Value()); err != nil {
				s.Fatal(err)
			}
		}
		if err := it.Close(); err != nil {
			s.Fatal(err)
		}
	}
}

// groups counts the lists of points and of sketches.
func (s testStore) groups(tier model.Tier, id model.SeriesID) (groups [2]int) {
	s.Helper()
	s.lists(tier, id, func(prefix byte, _, _ []byte) error {
		groups[prefix-keys.PrefixChunk]++
		return nil
	})
	return groups
}

// stored reads all points and sketches of a series.
func (s testStore) stored(tier model.Tier, id model.SeriesID) (points rollup.Columns, sketches rollup.Sketches) {
	s.Helper()
	s.lists(tier, id, func(prefix byte, key, value []byte) error {
		if prefix == keys.PrefixSketch {
			c, err := rollup.OpenSketches(key, value)
			if err == nil {
				c.AppendTo(&sketches)
			}
			return err
		}
		c, err := rollup.Open(key, value)
		if err == nil {
			err = c.Decode(&points, rollup.WantAll)
		}
		return err
	})
	return points, sketches
}

// check compares what is stored of a series with the model.
func (s testStore) check(m tierModel, tier model.Tier, id model.SeriesID, remain bool) {
	s.Helper()
	wantPoints, wantSketches := m.rolled(tier, id)
	points, sketches := s.stored(tier, id)
	if len(points.Resets) == 0 {
		wantPoints.Resets = nil // they are kept where they are cheap
	}
	if !sameColumns(&wantPoints, &points) {
		s.Fatalf("series %d in tier %s (-want +got)\n%s", id, tier, cmp.Diff(wantPoints, points, sameFloats))
	}
	if remain != (len(wantPoints.Starts) > 0) {
		s.Fatalf("series %d in tier %s has %d points and remain is %v", id, tier, len(wantPoints.Starts), remain)
	}
	if !slices.Equal(sketches.Starts, wantSketches.Starts) {
		s.Fatalf("series %d has sketches of %v, want %v", id, sketches.Starts, wantSketches.Starts)
	}
	for i := range sketches.Starts {
		var got, want sketch.Sketch
		_, gotErr := got.MergeBinary(sketches.At(i))
		_, wantErr := want.MergeBinary(wantSketches.At(i))
		if gotErr != nil || wantErr != nil || string(sketches.At(i)) != string(wantSketches.At(i)) || got.Quantile(0.5) != want.Quantile(0.5) {
			s.Fatalf("series %d has another sketch at %d; %v, %v", id, sketches.Starts[i], gotErr, wantErr)
		}
	}
}

// dayOf returns samples of a day, counted from the start of the tier's partition, one an hour.
func dayOf(tier model.Tier, day int64, version float64) (span model.Span, times []int64, values []float64) {
	begin, _ := tierBounds(tier)
	span = model.Span{From: begin + day*24*hourWidth, To: begin + (day+1)*24*hourWidth}
	for time := span.From + 7*second; time < span.To; time += hourWidth {
		times, values = append(times, time), append(values, version+float64(time/second%1000)/10)
	}
	return span, times, values
}

// TestTierStaysInFewGroups adds days one by one, in several orders, and makes some of them anew.
func TestTierStaysInFewGroups(t *testing.T) {
	const days = 64
	for _, c := range []struct {
		name       string
		day        func(i int64) int64
		most, last int // groups, on the way and in the end
	}{
		{"in order", func(i int64) int64 { return i }, 6, 1},
		{"backwards", func(i int64) int64 { return days - 1 - i }, 6, 1},
		{"two halves", func(i int64) int64 { return i%2*days/2 + i/2 }, 10, 2},
		{"every seventh", func(i int64) int64 { return i * 7 % days }, 12, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, m, most := newTestStore(t), tierModel{}, [2]int{}
			for i := range int64(days) {
				span, times, values := dayOf(model.Tier1h, c.day(i), 1)
				m.put(1, span, times, values)
				s.replace(model.Tier1h, 1, span, times, values)
				groups := s.groups(model.Tier1h, 1)
				most = [2]int{max(most[0], groups[0]), max(most[1], groups[1])}
			}
			if most[0] > c.most || most[1] != most[0] {
				t.Errorf("there were up to %v groups of points and sketches", most)
			}
			s.check(m, model.Tier1h, 1, true)
			if groups := s.groups(model.Tier1h, 1); groups != [2]int{c.last, c.last} {
				t.Errorf("in the end there are %v groups", groups)
			}
			for _, day := range []int64{30, 63, 0} {
				span, times, values := dayOf(model.Tier1h, day, 2)
				m.put(1, span, times, values)
				remain := s.replace(model.Tier1h, 1, span, times, values)
				s.check(m, model.Tier1h, 1, remain)
				if groups := s.groups(model.Tier1h, 1); groups != [2]int{1, 1} {
					t.Errorf("with day %d made anew there are %v groups", day, groups)
				}
			}
		})
	}
}

// randomSamples returns samples of some hours of a span.
func randomSamples(random *rand.Rand, span model.Span) (times []int64, values []float64) {
	rarely := 1 + (span.To-span.From)/(48*hourWidth)
	for time := span.From; time < span.To; {
		time += 1 + rarely*random.Int64N([]int64{300, 3600, 20000}[random.IntN(3)]*second)
		if time >= span.To {
			break
		}
		value := math.Round(random.NormFloat64()*100) / 10
		if random.IntN(10) == 0 {
			value = []float64{math.NaN(), math.Inf(1), math.Float64frombits(0x7ff0000000000002), math.Copysign(0, -1)}[random.IntN(4)]
		}
		times, values = append(times, time), append(values, value)
	}
	return times, values
}

// TestTierAgainstModel replaces random spans of some series by random points, or by none.
func TestTierAgainstModel(t *testing.T) {
	random := newRandom(t)
	for round := range 4 {
		tier := []model.Tier{model.Tier5m, model.Tier1h}[round%2]
		begin, number := tierBounds(tier)
		_, end := tier.Bounds(number)
		s, m := newTestStore(t), tierModel{}
		for range 40 {
			id := model.SeriesID(1 + random.IntN(3) + 100*random.IntN(2))
			span := model.Span{From: begin + random.Int64N((end-begin)/hourWidth)*hourWidth}
			span.To = min(end, span.From+(1+random.Int64N(48))*hourWidth)
			switch random.IntN(12) {
			case 0:
				span = model.Span{From: begin, To: end}
			case 1, 2, 3:
				span.From = begin + (span.From-begin)/(24*hourWidth)*(24*hourWidth)
				span.To = min(end, span.From+24*hourWidth)
			}
			times, values := randomSamples(random, span)
			if random.IntN(3) == 0 {
				times, values = nil, nil
			}
			m.put(id, span, times, values)
			remain := s.replace(tier, id, span, times, values)
			s.check(m, tier, id, remain)
		}
		for id := range m { // replacing points of one left those of the others alone
			points, _ := m.rolled(tier, id)
			s.check(m, tier, id, points.Len() > 0)
		}
	}
}

// TestTierWalk replaces points of several series in one walk, as a day's job does, among them one that isn't
// stored and one that keeps what it has.
func TestTierWalk(t *testing.T) {
	s, m := newTestStore(t), tierModel{}
	for _, id := range []model.SeriesID{2, 4, 6, 101} {
		for day := range int64(3) {
			span, times, values := dayOf(model.Tier1h, day, float64(id))
			m.put(id, span, times, values)
			s.replace(model.Tier1h, id, span, times, values)
		}
	}
	_, number := tierBounds(model.Tier1h)
	writer, err := OpenTier(s.DB, model.Tier1h, number)
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	for _, id := range []model.SeriesID{1, 2, 6, 100, 101, 102} {
		span, times, values := dayOf(model.Tier1h, int64(id)%4, -float64(id))
		m.put(id, span, times, values)
		var points rollup.Columns
		var sketches rollup.Sketches
		rollup.Roll(&points, model.Tier1h, times, values)
		rollup.RollSketches(&sketches, times, values)
		if remain, err := writer.Replace(b, id, nameOf(id), span, &points, &sketches); err != nil || !remain {
			t.Fatalf("series %d: remain %v, %v", id, remain, err)
		}
	}
	if err := errors.Join(writer.Close(), b.Commit(nil)); err != nil {
		t.Fatal(err)
	}
	for id := range m {
		s.check(m, model.Tier1h, id, true)
	}
}

// TestTierRemain empties spans of a series one by one: it says that nothing remains only when that is so.
func TestTierRemain(t *testing.T) {
	s, m := newTestStore(t), tierModel{}
	for _, day := range []int64{0, 1, 5, 7, 8} { // a list of four days and one of one
		span, times, values := dayOf(model.Tier1h, day, 1)
		m.put(1, span, times, values)
		s.replace(model.Tier1h, 1, span, times, values)
	}
	for _, day := range []int64{8, 5, 3, 0, 7, 1, 1} {
		span, _, _ := dayOf(model.Tier1h, day, 1)
		m.put(1, span, nil, nil)
		s.check(m, model.Tier1h, 1, s.replace(model.Tier1h, 1, span, nil, nil))
	}
	if groups := s.groups(model.Tier1h, 1); groups != [2]int{} {
		t.Errorf("%v groups are left", groups)
	}
}

// TestTierDamaged checks that damaged points and sketches are an error that names the series.
func TestTierDamaged(t *testing.T) {
	for _, prefix := range []byte{keys.PrefixChunk, keys.PrefixSketch} {
		s := newTestStore(t)
		span, times, values := dayOf(model.Tier1h, 0, 1)
		s.replace(model.Tier1h, 1, span, times, values)
		s.replace(model.Tier1h, 3, span, times, values)
		_, number := tierBounds(model.Tier1h)
		key := keys.AppendChunk(nil, keys.Chunk{Tier: model.Tier1h, Partition: number, NameID: 1, Series: 3, MinTime: span.From})
		key[0] = prefix
		value, closer, err := s.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		damaged := slices.Clone(value)
		damaged[len(damaged)/2] ^= 1
		if err := errors.Join(closer.Close(), s.Set(key, damaged, nil)); err != nil {
			t.Fatal(err)
		}
		writer, err := OpenTier(s.DB, model.Tier1h, number)
		if err != nil {
			t.Fatal(err)
		}
		b := s.NewBatch()
		if _, err := writer.Replace(b, 1, 1, span, &rollup.Columns{}, &rollup.Sketches{}); err != nil {
			t.Errorf("an undamaged series: %v", err)
		}
		_, err = writer.Replace(b, 3, 1, span, &rollup.Columns{}, &rollup.Sketches{})
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "series 3") {
			t.Errorf("prefix %x: %v", prefix, err)
		}
		if err := errors.Join(writer.Close(), b.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

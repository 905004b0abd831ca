package compaction

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/model"
)

// join joins all series of testDay and returns what was done to each.
func (s testStore) join(opts DayOptions, compacted uint64) map[model.SeriesID]Joined {
	s.Helper()
	opts.Partition = testDay
	day, err := OpenDay(s.DB, opts)
	if err != nil {
		s.Fatal(err)
	}
	b := s.NewBatch()
	done := make(map[model.SeriesID]Joined)
	for day.Next() {
		id, _ := day.Series()
		if done[id], err = day.Join(b, compacted); err != nil {
			s.Fatal(err)
		}
	}
	if err := day.Close(); err != nil {
		s.Fatal(err)
	}
	if err := b.Commit(nil); err != nil {
		s.Fatal(err)
	}
	return done
}

// shape writes chunks as "series/seq: first second+samples".
func shape(chunks []testChunk) string {
	var out []string
	for _, c := range chunks {
		out = append(out, fmt.Sprintf("%d/%d:%d+%d", c.series, c.seq, (c.times[0]-dayStart)/second, len(c.times)))
	}
	return strings.Join(out, " ")
}

// hourlySpan is a span in hours of testDay.
func hourlySpan(from, to int64) model.Span {
	return model.Span{From: dayStart + from*3600*second, To: dayStart + to*3600*second}
}

const full = chunk.MaxSamples

func TestJoin(t *testing.T) {
	for _, c := range []struct {
		name      string
		chunks    []testChunk
		deletes   []bury
		compacted uint64
		newest    uint64
		want      string // as shape writes it
		in, out   int
		emptied   bool
	}{
		{"small ones become one", []testChunk{evenly(1, 10, 0, 10, 360), evenly(1, 20, 3600, 10, 360), evenly(1, 15, 7200, 10, 360)},
			nil, 0, 30, "1/20:0+1080", 3, 1, false},
		{"a new one is encoded anew", []testChunk{evenly(1, 10, 0, 10, 100)}, nil, 9, 30, "1/10:0+100", 1, 1, false},
		{"one that was is not", []testChunk{evenly(1, 10, 0, 10, 100)}, nil, 10, 30, "1/10:0+100", 0, 0, false},
		{"overlapping ones", []testChunk{evenly(1, 10, 0, 10, 10), evenly(1, 20, 50, 10, 10)}, nil, 0, 30, "1/20:0+15", 2, 1, false},
		{"the same again", []testChunk{evenly(1, 10, 0, 10, 10), evenly(1, 20, 0, 10, 10)}, nil, 0, 30, "1/20:0+10", 2, 1, false},
		{"a part is deleted", []testChunk{evenly(1, 10, 0, 600, 20)}, []bury{{1, 11, hourlySpan(1, 2)}}, 10, 30, "1/10:0+14", 1, 1, false},
		{"a part is deleted by the first of two", []testChunk{evenly(1, 10, 0, 600, 20)},
			[]bury{{1, 11, hourlySpan(1, 2)}, {1, 12, hourlySpan(20, 21)}}, 10, 30, "1/10:0+14", 1, 1, false},
		{"another series' is", []testChunk{evenly(1, 10, 0, 600, 20)}, []bury{{2, 11, hourlySpan(1, 2)}}, 10, 30, "1/10:0+20", 0, 0, false},
		{"the delete is older", []testChunk{evenly(1, 10, 0, 600, 20)}, []bury{{1, 10, hourlySpan(1, 2)}}, 10, 30, "1/10:0+20", 0, 0, false},
		{"the first part is deleted", []testChunk{evenly(1, 10, 0, 600, 20)}, []bury{{1, 11, hourlySpan(0, 1)}}, 10, 30, "1/10:3600+14", 1, 1, false},
		{"all is deleted", []testChunk{evenly(1, 10, 0, 600, 20), evenly(1, 11, 36000, 600, 20)},
			[]bury{{1, 15, hourlySpan(0, 24)}}, 20, 30, "", 2, 0, true},
		{"all but what came later", []testChunk{evenly(1, 10, 0, 600, 20), evenly(1, 16, 1200, 600, 2)},
			[]bury{{1, 15, hourlySpan(0, 24)}}, 20, 30, "1/16:1200+2", 2, 1, false},
		{"unfinished chunks stay", []testChunk{evenly(1, 10, 0, 10, 10), evenly(1, 40, 5, 10, 10), evenly(1, 11, 200, 10, 10)},
			nil, 0, 39, "1/11:0+20 1/40:5+10", 2, 1, false},
		{"full ones stay", []testChunk{evenly(1, 10, 0, 1, full), evenly(1, 11, full, 1, full)}, nil, 0, 30,
			"1/10:0+16384 1/11:16384+16384", 0, 0, false},
		{"small ones between full ones", []testChunk{evenly(1, 10, 0, 1, full), evenly(1, 12, 20000, 1, 10), evenly(1, 11, 20100, 1, 10),
			evenly(1, 13, 30000, 1, full)}, nil, 0, 30, "1/10:0+16384 1/12:20000+20 1/13:30000+16384", 2, 1, false},
		{"a full one with a late sample", []testChunk{evenly(1, 10, 0, 2, full), evenly(1, 11, 7, 1, 1)}, nil, 10, 30,
			"1/11:0+16384 1/11:32766+1", 2, 2, false},
		{"a full one of which some is deleted", []testChunk{evenly(1, 10, 0, 1, full), evenly(1, 9, full, 1, 3600)},
			[]bury{{1, 11, hourlySpan(1, 2)}}, 10, 30, "1/10:0+16384", 2, 1, false},
		{"two series", []testChunk{evenly(1, 10, 0, 10, 5), evenly(1, 11, 60, 10, 5), evenly(102, 3, 0, 10, 5), evenly(102, 2, 60, 10, 5)},
			nil, 0, 30, "1/11:0+10 102/3:0+10", 4, 2, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestStore(t)
			s.put(c.chunks...)
			opts := DayOptions{Newest: c.newest, Hidden: hiding(c.deletes)}
			want := visible(c.chunks, c.deletes)
			var total Joined
			for id, got := range s.join(opts, c.compacted) {
				if total.Add(got); got.Emptied != c.emptied {
					t.Errorf("series %d: Emptied is %v", id, got.Emptied)
				}
			}
			if total.ChunksIn != c.in || total.ChunksOut != c.out || total.BytesIn > 0 != (c.in > 0) || total.BytesOut > 0 != (c.out > 0) {
				t.Errorf("joined %+v, want %d chunks made of %d", total, c.out, c.in)
			}
			s.checkJoined(c.want, want, c.deletes)
			s.checkSettled(opts)
		})
	}
}

// checkJoined compares the form of what is stored, and every value as far as it isn't deleted.
func (s testStore) checkJoined(wantShape string, want map[model.SeriesID]map[int64]uint64, deletes []bury) {
	s.Helper()
	stored := s.chunks()
	if got := shape(stored); got != wantShape {
		s.Errorf("stored are %s, want %s", got, wantShape)
	}
	if !sameVisible(visible(stored, deletes), want) {
		s.Error("the samples are others than before")
	}
}

// checkSettled joins again with the deletes done, which must not do anything any more.
func (s testStore) checkSettled(opts DayOptions) {
	s.Helper()
	opts.Hidden = hiding(nil)
	before := s.chunks()
	for id, did := range s.join(opts, opts.Newest) {
		if did.ChunksIn+did.ChunksOut+did.BytesIn+did.BytesOut != 0 {
			s.Errorf("series %d, joined again: %+v", id, did)
		}
	}
	if after := s.chunks(); shape(after) != shape(before) {
		s.Errorf("joined again %s became %s", shape(before), shape(after))
	}
}

// TestJoinADayOfSeconds joins what a series of one sample a second leaves in a day of flushes every ten
// minutes: as few chunks as can be, every value as it was, and less than the chunks before took.
func TestJoinADayOfSeconds(t *testing.T) {
	s := newTestStore(t)
	random := newRandom(t)
	var all []testChunk
	value := 50.0
	for from := int64(0); from < 86400; from += 600 {
		c := evenly(1, uint64(10+from), from, 1, 600)
		for i := range c.values {
			value += random.NormFloat64()
			c.values[i] = math.Round(100*value) / 100
		}
		all = append(all, c)
	}
	odd := []float64{math.NaN(), math.Float64frombits(0x7ff0000000000002), math.Copysign(0, -1), math.Inf(-1), 5e-324, 1e300 / 7}
	copy(all[70].values[100:], odd)
	s.put(all...)
	opts := DayOptions{Newest: 1 << 30, Hidden: hiding(nil)}
	done := s.join(opts, 0)[1]
	if done.ChunksIn != 144 || done.ChunksOut != 6 || 10*done.BytesOut > 9*done.BytesIn {
		t.Errorf("joined %+v", done)
	}
	s.checkJoined("1/85810:0+16384 1/85810:16384+16384 1/85810:32768+16384 1/85810:49152+16384 1/85810:65536+16384 1/85810:81920+4480",
		visible(all, nil), nil)
	s.checkSettled(opts)

	// A late sample into the second chunk: the last of the full ones before and behind it are left alone.
	late := testChunk{series: 1, seq: 90000, times: []int64{dayStart + 20000*second + 1}, values: []float64{-1}}
	s.put(late)
	want := visible(append(all, late), nil)
	if done := s.join(opts, 85810)[1]; done.ChunksIn != 2 || done.ChunksOut != 2 {
		t.Errorf("with a late sample joined %+v", done)
	}
	if !sameVisible(visible(s.chunks(), nil), want) {
		t.Error("with a late sample the samples are others")
	}
	s.checkSettled(opts)
}

// randomChunks returns chunks of some series that overlap one another, but for those of one seq, which are of
// one flush.
func randomChunks(random *rand.Rand) []testChunk {
	var out []testChunk
	for range 1 + random.IntN(14) {
		n := 1 + random.IntN(40)
		if random.IntN(12) == 0 {
			n = full
		}
		c := evenly(model.SeriesID(1+100*random.IntN(2)), uint64(1+random.IntN(20)), random.Int64N(4000), 1+random.Int64N(3), n)
		if random.IntN(4) == 0 {
			c.values[random.IntN(n)] = math.Float64frombits(random.Uint64())
		}
		if !slices.ContainsFunc(out, func(other testChunk) bool {
			return other.series == c.series && other.seq == c.seq && other.times[0] <= c.times[n-1] && c.times[0] <= other.times[len(other.times)-1]
		}) {
			out = append(out, c)
		}
	}
	return out
}

// TestJoinAgainstModel joins random chunks under random deletes, with an unfinished flush among them. What is
// visible stays as it is, while the deletes are in force, and no chunk is left that would be joined again.
func TestJoinAgainstModel(t *testing.T) {
	random := newRandom(t)
	for range 60 {
		s := newTestStore(t)
		chunks := randomChunks(random)
		var deletes []bury
		for range random.IntN(4) {
			from := dayStart + random.Int64N(5000)*second
			deletes = append(deletes, bury{model.SeriesID(1 + 100*random.IntN(2)), uint64(1 + random.IntN(22)),
				model.Span{From: from, To: from + random.Int64N(3000)*second}})
		}
		opts := DayOptions{Newest: uint64(5 + random.IntN(20)), Hidden: hiding(deletes)}
		s.put(chunks...)
		before := shape(s.chunks())
		s.join(opts, 0)
		after := s.chunks()
		if !sameVisible(visible(after, deletes), visible(chunks, deletes)) {
			t.Fatalf("newest %d, deletes %v: %s became %s, with other samples", opts.Newest, deletes, before, shape(after))
		}
		for _, c := range chunks {
			if c.seq > opts.Newest && !slices.ContainsFunc(after, func(a testChunk) bool { return string(a.key()) == string(c.key()) }) {
				t.Fatalf("newest %d: %s became %s: an unfinished chunk is gone", opts.Newest, before, shape(after))
			}
		}
		s.checkSettled(opts)
		if t.Failed() {
			t.Fatalf("newest %d, deletes %v: %s", opts.Newest, deletes, before)
		}
	}
}

package engine

import (
	"math/rand/v2"
	"testing"

	"github.com/flopynet/collector/model"
)

func TestHourChanges(t *testing.T) {
	at := func(hours float64) int64 { return int64(hours * float64(hourWidth)) }
	var h hourChanges
	h.note([]int64{at(10.5), at(11.9), at(10)}, 5)
	h.note([]int64{at(74.2)}, 6) // in the place of hour 10, a block later
	h.noteRange(at(100), at(101), 7)
	h.noteRange(at(1000), at(5000), 8)
	for _, c := range []struct {
		name     string
		from, to int64
		lsn      uint64
		want     bool
	}{
		{"before it", at(10), at(11), 4, true},
		{"at it", at(10), at(11), 5, false},
		{"the next hour", at(11), at(12), 4, true},
		{"behind the change", at(12), at(13), 4, false},
		{"the hour as a whole", at(10.9), at(10.95), 4, true},
		{"to is not in the range", at(9), at(10), 0, false},
		{"one nanosecond of the hour", at(9), at(10) + 1, 4, true},
		{"another block", at(74), at(75), 5, true},
		{"nothing between", at(12), at(74), 0, false},
		{"over both", at(0), at(90), 5, true},
		{"empty", at(10), at(10), 0, false},
		{"backwards", at(11), at(10), 0, false},
		{"a short range", at(100.5), at(100.6), 6, true},
		{"behind a short range", at(101), at(102), 0, false},
		{"inside a long range", at(3000), at(3001), 7, true},
		{"at a long range's LSN", at(3000), at(3001), 8, false},
		{"before a long range", at(999), at(1000), 0, false},
		{"behind a long range", at(5000), at(9000), 0, false},
		{"everything", model.MinTime, model.MaxTime, 7, true},
		{"everything, after all", model.MinTime, model.MaxTime, 8, false},
	} {
		if got := h.changedSince(c.from, c.to, c.lsn); got != c.want {
			t.Errorf("%s: [%d, %d) changed after %d: %t, want %t", c.name, c.from, c.to, c.lsn, got, c.want)
		}
	}
}

// TestHourChangesAgainstAList compares with a list of all changes, too few to be forgotten.
func TestHourChangesAgainstAList(t *testing.T) {
	type change struct {
		first, last int64
		lsn         uint64
	}
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 11))
		span := []int64{30, 3000, 70_000, 2_000_000}[random.IntN(4)] // hours
		var h hourChanges
		var changes []change
		for lsn := uint64(1); lsn < 60; lsn++ {
			switch random.IntN(8) {
			case 0:
				from := random.Int64N(span * hourWidth)
				to := from + random.Int64N(span*hourWidth/2)
				h.noteRange(from, to, lsn)
				if from < to {
					changes = append(changes, change{from / hourWidth, (to - 1) / hourWidth, lsn})
				}
			default:
				times := make([]int64, random.IntN(5))
				for i := range times {
					times[i] = random.Int64N(span * hourWidth)
					changes = append(changes, change{times[i] / hourWidth, times[i] / hourWidth, lsn})
				}
				h.note(times, lsn)
			}
			from := random.Int64N(span * hourWidth)
			to := from + 1 + random.Int64N([]int64{hourWidth, 100 * hourWidth, span * hourWidth}[random.IntN(3)])
			since := random.Uint64N(lsn + 1)
			want := false
			for _, c := range changes {
				want = want || c.lsn > since && c.first <= (to-1)/hourWidth && from/hourWidth <= c.last
			}
			if got := h.changedSince(from, to, since); got != want {
				t.Fatalf("seed %d, LSN %d: [%d, %d) changed after %d: %t, want %t", seed, lsn, from, to, since, got, want)
			}
		}
	}
}

func TestHourChangesForgetRatherThanGrow(t *testing.T) {
	t.Run("hours", func(t *testing.T) {
		var h hourChanges
		lsn := uint64(0)
		for hour := range int64(maxHourBlocks * hoursPerBlock) {
			lsn++
			h.note([]int64{hour * hourWidth}, lsn)
		}
		if h.changedSince(0, hourWidth, 1) {
			t.Error("65,536 hours are too many")
		}
		h.note([]int64{maxHourBlocks * hoursPerBlock * hourWidth}, lsn+1)
		if !h.changedSince(0, hourWidth, lsn) || h.changedSince(0, hourWidth, lsn+1) {
			t.Error("what was forgotten doesn't count as changed by the newest change")
		}
		if len(h.blocks) > 0 {
			t.Errorf("%d blocks are left", len(h.blocks))
		}
	})
	t.Run("ranges", func(t *testing.T) {
		var h hourChanges
		for i := range int64(maxChangedRanges) {
			h.noteRange(i*hourWidth, (i+1000)*hourWidth, uint64(i+1))
		}
		if h.changedSince(2000*hourWidth, 2001*hourWidth, 0) {
			t.Error("64 ranges are too many")
		}
		h.noteRange(0, 10_000*hourWidth, 70) // holds all the others
		if len(h.ranges) != 1 || h.changedSince(20_000*hourWidth, 20_001*hourWidth, 0) {
			t.Errorf("%d ranges are left", len(h.ranges))
		}
		for i := range int64(maxChangedRanges) {
			h.noteRange((i+10)*hourWidth, (i+20_000)*hourWidth, uint64(i+71))
		}
		if !h.changedSince(90_000*hourWidth, 90_001*hourWidth, 133) || len(h.ranges) > 0 {
			t.Errorf("%d ranges are kept", len(h.ranges))
		}
	})
}

func TestNoteTakesAnyOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h hourChanges
	times := make([]int64, 3000)
	for i := range times {
		times[i] = random.Int64N(300) * 2 * hourWidth // every other hour; some are 64 apart
	}
	h.note(times, 1)
	noted := map[int64]bool{}
	for _, ns := range times {
		noted[ns/hourWidth] = true
	}
	for hour := range int64(600) {
		if got := h.changedSince(hour*hourWidth, (hour+1)*hourWidth, 0); got != noted[hour] {
			t.Fatalf("hour %d changed: %t, want %t", hour, got, noted[hour])
		}
	}
}

func BenchmarkHourChangesNote(b *testing.B) {
	const begin = 1_705_276_800_000_000_000
	for _, c := range []struct {
		name   string
		timeOf func(i int) int64
	}{
		{"in order", func(i int) int64 { return begin + int64(i)*7_200_000_000 }},
		{"ten a series", func(i int) int64 { return begin + int64(i%10)*720_000_000_000 }},
		{"a day's hours by turns", func(i int) int64 { return begin + int64(i%24)*hourWidth }},
		{"random hours of a year", func(i int) int64 { return begin + int64(i*7919%8760)*hourWidth }},
	} {
		b.Run(c.name, func(b *testing.B) {
			var h hourChanges
			times := make([]int64, 1000)
			for i := range times {
				times[i] = c.timeOf(i)
			}
			b.ReportAllocs()
			lsn := uint64(0)
			for b.Loop() {
				lsn++
				h.note(times, lsn)
			}
			b.ReportMetric(float64(len(times))*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(len(times))/float64(b.N), "ns/sample")
			if last := times[len(times)-1]; !h.changedSince(last, last+1, lsn-1) || h.changedSince(last, last+1, lsn) {
				b.Fatal("the last hour doesn't have the last change")
			}
		})
	}
}

// BenchmarkHourChangesChangedSince asks for years while writes go on at their end.
func BenchmarkHourChangesChangedSince(b *testing.B) {
	const hours = maxHourBlocks * hoursPerBlock
	var h hourChanges
	for hour := range int64(hours) {
		h.note([]int64{hour * hourWidth}, 1)
	}
	h.note([]int64{(hours - 1) * hourWidth}, 2)
	for _, c := range []struct {
		name string
		to   int64
	}{{"a day", 24 * hourWidth}, {"a year", 8760 * hourWidth}, {"seven years", (hours - 1) * hourWidth}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if h.changedSince(0, c.to, 1) {
					b.Fatal("changed")
				}
			}
		})
	}
}

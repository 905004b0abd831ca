package tsdb

import (
	"math"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
)

// contest is the same piece of work done by the engine and by prometheus/tsdb. One call of either should take
// a millisecond of CPU time at least, and include whatever it causes now and then.
type contest struct {
	name   string
	target float64 // how many times the CPU time of ours theirs is to take
	floor  float64 // the ratio below which something has broken, see TestRatios
	ours   func()
	theirs func()
	close  func()
}

const (
	pairs    = 41
	attempts = 3
)

// ratio runs both in turn and returns the median, over all pairs, of the CPU time of theirs to that of ours.
// What disturbs one of a pair mostly disturbs the other, next to it, and what disturbs only one is an
// outlier, which the median leaves out. That ours goes first in every other pair evens out what one leaves
// to the other.
func (c *contest) ratio(t *testing.T) float64 {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.ours()
	c.theirs()
	runtime.GC()
	ratios := make([]float64, pairs)
	for i := range ratios {
		var ours, theirs time.Duration
		if i%2 == 0 {
			ours = cpuTimeOf(t, c.ours)
			theirs = cpuTimeOf(t, c.theirs)
		} else {
			theirs = cpuTimeOf(t, c.theirs)
			ours = cpuTimeOf(t, c.ours)
		}
		ratios[i] = float64(theirs) / float64(max(ours, time.Microsecond))
	}
	slices.Sort(ratios)
	t.Logf("%-28s %6.1fx  middle half %.1fx to %.1fx; target %gx, floor %gx", c.name, ratios[pairs/2], ratios[pairs/4], ratios[3*pairs/4], c.target, c.floor)
	return ratios[pairs/2]
}

// cpuTimeOf returns the CPU time that all threads of the process take while fn runs: neither waiting nor
// what other processes do counts, and work that fn leaves to other goroutines does.
func cpuTimeOf(t testing.TB, fn func()) time.Duration {
	begin := processTime(t)
	fn()
	return processTime(t) - begin
}

// processTime returns the CPU time of all threads so far.
func processTime(t testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestRatios fails where ours has lost most of its lead. The targets are what the project has set itself; a run is
// not held to them but to floors some way below what is measured, which no noise was seen to reach. A ratio below its
// floor is measured again: noise goes, a regression stays.
func TestRatios(t *testing.T) {
	for _, open := range []func(*testing.T) *contest{
		appendContest,
		encodeContest,
		decodeContest("decode gorilla, full", 3, 2, walks(full), (*codecData).open),
		decodeContest("decode gorilla, dec2", 3, 2, walks(dec2), (*codecData).open),
		decodeContest("decode packed, dec2", 10, 5, uniform, (*codecData).sealed),
		decodeContest("decode packed, full", 8, 4, walks(full), (*codecData).sealed),
		decodeContest("decode entropy-coded, dec2", 8, 4, walks(dec2), (*codecData).sealed),
		decodeContest("decode entropy-coded, int", 5, 2.8, walks(math.Floor), (*codecData).sealed),
		queries[0].contest, queries[1].contest, queries[2].contest,
	} {
		c := open(t)
		lost := true
		for attempt := 0; lost && attempt < attempts; attempt++ {
			lost = c.ratio(t) < c.floor
		}
		if lost {
			t.Errorf("%s: the ratio to prometheus/tsdb is below %gx in %d measurements", c.name, c.floor, attempts)
		}
		if c.close != nil {
			c.close()
		}
	}
}

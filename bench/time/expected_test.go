package timebench

import (
	"encoding/gob"
	"errors"
	"io/fs"
	"math"
	"os"
	"testing"
)

// hundredths are the values that there are, 0.00 to 100.00.
const hundredths = 100*100 + 1

// ranks are the percentiles that are asked for.
var ranks = []float64{0.5, 0.9, 0.99}

// expected is what was counted while a year was made, for comparison with the answers.
type expected struct {
	Days    int
	PerDay  int         // samples of one series
	Sums    [][]int64   // by day and series, in hundredths
	Day     [][]float64 // by day: the percentiles of ranks, of all series, in hundredths
	All     []float64   // the same of all days
	Samples int
	Min     int // in hundredths
	Max     int

	today, total [hundredths]int
}

// newDay begins a day of some series.
func (e *expected) newDay(series int) {
	e.Days++
	e.Sums = append(e.Sums, make([]int64, series))
	e.today = [hundredths]int{}
}

// add counts a value of the day begun last.
func (e *expected) add(series, value int) {
	e.Sums[e.Days-1][series] += int64(value)
	e.today[value]++
}

// endDay counts the day begun last in full.
func (e *expected) endDay() {
	e.Day = append(e.Day, percentilesOf(&e.today))
	for value, n := range e.today {
		e.total[value] += n
		e.Samples += n
	}
}

// end closes the books.
func (e *expected) end() {
	e.All = percentilesOf(&e.total)
	e.PerDay = e.Samples / e.Days / len(e.Sums[0])
	for e.Min = 0; e.total[e.Min] == 0; {
		e.Min++
	}
	for e.Max = hundredths - 1; e.total[e.Max] == 0; {
		e.Max--
	}
}

// percentilesOf returns the values at ranks, linear between two samples, in hundredths.
func percentilesOf(counts *[hundredths]int) []float64 {
	all := 0
	for _, n := range counts {
		all += n
	}
	var out []float64
	for _, rank := range ranks {
		whole, part := math.Modf(rank * float64(all-1))
		low, high := sampleAt(counts, int(whole)), sampleAt(counts, min(int(whole)+1, all-1))
		out = append(out, float64(low)+part*float64(high-low))
	}
	return out
}

// sampleAt returns the sample with this index in ascending order.
func sampleAt(counts *[hundredths]int, index int) int {
	value := 0
	for ; counts[value] <= index; value++ {
		index -= counts[value]
	}
	return value
}

// load reads what an earlier run kept; false: there is none.
func (e *expected) load(b *testing.B, path string) bool {
	b.Helper()
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if err := gob.NewDecoder(file).Decode(e); err != nil {
		b.Fatalf("read %s: %v", path, err)
	}
	return true
}

// save keeps it for later runs.
func (e *expected) save(b *testing.B, path string) {
	b.Helper()
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(gob.NewEncoder(file).Encode(e), file.Close()); err != nil {
		b.Fatal(err)
	}
}

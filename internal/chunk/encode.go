package chunk

import (
	"fmt"
	"slices"

	"github.com/flopynet/collector/model"
)

// Encode appends the samples as one chunk, as it is stored under key, to dst, in the codec that takes
// less room. There must be 1 to MaxSamples of them, with strictly increasing times in nanoseconds since
// the epoch from model.MinTime to model.MaxTime; anything else is the caller's mistake and panics.
func Encode(dst, key []byte, times []int64, values []float64) []byte {
	n := len(times)
	if n < 1 || n > MaxSamples {
		panic(fmt.Sprintf("chunk: Encode was given %d samples, not 1 to %d", n, MaxSamples))
	}
	checkSamples(model.MinTime-1, times, values)
	header := headerOf(times, values)
	start := len(dst)
	payload := start + headerBytes
	dst = slices.Grow(dst, headerBytes+2*n+checksumBytes)[:payload]
	dst = appendDecimal(dst, header.Unit, times, values)
	decimal := len(dst)
	if !gorillaMayBeSmaller(decimal-payload, header.Unit, times, values) {
		return complete(dst, start, key, header, 0, 0)
	}
	a := Appender{buf: dst} // behind the other codec's payload
	a.encodeAll(header.Unit, times, values)
	if a.Size()-decimal >= decimal-payload {
		return complete(a.buf[:decimal], start, key, header, 0, 0)
	}
	header.Codec = CodecGorilla
	dst = slices.Delete(a.buf, payload, decimal)
	return complete(dst, start, key, header, a.word, a.used)
}

// headerOf returns the header of a decimal chunk of the samples.
func headerOf(times []int64, values []float64) Header {
	n := len(times)
	header := Header{
		Codec:   CodecDecimal,
		Unit:    MaxUnit.refine(times[0], times[1:]),
		Count:   n,
		MinTime: times[0],
		MaxTime: times[n-1],
		First:   values[0],
		Last:    values[n-1],
	}
	s := newSummary()
	s.add(values)
	s.fill(&header)
	return header
}

// encodeAll encodes samples whose unit is known, behind what the buffer of an otherwise empty Appender
// holds.
func (a *Appender) encodeAll(unit Unit, times []int64, values []float64) {
	a.start(times[0], values[0])
	a.unit = unit
	a.encode(times[1:], values[1:])
}

const (
	// What Gorilla takes is estimated from some runs of samples if there are twice as many or more.
	estimateRuns    = 8
	estimateSamples = 32
)

// gorillaMayBeSmaller reports whether the samples may take less than size bytes in that codec, so that
// it is worth trying: it takes a third of the time that the other one does.
func gorillaMayBeSmaller(size int, unit Unit, times []int64, values []float64) bool {
	n := len(times)
	if 8*size <= (n-1)*minSampleBits {
		return false
	}
	if n <= 2*estimateRuns*estimateSamples {
		return true
	}
	estimate := 0
	var room [estimateSamples * (maxSampleBits + 7) / 8]byte
	for i := range estimateRuns {
		from := i * (n - estimateSamples) / (estimateRuns - 1)
		a := Appender{buf: room[:0]}
		a.encodeAll(unit, times[from:from+estimateSamples], values[from:from+estimateSamples])
		estimate += a.Size()
	}
	estimate = estimate * n / (estimateRuns * estimateSamples)
	return estimate-estimate/4 < size // each run begins with longer codes than those that follow
}

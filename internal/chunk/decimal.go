package chunk

import (
	"fmt"
	"math"

	"github.com/flopynet/collector/internal/column"
)

// appendDecimal appends the samples' times, in units since the first, and their values as two columns.
func appendDecimal(dst []byte, unit Unit, times []int64, values []float64) []byte {
	return column.AppendFloats(appendTimes(dst, unit, times), values)
}

func appendTimes(dst []byte, unit Unit, times []int64) []byte {
	if step, regular := stepOf(times); regular {
		return column.AppendProgression(dst, 0, step/unit.Nanoseconds())
	}
	units := make([]int64, len(times))
	for i, time := range times {
		units[i] = (time - times[0]) / unit.Nanoseconds()
	}
	return column.AppendInts(dst, units)
}

// stepOf returns the time between two samples if it is always the same; 0 if there is but one sample.
func stepOf(times []int64) (step int64, regular bool) {
	if len(times) == 1 {
		return 0, true
	}
	step = times[1] - times[0]
	for i := 2; i < len(times); i++ {
		if times[i]-times[i-1] != step {
			return 0, false
		}
	}
	return step, true
}

// decodeDecimal decodes the block's two columns into slices as long as they are.
func (b *Block) decodeDecimal(times []int64, values []float64) error {
	rest, err := decodeTimes(b.words, times, &b.header)
	if err != nil {
		return err
	}
	if rest, err = column.Floats(rest, values); err != nil {
		return fmt.Errorf("%w: values: %w", ErrCorrupt, err)
	}
	return b.checkValues(rest, values[0], values[len(values)-1])
}

// checkValues checks what follows from the header of decoded values, and that nothing is left behind them.
func (b *Block) checkValues(rest []byte, first, last float64) error {
	switch h := &b.header; {
	case len(rest) > 0:
		return fmt.Errorf("%w: %d samples and the payload don't end together", ErrCorrupt, h.Count)
	case math.Float64bits(first) != math.Float64bits(h.First):
		return fmt.Errorf("%w: the first value is not the header's", ErrCorrupt)
	case math.Float64bits(last) != math.Float64bits(h.Last):
		return fmt.Errorf("%w: the last value is not the header's", ErrCorrupt)
	}
	return nil
}

// decodeTimes decodes the column of times at the start of src and returns the bytes behind it.
func decodeTimes(src []byte, times []int64, h *Header) (rest []byte, err error) {
	// Regular times are written once, which takes a third of the time.
	if step, rest, regular, err := regularTimes(src, h); regular || err != nil {
		time := h.MinTime
		for i := range times {
			times[i] = time
			time += step
		}
		return rest, err
	}
	if rest, err = column.Ints(src, times); err != nil {
		return nil, fmt.Errorf("%w: times: %w", ErrCorrupt, err)
	}
	return rest, fromUnits(times, (h.MaxTime-h.MinTime)/h.Unit.Nanoseconds(), h)
}

// regularTimes tells whether the column of times at the start of src is of regular ones and, if so, how many
// nanoseconds there are between two of them, 0 if there is but one, and returns the bytes behind it.
func regularTimes(src []byte, h *Header) (step int64, rest []byte, ok bool, err error) {
	first, step, rest, ok := column.Progression(src)
	if !ok {
		return 0, nil, false, nil
	}
	unit := h.Unit.Nanoseconds()
	end, steps, want := (h.MaxTime-h.MinTime)/unit, int64(h.Count-1), int64(0)
	if steps > 0 {
		want = end / steps
	}
	if first != 0 || step != want || step*steps != end || (step == 0 && steps > 0) {
		return 0, nil, false, fmt.Errorf("%w: %d times from %d on, %d units apart, are not the header's", ErrCorrupt, h.Count, first, step)
	}
	return step * unit, rest, true, nil
}

// fromUnits turns units since a chunk's first sample into nanoseconds since the epoch. The last is to be
// end.
func fromUnits(times []int64, end int64, h *Header) error {
	first, unit, last, order := times[0], h.Unit.Nanoseconds(), int64(-1), int64(0)
	for i, units := range times {
		order |= units | (units - last - 1)
		last = units
		times[i] = h.MinTime + units*unit
	}
	switch {
	case order < 0:
		return fmt.Errorf("%w: times don't increase", ErrCorrupt)
	case first != 0:
		return fmt.Errorf("%w: the first time is not the header's", ErrCorrupt)
	case last != end:
		return fmt.Errorf("%w: the last time is %d units behind the first, not the header's %d", ErrCorrupt, last, end)
	}
	return nil
}

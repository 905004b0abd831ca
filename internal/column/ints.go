package column

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrCorrupt is wrapped by every error about bytes that are not a column as this package writes them.
var ErrCorrupt = errors.New("damaged column")

var errShort = fmt.Errorf("%w: it ends too early", ErrCorrupt)

// mode says how a column's integers follow from the residuals in its blocks.
type mode uint8

const (
	modeProgression mode = iota // first + i * step, no residuals
	modeLine                    // first + i * step + residual
	modeDelta                   // the integer before + residual
	modeDeltaDelta              // the integer before + (the difference before + residual), step being the first
	modeCount
)

// AppendInts appends the values as a column to dst.
func AppendInts(dst []byte, values []int64) []byte {
	if len(values) == 0 {
		return dst
	}
	r := chooseRule(values)
	if r.mode == modeProgression {
		return AppendProgression(dst, values[0], r.step)
	}
	dst = append(dst, byte(r.mode))
	dst = binary.AppendVarint(dst, values[0])
	if r.mode != modeDelta {
		dst = binary.AppendVarint(dst, r.step)
	}
	var residuals [blockSize]int64
	for at := 1; at < len(values); at += blockSize {
		block := residuals[:min(blockSize, len(values)-at)]
		r.residuals(block, values, at)
		dst = appendBlock(dst, block, planBlock(block, true))
	}
	return dst
}

// AppendProgression appends what AppendInts appends for any number of values, the first of which is first
// and each other one greater by step than the one before.
func AppendProgression(dst []byte, first, step int64) []byte {
	dst = append(dst, byte(modeProgression))
	return binary.AppendVarint(binary.AppendVarint(dst, first), step)
}

// rule is a mode with what it needs.
type rule struct {
	mode mode
	step int64
}

// residuals computes those of the values from index at on, at least 1.
func (r rule) residuals(dst, values []int64, at int) {
	switch r.mode {
	case modeLine:
		expected := values[0] + int64(at)*r.step
		for i, v := range values[at : at+len(dst)] {
			dst[i] = v - expected
			expected += r.step
		}
	case modeDelta:
		before := values[at-1]
		for i, v := range values[at : at+len(dst)] {
			dst[i] = v - before
			before = v
		}
	case modeDeltaDelta:
		before, difference := values[at-1], r.step
		if at > 1 {
			difference = before - values[at-2]
		}
		for i, v := range values[at : at+len(dst)] {
			next := v - before
			dst[i] = next - difference
			before, difference = v, next
		}
	}
}

// chooseRule tells which mode makes the column smallest, from a few of its blocks.
func chooseRule(values []int64) rule {
	n := len(values)
	first, last := values[0], values[n-1]
	if n == 1 {
		return rule{modeProgression, 0}
	}
	step := values[1] - first
	regular := true
	for i := 2; i < n && regular; i++ {
		regular = values[i]-values[i-1] == step
	}
	if regular {
		return rule{modeProgression, step}
	}
	candidates := [4]rule{{modeDelta, 0}, {modeDeltaDelta, step}, {modeLine, 0}, {modeLine, roundQuotient(last-first, int64(n-1))}}
	best, least := candidates[0], 0
	for i, candidate := range candidates {
		if i == 3 && candidate == candidates[2] {
			break
		}
		if cost := candidate.cost(values); i == 0 || cost < least {
			best, least = candidate, cost
		}
	}
	return best
}

// roundQuotient returns v / d, rounded, for a positive d.
func roundQuotient(v, d int64) int64 {
	quotient, rest := v/d, v%d
	switch {
	case rest > d/2:
		quotient++
	case rest < -d/2:
		quotient--
	}
	return quotient
}

// costBlocks is from how many blocks at most a column's size is estimated.
const costBlocks = 6

// cost returns about how many bits a column of the values takes, fixed parts aside.
func (r rule) cost(values []int64) int {
	if r.mode == modeProgression {
		return 0
	}
	var residuals [blockSize]int64
	blocks := (len(values) + blockSize - 2) / blockSize
	stride := (blocks + costBlocks - 1) / costBlocks
	cost, sampled := 0, 0
	for b := stride / 2; b < blocks; b += stride {
		at := 1 + b*blockSize
		block := residuals[:min(blockSize, len(values)-at)]
		r.residuals(block, values, at)
		cost += planBlock(block, false).bits
		sampled += len(block)
	}
	return cost * (len(values) - 1) / sampled
}

// Ints decodes a column of len(dst) integers from the start of src and returns the bytes behind it. An
// error wraps ErrCorrupt; what dst holds then means nothing.
func Ints(src []byte, dst []int64) (rest []byte, err error) {
	if len(dst) == 0 {
		return src, nil
	}
	var r reader
	if err := r.init(src); err != nil {
		return nil, err
	}
	dst[0] = r.last
	for dst = dst[1:]; len(dst) > 0; {
		n := min(len(dst), blockSize)
		if err := r.next(dst[:n]); err != nil {
			return nil, err
		}
		dst = dst[n:]
	}
	return r.src, nil
}

// Prefix returns the least number of values, n or more, that can be decoded by themselves of a column of count: blocks
// are decoded whole.
func Prefix(n, count int) int {
	if n <= 1 {
		return min(n, count)
	}
	return min((n-1+blockSize-1)/blockSize*blockSize+1, count)
}

// Progression tells of a column of integers at the start of src whether it is an arithmetic progression,
// one without blocks, and if so which, and returns the bytes behind it. It is for callers that need not
// have it written out.
func Progression(src []byte) (first, step int64, rest []byte, ok bool) {
	var r reader
	if err := r.init(src); err != nil || r.mode != modeProgression {
		return 0, 0, nil, false
	}
	return r.last, r.step, r.src, true
}

// reader decodes a column of integers, the first by init, the others by blocks.
type reader struct {
	src  []byte
	mode mode
	last int64 // the integer before; in modeLine and modeProgression where the line was there
	step int64 // from there to the next

	residuals [blockSize]int64
}

func (r *reader) init(src []byte) error {
	if len(src) == 0 {
		return errShort
	}
	if r.mode = mode(src[0]); r.mode >= modeCount {
		return fmt.Errorf("%w: integers in mode %d, which is unknown to this version", ErrCorrupt, src[0])
	}
	r.src = src[1:]
	var err error
	if r.last, err = r.varint(); err != nil {
		return err
	}
	if r.mode != modeDelta {
		r.step, err = r.varint()
	}
	return err
}

func (r *reader) varint() (int64, error) {
	v, n := binary.Varint(r.src)
	if n <= 0 {
		return 0, errShort
	}
	r.src = r.src[n:]
	return v, nil
}

// block decodes the residuals of the next n integers, to each of which add must be added.
func (r *reader) block(n int) (residuals []int64, add int64, err error) {
	add, r.src, err = decodeBlock(r.src, &r.residuals, n)
	return r.residuals[:n], add, err
}

// next decodes the next len(dst) integers, a block.
func (r *reader) next(dst []int64) error {
	last, step := r.last, r.step
	if r.mode == modeProgression {
		for i := range dst {
			last += step
			dst[i] = last
		}
		r.last = last
		return nil
	}
	residuals, add, err := r.block(len(dst))
	if err != nil {
		return err
	}
	switch r.mode {
	case modeLine:
		for i, residual := range residuals {
			last += step
			dst[i] = last + residual + add
		}
	case modeDelta:
		for i, residual := range residuals {
			last += residual + add
			dst[i] = last
		}
	case modeDeltaDelta:
		for i, residual := range residuals {
			step += residual + add
			last += step
			dst[i] = last
		}
		r.step = step
	}
	r.last = last
	return nil
}

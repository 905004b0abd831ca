package ingest

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// Bounds of what a Report lists.
const (
	maxErrors   = 100
	maxWarnings = 50
)

// Report says what became of a body. It belongs to the Decoder and is valid until its next Decode; the
// strings in it are copies.
type Report struct {
	Accepted int         // samples that are in the batch
	Rejected int         // metrics that were refused
	Errors   []Rejection // the first 100 refusals
	Warnings []string    // at most 51, the last one then says how many more there are
	BatchID  string      // given by the client for the whole body; "": none
	Batches  []BatchReport

	limited      int // refusals for limits alone
	moreWarnings int
	unknownKeys  []string // that have been warned of
}

// Rejection says why a metric was refused.
type Rejection struct {
	Batch  int // index into Report.Batches
	Index  int // of the metric in its list
	Name   string
	Reason string
	Limit  bool // the metric is well-formed but exceeds a limit
}

// BatchReport is the part of a Report that belongs to one of a body's batches. A body that is not made
// of batches counts as one.
type BatchReport struct {
	Source   string
	BatchID  string
	Accepted int
	Rejected int
}

// OnlyLimits reports whether there are refusals and all of them are for exceeded limits.
func (r *Report) OnlyLimits() bool { return r.Rejected > 0 && r.limited == r.Rejected }

func (r *Report) reset() {
	*r = Report{
		Errors: clearSlice(r.Errors), Warnings: clearSlice(r.Warnings),
		Batches: clearSlice(r.Batches), unknownKeys: clearSlice(r.unknownKeys),
	}
}

// maxReusedElements is how long slices may be that are kept from one body to the next.
const maxReusedElements = 1 << 10

// clearSlice empties a slice, keeping its memory unless it is large, but nothing that it refers to.
func clearSlice[T any](s []T) []T {
	if cap(s) > maxReusedElements {
		return nil
	}
	clear(s)
	return s[:0]
}

// warn adds a warning. It is formatted only if it is listed.
func (r *Report) warn(format string, args ...any) {
	if len(r.Warnings) >= maxWarnings {
		r.moreWarnings++
		return
	}
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// warnUnknown warns of a key, given as raw JSON, once in a body.
func (r *Report) warnUnknown(key []byte, where string) {
	for _, known := range r.unknownKeys {
		if known == string(key) {
			return
		}
	}
	if len(r.unknownKeys) >= maxWarnings || len(key) > maxEntryBytes {
		r.moreWarnings++
		return
	}
	r.unknownKeys = append(r.unknownKeys, string(key))
	r.warn("unknown key %s in a %s is ignored", clip(key), where)
}

// finish adds what is known only at the end.
func (r *Report) finish(shape Shape) {
	if r.moreWarnings > 0 {
		r.Warnings = append(r.Warnings, "and "+strconv.Itoa(r.moreWarnings)+" more")
	}
	if shape == Metrics && len(r.Batches) == 1 {
		r.BatchID = r.Batches[0].BatchID
	}
}

// SyntaxError says where and why a body is not JSON, or not UTF-8.
type SyntaxError struct {
	Offset  int // in bytes, from 0
	Line    int // from 1
	Column  int // in bytes, from 1
	Message string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d (line %d, column %d): %s", e.Offset, e.Line, e.Column, e.Message)
}

// ShapeError says that a body is JSON but not what the request takes.
type ShapeError struct {
	Field  string // where, such as batches[2].metrics; "": the body itself
	Reason string
}

func (e *ShapeError) Error() string {
	if e.Field == "" {
		return "the body " + e.Reason
	}
	return e.Field + " " + e.Reason
}

// isLimit reports whether an error is about a limit rather than about a fault.
func isLimit(err error) bool {
	_, isModel := errors.AsType[*model.LimitError](err)
	_, isEngine := errors.AsType[*engine.LimitError](err)
	return isModel || isEngine
}

package model

import "math"

// Sample is one measurement: a time in nanoseconds since the Unix epoch and a float64 that is kept
// bit for bit.
type Sample struct {
	Time  int64
	Value float64
}

// The range of sample times, in nanoseconds since the Unix epoch. MaxTime is the midnight that begins
// 2262-04-11, almost a day short of what an int64 can hold, so that bucket arithmetic cannot overflow.
const (
	MinTime int64 = 0
	MaxTime int64 = 9_223_286_400_000_000_000
)

// staleBits is the NaN with which Prometheus marks the end of a series.
const staleBits uint64 = 0x7ff0000000000002

// IsStale reports whether v is Prometheus' staleness marker. Markers are stored like any value, end a
// series for rate and increase, and are never returned.
func IsStale(v float64) bool { return math.Float64bits(v) == staleBits }

package model

// Span is the range of times [From, To), in nanoseconds since the epoch.
type Span struct{ From, To int64 }

// Overlaps reports whether any time of [from, to) is in the span.
func (s Span) Overlaps(from, to int64) bool { return s.From < to && from < s.To }

// Contains reports whether the time is in the span.
func (s Span) Contains(time int64) bool { return time >= s.From && time < s.To }

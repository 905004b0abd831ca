package flopynet

import (
	"time"

	"github.com/flopynet/collector/internal/timefmt"
)

// stamp is a time in an answer, in nanoseconds since the epoch; 0 is null.
type stamp int64

// MarshalJSON implements json.Marshaler.
func (s stamp) MarshalJSON() ([]byte, error) {
	if s == 0 {
		return []byte("null"), nil
	}
	return append(timefmt.AppendTime([]byte{'"'}, int64(s)), '"'), nil
}

// whole returns the time without what is finer than a unit, which Python's clients couldn't read.
func (s stamp) whole(unit time.Duration) stamp { return s - s%stamp(unit) }

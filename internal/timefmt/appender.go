package timefmt

import (
	"math"
	"strconv"
)

const (
	dayNs    = 24 * 3600 * 1e9
	minuteNs = 60 * 1e9
	secondNs = 1e9

	epochSpan = 1e8 // units whose numbers differ in the last eight digits
)

// Appender appends many times, as AppendTime or AppendEpoch does, faster if each is not far from the one before:
// it remembers how that was spelt.
type Appender struct {
	Unit int64 // of AppendEpoch; 0: RFC 3339

	begin, end int64    // of the times that begin like the last: of a minute, or of epochSpan units
	day        int64    // of the last: its begin, without a unit
	text       [24]byte // the last, without its fraction
	size       int      // of text, with a unit
}

// Append appends a time, in nanoseconds since the epoch.
func (a *Appender) Append(dst []byte, ns int64) []byte {
	if (ns < a.begin || ns >= a.end) && !a.spell(ns) {
		if a.Unit != 0 {
			return AppendEpoch(dst, ns, a.Unit)
		}
		return AppendTime(dst, ns)
	}
	since := ns - a.begin
	if a.Unit != 0 {
		units := since / a.Unit
		if units*a.Unit != since {
			return AppendEpoch(dst, ns, a.Unit)
		}
		high, low := uint32(units)/1e4, uint32(units)%1e4
		a.setPair(a.size-8, high/100)
		a.setPair(a.size-6, high%100)
		a.setPair(a.size-4, low/100)
		a.setPair(a.size-2, low%100)
		return append(dst, a.text[:a.size]...)
	}
	seconds := since / secondNs
	a.setPair(len("2006-01-02T15:04:"), uint32(seconds))
	if nanos := since - seconds*secondNs; nanos != 0 {
		dst = append(dst, a.text[:len("2006-01-02T15:04:05")]...)
		return append(appendFraction(dst, int(nanos)), 'Z')
	}
	return append(dst, a.text[:len("2006-01-02T15:04:05Z")]...)
}

// spell remembers how times begin that are near ns, unless ns is a time at one of the ends.
func (a *Appender) spell(ns int64) bool {
	if a.Unit != 0 {
		span := epochSpan * a.Unit
		if ns < span || ns > math.MaxInt64-span {
			return false
		}
		a.begin = ns - ns%span
		a.end = a.begin + span
		a.size = len(AppendEpoch(a.text[:0], a.begin, a.Unit))
		return true
	}
	if ns < 0 || ns > math.MaxInt64-dayNs {
		return false
	}
	day := ns - ns%dayNs
	if a.end == 0 || day != a.day {
		AppendTime(a.text[:0], day)
		a.day = day
	}
	minute := uint32((ns - day) / minuteNs)
	a.begin = day + int64(minute)*minuteNs
	a.end = a.begin + minuteNs
	a.setPair(len("2006-01-02T"), minute/60)
	a.setPair(len("2006-01-02T15:"), minute%60)
	return true
}

func (a *Appender) setPair(at int, n uint32) {
	pair := a.text[at : at+2]
	pair[0], pair[1] = byte('0'+n/10), byte('0'+n%10)
}

// AppendEpoch appends ns, in nanoseconds since the epoch, as a decimal number of units, which are a power of
// ten of nanoseconds.
func AppendEpoch(dst []byte, ns, unit int64) []byte {
	if ns < 0 {
		dst = append(dst, '-')
		ns = -ns
	}
	dst = strconv.AppendInt(dst, ns/unit, 10)
	fraction := ns % unit
	if fraction == 0 {
		return dst
	}
	dst = append(dst, '.')
	for digit := unit / 10; fraction > 0; digit /= 10 {
		dst = append(dst, byte('0'+fraction/digit))
		fraction %= digit
	}
	return dst
}

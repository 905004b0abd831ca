package timefmt

import "time"

// AppendTime appends ns, in nanoseconds since the epoch, as RFC 3339 in UTC with a fraction of no, 3, 6
// or 9 digits: the shortest that loses nothing.
func AppendTime(dst []byte, ns int64) []byte {
	t := time.Unix(0, ns).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = appendPair(dst, year/100)
	dst = appendPair(dst, year%100)
	dst = appendPair(append(dst, '-'), int(month))
	dst = appendPair(append(dst, '-'), day)
	dst = appendPair(append(dst, 'T'), hour)
	dst = appendPair(append(dst, ':'), minute)
	dst = appendPair(append(dst, ':'), second)
	return append(appendFraction(dst, t.Nanosecond()), 'Z')
}

// appendFraction appends nothing for zero, else a point and 3, 6 or 9 digits.
func appendFraction(dst []byte, nanos int) []byte {
	if nanos == 0 {
		return dst
	}
	dst = appendTriple(append(dst, '.'), nanos/1e6)
	if nanos%1e6 != 0 {
		dst = appendTriple(dst, nanos/1e3%1e3)
	}
	if nanos%1e3 != 0 {
		dst = appendTriple(dst, nanos%1e3)
	}
	return dst
}

func appendPair(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

func appendTriple(dst []byte, n int) []byte {
	return appendPair(append(dst, byte('0'+n/100)), n%100)
}

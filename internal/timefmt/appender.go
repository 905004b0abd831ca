package timefmt

import "strconv"

const (
	dayNs    = 24 * 3600 * 1e9
	secondNs = 1e9
)

// Appender is AppendTime for many times: it remembers how the day of the last one is spelt. The zero value is
// ready.
type Appender struct {
	day  int64
	date [len("2006-01-02T")]byte // of the day
	used bool
}

// AppendTime appends what the function AppendTime does.
func (a *Appender) AppendTime(dst []byte, ns int64) []byte {
	if ns < 0 {
		return AppendTime(dst, ns)
	}
	day := ns / dayNs
	if day != a.day || !a.used {
		var text [40]byte
		copy(a.date[:], AppendTime(text[:0], day*dayNs))
		a.day, a.used = day, true
	}
	rest := ns - day*dayNs
	seconds := int(rest / secondNs)
	nanos := int(rest - int64(seconds)*secondNs)
	dst = append(dst, a.date[:]...)
	minutes := seconds / 60
	hours := minutes / 60
	dst = append(appendPair(dst, hours), ':')
	dst = append(appendPair(dst, minutes-hours*60), ':')
	dst = appendPair(dst, seconds-minutes*60)
	return append(appendFraction(dst, nanos), 'Z')
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

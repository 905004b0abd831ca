package timefmt

import (
	"strings"
	"time"

	"github.com/flopynet/collector/model"
)

// ParseTime reads a time in any of the package's forms. now is the time, in nanoseconds since the
// epoch, that relative times count from. The error is a *ParseError.
func ParseTime(text string, now int64) (int64, error) {
	switch {
	case strings.HasPrefix(text, "now"):
		return parseRelative(text, now)
	case len(text) > 4 && text[4] == '-' && isDigit(text[3]):
		return parseCalendar(text)
	default:
		return ParseNumber(text)
	}
}

// parseRelative reads now, now-<duration> and now+<duration>.
func parseRelative(text string, now int64) (int64, error) {
	rest := text[len("now"):]
	if rest == "" {
		return now, nil
	}
	offset, ok, overflow := parseDuration(rest[1:])
	switch {
	case !ok || !isSign(rest[0]):
		return 0, timeError(text, "a relative time is now, now-1h, now+5m; "+reasonDuration)
	case overflow:
		return 0, timeError(text, reasonRange)
	}
	ns := now - int64(offset)
	if rest[0] != '-' {
		// Both are at least zero, so a sum that does not fit is negative.
		ns = now + int64(offset)
	}
	if ns < model.MinTime || ns > model.MaxTime {
		return 0, timeError(text, reasonRange)
	}
	return ns, nil
}

// parseCalendar reads a date, or a date and a time of day with or without an offset.
func parseCalendar(text string) (int64, error) {
	year, okYear := digits(text, 0, 4)
	month, okMonth := digits(text, 5, 2)
	day, okDay := digits(text, 8, 2)
	if !okYear || !okMonth || !okDay || text[7] != '-' {
		return 0, timeError(text, reasonTime)
	}
	if month < 1 || month > 12 {
		return 0, timeError(text, "the month is not in 01 to 12")
	}
	if day < 1 || day > daysIn(year, month) {
		return 0, timeError(text, "the month does not have such a day")
	}
	var clock clock
	if len(text) > 10 {
		var reason string
		if clock, reason = parseClock(text[10:]); reason != "" {
			return 0, timeError(text, reason)
		}
	}
	seconds := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Unix() + clock.seconds
	if seconds < model.MinTime/1e9 || seconds > model.MaxTime/1e9 || seconds == model.MaxTime/1e9 && clock.nanos > 0 {
		return 0, timeError(text, reasonRange)
	}
	return seconds*1e9 + clock.nanos, nil
}

// clock is a time of day: seconds since midnight UTC (below zero and above a day with an offset) and
// the nanoseconds on top.
type clock struct{ seconds, nanos int64 }

// parseClock reads what follows a date: T or a space, hh:mm, perhaps :ss and a fraction, perhaps an
// offset. reason is "" when all is well.
func parseClock(text string) (c clock, reason string) {
	hour, okHour := digits(text, 1, 2)
	minute, okMinute := digits(text, 4, 2)
	if !okHour || !okMinute || text[0] != 'T' && text[0] != 't' && text[0] != ' ' || text[3] != ':' {
		return clock{}, reasonTime
	}
	second, rest := 0, text[6:]
	if rest != "" && rest[0] == ':' {
		var ok bool
		if second, ok = digits(rest, 1, 2); !ok {
			return clock{}, reasonTime
		}
		if c.nanos, rest, reason = parseFraction(rest[3:]); reason != "" {
			return clock{}, reason
		}
	}
	if hour > 23 || minute > 59 || second > 59 {
		return clock{}, "the time of day is not in 00:00:00 to 23:59:59"
	}
	offset, ok := parseOffset(rest)
	if !ok {
		return clock{}, "the offset is not Z or -23:59 to +23:59"
	}
	c.seconds = int64(hour*3600+minute*60+second) - int64(offset)
	return c, ""
}

// parseFraction reads a decimal point and up to nine digits, if there is one.
func parseFraction(text string) (nanos int64, rest, reason string) {
	if text == "" || text[0] != '.' {
		return 0, text, ""
	}
	i := 1
	for i < len(text) && isDigit(text[i]) {
		i++
	}
	if i == 1 || i > 10 {
		return 0, "", "a fraction of a second has 1 to 9 digits"
	}
	for _, b := range []byte(text[1:i]) {
		nanos = nanos*10 + int64(b-'0')
	}
	return nanos * pow10[10-i], text[i:], ""
}

// parseOffset reads nothing (UTC), Z, or hh:mm or hhmm with a sign, which a space may precede or, as a
// plus, be. The offset is in seconds east of UTC.
func parseOffset(text string) (seconds int, ok bool) {
	if text == "" || text == "Z" || text == "z" {
		return 0, true
	}
	if len(text) > 1 && text[0] == ' ' && isSign(text[1]) {
		text = text[1:]
	}
	minuteAt := 3
	if len(text) == 6 && text[3] == ':' {
		minuteAt = 4
	}
	hour, okHour := digits(text, 1, 2)
	minute, okMinute := digits(text, minuteAt, 2)
	if !okHour || !okMinute || !isSign(text[0]) || len(text) != minuteAt+2 || hour > 23 || minute > 59 {
		return 0, false
	}
	seconds = hour*3600 + minute*60
	if text[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

// digits reads the n digits at text[at:], and only digits.
func digits(text string, at, n int) (value int, ok bool) {
	if len(text) < at+n {
		return 0, false
	}
	for _, b := range []byte(text[at : at+n]) {
		if !isDigit(b) {
			return 0, false
		}
		value = value*10 + int(b-'0')
	}
	return value, true
}

func isDigit(b byte) bool { return b-'0' <= 9 }

// isSign takes a space for a plus that a URL has eaten.
func isSign(b byte) bool { return b == '-' || b == '+' || b == ' ' }

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

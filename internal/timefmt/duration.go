package timefmt

import (
	"math"
	"time"
)

// ParseDuration reads a duration such as 5m, 1h30m or 2w: whole numbers, each with one of the units ms, s,
// m, h, d (24 hours) and w (7 days), added up. The error is a *ParseError.
func ParseDuration(text string) (time.Duration, error) {
	d, ok, overflow := parseDuration(text)
	switch {
	case !ok:
		return 0, durationError(text, reasonDuration)
	case overflow:
		return 0, durationError(text, "it is longer than 292 years")
	}
	return d, nil
}

func parseDuration(text string) (d time.Duration, ok, overflow bool) {
	if text == "" {
		return 0, false, false
	}
	for text != "" {
		i := skipDigits(text, 0)
		unit, width := parseUnit(text[i:])
		if i == 0 || width == 0 {
			return 0, false, false
		}
		var n int64
		for _, b := range []byte(text[:i]) {
			digit := int64(b - '0')
			if n > (math.MaxInt64-digit)/10 {
				overflow = true
				break
			}
			n = n*10 + digit
		}
		if n > (math.MaxInt64-int64(d))/int64(unit) {
			overflow = true
		}
		if !overflow {
			d += time.Duration(n) * unit
		}
		text = text[i+width:]
	}
	return d, true, overflow
}

// parseUnit reads the unit at the front of text; width is its length, 0 if there is none.
func parseUnit(text string) (unit time.Duration, width int) {
	if len(text) > 1 && text[0] == 'm' && text[1] == 's' {
		return time.Millisecond, 2
	}
	if text == "" {
		return 0, 0
	}
	switch text[0] {
	case 's':
		return time.Second, 1
	case 'm':
		return time.Minute, 1
	case 'h':
		return time.Hour, 1
	case 'd':
		return 24 * time.Hour, 1
	case 'w':
		return 7 * 24 * time.Hour, 1
	default:
		return 0, 0
	}
}

package httpapi

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// formatUptime spells a duration as "5d 12h 30m", without leading zeros; below a minute, as "45s".
func formatUptime(d time.Duration) string {
	days, hours, minutes := int64(d/(24*time.Hour)), int64(d/time.Hour)%24, int64(d/time.Minute)%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd %dh %dm", days, hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%dh %dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm", minutes)
	default:
		return fmt.Sprintf("%ds", int64(d/time.Second))
	}
}

// formatShort spells a short duration as "5ms" or "0.25ms".
func formatShort(d time.Duration) string {
	return strconv.FormatFloat(milliseconds(d), 'f', -1, 64) + "ms"
}

// milliseconds is d with the decimals down to a microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// formatWindow spells a length of time as "1h", "1h30m" or "90s": without what is zero.
func formatWindow(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// formatBytes spells a size as "2.5GB", in powers of 1024.
func formatBytes(n uint64) string {
	units := [...]string{"B", "KB", "MB", "GB", "TB", "PB", "EB"}
	value, unit := float64(n), 0
	for value >= 1024 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	decimals := 1
	if unit == 0 || value == float64(int64(value)) {
		decimals = 0
	}
	return strconv.FormatFloat(value, 'f', decimals, 64) + units[unit]
}

// formatAge spells a time that something is kept: "30 days", or "12h0m0s" where it is no whole days.
func formatAge(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == day:
		return "1 day"
	case d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	default:
		return d.String()
	}
}

// Package timefmt reads and writes times and durations as the HTTP API spells them. Times are int64
// nanoseconds since the Unix epoch. Nothing here allocates unless it fails.
//
// A time is one of
//
//	2024-01-15T10:30:00.123456789+02:00   RFC 3339: any offset, up to nine fraction digits
//	2024-01-15 10:30                      a space for the T, no seconds, no offset (UTC)
//	2024-01-15                            midnight UTC
//	1705314600, 1705314600.5, 1.7e18      since the epoch: below 1e11 seconds, below 1e14
//	                                      milliseconds, below 1e17 microseconds, else nanoseconds
//	now, now-1h30m, now+5m                relative to the clock of the caller
//
// and lies in [model.MinTime, model.MaxTime]. A plus sign that went through a URL unescaped arrives as
// a space, so where only a plus or a minus can stand, a space reads as a plus.
//
// A duration is one or more of <n>(ms|s|m|h|d|w) without spaces: 250ms, 5m, 1h30m.
package timefmt

package timefmt

import (
	"fmt"
	"strings"
)

// ParseError says why a text is not a time or a duration.
type ParseError struct {
	Kind   string // "time" or "duration"
	Text   string // as given; of a long one, the beginning
	Reason string
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("%q is not a %s: %s", e.Text, e.Kind, e.Reason)
}

// Reasons that have more than one place.
const (
	reasonTime     = "use RFC 3339 such as 2024-01-15T10:30:00Z, a date, a number since the epoch, or now-1h"
	reasonRange    = "it is outside 1970-01-01 to 2262-04-11"
	reasonDuration = "use a number and ms, s, m, h, d or w, such as 5m or 1h30m"
)

func timeError(text, reason string) error {
	return &ParseError{Kind: "time", Text: clip(text), Reason: reason}
}

func durationError(text, reason string) error {
	return &ParseError{Kind: "duration", Text: clip(text), Reason: reason}
}

// maxErrorText bounds how much of a bad text an error repeats, in bytes.
const maxErrorText = 64

// clip copies text, so that an error keeps nothing of the caller's alive, and so that the compiler sees
// that callers may pass a string that lives on their stack.
func clip(text string) string {
	if len(text) > maxErrorText {
		return text[:maxErrorText] + "..."
	}
	return strings.Clone(text)
}

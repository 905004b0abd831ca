package testbed

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Mode is a way to fail.
type Mode string

// The ways to fail.
const (
	Down         Mode = "down"          // nobody listens: connections are refused
	Hang         Mode = "hang"          // connections are accepted, requests never answered
	Drip         Mode = "drip"          // the true answer, a byte a second
	Huge         Mode = "huge"          // valid JSON in the answer's shape, without meaning, of Failure.Bytes
	HugeGarbage  Mode = "huge-garbage"  // begins as JSON and goes on as noise for Failure.Bytes
	Garbage      Mode = "garbage"       // 200 with a page of HTML, and with bytes that aren't text, in turn
	Status500    Mode = "500"           // the status
	Status503    Mode = "503"           // with Retry-After
	Status429    Mode = "429"           // with Retry-After
	Truncated    Mode = "truncated"     // the answer's first half under the length of the whole, then the connection is cut
	WrongShape   Mode = "wrong-shape"   // the true answer bent as Failure.Shape says
	Redirect     Mode = "redirect"      // to the same address again
	RedirectAway Mode = "redirect-away" // to another host, which counts who comes: Testbed.Strays
)

var modes = []Mode{
	Down, Hang, Drip, Huge, HugeGarbage, Garbage, Status500, Status503, Status429, Truncated, WrongShape, Redirect, RedirectAway,
}

// Modes returns all modes.
func Modes() []Mode { return slices.Clone(modes) }

// Failure says how a component is to fail.
type Failure struct {
	Mode  Mode
	For   time.Duration // of Options.Now; 0: until Heal
	Path  string        // only requests whose path begins so; empty: all. Down knows no paths
	Shape Shape         // of WrongShape; empty: each in turn, a request after the other

	DripEvery  time.Duration // of Drip: between two bytes, of the real clock; 0: a second
	RetryAfter time.Duration // of Status503 and Status429; 0: a second
	Bytes      int64         // of Huge and HugeGarbage; 0: 128 MiB
}

func (f *Failure) complete() error {
	if !slices.Contains(modes, f.Mode) {
		return fmt.Errorf("mode: %q, must be one of %s", f.Mode, join(modes))
	}
	if f.Shape != "" && !slices.Contains(shapes, f.Shape) {
		return fmt.Errorf("shape: %q, must be one of %s", f.Shape, join(shapes))
	}
	if f.Shape != "" && f.Mode != WrongShape {
		return fmt.Errorf("shape: %q is for mode %q alone; the mode is %q", f.Shape, WrongShape, f.Mode)
	}
	if f.Path != "" && !strings.HasPrefix(f.Path, "/") {
		return fmt.Errorf("path: %q, must begin with a slash", f.Path)
	}
	if f.Path != "" && f.Mode == Down {
		return fmt.Errorf("path: %q: a component that is down is so for all paths", f.Path)
	}
	if f.For < 0 || f.DripEvery < 0 || f.RetryAfter < 0 || f.Bytes < 0 {
		return fmt.Errorf("durations and bytes must not be negative: %+v", *f)
	}
	setDefault(&f.DripEvery, time.Second)
	setDefault(&f.RetryAfter, time.Second)
	setDefault(&f.Bytes, 128<<20)
	return nil
}

func join[S ~string](of []S) string {
	texts := make([]string, len(of))
	for i, s := range of {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}

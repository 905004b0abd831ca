package tidy

import (
	"go/token"
	"slices"
	"testing"
)

// readsClock lists what makes a program's result depend on when it runs. Timers that merely wake their
// owner are not among them; sleeping is, since nothing can cut it short.
var readsClock = []string{"Now", "Since", "Until", "Sleep"}

// clockAllowed lists the files that may read the clock, each with its reason. Everything else is handed
// the time, or a function that tells it.
var clockAllowed = map[string]string{
	"engine/options.go":   "the default of Options.Now",
	"flopynet/system.go":  "the default of SystemOptions.Now",
	"flopynet/testbed.go": "the default of Options.Now",
	"httpapi/limits.go":   "deadlines of connections, which the operating system's clock enforces",
	"httpapi/linger.go":   "deadlines of connections",
	"httpapi/server.go":   "the default of Options.Now",
	"pipeline/manager.go": "the default of Options.Now",

	"internal/testbed/options.go": "the default of Options.Now",
}

func TestOnlyTheEdgesReadTheClock(t *testing.T) {
	used := map[string]bool{}
	for _, s := range goSources(t) {
		if s.isTest || s.dir == "cmd/collector" || s.dir == "bench" {
			continue
		}
		selectorsOf(s, "time", func(name string, at token.Pos) {
			if !slices.Contains(readsClock, name) {
				return
			}
			if used[s.path] = true; clockAllowed[s.path] == "" {
				t.Errorf("%s:%d uses time.%s; take the time from the caller or from an option", s.path, s.line(at), name)
			}
		})
	}
	for path := range clockAllowed {
		if !used[path] {
			t.Errorf("%s no longer reads the clock: take it off the list", path)
		}
	}
}

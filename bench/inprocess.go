package bench

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// effort is what something took in this process.
type effort struct {
	wall time.Duration
	cpu  time.Duration // of all threads
}

// measured runs something and returns what it took.
func measured(do func() error) (effort, error) {
	cpu, err := ownCPU()
	if err != nil {
		return effort{}, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return effort{}, err
	}
	wall := time.Since(began)
	after, err := ownCPU()
	return effort{wall, after - cpu}, err
}

func (e *effort) add(other effort) {
	e.wall += other.wall
	e.cpu += other.cpu
}

// ownCPU returns the CPU time of this process so far.
func ownCPU() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("the CPU time of this process: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// liveHeap returns the bytes of this process's objects that are in use.
func liveHeap() int64 {
	debug.FreeOSMemory() // twice, since what has a finalizer goes one collection later
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return int64(memory.HeapAlloc)
}

// resident returns the bytes of memory that a process has now.
func (p *Process) resident() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.command.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("the memory of a process is read from Linux' /proc: %w", err)
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/statm is %q", p.command.Process.Pid, text)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// A question is asked until askedAtLeast times and askedFor have passed, but neither more often than askedAtMost
// times nor once more when askedAtLongest has passed.
const (
	askedAtLeast   = 5
	askedAtMost    = 50
	askedFor       = 200 * time.Millisecond
	askedAtLongest = 3 * time.Second
)

// askOften asks a question of an engine some times and returns the median of each kind of effort. The first answer,
// which may have to find things on disk, is not among them. Each answer is checked, out of the measurement.
func askOften(ctx context.Context, ask, check func() error) (effort, error) {
	if err := ask(); err != nil {
		return effort{}, err
	}
	if err := check(); err != nil {
		return effort{}, err
	}
	var walls, cpus []float64
	for began := time.Now(); len(walls) < askedAtMost; {
		passed := time.Since(began)
		if passed > askedAtLongest && len(walls) > 0 || passed > askedFor && len(walls) >= askedAtLeast {
			break
		}
		if err := ctx.Err(); err != nil {
			return effort{}, err
		}
		took, err := measured(ask)
		if err == nil {
			err = check()
		}
		if err != nil {
			return effort{}, err
		}
		walls, cpus = append(walls, float64(took.wall)), append(cpus, float64(took.cpu))
	}
	return effort{time.Duration(median(walls)), time.Duration(median(cpus))}, nil
}

// wrongAnswer is an answer that isn't the generator's. It fails a figure and doesn't end the run.
type wrongAnswer struct{ text string }

func (w *wrongAnswer) Error() string { return w.text }

func wrong(format string, arguments ...any) error {
	return &wrongAnswer{fmt.Sprintf(format, arguments...)}
}

// near complains unless got is want, but for a share of it.
func near(what string, got, want, share float64) error {
	if math.IsNaN(got) || math.Abs(got-want) > share*math.Abs(want) {
		return wrong("%s is %v, want %v", what, got, want)
	}
	return nil
}

// matching is what matches exactly these pairs of a tag's key and its value.
func matching(pairs ...string) []*model.Matcher {
	var matchers []*model.Matcher
	for i := 0; i < len(pairs); i += 2 {
		matchers = append(matchers, model.EqualMatcher(pairs[i], pairs[i+1]))
	}
	return matchers
}

// openEngine opens an engine that fsyncs every write, at a time that stands still; maintenance is done when it is
// asked for.
func openEngine(directory string, now time.Time) (*engine.DB, error) {
	return engine.Open(directory, engine.Options{Now: func() time.Time { return now }, MaintainInterval: -1})
}

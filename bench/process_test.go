package bench

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestProcessesEnd starts programs that would go on, and ends them.
func TestProcessesEnd(t *testing.T) {
	if _, err := exec.LookPath("sleep"); err != nil {
		t.Skip("there is no program sleep")
	}
	var all processes
	start := func(name string, arguments ...string) *Process {
		t.Helper()
		p, err := all.start(exec.Command(name, arguments...), filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	defer all.killAll()
	first, second := start("sleep", "1000"), start("sleep", "1000")
	if err := first.Stop(); err != nil {
		t.Error(err)
	}
	all.killAll()
	for _, p := range []*Process{first, second} {
		if p.command.ProcessState == nil {
			t.Errorf("%v still runs", p.command)
		}
	}
	early := start("sh", "-c", "echo what went wrong; exit 3")
	err := early.await(t.Context(), time.Minute, func() error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "what went wrong") {
		t.Errorf("a program that ended by itself: %v", err)
	}
	given, cancel := context.WithCancel(t.Context())
	cancel()
	waiting := start("sleep", "1000")
	if err := waiting.await(given, time.Minute, func() error { return errors.New("not yet") }); !errors.Is(err, context.Canceled) {
		t.Errorf("after the run was given up: %v", err)
	}
}

// TestFiguresOfAProcess looks at a program that uses the processor and memory.
func TestFiguresOfAProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("CPU time and memory are read from Linux' /proc")
	}
	var all processes
	defer all.killAll()
	p, err := all.start(exec.Command("sh", "-c", "while :; do :; done"), filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	err = p.await(t.Context(), time.Minute, func() error {
		cpu, err := p.CPU()
		if err == nil && cpu < 2*clockTick {
			err = errors.New("it hasn't used any yet")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if peak, err := p.PeakRSS(); err != nil || peak < 64<<10 || peak > 64<<20 {
		t.Errorf("a shell has %d bytes (%v)", peak, err)
	}
}

func TestNamesOfFlags(t *testing.T) {
	if _, err := newRun(Options{Parts: []string{"ingest", "qurey"}}); err == nil || !strings.Contains(err.Error(), `--parts has "qurey"`) {
		t.Errorf("a part that isn't there: %v", err)
	}
}

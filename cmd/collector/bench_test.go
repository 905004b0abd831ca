package main

import (
	"bytes"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestBenchAlone runs the comparison without peers on its small workload: every part, every encoding, and every
// answer checked. How long anything took decides nothing.
func TestBenchAlone(t *testing.T) {
	out, profiles, temporary := t.TempDir(), t.TempDir(), t.TempDir()
	c := command(t, []string{"TMPDIR=" + temporary}, "bench", "--quick", "--peers=none", "--variants=dec2", "--out="+out, "--profile="+profiles)
	output, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	text, err := os.ReadFile(filepath.Join(out, "RESULTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, figure := range []string{
		"| influx dec2 ", "| prw dec2 ", "| json1 dec2 ", "| hc influx dec2 ", "| samples and their index, dec2 ", "| a: ", "| b4: ", "| d1: ",
		"| CSV ", "| Parquet ", "| Arrow ", "acknowledged samples lost", "plots/throughput.svg", "plots/latency.svg",
	} {
		if !strings.Contains(string(text), figure) {
			t.Errorf("RESULTS.md has no %q", figure)
		}
	}
	if strings.Contains(string(text), "FAILED") {
		t.Errorf("figures failed:\n%s", text)
	}
	for _, name := range []string{"ingest-cpu-influx-dec2", "query-cpu-influx-dec2", "querycached-cpu-influx-dec2", "export-cpu-influx-dec2"} {
		if info, err := os.Stat(filepath.Join(profiles, name+".pprof")); err != nil || info.Size() == 0 {
			t.Errorf("the profile %s: %v", name, err)
		}
	}
	left, err := os.ReadDir(temporary)
	if err != nil || len(left) > 0 {
		t.Errorf("it left %v (%v)", left, err)
	}
}

// TestBenchGivenUp ends a run in its midst: it leaves no process and no data, and shows what it had measured.
func TestBenchGivenUp(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the processes that there are are looked up in Linux' /proc")
	}
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(end.String(), func(t *testing.T) {
			if signal.Ignored(end) {
				t.Skip("it is ignored here, and so by what is started")
			}
			giveUp(t, end)
		})
	}
}

func giveUp(t *testing.T, end syscall.Signal) {
	out, temporary := t.TempDir(), t.TempDir()
	c := command(t, []string{"TMPDIR=" + temporary}, "bench", "--quick", "--peers=none", "--out="+out)
	var output bytes.Buffer
	c.Stdout, c.Stderr = &output, &output
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); len(processesWith(t, "--data-dir="+temporary)) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it started no server:\n%s", &output)
		}
	}
	if err := c.Process.Signal(end); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err == nil || c.ProcessState.ExitCode() != exitFailed {
		t.Errorf("it ended with %v:\n%s", c.ProcessState, &output)
	}
	if left := processesWith(t, "--data-dir="+temporary); len(left) > 0 {
		t.Errorf("it left %q", left)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("it left %v (%v)", left, err)
	}
	text, err := os.ReadFile(filepath.Join(out, "RESULTS.md"))
	if err != nil || !strings.Contains(string(text), "This run ended early") {
		t.Errorf("its results don't say that they are incomplete (%v):\n%s", err, text)
	}
}

// processesWith are the command lines that have a text in them.
func processesWith(t *testing.T, text string) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range paths {
		if line, err := os.ReadFile(path); err == nil && bytes.Contains(line, []byte(text)) { // it may have ended meanwhile
			found = append(found, string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}
	return found
}

func TestBenchNamesWhatIsWrong(t *testing.T) {
	output, err := command(t, nil, "bench", "--encodings=infulx").CombinedOutput()
	if err == nil || !strings.Contains(string(output), `--encodings has "infulx"; valid are influx, prw, json1`) {
		t.Errorf("%v: %s", err, output)
	}
}

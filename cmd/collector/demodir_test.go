package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDemoKeepsToItsDirectory starts demos on data directories that are not a demo's.
func TestDemoKeepsToItsDirectory(t *testing.T) {
	foreign := t.TempDir()
	start(t, foreign).terminate(t)
	before := listing(t, foreign)
	_, stderr, code := runToEnd(t, nil, "demo", "--listen=127.0.0.1:0", "--data-dir="+foreign)
	if code != exitFailed || !strings.Contains(stderr, foreign+" holds something else than the data of a demo") {
		t.Errorf("exit code %d, and it says %q", code, stderr)
	}
	if _, _, code := runToEnd(t, []string{"COLLECTOR_DATA_DIR=" + foreign}, "demo", "--listen=127.0.0.1:0"); code != exitFailed {
		t.Errorf("exit code %d, with the directory from the environment", code)
	}
	if after := listing(t, foreign); after != before {
		t.Errorf("the directory had %s, now it has %s", before, after)
	}

	c := command(t, nil, "demo", "--listen=127.0.0.1:0")
	p := startCommand(t, c)
	if entries := listing(t, c.Dir); entries != demoDataDir {
		t.Errorf("without a data directory, it makes %s", entries)
	}
	p.terminate(t)
	if err := os.MkdirAll(filepath.Join(foreign, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is the demo's own
		startCommand(t, command(t, nil, "demo", "--listen=127.0.0.1:0", "--data-dir="+filepath.Join(foreign, "empty"))).terminate(t)
	}
}

// listing names what a directory holds.
func listing(t *testing.T, directory string) string {
	t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

// TestDemoTellsItsDefaults: those that are not collector serve's.
func TestDemoTellsItsDefaults(t *testing.T) {
	help, _, _ := runToEnd(t, nil, "demo", "--help")
	help = strings.Join(strings.Fields(help), " ")
	for text, want := range map[string]int{"(default ./demo-data)": 1, "polled (default 1s)": 4, "(default 1000000000) ($COLLECTOR_FLOPYNET_LINK": 1, "(default simulation)": 1} {
		if got := strings.Count(help, text); got != want {
			t.Errorf("the help has %q %d times, want %d", text, got, want)
		}
	}
}

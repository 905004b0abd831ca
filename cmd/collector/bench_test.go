package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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

func TestBenchNamesWhatIsWrong(t *testing.T) {
	output, err := command(t, nil, "bench", "--encodings=infulx").CombinedOutput()
	if err == nil || !strings.Contains(string(output), `--encodings has "infulx"; valid are influx, prw, json1`) {
		t.Errorf("%v: %s", err, output)
	}
}

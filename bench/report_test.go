package bench

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is now:\n%s", path, got)
	}
}

// sampleRun has figures that meet a target, miss one, failed, or are not there.
func sampleRun() *Run {
	run := &Run{Report: NewReport(oursName, baselineName)}
	add := func(measure Measure, ours, baseline float64) {
		run.Report.Add(measure, oursName, ours)
		run.Report.Add(measure, baselineName, baseline)
	}
	dec2 := load{cpuShape(false), variantDec2, encodingInflux}
	add(ingestRate(dec2), 3_100_000, 1_200_000)
	add(ingestRate(dec2), 2_900_000, 1_100_000)
	add(ingestRate(dec2), 100, 9_000_000) // the median of three is none of the extremes
	add(ingestCPU(dec2), 0.25, 0.8)
	add(peakMemory(dec2), 300, 250)
	run.Report.Add(ingestRate(dec2), "InfluxDB", 712_345)
	run.Report.Add(diskRaw(dec2), oursName, 1.1943)
	p50, _ := queryMeasures(dec2, queryB, "")
	add(p50, 0.75, 8.25)
	run.Report.Fail(p50, oursName, "wrong: 5 where there should be 6")
	run.Report.Fail(p50, oursName, "a second reason")
	for i, scenario := range scenarios(false) {
		run.Report.Add(crashLost(scenario.name), oursName, float64(i))
	}
	return run
}

func TestTables(t *testing.T) {
	run := sampleRun()
	var text strings.Builder
	for _, section := range run.Report.sections() {
		text.WriteString(run.Report.table(section) + "\n")
	}
	text.WriteString(strings.Join(run.Report.Failures(), "\n") + "\n")
	golden(t, "tables.txt", text.String())
}

func TestTargets(t *testing.T) {
	golden(t, "targets.txt", sampleRun().targetTable())
}

func TestSpell(t *testing.T) {
	for want, value := range map[string]float64{"0": 0, "0.00123": 0.0012345, "1.20": 1.2, "12.3": 12.345, "123": 123.4, "7": 7, "1,234": 1234.4, "-1,234,567": -1234567, "NaN": 0 / zero()} {
		if got := spell(value); got != want {
			t.Errorf("%v is spelt %q, not %q", value, got, want)
		}
	}
}

func TestFileSystemOf(t *testing.T) {
	mounts := filepath.Join(t.TempDir(), "mounts")
	text := "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/fast xfs rw 0 0\n"
	if err := os.WriteFile(mounts, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]string{"/": "ext4", "/tmpfolder": "ext4", "/tmp/bench-1": "tmpfs", "/tmp/fast/bench-1": "xfs"} {
		if got := fileSystemOf(mounts, folder); got != want {
			t.Errorf("%s is on %s, not %s", folder, got, want)
		}
	}
}

func zero() float64 { return 0 }

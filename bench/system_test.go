package bench

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/wcharczuk/go-chart/v2"
)

// TestFailedRestart restarts a system that doesn't come back: what was there before can still be discarded.
func TestFailedRestart(t *testing.T) {
	program, err := exec.LookPath("false")
	if err != nil {
		t.Skip("there is no program false")
	}
	run := &Run{progress: &progress{out: io.Discard}}
	defer run.processes.killAll()
	directory := filepath.Join(t.TempDir(), "data")
	if err := errors.Join(os.Mkdir(directory, 0o755), os.WriteFile(directory+".log", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	s := &server{system: &collector{program: program}, process: startSleep(t), client: newClient("127.0.0.1:1"), directory: directory}
	back, err := run.restart(t.Context(), s, serveMode{})
	if err == nil || back == nil {
		t.Fatalf("%v came back: %v", back, err)
	}
	if err := errors.Join(back.stop(), back.discard()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(directory); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its data is left: %v", err)
	}
}

// TestMissingSamplesFailAllFigures has a server that stored nothing of what it took so fast and keeps so small.
func TestMissingSamplesFailAllFigures(t *testing.T) {
	loser := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		io.WriteString(out, `{"data_points":[]}`) //nolint:errcheck // the client says so
	}))
	defer loser.Close()
	if runtime.GOOS != "linux" {
		t.Skip("CPU time is read from Linux' /proc")
	}
	l := load{testShape, variantDec2, encodingInflux}
	for _, parts := range [][]string{{partIngest, partDisk}, {partDisk}} {
		run := &Run{
			Options: Options{Parts: parts, Encodings: EncodingNames(), Variants: VariantNames()},
			Report:  NewReport(oursName), progress: &progress{out: io.Discard},
		}
		s := &server{system: &collector{}, process: startSleep(t), client: newClient(loser.Listener.Addr().String())}
		defer s.client.close()
		run.reportIngest(s.system, l, ingested{samples: l.shape.Samples(), wall: time.Second, cpu: time.Second, peak: 1})
		if err := run.reportSettled(t.Context(), s, NewWorkload(l.shape, l.variant, testDay), l); err != nil {
			t.Fatal(err)
		}
		run.Report.Add(diskAll(l), oursName, 0.001)
		for _, figure := range []Measure{ingestRate(l), ingestCPU(l), settledCPU(l), peakMemory(l), diskAll(l), diskRaw(l)} {
			if value, shown := run.Report.Value(figure, oursName); shown {
				t.Errorf("parts %v: %s is %v", parts, figure.Section, value)
			}
		}
		if len(run.Report.Failures()) == 0 {
			t.Errorf("parts %v: nothing failed", parts)
		}
	}
}

// TestEachAnswerIsChecked has an engine that answers wrongly in the end.
func TestEachAnswerIsChecked(t *testing.T) {
	asked := 0
	_, err := askOften(t.Context(), func() error { asked++; return nil }, func() error {
		if asked == askedAtLeast {
			return wrong("the last one")
		}
		return nil
	})
	if err == nil || asked != askedAtLeast {
		t.Errorf("after %d answers: %v", asked, err)
	}
}

// TestResultsWithoutPlots has a plot that can't be drawn.
func TestResultsWithoutPlots(t *testing.T) {
	run := sampleRun()
	run.Out, run.Stdout, run.progress = t.TempDir(), io.Discard, &progress{out: io.Discard}
	empty := Plot{File: "empty"}
	if empty.render(chart.SVG, io.Discard) == nil {
		t.Fatal("a plot of nothing can be drawn")
	}
	run.Report.AddPlot(empty)
	if err := run.finish(t.Context(), time.Second); err == nil || !strings.Contains(err.Error(), "drawing empty") {
		t.Errorf("nobody hears of it: %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(run.Out, "RESULTS.md")); err != nil || len(text) == 0 {
		t.Errorf("the results are lost: %v", err)
	}
}

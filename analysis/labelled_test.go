package analysis

import "testing"

// tally counts what a detector reports of labelled series.
type tally struct {
	points, labels, reported, right int // points in all, labelled, reported, and both
	stretches, met                  int // runs of labelled points, and those of which a point was reported
}

func (t *tally) add(s *labelled, result Result) {
	reported := map[int]bool{}
	for _, a := range result.Anomalies {
		reported[a.Index] = true
		if s.labels[a.Index] {
			t.right++
		}
	}
	t.reported += len(reported)
	t.points += len(s.values)
	met := false
	for i, label := range s.labels {
		if !label {
			met = false
			continue
		}
		t.labels++
		if i == 0 || !s.labels[i-1] {
			t.stretches++
		}
		if reported[i] && !met {
			t.met++
			met = true
		}
	}
}

func share(part, whole int) float64 { return float64(part) / float64(max(whole, 1)) }

// TestDetectorsOnPlanted measures precision and recall on the planted series, of which docs/decisions tells. The
// bounds are a little below what was measured.
func TestDetectorsOnPlanted(t *testing.T) {
	for _, c := range []struct {
		algorithm         Algorithm
		precision, recall float64
	}{{IsolationForest, 0.97, 0.35}, {ZScore, 0.97, 0.11}, {MAD, 0.97, 0.11}, {IQR, 0.97, 0.11}, {EWMA, 0.97, 0.16}, {Seasonal, 0.97, 0.34}} {
		var all tally
		for _, s := range planted(t) {
			result, err := Detect(t.Context(), s.times, s.values, Options{Algorithm: c.algorithm, Sensitivity: 0.1})
			if err != nil {
				t.Fatal(err)
			}
			all.add(s, result)
		}
		precision, recall := share(all.right, all.reported), share(all.right, all.labels)
		t.Logf("%-16v precision %.3f, recall %.3f of points, %.3f of %d stretches", c.algorithm, precision, recall, share(all.met, all.stretches), all.stretches)
		if precision < c.precision || recall < c.recall {
			t.Errorf("%v: precision %.3f and recall %.3f, want %v and %v", c.algorithm, precision, recall, c.precision, c.recall)
		}
	}
}

// TestDetectorsOnNAB does the same for series of the Numenta Anomaly Benchmark, whose windows are about a tenth
// of each series: a window is met, or not, and what is reported outside is false.
func TestDetectorsOnNAB(t *testing.T) {
	for _, algorithm := range allAlgorithms {
		var all tally
		for _, s := range readLabelled(t, "testdata/nab.csv.gz") {
			result, err := Detect(t.Context(), s.times, s.values, Options{Algorithm: algorithm, Sensitivity: 0.1})
			if err != nil {
				t.Fatal(err)
			}
			var one tally
			one.add(s, result)
			all.add(s, result)
			if algorithm == IsolationForest {
				t.Logf("%-38s %d of %d windows, %d points inside, %d of %d outside; period %.1f", s.name, one.met, one.stretches, one.right, one.reported-one.right, one.points-one.labels, result.Period)
			}
		}
		t.Logf("%-16v %d of %d windows, precision %.3f, %.2f %% of the points outside", algorithm, all.met, all.stretches,
			share(all.right, all.reported), 100*share(all.reported-all.right, all.points-all.labels))
		if algorithm == IsolationForest && (all.stretches != 24 || all.met < 21 || all.reported-all.right > all.points/50) {
			t.Errorf("%d of %d windows are met, and %d points reported outside; it was 21 of 24 and %d", all.met, all.stretches, all.reported-all.right, 956)
		}
	}
}

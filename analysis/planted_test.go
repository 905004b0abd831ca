package analysis

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// labelled is a series of which it is known what is wrong with it.
type labelled struct {
	name   string
	times  []int64
	values []float64
	labels []bool
}

// planted reads the series that testdata/generate.py made, a minute apart.
func planted(t testing.TB) []*labelled { return readLabelled(t, "testdata/planted.csv.gz") }

// readLabelled reads series from lines of a series' name, a value, a label, and perhaps a time in seconds.
func readLabelled(t testing.TB, path string) []*labelled {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	packed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []*labelled
	lines := bufio.NewScanner(packed)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ",")
		if fields[0] == "series" {
			continue
		}
		if len(all) == 0 || all[len(all)-1].name != fields[0] {
			all = append(all, &labelled{name: fields[0]})
		}
		s := all[len(all)-1]
		value, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		at := int64(len(s.times)) * 60
		if len(fields) > 3 {
			if at, err = strconv.ParseInt(fields[3], 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		s.times = append(s.times, at*int64(time.Second))
		s.values, s.labels = append(s.values, value), append(s.labels, fields[2] == "1")
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func (s *labelled) signals(t testing.TB) *signals {
	t.Helper()
	computed, err := newSignals(t.Context(), s.times, s.values)
	if err != nil {
		t.Fatal(err)
	}
	return computed
}

// TestWriteSignals writes the features of the planted series, with their labels, for testdata/generate.py.
func TestWriteSignals(t *testing.T) {
	path := os.Getenv("COLLECTOR_SIGNALS")
	if path == "" {
		t.Skip("COLLECTOR_SIGNALS names no file to write them to")
	}
	var out strings.Builder
	for _, s := range planted(t) {
		computed := s.signals(t)
		for i, label := range s.labels {
			out.WriteString(s.name)
			for _, column := range computed.columns {
				fmt.Fprintf(&out, ",%g", column[i])
			}
			fmt.Fprintf(&out, ",%d\n", map[bool]int{true: 1}[label])
		}
	}
	if err := os.WriteFile(path, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// rocAUC is the probability that a labelled point scores higher than another one, ties counting half.
func rocAUC(scores []float64, labels []bool) float64 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
	ranks, positives := 0.0, 0.0
	for begin := 0; begin < len(order); {
		end := begin
		for end < len(order) && scores[order[end]] == scores[order[begin]] {
			end++
		}
		for _, i := range order[begin:end] {
			if labels[i] {
				ranks += float64(begin+end+1) / 2
				positives++
			}
		}
		begin = end
	}
	negatives := float64(len(order)) - positives
	return (ranks - positives*(positives+1)/2) / positives / negatives
}

// scikitFigures is what testdata/generate.py says of a series.
type scikitFigures struct {
	AUC     []float64 `json:"auc"` // by seed
	Sums    []float64 `json:"sums"`
	Squares []float64 `json:"squares"` // sums of them
}

// TestForestIsAtLeastScikitLearns compares, on the same features, with ten forests of scikit-learn: over all
// series with the best of them, and series by series with their mean, less two deviations of what seeds make of difference.
func TestForestIsAtLeastScikitLearns(t *testing.T) {
	text, err := os.ReadFile("testdata/scikit.json")
	if err != nil {
		t.Fatal(err)
	}
	var figures map[string]scikitFigures
	if err := json.Unmarshal(text, &figures); err != nil {
		t.Fatal(err)
	}
	all := planted(t)
	if len(all) != 14 || len(figures) != len(all) {
		t.Fatalf("%d series, %d figures", len(all), len(figures))
	}
	ourMean, theirMeans := 0.0, make([]float64, 10)
	for _, s := range all {
		computed := s.signals(t)
		theirs := figures[s.name]
		checkSums(t, s.name, computed, theirs)
		scores, err := byForest(t.Context(), computed, everyPoint(len(s.values)))
		if err != nil {
			t.Fatal(err)
		}
		ours := rocAUC(scores, s.labels)
		ourMean += ours / float64(len(all))
		for seed, auc := range theirs.AUC {
			theirMeans[seed] += auc / float64(len(all))
		}
		mean, deviation := meanAndDeviation(theirs.AUC)
		t.Logf("%-40s ours %.4f, scikit-learn's %.4f +- %.4f, its best %.4f", s.name, ours, mean, deviation, slices.Max(theirs.AUC))
		if ours < mean-2*deviation {
			t.Errorf("%s: the area under the curve is %.6f, scikit-learn's %.6f +- %.6f", s.name, ours, mean, deviation)
		}
	}
	t.Logf("mean: ours %.5f, scikit-learn's by seed %.5f", ourMean, theirMeans)
	if best := slices.Max(theirMeans); ourMean < best {
		t.Errorf("the mean area under the curve is %.6f, that of scikit-learn's best forest %.6f", ourMean, best)
	}
}

func everyPoint(n int) []int32 {
	points := make([]int32, n)
	for i := range points {
		points[i] = int32(i)
	}
	return points
}

func meanAndDeviation(values []float64) (mean, deviation float64) {
	for _, value := range values {
		mean += value / float64(len(values))
	}
	for _, value := range values {
		deviation += (value - mean) * (value - mean) / float64(len(values))
	}
	return mean, math.Sqrt(deviation)
}

// checkSums makes sure that scikit-learn's figures were made from these features.
func checkSums(t *testing.T, name string, computed *signals, theirs scikitFigures) {
	t.Helper()
	for feature, column := range computed.columns {
		sum, squares, scale := 0.0, 0.0, 0.0
		for _, x := range column {
			sum, squares, scale = sum+x, squares+x*x, scale+math.Abs(x)
		}
		if math.Abs(sum-theirs.Sums[feature]) > 1e-9*scale || math.Abs(squares-theirs.Squares[feature]) > 1e-9*squares {
			t.Errorf("%s, feature %d: its sum is %v, and %v of squares; scikit-learn saw %v and %v. Run testdata/generate.py again",
				name, feature, sum, squares, theirs.Sums[feature], theirs.Squares[feature])
		}
	}
}

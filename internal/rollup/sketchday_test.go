package rollup

import (
	"math"
	"slices"
	"testing"

	"github.com/flopynet/collector/internal/doctest"
	"github.com/flopynet/collector/internal/sketch"
	"github.com/flopynet/collector/model"
)

// TestSketchOfADay compares the sketch of each day with that of its hours.
func TestSketchOfADay(t *testing.T) {
	times, values := walk(3, 3)
	for i := range times {
		times[i] += 5 * 3600e9 // the first and the last day are not whole
	}
	var s Sketches
	RollSketches(&s, times, values)
	chunk, err := OpenSketches(testKey, mustEncode(&s))
	if err != nil {
		t.Fatal(err)
	}
	hours := 0
	for _, day := range chunk.Days() {
		var whole, parts sketch.Sketch
		if _, err := whole.MergeBinary(day.Encoded); err != nil {
			t.Fatal(err)
		}
		for start, encoded := range day.Hours {
			if start/sketchDay != day.Starts[0]/sketchDay || start != s.Starts[hours] {
				t.Fatalf("hour %d is %d, of the day that begins with %v", hours, start, day.Starts[0])
			}
			if _, err := parts.MergeBinary(encoded); err != nil {
				t.Fatal(err)
			}
			hours++
		}
		if got, want := whole.AppendBinary(nil), parts.AppendBinary(nil); !slices.Equal(got, want) {
			t.Fatalf("the day of %d is not its hours", day.Starts[0])
		}
	}
	if hours != s.Len() || len(chunk.Days()) < 2 {
		t.Fatalf("%d hours in %d days, want %d", hours, len(chunk.Days()), s.Len())
	}
}

func TestSketchExamples(t *testing.T) {
	key, hour := []byte("key"), int64(3600e9)
	times := []int64{0, 1800e9, 2400e9, hour, hour + 1800e9, hour + 2400e9}
	for i := range times {
		times[i] += 472_224 * hour
	}
	values := []float64{1.5, 2.25, 1, 2, 2.5, 3}
	var s Sketches
	RollSketches(&s, times, values)
	stored, err := EncodeSketches(nil, key, &s)
	if err != nil {
		t.Fatal(err)
	}
	if want := doctest.Example(t, "sketches"); !slices.Equal(stored, want) {
		t.Errorf("sketches are stored as %x, the document says %x", stored, want)
	}
	if want := doctest.Example(t, "sketch"); !slices.Equal(s.At(0), want) {
		t.Errorf("a sketch is %x, the document says %x", s.At(0), want)
	}
	var c Columns
	Roll(&c, 2, times, values)
	if got, want := Encode(nil, key, 2, &c), doctest.Example(t, "points"); !slices.Equal(got, want) {
		t.Errorf("points are stored as %x, the document says %x", got, want)
	}
}

func TestNegativeZeroIsKept(t *testing.T) {
	var c Columns
	Roll(&c, model.Tier5m, []int64{0, 300e9}, []float64{1.5, math.Copysign(0, -1)})
	_, got := decode(t, testKey, Encode(nil, testKey, model.Tier5m, &c), WantAll)
	if last := got.Lasts[1]; !math.Signbit(last) || !math.Signbit(got.Mins[1]) {
		t.Fatalf("-0 came back as %v and %v", last, got.Mins[1])
	}
}

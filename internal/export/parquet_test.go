package export

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/parquet/file"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// TestParquetPages writes files of random rows, times of any kind among them, and has them read by the library.
func TestParquetPages(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range 30 {
		p := &Plan{Request: Request{Format: Parquet}, metric: random.IntN(2) == 0, source: true,
			tags: []column{{"host", "host"}, {"never", "never"}, {"rack", "rack"}}}
		p.small = make([]bool, len(p.texts()))
		var out bytes.Buffer
		e, err := newParquet(p, &out)
		if err != nil {
			t.Fatal(err)
		}
		f := newFlow(t.Context(), p, e, new(Progress))
		var want []row
		perSeries, step := []int{1, 2, 9, 500}[random.IntN(4)], []int64{0, 1, 10e9, math.MaxInt64 / 4}[random.IntN(4)]
		hosts := 1 + random.IntN(300)
		most := 5000
		if round == 0 {
			perSeries, most = 500, pageRows+5000
		}
		for i := range most/perSeries - random.IntN(8) {
			tags := map[string]string{"host": fmt.Sprint("h", random.IntN(hosts))}
			if random.IntN(3) > 0 {
				tags["rack"] = fmt.Sprint(random.IntN(2))
			}
			if random.IntN(2) > 0 {
				tags["source"] = "s"
			}
			s := model.Series{ID: model.SeriesID(i + 1), Name: "cpu_usage"}
			for key, value := range tags {
				s.Tags = append(s.Tags, model.Tag{Key: key, Value: value})
			}
			s.Tags = model.Normalize(s.Tags)
			var times []int64
			var values []float64
			at := random.Int64()
			for range perSeries {
				if at += step; random.IntN(20) == 0 {
					at = int64(random.Uint64())
				}
				v := math.Round(random.NormFloat64()*100) / 100
				if random.IntN(3) == 0 {
					v = math.Float64frombits(random.Uint64())
				}
				times, values = append(times, at), append(values, v)
				want = append(want, row{at, math.Float64bits(v), s.Name, tagsText(tags)})
			}
			if err := f.add(&s, times, values); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.end(nil); err != nil {
			t.Fatal(err)
		}
		if got := readParquet(t, out.Bytes()); !slices.Equal(got, want) {
			for i := range want {
				if i >= len(got) || got[i] != want[i] {
					t.Fatalf("%d rows, want %d; row %d differs: want %+v", len(got), len(want), i, want[i])
				}
			}
		}
	}
}

// TestParquetStatistics reads what a file says of its times and values: NaN is no extreme, and a zero is both.
func TestParquetStatistics(t *testing.T) {
	for _, c := range []struct {
		values    []float64
		low, high float64
		some      bool
	}{
		{[]float64{3, -2, math.NaN(), 7}, -2, 7, true},
		{[]float64{0, 0}, math.Copysign(0, -1), 0, true},
		{[]float64{math.Inf(-1), math.Copysign(0, -1)}, math.Inf(-1), 0, true},
		{[]float64{math.NaN()}, 0, 0, false},
	} {
		db := openStore(t)
		var samples []model.Sample
		for i, v := range c.values {
			samples = append(samples, model.Sample{Time: testStart + int64(i), Value: v})
		}
		put(t, db, "cpu_usage", nil, samples...)
		reader, err := file.NewParquetReader(bytes.NewReader(export(t, db, Request{Selection: selectionOf("cpu_usage"), Format: Parquet})))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range [][2]uint64{
			{uint64(testStart), uint64(testStart + int64(len(c.values)) - 1)},
			{math.Float64bits(c.low), math.Float64bits(c.high)},
		} {
			chunk, err := reader.MetaData().RowGroup(0).ColumnChunk(i)
			if err != nil {
				t.Fatal(err)
			}
			statistics, err := chunk.Statistics()
			if err != nil {
				t.Fatal(err)
			}
			if i == 1 && !c.some {
				if statistics.HasMinMax() {
					t.Errorf("%v have extremes", c.values)
				}
				continue
			}
			if low, high := statistics.EncodeMin(), statistics.EncodeMax(); !bytes.Equal(low, wordBytes(want[0])) || !bytes.Equal(high, wordBytes(want[1])) {
				t.Errorf("column %d of %v: from %x to %x, want %x", i, c.values, low, high, want)
			}
		}
		if err := reader.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSmallNumbers exports columns of few and of many texts as Arrow: those of few have numbers of a byte, and a
// dictionary that would outgrow them, of series that are new since the plan, ends its batch.
func TestSmallNumbers(t *testing.T) {
	db := openStore(t)
	store := func(first, last int) {
		var batch engine.Batch
		for i := first; i < last; i++ {
			id, err := db.Resolve("cpu_usage", model.Normalize(model.Tags{{Key: "few", Value: fmt.Sprint(i)}, {Key: "many", Value: fmt.Sprint(i * 3)}, {Key: "source", Value: "s"}}))
			if err != nil {
				t.Fatal(err)
			}
			batch.Add(id, testStart+int64(i), float64(i))
		}
		if err := db.Write(&batch); err != nil {
			t.Fatal(err)
		}
	}
	store(0, maxFew)
	plan, err := NewPlan(t.Context(), db, Request{Selection: selectionOf("cpu_usage"), Format: Arrow})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(plan.small, []bool{true, true, true}) {
		t.Errorf("small are %v", plan.small)
	}
	store(maxFew, 400)
	var out bytes.Buffer
	if _, err := plan.Write(t.Context(), db, &out, new(Progress)); err != nil {
		t.Fatal(err)
	}
	rows := readArrow(t, out.Bytes())
	if len(rows) != 400 {
		t.Fatalf("%d rows", len(rows))
	}
	for i, r := range rows {
		if want := (row{testStart + int64(i), math.Float64bits(float64(i)), "cpu_usage", fmt.Sprintf(`{"few":"%d","many":"%d","source":"s"}`, i, i*3)}); r != want {
			t.Fatalf("row %d is %+v, want %+v", i, r, want)
		}
	}
	if plan, err = NewPlan(t.Context(), db, Request{Selection: selectionOf("cpu_usage"), Format: Arrow}); err != nil || !slices.Equal(plan.small, []bool{true, false, false}) {
		t.Errorf("small are %v, %v", plan.small, err)
	}
}

func wordBytes(word uint64) []byte {
	var all [8]byte
	for i := range all {
		all[i] = byte(word >> (8 * i))
	}
	return all[:]
}

package httpapi

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

func FuzzAppendJSONString(f *testing.F) {
	for _, seed := range []string{"", "plain", "quote \" backslash \\ slash /", "\x00\x1f\n\r\t\x7f", "größe 漢字 😀", "\xff\xc3", "<&>\u2028"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out := appendJSONString(nil, text)
		var got string
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%q is spelt %s: %v", text, out, err)
		}
		var want strings.Builder
		for _, r := range text { // every byte that is not UTF-8 becomes one U+FFFD
			want.WriteRune(r)
		}
		if got != want.String() {
			t.Fatalf("%q is spelt %s, which reads %q", text, out, got)
		}
	})
}

func TestEpochUnits(t *testing.T) {
	const ns = 1705312800_123456789
	for unit, want := range map[string]string{
		"": `"2024-01-15T10:00:00.123456789Z"`, "s": "1705312800.123456789", "ms": "1705312800123.456789", "us": "1705312800123456.789", "ns": "1705312800123456789",
	} {
		if got := string(epochUnits[unit].appendJSON(nil, ns)); got != want {
			t.Errorf("%q: %s, want %s", unit, got, want)
		}
	}
	for ns, want := range map[int64]string{0: "0", 1: "0.000000001", 1_500_000_000: "1.5", -1_250_000_000: "-1.25", 60_000_000_000: "60"} {
		if got := string(epochUnits["s"].appendJSON(nil, ns)); got != want {
			t.Errorf("%d: %s, want %s", ns, got, want)
		}
	}
}

func TestFillGroup(t *testing.T) {
	missing := engine.Missing()
	// Buckets of 10, 10, 10, 30, 10: 0 20 30 60 70 as ends.
	edges := []int64{0, 10, 20, 30, 60, 70}
	group := engine.Group{Buckets: []int{1, 3}, Values: []float64{5, missing, 9, 7}}
	nan := math.NaN()
	for _, test := range []struct {
		name    string
		fill    fill
		buckets []int
		values  []float64 // NaN stands for missing
	}{
		{"none", fill{}, []int{1, 3}, []float64{5, nan, 9, 7}},
		{"null", fill{kind: fillNull}, []int{0, 1, 2, 3, 4}, []float64{nan, nan, 5, nan, nan, nan, 9, 7, nan, nan}},
		{"previous", fill{kind: fillPrevious}, []int{0, 1, 2, 3, 4}, []float64{nan, nan, 5, nan, 5, nan, 9, 7, 9, 7}},
		{"linear", fill{kind: fillLinear}, []int{0, 1, 2, 3, 4}, []float64{nan, nan, 5, nan, 7, nan, 9, 7, nan, nan}},
		{"number", fill{kind: fillNumber, number: -1}, []int{0, 1, 2, 3, 4}, []float64{-1, -1, 5, -1, -1, -1, 9, 7, -1, -1}},
	} {
		got := fillGroup(group, 5, 2, test.fill, edges)
		for i, value := range got.values {
			if engine.IsMissing(value) {
				got.values[i] = nan
			} else if math.IsNaN(value) {
				t.Errorf("%s: value %d is a NaN of its own", test.name, i)
			}
		}
		if diff := cmp.Diff(series{buckets: test.buckets, values: test.values}, got, cmp.AllowUnexported(series{}), cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	// Unequal buckets: at 30 of 20..60, a quarter of the way.
	uneven := fillGroup(engine.Group{Buckets: []int{0, 2}, Values: []float64{0, 40}}, 3, 1, fill{kind: fillLinear}, []int64{20, 30, 60, 70})
	if uneven.values[1] != 10 {
		t.Errorf("linear between uneven buckets: %v, want 10", uneven.values[1])
	}
	empty := fillGroup(engine.Group{Buckets: []int{0}, Values: []float64{missing}}, 2, 1, fill{}, edges)
	if len(empty.buckets) != 0 {
		t.Errorf("a bucket without a value is not left out: %+v", empty)
	}
}

func TestParseFill(t *testing.T) {
	for text, want := range map[string]fill{
		"": {}, "null": {kind: fillNull}, "previous": {kind: fillPrevious}, "linear": {kind: fillLinear},
		"0": {kind: fillNumber}, "-1.5e3": {kind: fillNumber, number: -1500},
	} {
		if got, err := parseFill(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"NaN", "Inf", "1e999", "zero", "NULL"} {
		if got, err := parseFill(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

func TestAnswerSpellsSpecialValues(t *testing.T) {
	missing := engine.Missing()
	q, err := parseQuery(parseArgs("metric=m&granularity=1m&aggregation=avg,rate&from=0&to=300&group_by=zone"), "", 0, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	a, err := aggregateAnswer(q, &engine.AggregateResult{Exact: true, Groups: []engine.Group{
		{Tags: model.Tags{{Key: "zone", Value: ""}}, Buckets: []int{0, 1, 3}, Values: []float64{math.NaN(), missing, missing, missing, math.Inf(-1), math.Inf(1)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"metric":"m","source":null,"granularity":"1m","aggregation":"avg,rate","unit":null,"series":[{"tags":{"zone":""},"data_points":[` +
		`{"timestamp":"1970-01-01T00:00:00Z","value":"NaN","values":{"avg":"NaN","rate":null}},` +
		`{"timestamp":"1970-01-01T00:03:00Z","value":"-Inf","values":{"avg":"-Inf","rate":"+Inf"}}]}],"total_points":2`
	if diff := cmp.Diff(want, string(a.appendJSON(nil))); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	wantCSV := "timestamp,avg,rate,zone\n1970-01-01T00:00:00Z,NaN,,\n1970-01-01T00:03:00Z,-Inf,+Inf,\n"
	if diff := cmp.Diff(wantCSV, string(a.appendCSV(nil))); diff != "" {
		t.Errorf("CSV (-want +got):\n%s", diff)
	}
	q.fill.kind = fillNull
	q.edges = make([]int64, maxAnswerValues)
	if _, err := aggregateAnswer(q, &engine.AggregateResult{Groups: []engine.Group{{Buckets: []int{0}, Values: []float64{1, 1}}}}); err == nil {
		t.Error("an answer of any size is accepted")
	}
}

func TestHumanTexts(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 45 * time.Second: "45s", 30 * time.Minute: "30m", 12*time.Hour + 30*time.Minute: "12h 30m",
		5*24*time.Hour + 12*time.Hour + 30*time.Minute + time.Second: "5d 12h 30m",
	} {
		if got := formatUptime(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0B", 1023: "1023B", 1024: "1KB", 1536: "1.5KB", 5 << 29: "2.5GB", 128 << 20: "128MB", math.MaxUint64: "16EB"} {
		if got := formatBytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	if got := formatShort(5 * time.Millisecond); got != "5ms" {
		t.Errorf("5 ms: %s", got)
	}
	if got := formatShort(250 * time.Microsecond); got != "0.25ms" {
		t.Errorf("250 us: %s", got)
	}
}

func BenchmarkAppendPoints(b *testing.B) {
	q, err := parseQuery(parseArgs("metric=m&granularity=1s&from=1705312800&to=1705322800"), "", 0, time.Second)
	if err != nil {
		b.Fatal(err)
	}
	group := engine.Group{}
	for i := range len(q.edges) - 1 {
		group.Buckets = append(group.Buckets, i)
		group.Values = append(group.Values, 40+float64(i%1000)/10)
	}
	a, err := aggregateAnswer(q, &engine.AggregateResult{Exact: true, Groups: []engine.Group{group}})
	if err != nil {
		b.Fatal(err)
	}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = a.appendJSON(out[:0])
	}
	b.SetBytes(int64(len(out)))
	b.ReportMetric(float64(b.N)*float64(len(group.Buckets))/b.Elapsed().Seconds(), "points/s")
	var got struct {
		Points []struct{ Value float64 } `json:"data_points"`
	}
	if err := json.Unmarshal(append(out, '}'), &got); err != nil || len(got.Points) != len(group.Buckets) || fmt.Sprint(got.Points[9].Value) != "40.9" {
		b.Fatalf("%d points, %v", len(got.Points), err)
	}
}

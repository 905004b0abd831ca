package remotewrite

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/rawcache"
	"github.com/flopynet/collector/model"
)

func newTestDecoder() *Decoder {
	return NewDecoder(NewCache(rawcache.Options{}), newMemoryResolver())
}

// TestIdentity tells what becomes of labels.
func TestIdentity(t *testing.T) {
	long := strings.Repeat("x", model.MaxTagValueBytes+1)
	many := "__name__=m"
	for i := range model.MaxTags + 1 {
		many += fmt.Sprintf(",k%02d=v", i)
	}
	empty := "__name__=m"
	for i := range maxLabels {
		empty += fmt.Sprintf(",k%03d=", i)
	}
	for labels, want := range map[string]string{
		"__name__=cpu,host=a,job=node":          `"cpu"[{"host" "a"} {"job" "node"} {"source" "node"}]`,
		"__name__=cpu,job=node,source=edge,z=1": `"cpu"[{"job" "node"} {"source" "edge"} {"z" "1"}]`,
		"__name__=cpu,job=node,source=":         `"cpu"[{"job" "node"} {"source" "node"}]`,
		"A=1,__name__=cpu,job=,zone=":           `"cpu"[{"A" "1"} {"source" "default"}]`,
		"__name__=cpu.load é,sp ace=ü":          `"cpu.load é"[{"source" "default"} {"sp ace" "ü"}]`,
		"host=a":                                "the label __name__ is missing",
		"__name__=,host=a":                      "the label __name__ is missing",
		"__name__=cpu,host=a,host=b":            `the label "host" is there twice`,
		"job=b,host=a,__name__=cpu":             `"cpu"[{"host" "a"} {"job" "b"} {"source" "b"}]`,
		"job=b,__name__=cpu,job=":               `the label "job" is there twice`,
		"=x,__name__=cpu":                       "a label has no name",
		"__name__=cpu,host=" + long:             `value of tag "host" has 1025 bytes, at most 1024 are allowed`,
		"__name__=cpu,source=" + long:           `1025 bytes, at most 1024 are allowed`,
		"__name__=" + long[:300]:                `name has 300 bytes, at most 256 are allowed`,
		"__name__=cpu," + long + "=1":           `tag key has 1025 bytes, at most 256 are allowed`,
		"__name__=cpu,host=\xff":                `value of tag "host" is not valid UTF-8`,
		"__name__=cpu,host=a\nb":                `has a control character`,
		many:                                    `series has 65 tags, at most 64 are allowed`,
		empty:                                   `series has 257 labels, at most 256 are allowed`,
	} {
		for _, version := range []Version{V1, V2} {
			body := message(1, seriesV1(labels, 2, point(testMS, 1)))
			if version == V2 {
				body = requestV2("", []string{labels}, 2, point(testMS, 1))
			}
			d := newTestDecoder()
			var batch engine.Batch
			report, err := d.Decode(body, version, &batch)
			if err != nil {
				t.Fatalf("%.80s: %v", labels, err)
			}
			var got string
			if samples, _ := readBatch(&batch, d.resolver.(*memoryResolver).series); len(samples) > 0 {
				got, _, _ = strings.Cut(samples[0], " @")
			} else {
				got = report.Errors[0].Reason
			}
			if got != want && (!strings.Contains(got, want) || strings.HasPrefix(want, `"`)) {
				t.Errorf("version %d, %.80s: %s, want %s", version, labels, got, want)
			}
			if strings.HasPrefix(got, `"`) == (report.Rejected == 1) {
				t.Errorf("version %d, %.80s: %d rejected", version, labels, report.Rejected)
			}
		}
	}
}

// TestValues writes float64s that other ways in refuse.
func TestValues(t *testing.T) {
	values := []uint64{
		0x7ff0000000000002,                                         // stale
		0x7ff8000000000001, 0x7ff0000000000001, 0xfff8000000000123, // NaN
		0x7ff0000000000000, 0xfff0000000000000, 0x8000000000000000, 1,
	}
	for _, version := range []Version{V1, V2} {
		var points []any
		for i, bits := range values {
			points = append(points, 2, point(testMS+int64(i), math.Float64frombits(bits)))
		}
		body := message(1, seriesV1("__name__=m", points...))
		if version == V2 {
			body = requestV2("", []string{"__name__=m"}, points...)
		}
		d := newTestDecoder()
		for range 2 {
			out, err := decodeBody(t, d, body, version)
			if err != nil {
				t.Fatal(err)
			}
			for i, sample := range out.Samples {
				if want := fmt.Sprintf(`"m"[{"source" "default"}] @%d %016x`, (testMS+int64(i))*1e6, values[i]); sample != want {
					t.Errorf("version %d: %s, want %s", version, sample, want)
				}
			}
			if len(out.Samples) != len(values) {
				t.Errorf("version %d: %d samples", version, len(out.Samples))
			}
		}
	}
}

// TestReasons lists why things are refused that are not labels.
func TestReasons(t *testing.T) {
	body := message(
		1, seriesV1("__name__=a", 2, point(1, 1), 2, point(testMS, 1), 2, point(testMS*1_000_000, 1), 2, point(-1, 1)),
		1, seriesV1("__name__=b", 4, "histogram", 4, "histogram", 3, "exemplar"),
		3, message(2, "c", 5, "bad\nunit"))
	d := newTestDecoder()
	var batch engine.Batch
	report, err := d.Decode(body, V1, &batch)
	if err != nil {
		t.Fatal(err)
	}
	want := Report{Samples: 1, Rejected: 3, Histograms: 2, Exemplars: 1, refusals: 5, Errors: []Rejection{
		{0, "a", errTooOld.Error()},
		{0, "a", "timestamp 1705314600000000000, in milliseconds, is not between 1970-01-01 and 2262-04-11"},
		{0, "a", errTooOld.Error()},
		{1, "b", "native histograms are not supported, this series has 2; have it scraped with classic buckets"},
		{0, "c", `in the metadata: unit "bad\nunit" has a control character`},
	}}
	if diff := cmp.Diff(want, *report, cmp.AllowUnexported(Report{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for reason, body := range map[string][]byte{
		"labels_refs refers to symbol 9, there are 1":           message(4, "", 5, message(1, []byte{9, 0}, 2, "")),
		"labels_refs has an odd number of references":           message(4, "", 5, message(1, []byte{0}, 2, "")),
		"unit_ref refers to symbol 7, there are 2":              message(4, "", 4, "__name__", 5, message(1, []byte{1, 1}, 2, point(testMS, 1), 5, []byte{keyVarint4, 7})),
		`in the metadata: unit "a\x00" has a control character`: requestV2("a\x00", []string{"__name__=m"}, 2, point(testMS, 1)),
	} {
		report, err := d.Decode(body, V2, &batch)
		if err != nil || len(report.Errors) != 1 || report.Errors[0].Reason != reason {
			t.Errorf("%v, %+v, want %s", err, report, reason)
		}
	}
	for range maxErrors + 5 {
		body = append(body, message(1, seriesV1("a=b", 2, point(testMS, 1)))...)
	}
	if report, err = d.Decode(body, V1, &batch); err != nil || len(report.Errors) != maxErrors || report.Rejected != 3+maxErrors+5 {
		t.Errorf("many: %v, %d errors, %d rejected", err, len(report.Errors), report.Rejected)
	}
}

// TestLimits meets the limit of the engine for series, and that of samples.
func TestLimits(t *testing.T) {
	d := newTestDecoder()
	resolver := d.resolver.(*memoryResolver)
	resolver.err = &engine.LimitError{Limit: "series", Max: 1, Advice: "wait"}
	var batch engine.Batch
	report, err := d.Decode(message(1, seriesV1("__name__=a", 2, point(testMS, 1))), V1, &batch)
	if err != nil || !report.OnlyLimits() || report.Rejected != 1 {
		t.Errorf("series: %v, %+v", err, report)
	}
	resolver.err = errors.New("broken")
	if _, err := d.Decode(message(1, seriesV1("__name__=a", 2, point(testMS, 1))), V1, &batch); !errors.Is(err, resolver.err) {
		t.Errorf("a broken engine: %v", err)
	}
	resolver.err = nil
	many := make([]byte, 0, 2*maxSamples+2)
	for range maxSamples + 1 {
		many = append(many, keyBytes2, 0)
	}
	_, err = d.Decode(message(1, append(seriesV1("__name__=a"), many...)), V1, &batch)
	if limit, ok := errors.AsType[*engine.LimitError](err); !ok || limit.Max != maxSamples {
		t.Errorf("samples: %v", err)
	}
	_, err = d.Decode(append(requestV2("", []string{"__name__=a"}, 2, point(testMS, 1)), bytes.Repeat([]byte{keyBytes4, 0}, maxSymbols)...), V2, &batch)
	if limit, ok := errors.AsType[*engine.LimitError](err); !ok || limit.Max != maxSymbols {
		t.Errorf("symbols: %v", err)
	}
	labels := bytes.Repeat([]byte{1, 2}, maxLabels) // two bytes of the message stand for a kilobyte
	series := message(5, message(1, labels, 2, point(testMS, 1)))
	body := append(message(4, "", 4, "a", 4, strings.Repeat("v", model.MaxTagValueBytes)), bytes.Repeat(series, maxLabelBytes/len(labels)/model.MaxTagValueBytes*2+1)...)
	_, err = d.Decode(body, V2, &batch)
	if limit, ok := errors.AsType[*engine.LimitError](err); !ok || limit.Max != maxLabelBytes {
		t.Errorf("labels: %v", err)
	}
	if len(resolver.series) != 0 || batch.Len() != 0 {
		t.Errorf("%d series, %d samples", len(resolver.series), batch.Len())
	}
}

// TestRestrict lets a key write as some sources only.
func TestRestrict(t *testing.T) {
	d := newTestDecoder()
	body := message(1, seriesV1("__name__=a,job=x", 2, point(testMS, 1)), 1, seriesV1("__name__=a,job=x,source=y", 2, point(testMS, 2)),
		1, seriesV1("__name__=a", 2, point(testMS, 3)), 1, seriesV1("__name__=b,job=x,source=", 2, point(testMS, 4)))
	var batch engine.Batch
	for pass := range 4 { // cold, then with all of them in the cache
		allowed := []string{"x", "y", "default", ""}[pass]
		if pass == 3 {
			if report, err := d.Decode(body, V1, &batch); err != nil || report.Samples != 4 {
				t.Fatalf("without a restriction: %v, %+v", err, report)
			}
			allowed = "x"
		}
		d.Restrict(func(source string) bool { return source == allowed })
		report, err := d.Decode(body, V1, &batch)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int{"x": 2, "y": 1, "default": 1}[allowed]
		if report.Samples != want || report.Rejected != 4-want || batch.Len() != want {
			t.Errorf("as %s: %+v", allowed, report)
		}
		if !strings.Contains(report.Errors[0].Reason, "which the key may not write as") {
			t.Errorf("as %s: %+v", allowed, report.Errors)
		}
	}
}

// body5000 is a request of so many series of version 1 or 2, as the benchmarks' workload has them.
func body5000(version Version, count int, ms int64) []byte {
	var labels []string
	var out []byte
	for i := range count {
		list := fmt.Sprintf("__name__=cpu_usage_%d,arch=x64,datacenter=eu-west-1b,host=host_%d,os=Ubuntu16.04LTS,rack=%d,region=eu-west-1,service=%d,"+
			"service_environment=production,service_version=1,team=NYC", i%10, i/10, i/10%97, i%17)
		labels = append(labels, list)
		out = append(out, message(1, seriesV1(list, 2, point(ms, float64(i)/100)))...)
	}
	if version == V2 {
		return requestV2("percent", labels, 2, point(ms, 1))
	}
	return out
}

// TestNoAllocations decodes what is known without allocating.
func TestNoAllocations(t *testing.T) {
	for _, version := range []Version{V1, V2} {
		d := newTestDecoder()
		body := body5000(version, 1000, testMS)
		var batch engine.Batch
		decode := func() {
			if report, err := d.Decode(body, version, &batch); err != nil || report.Samples != 1000 {
				t.Fatalf("%v, %+v", err, report)
			}
			d.Commit()
		}
		for range 3 {
			decode()
		}
		if n := testing.AllocsPerRun(10, decode); n > 0 {
			t.Errorf("version %d: %v allocations", version, n)
		}
	}
}

// TestVersionsShareTheCache writes the same series in both versions.
func TestVersionsShareTheCache(t *testing.T) {
	d := newTestDecoder()
	if _, err := decodeBody(t, d, body5000(V1, 100, testMS), V1); err != nil {
		t.Fatal(err)
	}
	d.resolver.(*memoryResolver).err = errors.New("a series is not in the cache")
	if out, err := decodeBody(t, d, body5000(V2, 100, testMS), V2); err != nil || len(out.Samples) != 100 {
		t.Error(err)
	}
}

// TestAnEpochDropsTheCache has all series dropped.
func TestAnEpochDropsTheCache(t *testing.T) {
	d := newTestDecoder()
	resolver := d.resolver.(*memoryResolver)
	body := body5000(V1, 10, testMS)
	for step := range 2 {
		if _, err := decodeBody(t, d, body, V1); err != nil {
			t.Fatal(err)
		}
		if want := 10 * (step + 1); len(resolver.series) != want {
			t.Errorf("step %d: %d series, want %d", step, len(resolver.series), want)
		}
		clear(resolver.ids)
		resolver.epoch++
	}
}

// TestCacheStaysBounded writes more series than fit.
func TestCacheStaysBounded(t *testing.T) {
	d := NewDecoder(NewCache(rawcache.Options{MaxEntries: 64, MaxBytes: 16 << 10}), newMemoryResolver())
	for range 3 {
		if out, err := decodeBody(t, d, body5000(V1, 1000, testMS), V1); err != nil || len(out.Samples) != 1000 {
			t.Fatal(err)
		}
	}
	long := message(1, seriesV1("__name__=m,a="+strings.Repeat("x", 1000)+",b="+strings.Repeat("x", 1000)+",c="+strings.Repeat("x", 1000)+
		",d="+strings.Repeat("x", 1000)+",e="+strings.Repeat("x", 1000), 2, point(testMS, 1)))
	for range 2 {
		if out, err := decodeBody(t, d, long, V1); err != nil || len(out.Samples) != 1 {
			t.Fatal(err)
		}
	}
}

// TestConcurrentDecoders shares a cache between decoders that write the same series and different units.
func TestConcurrentDecoders(t *testing.T) {
	cache, resolver := NewCache(rawcache.Options{MaxEntries: 64, MaxBytes: 16 << 10}), &lockedResolver{memoryResolver: newMemoryResolver()}
	var running sync.WaitGroup
	for worker := range 4 {
		running.Go(func() {
			d := NewDecoder(cache, resolver)
			var batch engine.Batch
			for step := range 50 {
				labels := []string{"__name__=a", fmt.Sprintf("__name__=b,w=%d", worker), fmt.Sprintf("__name__=c,s=%d", step)}
				body := requestV2([]string{"s", "ms"}[(worker+step)%2], labels, 2, point(testMS, 1))
				if report, err := d.Decode(body, V2, &batch); err != nil || report.Samples != 3 {
					t.Errorf("%v, %+v", err, report)
					return
				}
				d.Commit()
			}
		})
	}
	running.Wait()
}

// lockedResolver is a memoryResolver for several.
type lockedResolver struct {
	mu sync.Mutex
	*memoryResolver
}

func (r *lockedResolver) Resolve(name string, tags model.Tags) (model.SeriesID, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.memoryResolver.Resolve(name, tags)
}

func BenchmarkDecode(b *testing.B) {
	for _, version := range []Version{V1, V2} {
		b.Run(fmt.Sprintf("v%d", version+1), func(b *testing.B) {
			d := newTestDecoder()
			body := body5000(version, 1000, testMS)
			var batch engine.Batch
			for b.Loop() {
				if report, err := d.Decode(body, version, &batch); err != nil || report.Samples != 1000 {
					b.Fatal(err)
				}
				d.Commit()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/sample")
		})
	}
}

package lineproto

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/rawcache"
)

// workload has 5,000 samples of ten tags each: lines of 50 hosts, ten steps, ten fields. format writes a value.
func workload(first int, format func(float64) string) string {
	names := []string{"usage_user", "usage_system", "usage_idle", "usage_nice", "usage_iowait", "usage_irq", "usage_softirq", "usage_steal", "usage_guest", "usage_guest_nice"}
	var out strings.Builder
	random := rand.New(rand.NewPCG(1, 1))
	for i := range 500 {
		host := first + i%50
		fmt.Fprintf(&out, "cpu,arch=x64,datacenter=eu-central-1a,host=host_%d,os=Ubuntu16.04LTS,rack=%d,region=eu-central-1,service=%d,"+
			"service_environment=production,service_version=1,team=SF ", host, host%97, host%19)
		for n, name := range names {
			if n > 0 {
				out.WriteByte(',')
			}
			out.WriteString(name + "=" + format(random.Float64()*100))
		}
		fmt.Fprintf(&out, " %d\n", 1_705_314_600_000_000_000+int64(i/50)*10_000_000_000)
	}
	return out.String()
}

func twoDecimals(v float64) string { return fmt.Sprintf("%.2f", v) }
func allDigits(v float64) string   { return fmt.Sprint(v) }

func TestNoAllocations(t *testing.T) {
	for name, body := range map[string]string{
		"row": workload(0, twoDecimals), "all digits": workload(0, allDigits),
		"integers":                workload(0, func(v float64) string { return fmt.Sprintf("%di", int(v)) }),
		"general":                 strings.ReplaceAll(workload(0, twoDecimals), "cpu,", " cpu,"),
		"fields that come and go": strings.Repeat("m,a=b x=1,y=2,z=3 1\nm,a=b y=2,z=3 1\nm,a=b z=3,x=1u 1\nm,a=b y=t\n", 500),
	} {
		d := newTestDecoder()
		var batch engine.Batch
		text := []byte(body)
		decode := func() {
			if _, err := d.Decode(text, 1, testNow, &batch); err != nil {
				t.Fatal(err)
			}
		}
		decode()
		decode()
		if allocations := testing.AllocsPerRun(20, decode); allocations > 0 {
			t.Errorf("%s: %v allocations a body", name, allocations)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, test := range []struct {
		name string
		body string
		cold bool
	}{
		{"dec2", workload(0, twoDecimals), false},
		{"full", workload(0, allDigits), false},
		{"int", workload(0, func(v float64) string { return fmt.Sprint(int(v)) }), false},
		{"general", strings.ReplaceAll(workload(0, twoDecimals), "cpu,", " cpu,"), false},
		{"cold", workload(0, twoDecimals), true},
	} {
		b.Run(test.name, func(b *testing.B) {
			d := newTestDecoder()
			var batch engine.Batch
			text := []byte(test.body)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if test.cold {
					b.StopTimer()
					d.cache = NewCache(rawcache.Options{MaxEntries: 1000})
					b.StartTimer()
				}
				if _, err := d.Decode(text, 1, testNow, &batch); err != nil || batch.Len() != 5_000 {
					b.Fatal(err, batch.Len())
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*5_000), "ns/sample")
		})
	}
}

// TestAnEpochDropsTheCache: ids of an earlier epoch are not used, though the bytes are the same.
func TestAnEpochDropsTheCache(t *testing.T) {
	d := newTestDecoder()
	resolver := d.resolver.(*memoryResolver)
	for epoch := range 3 {
		for range 3 {
			decodeText(t, d, "m,a=b f=1,g=2 1\n", time.Nanosecond)
			if want := 2 * (epoch + 1); len(resolver.series) != want {
				t.Fatalf("epoch %d: %d series were made, want %d", epoch, len(resolver.series), want)
			}
		}
		clear(resolver.ids)
		resolver.epoch++
	}
}

// TestRetentionClasses gives one time to fields that are kept for different times.
func TestRetentionClasses(t *testing.T) {
	day := 24 * time.Hour
	db, err := engine.Open("data", engine.Options{
		FS: vfs.NewMem(), Now: func() time.Time { return time.Unix(0, testNow) }, MaintainInterval: -1,
		Retention: engine.RetentionPolicy{
			Default: engine.Retention{Raw: 10 * day},
			Rules:   []engine.RetentionRule{{Match: "m_short", Retention: engine.Retention{Raw: day}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	d := NewDecoder(NewCache(rawcache.Options{}), db)
	decode := func(age time.Duration, fields string) (refused []string) {
		var batch engine.Batch
		report, err := d.Decode([]byte(fmt.Sprintf("m %s %d", fields, testNow-int64(age))), 1, testNow, &batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range report.Errors {
			_, reason, _ := strings.Cut(r.Reason, "is ")
			refused = append(refused, r.Field+": "+reason)
		}
		return refused
	}
	short, all := []string{"short: older than the retention of 24h0m0s"}, []string{": older than the retention of 10 days"}
	for pass := range 3 {
		for _, test := range []struct {
			age    time.Duration
			fields string
			want   []string
			series int // made by the first pass up to here
		}{
			{20 * day, "short=1,long=1", append([]string{short[0]}, "long: older than the retention of 10 days"), 0},
			{20 * day, "long=1", all, 0},
			{2 * day, "short=1,long=1", short, 1},
			{2 * day, "long=1,longer=1", nil, 2},
			{0, "short=1,long=1,longer=1", nil, 3},
			{20 * day, "long=1,longer=1", all, 3},
		} {
			if diff := cmp.Diff(test.want, decode(test.age, test.fields)); diff != "" {
				t.Errorf("pass %d, %s, %v old (-want +got):\n%s", pass, test.fields, test.age, diff)
			}
			if made := db.Stats().Series; pass == 0 && made != test.series {
				t.Errorf("%s, %v old: there are %d series, want %d", test.fields, test.age, made, test.series)
			}
		}
	}
	if err := db.SetRetention(engine.RetentionPolicy{Default: engine.Retention{Raw: 5 * day}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{": older than the retention of 5 days"}, decode(6*day, "short=1,long=1")); diff != "" {
		t.Errorf("after SetRetention (-want +got):\n%s", diff)
	}
}

// lockedResolver is a memoryResolver for several goroutines.
type lockedResolver struct {
	mu sync.Mutex
	*memoryResolver
}

func (r *lockedResolver) ResolveAll(list []engine.Resolution) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.memoryResolver.ResolveAll(list)
}

// TestDecodersAtTheSameTime share a small cache and write lines with the same keys and other fields.
func TestDecodersAtTheSameTime(t *testing.T) {
	resolver := &lockedResolver{memoryResolver: newMemoryResolver()}
	cache := NewCache(rawcache.Options{MaxEntries: 64, MaxBytes: 20_000})
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			d := NewDecoder(cache, resolver)
			var batch engine.Batch
			for range 200 {
				var body strings.Builder
				var want []string
				for range 50 {
					host := random.IntN(100)
					fmt.Fprintf(&body, "m,host=h%d ", host)
					for i, field := range random.Perm(6)[:1+random.IntN(4)] {
						if i > 0 {
							body.WriteByte(',')
						}
						fmt.Fprintf(&body, "f%d=%d", field, i)
						want = append(want, fmt.Sprintf("m_f%d h%d", field, host))
					}
					body.WriteString(" 1\n")
				}
				if _, err := d.Decode([]byte(body.String()), 1, testNow, &batch); err != nil {
					t.Error(err)
					return
				}
				if got := resolver.names(&batch); !cmp.Equal(want, got) {
					t.Error(cmp.Diff(want, got))
					return
				}
			}
		})
	}
	group.Wait()
}

// names lists the series of a batch.
func (r *lockedResolver) names(batch *engine.Batch) (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range idsOf(batch) {
		s := r.series[id-1]
		names = append(names, s.Name+" "+s.Tags.Get("host"))
	}
	return names
}

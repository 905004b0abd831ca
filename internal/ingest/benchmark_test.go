package ingest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/flopynet/collector/engine"
)

// seedLikeBody has 1,000 metrics of the seed's shape, spaced as Python writes JSON.
func seedLikeBody() []byte {
	var out strings.Builder
	random := rand.New(rand.NewPCG(1, 1))
	out.WriteString(`{"source": "fl_server", "timestamp": "2024-01-15T10:30:00Z", "metrics": [`)
	for i := range 1_000 {
		if i > 0 {
			out.WriteString(", ")
		}
		fmt.Fprintf(&out, `{"name": "cpu_usage_%d", "value": %.1f, "unit": "percent", "tags": {"host": "fl-server-%02d", "experiment_id": "exp_001"}}`,
			i%10, random.Float64()*100, i/10)
	}
	out.WriteString("]}")
	return []byte(out.String())
}

// json1Body has 5,000 samples with ten tags each: 10 steps of 50 hosts with 10 metrics. hosts offsets the host
// names; format writes the value.
func json1Body(hosts int, value func(float64) string) []byte {
	names := []string{"usage_user", "usage_system", "usage_idle", "usage_nice", "usage_iowait", "usage_irq", "usage_softirq", "usage_steal", "usage_guest", "usage_guest_nice"}
	var out strings.Builder
	random := rand.New(rand.NewPCG(1, 1))
	out.WriteString(`{"source":"bench","metrics":[`)
	for i := range 5_000 {
		if i > 0 {
			out.WriteByte(',')
		}
		host := i/10%50 + hosts
		fmt.Fprintf(&out, `{"name":"%s","timestamp":%d,"value":%s,"tags":{"arch":"x64","datacenter":"eu-central-1a","host":"host_%d","os":"Ubuntu16.04LTS","rack":"%d",`+
			`"region":"eu-central-1","service":"%d","service_environment":"production","service_version":"1","team":"SF"}}`,
			names[i%10], 1_705_314_600_000+int64(i/500)*10_000, value(random.Float64()*100), host, host%97, host%19)
	}
	out.WriteString("]}")
	return []byte(out.String())
}

func twoDecimals(v float64) string { return fmt.Sprintf("%.2f", v) }
func allDigits(v float64) string   { return fmt.Sprint(v) }

func BenchmarkDecode(b *testing.B) {
	for _, test := range []struct {
		name    string
		body    []byte
		samples int
		cold    bool
	}{
		{"seed", seedLikeBody(), 1_000, false},
		{"seed-uncached", seedLikeBody(), 1_000, true},
		{"json1-dec2", json1Body(0, twoDecimals), 5_000, false},
		{"json1-full", json1Body(0, allDigits), 5_000, false},
		{"json1-uncached", json1Body(0, twoDecimals), 5_000, true},
	} {
		b.Run(test.name, func(b *testing.B) {
			d := newTestDecoder()
			var batch engine.Batch
			b.SetBytes(int64(len(test.body)))
			b.ReportAllocs()
			for b.Loop() {
				if test.cold {
					b.StopTimer()
					d.cache = NewCache(CacheOptions{})
					b.StartTimer()
				}
				if _, err := d.Decode(test.body, Metrics, testNow, &batch); err != nil {
					b.Fatal(err)
				}
				d.Commit()
				if batch.Len() != test.samples {
					b.Fatalf("%d samples, want %d", batch.Len(), test.samples)
				}
			}
			perSample := float64(b.Elapsed().Nanoseconds()) / float64(b.N*test.samples)
			b.ReportMetric(perSample, "ns/sample")
			b.ReportMetric(1e9/perSample, "samples/s")
		})
	}
}

func BenchmarkNumber(b *testing.B) {
	for _, text := range []string{"5", "45.21", "45.21338423847281"} {
		b.Run(text, func(b *testing.B) {
			s := scanner{text: []byte(text)}
			for b.Loop() {
				if value, next := s.number(0); next != len(text) || math.IsNaN(value) {
					b.Fatal(value, next)
				}
			}
		})
	}
}

func TestNoAllocationsPerMetric(t *testing.T) {
	for name, body := range map[string][]byte{"seed": seedLikeBody(), "json1": json1Body(0, twoDecimals)} {
		d := newTestDecoder()
		var batch engine.Batch
		decode := func() {
			if _, err := d.Decode(body, Metrics, testNow, &batch); err != nil {
				t.Fatal(err)
			}
			d.Commit()
		}
		decode()
		decode()
		if allocations := testing.AllocsPerRun(20, decode); allocations > 2 {
			t.Errorf("%s: %v allocations a body, want at most that of its source's name", name, allocations)
		}
	}
}

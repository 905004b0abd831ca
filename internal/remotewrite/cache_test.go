package remotewrite

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/rawcache"
	"github.com/flopynet/collector/model"
)

// countingResolver counts how often it is asked.
type countingResolver struct {
	*memoryResolver
	asked int
}

func (r *countingResolver) Resolve(name string, tags model.Tags) (model.SeriesID, error) {
	r.asked++
	return r.memoryResolver.Resolve(name, tags)
}

// TestHostsFit writes a sixteenth of the series that the whole cache has room for, of hosts with ten metrics and 200
// bytes of labels, to one with a sixteenth of its bounds: they must be found again.
func TestHostsFit(t *testing.T) {
	const series = 250_000 / 16
	resolver := &countingResolver{memoryResolver: newMemoryResolver()}
	d := NewDecoder(NewCache(rawcache.Options{MaxEntries: 512 << 10 / 16, MaxBytes: 32 << 20 / 16}), resolver)
	var bodies [][]byte
	for host := range series / 10 {
		var body []byte
		for metric := range 10 {
			labels := fmt.Sprintf("__name__=cpu_usage_metric_%d,datacenter=eu-west-1a,host=host_%05d,os=Ubuntu16.04LTS,rack=%d,"+
				"region=eu-west-1,service=%d,service_environment=production,service_version=1,team=SF", metric, host, host%100, host%20)
			body = append(body, message(1, seriesV1(labels, 2, point(testMS, 1)))...)
		}
		bodies = append(bodies, body)
	}
	var batch engine.Batch
	for round := range 3 {
		resolver.asked = 0
		for _, body := range bodies {
			if _, err := d.Decode(body, V1, &batch); err != nil {
				t.Fatal(err)
			}
		}
		if round > 0 && resolver.asked > series/1000 {
			t.Errorf("round %d: %d of %d series were not found", round, resolver.asked, series)
		}
	}
}

// TestNodeSize: what a node takes is counted, and is one line of a processor's cache.
func TestNodeSize(t *testing.T) {
	if size := unsafe.Sizeof(node{}); size > 64 {
		t.Errorf("a node has %d bytes", size)
	}
}

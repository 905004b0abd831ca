package bench

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"testing"
	"time"
)

var testDay = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// testShape is small: 40 series of 30 samples, in several requests.
var testShape = Shape{Name: "cpu", Hosts: 4, Steps: 30, HostsPerRequest: 2, StepsPerRequest: 10}

// TestWorkloadIsTheSameEverywhere fixes the values: figures of two runs are of the same data.
func TestWorkloadIsTheSameEverywhere(t *testing.T) {
	for variant, want := range map[string]uint64{variantFull: 0xcd6d79b31875fcd9, variantDec2: 0x5bfccb736129ec6, variantInt: 0xd0b1edba9ce6a642} {
		hash := fnv.New64a()
		for _, value := range NewWorkload(testShape, variant, testDay).values {
			_ = binary.Write(hash, binary.LittleEndian, math.Float64bits(value)) // a hash takes all
		}
		if got := hash.Sum64(); got != want {
			t.Errorf("%s: the values' hash is %#x, not %#x", variant, got, want)
		}
	}
}

func TestVariants(t *testing.T) {
	full := NewWorkload(testShape, variantFull, testDay)
	dec2, whole := NewWorkload(testShape, variantDec2, testDay), NewWorkload(testShape, variantInt, testDay)
	for i, value := range full.values {
		if value < 0 || value > 100 {
			t.Fatalf("value %d is %v, outside of 0 to 100", i, value)
		}
		if math.Abs(dec2.values[i]-value) > 0.005001 || math.Abs(dec2.values[i]*100-math.Round(dec2.values[i]*100)) > 1e-9 {
			t.Errorf("%v with two decimals is %v", value, dec2.values[i])
		}
		if whole.values[i] != math.Floor(value) {
			t.Errorf("%v floored is %v", value, whole.values[i])
		}
	}
}

// TestBlocksHoldEachSampleOnce looks at all shapes: each sample is in one request, and no connection goes back in time.
func TestBlocksHoldEachSampleOnce(t *testing.T) {
	for _, shape := range []Shape{testShape, cpuShape(true), cpuShape(false), highShape(true), {Name: "odd", Hosts: 7, Steps: 23, HostsPerRequest: 3, StepsPerRequest: 5}} {
		seen := make([]int, shape.Hosts*shape.Steps)
		samples := 0
		for _, blocks := range shape.blocks(connections) {
			newest := 0
			for _, b := range blocks {
				if b.firstStep < newest {
					t.Errorf("%s: a request begins at step %d after one at %d", shape.Name, b.firstStep, newest)
				}
				newest = b.firstStep
				samples += b.samples()
				for host := b.firstHost; host < b.firstHost+b.hosts; host++ {
					for step := b.firstStep; step < b.firstStep+b.steps; step++ {
						seen[host*shape.Steps+step]++
					}
				}
			}
		}
		for place, times := range seen {
			if times != 1 {
				t.Fatalf("%s: host %d, step %d is in %d requests", shape.Name, place/shape.Steps, place%shape.Steps, times)
			}
		}
		if samples != shape.Samples() {
			t.Errorf("%s: %d samples in requests, %d in all", shape.Name, samples, shape.Samples())
		}
	}
}

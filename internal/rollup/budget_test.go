package rollup

import (
	"testing"

	"github.com/flopynet/collector/model"
)

const keyBytes = 47 // of a chunk's key

// TestBudget holds a day of the benchmarks' workload, two decimals, to what tiers and sketches may take on disk.
func TestBudget(t *testing.T) {
	const series = 50
	points, sketches := 0, 0
	sizes := map[model.Tier]int{}
	var parts [3][kinds]int
	for seed := range uint64(series) {
		times, values := walk(seed, 1)
		for _, tier := range tiers {
			var c Columns
			Roll(&c, tier, times, values)
			stored := Encode(nil, testKey, tier, &c)
			sizes[tier] += len(stored)
			points += keyBytes + len(stored)
			chunk, err := Open(testKey, stored)
			if err != nil {
				t.Fatal(err)
			}
			for i := range kind(kinds) {
				src, _ := chunk.column(i)
				parts[tier][i] += len(src)
			}
		}
		var s Sketches
		RollSketches(&s, times, values)
		sketches += keyBytes + len(mustEncode(&s))
	}
	t.Logf("points %d bytes (5m %d, 1h %d), sketches %d a series and day", points/series, sizes[model.Tier5m]/series, sizes[model.Tier1h]/series, sketches/series)
	for _, tier := range tiers {
		for i, n := range parts[tier] {
			t.Logf("%v column %d: %.1f bytes", tier, i, float64(n)/series)
		}
	}
	if most := 2420; points/series > most {
		t.Errorf("points take %d bytes, at most %d are allowed", points/series, most)
	}
	if most := 1300; sketches/series > most {
		t.Errorf("sketches take %d bytes, at most %d are allowed", sketches/series, most)
	}
}

package compaction

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// newRandom returns a source of random cases whose seed stands in the test's log. COLLECTOR_SEED=n runs the
// cases of that seed again.
func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("COLLECTOR_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("COLLECTOR_SEED: %v", err)
		}
	}
	t.Logf("COLLECTOR_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestForestScore checks the ends of the scale, and c(n) against its definition: the mean depth of a random binary
// search tree's failed searches, 2(H(n)-1) with H the harmonic number, but for the logarithm in H's place.
func TestForestScore(t *testing.T) {
	for _, n := range []int{2, 3, 10, 256} {
		f := &forest{usual: usualCuts(n)}
		harmonic := 0.0
		for i := 1; i < n; i++ {
			harmonic += 1 / float64(i)
		}
		if want := 2*harmonic - 2*float64(n-1)/float64(n); math.Abs(f.usual-want) > 2/float64(n) {
			t.Errorf("usualCuts(%d) is %v, about %v is right", n, f.usual, want)
		}
		if n > 2 && (f.score(1) != 1 || math.Abs(f.score(f.usual)-0.5) > 1e-12 || f.score(f.usual+1) >= 0.5) {
			t.Errorf("%d points: one cut scores %v, the usual number %v", n, f.score(1), f.score(f.usual))
		}
	}
}

// TestSample checks that each point is drawn as often as any other, and once at most for a tree.
func TestSample(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 12))
	drawn := make([]int, 50)
	for range 10_000 {
		chosen := sample(random, len(drawn), 20)
		for _, i := range chosen {
			drawn[i]++
		}
		slices.Sort(chosen)
		if len(chosen) != 20 || len(slices.Compact(chosen)) != 20 {
			t.Fatalf("drew %v", chosen)
		}
	}
	for i, count := range drawn {
		if count < 3700 || count > 4300 { // 4,000 +- 6 deviations
			t.Errorf("point %d was drawn %d times", i, count)
		}
	}
	if all := sample(random, 5, 5); len(all) != 5 {
		t.Errorf("all of five are %v", all)
	}
}

package analysis

import (
	"context"
	"math"
	"math/rand/v2"
)

// The isolation forest of Liu, Ting and Zhou, "Isolation Forest" (ICDM 2008): trees that cut the points at
// random until each is alone; what is alone after few cuts is unlike the others. These numbers are theirs.
//
// It differs from the paper's in three ways, for which docs/decisions has the figures:
//
//   - The feature to cut is drawn in proportion to how far the points extend in it, in robust scales, and
//     not evenly: an axis on which something stands out is cut earlier. This is the robust random cut forest
//     of Guha, Mishra, Roy and Schrijvers (ICML 2016).
//   - A point that was not among those of which a tree was made counts as if it had been (scored).
//   - The score reaches 1 (forest.score).
const (
	forestTrees   = 100
	forestSamples = 256 // points that a tree is made of
)

// forestSeed makes every analysis of the same points the same.
const forestSeed = 2008

// stepWeight is what the step counts for beside the other features: it is as large where a spike ends as where
// it begins.
const stepWeight = 0.25

// scoreBlock is how many points a goroutine scores at a time.
const scoreBlock = 8192

// row is a point: its features in robust scales.
type row [signalCount]float64

// forest is an isolation forest.
type forest struct {
	signals *signals
	weights row
	size    int     // points that a tree is made of
	usual   float64 // mean number of cuts for one of these
}

func byForest(ctx context.Context, s *signals, points []int32) ([]float64, error) {
	return newForest(s).scores(ctx, points)
}

// newForest returns the forest for the points of a series, at least two.
func newForest(s *signals) *forest {
	size := min(forestSamples, len(s.columns[0]))
	f := &forest{signals: s, size: size, usual: usualCuts(size)}
	for feature := range f.weights {
		f.weights[feature] = 1 / s.unit(feature)
	}
	f.weights[signalStep] *= stepWeight
	return f
}

func (f *forest) row(point int32) row {
	var out row
	for feature, column := range f.signals.columns {
		out[feature] = column[point] * f.weights[feature]
	}
	return out
}

// usualCuts is c(n) of the paper: the mean number of cuts after which one of n points is alone.
func usualCuts(n int) float64 {
	switch {
	case n <= 1:
		return 0
	case n == 2:
		return 1
	}
	const eulerGamma = 0.57721566490153286
	return 2*(math.Log(float64(n-1))+eulerGamma) - 2*float64(n-1)/float64(n)
}

// sample draws size of the numbers below n, by Floyd's algorithm.
func sample(random *rand.Rand, n, size int) []int32 {
	chosen := make([]int32, 0, size)
	if size == n {
		for i := range n {
			chosen = append(chosen, int32(i))
		}
		return chosen
	}
	drawn := make(map[int32]bool, size)
	for top := n - size; top < n; top++ {
		pick := int32(random.IntN(top + 1))
		if drawn[pick] {
			pick = int32(top)
		}
		drawn[pick] = true
		chosen = append(chosen, pick)
	}
	return chosen
}

// scores returns the scores of the points with the given numbers.
func (f *forest) scores(ctx context.Context, points []int32) ([]float64, error) {
	out := make([]float64, len(points))
	blocks := (len(points) + scoreBlock - 1) / scoreBlock
	err := inParallel(ctx, blocks, func(block int) {
		begin := block * scoreBlock
		end := min(begin+scoreBlock, len(points))
		f.block(ctx, points[begin:end], out[begin:end])
	})
	return out, err
}

// block scores some points, tree by tree, until the context ends.
func (f *forest) block(ctx context.Context, points []int32, out []float64) {
	asked := make([]scored, len(points))
	for i, point := range points {
		asked[i] = scored{row: f.row(point), at: int32(i)}
	}
	n := len(f.signals.columns[0])
	rows := make([]row, f.size)
	random := rand.NewPCG(0, 0)
	maxDepth := math.Ceil(math.Log2(float64(f.size)))
	for number := uint64(0); number < forestTrees && ctx.Err() == nil; number++ {
		random.Seed(forestSeed, number)
		for i, point := range sample(rand.New(random), n, f.size) {
			rows[i] = f.row(point)
		}
		for i := range asked {
			asked[i].reached = 1
		}
		t := tree{number: number, random: random, maxDepth: maxDepth}
		t.grow(rows, asked, 0, 1)
	}
	for _, point := range asked {
		out[point.at] = f.score(point.cuts / forestTrees)
	}
}

// score maps a mean number of cuts to 0..1: 0.5 for the usual number, 1 for a single cut. The paper's score,
// 2^(-cuts/usual), orders points in the same way, but no point comes near its 1, since a cut is always needed.
func (f *forest) score(cuts float64) float64 {
	return min(math.Exp2(-(cuts-1)/(f.usual-1)), 1)
}

// scored is a point whose cuts are counted.
//
// Most points are not in a tree's sample. The paper lets these fall into a leaf, so that a point far outside
// the sample counts like the outermost of the sample. Here it counts as if it had been there: it would have
// extended a node's box, and a cut that falls into the gap leaves the point alone. This is how a Mondrian tree
// takes in a point (Lakshminarayanan, Roy and Teh, "Mondrian Forests", NIPS 2014).
type scored struct {
	row
	cuts    float64 // expected, of all trees so far
	reached float64 // probability that this tree has not yet left the point alone
	at      int32   // its place in the block
}

// tree is grown only where points are asked about: few are, as a rule, and those are soon alone.
type tree struct {
	number   uint64
	random   *rand.PCG
	maxDepth float64
}

// box is what some points fill.
type box struct {
	low, high row
	edges     float64 // laid end to end
}

func boxOf(points []row) box {
	b := box{low: points[0], high: points[0]}
	for i := range points {
		for feature, x := range points[i] {
			if x < b.low[feature] {
				b.low[feature] = x
			} else if x > b.high[feature] {
				b.high[feature] = x
			}
		}
	}
	for feature := range b.low {
		b.edges += b.high[feature] - b.low[feature]
	}
	return b
}

// gaps returns how much further the box's edges would reach if it held a point, too.
func (b *box) gaps(point *row) float64 {
	sum := 0.0
	for feature, x := range point {
		if low := b.low[feature]; x < low {
			sum += low - x
		} else if high := b.high[feature]; x > high {
			sum += x - high
		}
	}
	return sum
}

// grow cuts a node's points, of which asked are asked about, both of which it reorders, and what lies below. path
// tells nodes apart, by the sides on which they lie.
func (t *tree) grow(points []row, asked []scored, depth float64, path uint64) {
	b := boxOf(points)
	if len(points) == 1 || depth >= t.maxDepth || b.edges == 0 {
		for i := range asked {
			asked[i].cuts += asked[i].reached * (depth + usualCuts(len(points)))
		}
		return
	}
	// A node's cut must not hang on which others were grown before it.
	t.random.Seed(t.number, path)
	feature, at := b.cut(rand.New(t.random).Float64())
	middle := 0
	for i := range points {
		if points[i][feature] < at {
			points[i], points[middle] = points[middle], points[i]
			middle++
		}
	}
	low := 0
	for i := range asked {
		point := &asked[i]
		if gaps := b.gaps(&point.row); gaps > 0 {
			alone := point.reached * gaps / (gaps + b.edges)
			point.cuts += alone * (depth + 1)
			point.reached -= alone
		}
		if point.row[feature] < at {
			asked[i], asked[low] = asked[low], asked[i]
			low++
		}
	}
	if low > 0 {
		t.grow(points[:middle], asked[:low], depth+1, 2*path)
	}
	if low < len(asked) {
		t.grow(points[middle:], asked[low:], depth+1, 2*path+1)
	}
}

// cut returns the place that lies this part of the way along a box's edges, which are not nothing: a feature, and
// where to cut it.
func (b *box) cut(part float64) (feature int, at float64) {
	left := b.edges * part
	for i := range b.low {
		edge := b.high[i] - b.low[i]
		if edge > 0 {
			// The last edge takes what rounding leaves over. Between neighbouring floats there is no
			// place for a cut but the higher.
			feature = i
			at = b.low[i] + min(left, edge)
			at = min(max(at, math.Nextafter(b.low[i], b.high[i])), b.high[i])
		}
		if left < edge {
			break
		}
		left -= edge
	}
	return feature, at
}

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
//   - A point that was not among those of which a tree was made counts as if it had been (tree.cuts).
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
const scoreBlock = 1024

// row is a point: its features in robust scales.
type row [signalCount]float64

// forest is an isolation forest.
type forest struct {
	signals *signals
	weights row
	trees   []tree
	usual   float64 // mean number of cuts for a point of the sample
}

// tree is its nodes, the root first.
type tree []treeNode

// treeNode is a cut, or a leaf: then left is 0.
type treeNode struct {
	low, high   row     // the box that its points fill
	edges       float64 // of the box, laid end to end
	at          float64
	feature     int32 // below at: left
	left, right int32
	cuts        float64 // of a leaf: made, and expected to separate its points
}

func byForest(ctx context.Context, s *signals, points []int32) ([]float64, error) {
	f, err := newForest(ctx, s)
	if err != nil {
		return nil, err
	}
	return f.scores(ctx, points)
}

// newForest grows a forest for the points of a series, at least two.
func newForest(ctx context.Context, s *signals) (*forest, error) {
	n := len(s.columns[0])
	size := min(forestSamples, n)
	f := &forest{signals: s, trees: make([]tree, forestTrees), usual: usualCuts(size)}
	for feature := range f.weights {
		f.weights[feature] = 1 / s.unit(feature)
	}
	f.weights[signalStep] *= stepWeight
	err := inParallel(ctx, forestTrees, func(i int) {
		random := rand.New(rand.NewPCG(forestSeed, uint64(i)))
		g := grower{random: random, maxDepth: math.Ceil(math.Log2(float64(size)))}
		rows := make([]row, 0, size)
		for _, point := range sample(random, n, size) {
			rows = append(rows, f.row(point))
		}
		g.grow(rows, 0)
		f.trees[i] = g.nodes
	})
	return f, err
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

// grower makes a tree.
type grower struct {
	random   *rand.Rand
	maxDepth float64
	nodes    tree
}

// grow appends the tree of these points, which it reorders, and returns its root's place.
func (g *grower) grow(points []row, depth float64) int32 {
	place := int32(len(g.nodes))
	node := treeNode{low: points[0], high: points[0], cuts: depth + usualCuts(len(points))}
	for i := range points {
		for feature, x := range points[i] {
			node.low[feature], node.high[feature] = min(node.low[feature], x), max(node.high[feature], x)
		}
	}
	for feature := range node.low {
		node.edges += node.high[feature] - node.low[feature]
	}
	g.nodes = append(g.nodes, node)
	if len(points) == 1 || depth >= g.maxDepth || !g.cut(&node) {
		return place
	}
	middle := 0
	for i := range points {
		if points[i][node.feature] < node.at {
			points[i], points[middle] = points[middle], points[i]
			middle++
		}
	}
	node.left = g.grow(points[:middle], depth+1)
	node.right = g.grow(points[middle:], depth+1)
	g.nodes[place] = node
	return place
}

// cut draws a place along the edges of a node's box, and so a feature and where to cut it. It returns false if
// the box is a point.
func (g *grower) cut(node *treeNode) bool {
	if node.edges == 0 {
		return false
	}
	left := node.edges * g.random.Float64()
	for feature := range node.low {
		edge := node.high[feature] - node.low[feature]
		if edge > 0 {
			// The last edge takes what rounding leaves over. Between neighbouring floats there is no
			// place for a cut but the higher.
			node.feature = int32(feature)
			at := node.low[feature] + min(left, edge)
			node.at = min(max(at, math.Nextafter(node.low[feature], node.high[feature])), node.high[feature])
		}
		if left < edge {
			break
		}
		left -= edge
	}
	return true
}

// scores returns the scores of the points with the given numbers.
func (f *forest) scores(ctx context.Context, points []int32) ([]float64, error) {
	out := make([]float64, len(points))
	blocks := (len(points) + scoreBlock - 1) / scoreBlock
	err := inParallel(ctx, blocks, func(block int) {
		begin := block * scoreBlock
		end := min(begin+scoreBlock, len(points))
		f.block(points[begin:end], out[begin:end])
	})
	return out, err
}

// block scores some points, tree by tree, since a tree stays in the processor's cache.
func (f *forest) block(points []int32, out []float64) {
	rows := make([]row, len(points))
	for i, point := range points {
		rows[i] = f.row(point)
	}
	for _, t := range f.trees {
		for i := range rows {
			out[i] += t.expectedCuts(&rows[i])
		}
	}
	for i := range out {
		out[i] = f.score(out[i] / float64(len(f.trees)))
	}
}

// score maps a mean number of cuts to 0..1: 0.5 for the usual number, 1 for a single cut. The paper's score,
// 2^(-cuts/usual), orders points in the same way, but no point comes near its 1, since a cut is always needed.
func (f *forest) score(cuts float64) float64 {
	return min(math.Exp2(-(cuts-1)/(f.usual-1)), 1)
}

// expectedCuts returns how many cuts the tree needs for a point.
//
// Most points were not in the tree's sample. The paper lets these fall into a leaf, so that a point far outside
// the sample counts like the outermost of the sample. Here it counts as if it had been there: it would have
// extended a node's box, and a cut that falls into the gap leaves the point alone. This is how a Mondrian tree
// takes in a point (Lakshminarayanan, Roy and Teh, "Mondrian Forests", NIPS 2014).
func (t tree) expectedCuts(point *row) float64 {
	expected, reached := 0.0, 1.0 // reached: the probability that the point is not yet alone
	node := &t[0]
	for depth := 1.0; node.left != 0; depth++ {
		gaps := 0.0
		for feature, x := range point {
			if low := node.low[feature]; x < low {
				gaps += low - x
			} else if high := node.high[feature]; x > high {
				gaps += x - high
			}
		}
		if gaps > 0 {
			alone := reached * gaps / (gaps + node.edges)
			expected += alone * depth
			reached -= alone
		}
		if point[node.feature] < node.at {
			node = &t[node.left]
		} else {
			node = &t[node.right]
		}
	}
	return expected + reached*node.cuts
}

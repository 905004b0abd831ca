package httpapi

import (
	"math"
	"slices"
	"strconv"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// fillKind is what stands in buckets without samples.
type fillKind uint8

const (
	fillNone fillKind = iota // the bucket is left out
	fillNull
	fillPrevious
	fillLinear
	fillNumber
)

type fill struct {
	kind   fillKind
	number float64
}

// parseFill reads null, previous, linear or a finite number; "" is fillNone.
func parseFill(text string) (fill, error) {
	switch text {
	case "":
		return fill{}, nil
	case "null":
		return fill{kind: fillNull}, nil
	case "previous":
		return fill{kind: fillPrevious}, nil
	case "linear":
		return fill{kind: fillLinear}, nil
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
		return fill{}, invalidParameter("fill", text, "use null, previous, linear or a number")
	}
	return fill{kind: fillNumber, number: number}, nil
}

// series is one list of points of an answer.
type series struct {
	tags    model.Tags // of the group
	buckets []int      // indexes into the edges, ascending
	values  []float64  // of the functions, bucket by bucket; see engine.IsMissing
}

// fillGroup fills the gaps of a group, which has values of k functions in some of count buckets. The
// result has every bucket; without a fill, those with a value. A missing value of a bucket that has
// samples (the rate of a single one, say) is a gap too.
func fillGroup(group engine.Group, count, k int, how fill, edges []int64) series {
	out := series{tags: group.Tags}
	if how.kind == fillNone {
		if !slices.ContainsFunc(group.Values, engine.IsMissing) { // as a rule; the group is not ours, and is not changed
			out.buckets, out.values = group.Buckets, group.Values
			return out
		}
		for i, bucket := range group.Buckets {
			values := group.Values[i*k : (i+1)*k]
			if !allMissing(values) {
				out.buckets = append(out.buckets, bucket)
				out.values = append(out.values, values...)
			}
		}
		return out
	}
	out.buckets = make([]int, count)
	out.values = make([]float64, count*k)
	for i := range out.values {
		out.values[i] = engine.Missing()
	}
	for bucket := range out.buckets {
		out.buckets[bucket] = bucket
	}
	for i, bucket := range group.Buckets {
		copy(out.values[bucket*k:], group.Values[i*k:(i+1)*k])
	}
	for column := range k {
		fillColumn(out.values, column, k, how, edges)
	}
	return out
}

func allMissing(values []float64) bool {
	for _, value := range values {
		if !engine.IsMissing(value) {
			return false
		}
	}
	return true
}

// fillColumn fills the gaps in every k-th value, beginning at first.
func fillColumn(values []float64, first, k int, how fill, edges []int64) {
	known := -1 // the last bucket before the gap that has a value
	for bucket := 0; first+bucket*k < len(values); bucket++ {
		at := first + bucket*k
		if !engine.IsMissing(values[at]) {
			if how.kind == fillLinear && known >= 0 {
				interpolate(values, first, k, known, bucket, edges)
			}
			known = bucket
			continue
		}
		switch {
		case how.kind == fillNumber:
			values[at] = how.number
		case how.kind == fillPrevious && known >= 0:
			values[at] = values[first+known*k]
		}
	}
}

// interpolate draws a straight line between the values of two buckets, by their starts.
func interpolate(values []float64, first, k, left, right int, edges []int64) {
	a, b := values[first+left*k], values[first+right*k]
	for bucket := left + 1; bucket < right; bucket++ {
		share := float64(edges[bucket]-edges[left]) / float64(edges[right]-edges[left])
		values[first+bucket*k] = a*(1-share) + b*share
	}
}

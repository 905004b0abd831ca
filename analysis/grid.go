package analysis

import (
	"math"
	"slices"
)

// The grid of a series has a place for each multiple of its usual interval: lags in places are lags in time,
// whatever points are missing.

// How irregular a series with a grid may be.
const (
	irregularShare = 0.1 // of the intervals may be shorter than half of the usual one; likewise longer than oneAndAHalf
	oneAndAHalf    = 1.5
	maxGridPlaces  = 2 // for each point
)

// placesOf returns the places of points on the grid, ascending. If their times are too irregular for a grid, or the
// gaps together are longer than all the rest, it returns their numbers, and false.
func placesOf(times []int64) (places []int, regular bool) {
	places = make([]int, len(times))
	interval := usualInterval(times)
	for i := range places {
		if interval > 0 {
			places[i] = int(math.Round(float64(times[i]-times[0]) / interval))
		} else {
			places[i] = i
		}
	}
	return places, interval > 0
}

// usualInterval returns the mean of the intervals that are no gaps; 0: there is no grid.
func usualInterval(times []int64) float64 {
	intervals := make([]float64, 0, len(times)-1)
	for i := 1; i < len(times); i++ {
		intervals = append(intervals, float64(times[i]-times[i-1]))
	}
	median := quantileOf(intervals, 0.5)
	if quantileOf(intervals, irregularShare) < median/2 || quantileOf(intervals, 1-irregularShare) > oneAndAHalf*median {
		return 0
	}
	sum, count := 0.0, 0
	for _, interval := range intervals {
		if interval <= oneAndAHalf*median {
			sum += interval
			count++
		}
	}
	usual := sum / float64(count)
	if float64(times[len(times)-1]-times[0]) > maxGridPlaces*float64(len(times))*usual {
		return 0
	}
	return usual
}

// gridOf returns values by place; NaN where there are none.
func gridOf(values []float64, places []int) []float64 {
	grid := slices.Repeat([]float64{math.NaN()}, places[len(places)-1]+1)
	for i, place := range places {
		grid[place] = values[i]
	}
	return grid
}

// withoutGaps returns a grid with straight lines across its gaps.
func withoutGaps(grid []float64) []float64 {
	out := slices.Clone(grid)
	last := 0 // place with a value
	for i, value := range grid {
		if math.IsNaN(value) {
			continue
		}
		for gap := last + 1; gap < i; gap++ {
			out[gap] = between(grid[last], value, float64(gap-last)/float64(i-last))
		}
		last = i
	}
	return out
}

package httpapi

import (
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	start := time.Date(2024, 1, 15, 0, 0, 0, 0, time.UTC)
	m := newMeter(start)
	for _, step := range []struct {
		second     float64
		count      int
		rate, peak float64
	}{
		{0, 0, 0, 0},
		{0.5, 3, 3, 3},         // less than a second counts as one
		{5, 2, 1, 1},           // 5 in 5 s; the first half second was no peak
		{20, 0, 0.25, 0.5},     // 5 in 20 s, all in the first 10
		{30, 25, 1, 2.5},       // 30 in 30 s
		{59, 29, 1, 2.9},       // 59 in 59 s
		{75, 0, 54. / 65, 2.9}, // the first slot is gone: 54 in 65 s
		{89, 0, 54. / 69, 2.9}, // a slot of the second kind still counts
		{1000, 7, 7. / 60, 2.9},
		{900, 1, 8. / 60, 2.9}, // the clock went back
		{1e6, 0, 0, 2.9},
	} {
		now := start.Add(time.Duration(step.second * float64(time.Second)))
		m.add(now, step.count)
		if rate, peak := m.rates(now); rate != step.rate || peak != step.peak {
			t.Errorf("after %v s: rate %v, peak %v; want %v, %v", step.second, rate, peak, step.rate, step.peak)
		}
	}
}

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
		{0.5, 3, 0.3, 0.3}, // less than ten seconds count as ten
		{5, 2, 0.5, 0.5},
		{20, 0, 0.25, 0.5}, // 5 in 20 s, all in the first 10
		{30, 25, 1, 2.5},
		{59, 29, 1, 2.9},
		{75, 0, 54. / 65, 2.9}, // the first slot is gone
		{89, 0, 54. / 69, 2.9},
		{90, 0, 54. / 60, 2.9},
		{100, 0, 29. / 60, 2.9}, // and that of the 25
		{1000, 7, 7. / 60, 2.9},
		{900, 1, 8. / 60, 2.9}, // the clock went back
		{1e6, 0, 0, 2.9},
	} {
		now := start.Add(time.Duration(step.second * float64(time.Second)))
		m.add(now, step.count)
		if rate := m.rate(now, meterSlot); rate != step.rate || m.peak() != step.peak {
			t.Errorf("after %v s: rate %v, peak %v; want %v, %v", step.second, rate, m.peak(), step.rate, step.peak)
		}
	}
	m = newMeter(start)
	m.add(start, 6)
	if rate := m.rate(start, time.Minute); rate != 0.1 {
		t.Errorf("6 in a minute that has only begun: rate %v", rate)
	}
}

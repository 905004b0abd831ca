package httpapi

import (
	"sync"
	"time"
)

// A meter counts in slots; its rate is that of the slot under way and those before it.
const (
	meterSlot  = 10 * time.Second
	meterSlots = 7
)

// meter measures how often something happens.
type meter struct {
	begun time.Time

	mu struct {
		sync.Mutex
		newest int64 // number of the slot under way, from begun on
		counts [meterSlots]uint64
		peak   uint64 // of all slots ever
	}
}

func newMeter(now time.Time) *meter { return &meter{begun: now} }

// add counts n events that happened now.
func (m *meter) add(now time.Time, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(now)
	count := &m.mu.counts[m.mu.newest%meterSlots]
	*count += uint64(n)
	m.mu.peak = max(m.mu.peak, *count)
}

// advance empties the slots that have begun since the last call. A clock that goes back stands still.
func (m *meter) advance(now time.Time) {
	number := int64(now.Sub(m.begun) / meterSlot)
	if number-m.mu.newest >= meterSlots {
		m.mu.newest = number - meterSlots
	}
	for m.mu.newest < number {
		m.mu.newest++
		m.mu.counts[m.mu.newest%meterSlots] = 0
	}
}

// rate returns the events a second of the last minute, or of the time since the meter began if that is
// shorter, but at least of a time so long.
func (m *meter) rate(now time.Time, least time.Duration) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(now)
	sum := uint64(0)
	for _, count := range m.mu.counts {
		sum += count
	}
	elapsed := max(now.Sub(m.begun), time.Duration(m.mu.newest)*meterSlot)
	if oldest := m.mu.newest - meterSlots + 1; oldest > 0 {
		elapsed -= time.Duration(oldest) * meterSlot
	}
	return float64(sum) / max(elapsed, least).Seconds()
}

// peak returns the events a second of the slot that had most.
func (m *meter) peak() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return float64(m.mu.peak) / meterSlot.Seconds()
}

package httpapi

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// errNoMemory says that the bodies of other requests fill the memory set aside for them.
var errNoMemory = errors.New("too many large requests are under way; retry shortly")

// memoryBudget counts bytes that may be in use at a time.
type memoryBudget struct {
	limit int64
	wait  time.Duration

	mu struct {
		sync.Mutex
		used  int64
		freed chan struct{} // closed at the next release; nil when nobody waits
	}
}

// budgetWait is how long a request waits for memory.
const budgetWait = 3 * time.Second

func newMemoryBudget(limit int64) *memoryBudget {
	return &memoryBudget{limit: limit, wait: budgetWait}
}

// acquire takes n bytes, waiting for a while until they are free.
func (m *memoryBudget) acquire(n int64) bool {
	if freed := m.tryAcquire(n); freed == nil {
		return true
	}
	timer := time.NewTimer(m.wait)
	defer timer.Stop()
	for {
		freed := m.tryAcquire(n)
		if freed == nil {
			return true
		}
		select {
		case <-freed:
		case <-timer.C:
			return false
		}
	}
}

// tryAcquire takes n bytes and returns nil, or returns a channel that is closed when some are released.
func (m *memoryBudget) tryAcquire(n int64) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.used+n <= m.limit {
		m.mu.used += n
		return nil
	}
	if m.mu.freed == nil {
		m.mu.freed = make(chan struct{})
	}
	return m.mu.freed
}

func (m *memoryBudget) release(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.used -= n
	if m.mu.used < 0 {
		panic(fmt.Sprintf("memory budget: %d bytes released beyond what was acquired", -m.mu.used))
	}
	if m.mu.freed != nil {
		close(m.mu.freed)
		m.mu.freed = nil
	}
}

package flopynet

import (
	"sync"
	"time"
)

// The states of a component, as far as we can tell.
const (
	StatusHealthy   = "healthy"
	StatusUnhealthy = "unhealthy" // the last try of something failed
	StatusUnknown   = "unknown"   // it has not been tried yet, or is not polled
)

// PeerStatus is how a component does.
type PeerStatus struct {
	Name         string
	URL          string // "": it is not polled
	Status       string
	Since        time.Time     // when it came to be so; zero while it is unknown
	LastCheck    time.Time     // the last try that came to its end; zero: none
	LastSuccess  time.Time     // the last time that all went well; zero: never since the start
	ResponseTime time.Duration // of its last answer to GET /health; 0: there was none
	Error        string        // while it is unhealthy
	Failures     int           // in a row, of what fails now
}

// health gathers what the pollers of a peer meet. One of them that fails makes the peer unhealthy.
type health struct {
	name, url string

	mu       sync.Mutex
	polls    map[string]*pollHealth
	response time.Duration
}

// pollHealth is how one poller does.
type pollHealth struct {
	since       time.Time // when the last change from bad to good, or the other way, was
	lastCheck   time.Time
	lastSuccess time.Time
	err         error
	failures    int
}

func (h *health) init(name, url string) {
	h.name, h.url, h.polls = name, url, map[string]*pollHealth{}
}

// answered notes how long the peer took to say that it is well.
func (h *health) answered(took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.response = max(took, 1) // the clock may stand still
}

// note notes the outcome of a poll and returns how many failures there are in a row now.
func (h *health) note(poll string, at time.Time, err error) (failures int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.polls[poll]
	if p == nil {
		p = &pollHealth{since: at}
		h.polls[poll] = p
	}
	if (p.err == nil) != (err == nil) {
		p.since = at
	}
	p.err, p.lastCheck = err, at
	if err == nil {
		p.failures, p.lastSuccess = 0, at
	} else {
		p.failures++
	}
	return p.failures
}

// status sums up. What fails and since when comes from the poller that has been failing longest.
func (h *health) status() PeerStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := PeerStatus{Name: h.name, URL: h.url, Status: StatusUnknown, ResponseTime: h.response}
	first := true
	for _, p := range h.polls {
		if p.lastCheck.After(s.LastCheck) {
			s.LastCheck = p.lastCheck
		}
		switch {
		case p.err != nil && (s.Status != StatusUnhealthy || p.since.Before(s.Since)):
			s.Status, s.Since, s.Error, s.Failures = StatusUnhealthy, p.since, p.err.Error(), p.failures
		case p.err == nil && s.Status != StatusUnhealthy:
			if s.Status = StatusHealthy; p.since.After(s.Since) {
				s.Since = p.since // all have been well since then
			}
		}
		if first || p.lastSuccess.Before(s.LastSuccess) {
			s.LastSuccess, first = p.lastSuccess, false
		}
	}
	return s
}

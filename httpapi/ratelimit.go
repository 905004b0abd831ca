package httpapi

import (
	"container/list"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// RateLimit bounds the requests of each key, or of each address without one, in a window of time. Windows
// begin with a client's first request, so that not all clients are free again at once.
type RateLimit struct {
	Reads  int           // requests that read; 0: no limit
	Writes int           // requests that write, delete or manage; 0: no limit
	Window time.Duration // 0: an hour
}

// maxRateClients bounds the clients whose requests are counted. Beyond, the window that began first is given up.
const maxRateClients = 1 << 16

// rateLimiter counts the requests of one sort.
type rateLimiter struct {
	limit   int
	window  time.Duration
	clients int // at most

	mu struct {
		sync.Mutex
		windows map[string]*list.Element
		begun   list.List // of *rateWindow, the oldest first: all are of the same length, so it is over first
	}
}

// rateWindow is what a client has used.
type rateWindow struct {
	client string
	began  time.Time
	used   int
}

// newRateLimiter returns nil if there is no limit.
func newRateLimiter(limit int, window time.Duration) *rateLimiter {
	if limit <= 0 {
		return nil
	}
	l := &rateLimiter{limit: limit, window: window, clients: maxRateClients}
	l.mu.windows = map[string]*list.Element{}
	return l
}

// take counts a request of the client, unless it has none left. left is how many it then has, until reset.
func (l *rateLimiter) take(client string, now time.Time) (left int, reset time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	element := l.mu.windows[client]
	if element == nil {
		if len(l.mu.windows) >= l.clients {
			oldest := l.mu.begun.Front()
			delete(l.mu.windows, l.mu.begun.Remove(oldest).(*rateWindow).client)
		}
		element = l.mu.begun.PushBack(&rateWindow{client: client, began: now})
		l.mu.windows[client] = element
	}
	w := element.Value.(*rateWindow)
	if !now.Before(w.began.Add(l.window)) {
		w.began, w.used = now, 0
		l.mu.begun.MoveToBack(element)
	}
	reset = w.began.Add(l.window)
	if w.used >= l.limit {
		return 0, reset, false
	}
	w.used++
	return l.limit - w.used, reset, true
}

// limitRate counts the request, and refuses it if its client has made too many. What needs no key is free. A
// request whose key isn't valid counts for its address. That keeps nobody from trying out keys: the right one counts
// for itself, since else one client with a wrong key would shut out all others of its address.
func (s *Server) limitRate(r *request, endpoint *route) error {
	limiter := s.reads
	if endpoint.role >= roleWrite {
		limiter = s.writes
	}
	if limiter == nil || endpoint.role <= roleNone {
		return nil
	}
	client := "key " + r.keyName()
	if r.key == nil {
		client = neighbourhood(r.client())
	}
	left, reset, ok := limiter.take(client, r.received)
	header := &r.http.Response.Header
	header.Set("X-RateLimit-Limit", strconv.Itoa(limiter.limit))
	header.Set("X-RateLimit-Remaining", strconv.Itoa(left))
	header.Set("X-RateLimit-Reset", strconv.FormatInt(ceilSeconds(time.Duration(reset.UnixNano())), 10))
	if ok {
		return nil
	}
	failure := newError(fasthttp.StatusTooManyRequests, "Too many requests")
	failure.retryAfter = int(max(1, ceilSeconds(reset.Sub(r.received))))
	failure.rate = limiter
	return failure
}

func ceilSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

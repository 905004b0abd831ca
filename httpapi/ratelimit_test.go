package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

func TestRateLimiter(t *testing.T) {
	l := newRateLimiter(2, time.Minute)
	start := time.Unix(1_750_000_000, 0)
	take := func(client string, after time.Duration, wantLeft int, wantOK bool) {
		t.Helper()
		left, reset, ok := l.take(client, start.Add(after))
		if left != wantLeft || ok != wantOK || !reset.After(start.Add(after)) || reset.After(start.Add(after+time.Minute)) {
			t.Errorf("%s after %v: %d left until %v, %v", client, after, left, reset.Sub(start), ok)
		}
	}
	take("a", 0, 1, true)
	take("a", 30*time.Second, 0, true)
	take("a", 59*time.Second, 0, false)
	take("b", 59*time.Second, 1, true)
	take("a", 60*time.Second, 1, true) // a new window, while that of b goes on
	take("b", 61*time.Second, 0, true)
	take("b", 62*time.Second, 0, false)
	if newRateLimiter(0, time.Minute) != nil {
		t.Error("a limit of 0 limits")
	}
}

// TestRateLimiterIsBounded: of more clients than are counted, those whose window began first are given up.
func TestRateLimiterIsBounded(t *testing.T) {
	l := newRateLimiter(5, time.Hour)
	l.clients = 3
	now := time.Unix(1_750_000_000, 0)
	for i := range 10 {
		l.take(fmt.Sprint(i), now.Add(time.Duration(i)*time.Second))
	}
	if len(l.mu.windows) != 3 || l.mu.begun.Len() != 3 {
		t.Errorf("%d clients, %d windows", len(l.mu.windows), l.mu.begun.Len())
	}
	if left, _, _ := l.take("9", now.Add(10*time.Second)); left != 3 {
		t.Errorf("the newest has %d left, want 3", left)
	}
	if left, _, _ := l.take("0", now.Add(10*time.Second)); left != 4 {
		t.Errorf("one that was given up has %d left, want 4", left)
	}
}

// TestRateLimits counts over a socket: reads and writes apart, keys apart from each other and from addresses.
func TestRateLimits(t *testing.T) {
	var now atomic.Int64
	now.Store(1_750_000_000_500_000_000)
	ts := startLocked(t, KeyOptions{Auth: testAuth}, Options{
		RateLimit: RateLimit{Reads: 2, Writes: 1, Window: time.Hour}, Now: func() time.Time { return time.Unix(0, now.Load()) },
	})
	ask := func(secret string) reply { return ts.get("/metrics/query?metric=a", bearer(secret)...) }
	write := func(secret string) reply {
		return ts.do(http.MethodPost, "/metrics", []byte(`{"metrics":[]}`), bearer(secret)...)
	}
	for left := 1; left >= 0; left-- {
		answer := ask("reader-key")
		if answer.status != http.StatusOK || answer.header.Get("X-RateLimit-Limit") != "2" || answer.header.Get("X-RateLimit-Remaining") != fmt.Sprint(left) ||
			answer.header.Get("X-RateLimit-Reset") != "1750003601" {
			t.Errorf("%d left: %d %v", left, answer.status, answer.header)
		}
	}
	now.Add(int64(time.Hour - 60*time.Second))
	refused := ask("reader-key")
	refused.wantError(t, http.StatusTooManyRequests, "RATE_LIMIT_EXCEEDED")
	if refused.header.Get("Retry-After") != "60" || refused.header.Get("X-RateLimit-Remaining") != "0" ||
		!bytes.Contains(refused.body, []byte(`"message":"Too many requests",`)) || !bytes.Contains(refused.body, []byte(`,"retry_after":60,"limit":2,"window":"1h"}`)) {
		t.Errorf("refused: %v %s", refused.header, refused.body)
	}
	if answer := ask("writer-key"); answer.status != http.StatusOK {
		t.Errorf("another key: %d", answer.status)
	}
	if answer := write("writer-key"); answer.status != http.StatusOK {
		t.Errorf("writing: %d", answer.status)
	}
	write("writer-key").wantError(t, http.StatusTooManyRequests, "RATE_LIMIT_EXCEEDED")
	for range 2 {
		ask("guess").wantError(t, http.StatusUnauthorized, "UNAUTHORIZED")
	}
	ask("another guess").wantError(t, http.StatusTooManyRequests, "RATE_LIMIT_EXCEEDED") // of the address
	for range 5 {
		if answer := ts.get("/livez"); answer.status != http.StatusOK || answer.header.Get("X-RateLimit-Limit") != "" {
			t.Errorf("what needs no key is limited: %d %v", answer.status, answer.header)
		}
	}
	now.Add(int64(60 * time.Second))
	if answer := ask("reader-key"); answer.status != http.StatusOK {
		t.Errorf("in the next window: %d %s", answer.status, answer.body)
	}
}

func TestFormatWindow(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Hour: "1h", time.Minute: "1m", 90 * time.Minute: "1h30m", 10 * time.Second: "10s", 90 * time.Second: "1m30s", 24 * time.Hour: "24h", time.Hour + time.Second: "1h0m1s"} {
		if got := formatWindow(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

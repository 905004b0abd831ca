package pipeline

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestReceiverFailsHangsAndAnswers is a receiver that fails twice, hangs once, and then answers.
func TestReceiverFailsHangsAndAnswers(t *testing.T) {
	hook := newReceiver(t)
	hangs, released := make(chan struct{}), make(chan struct{})
	hook.answer = func(n int, w http.ResponseWriter, _ *http.Request) {
		switch n {
		case 0, 1:
			w.WriteHeader(http.StatusInternalServerError)
		case 2:
			hangs <- struct{}{}
			<-released
		}
	}
	r := newRig(t, "127.0.0.0/8")
	r.m.opts.Deadline = func(parent context.Context, after time.Duration) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancelCause(parent)
		if after != attemptTimeout {
			return ctx, func() { cancel(context.Canceled) }
		}
		done := make(chan struct{})
		r.m.work.Go(func() {
			select {
			case <-done:
			case <-hangs: // the deadline comes once the receiver hangs
				cancel(context.DeadlineExceeded)
			}
		})
		return causeContext{ctx}, func() { close(done); cancel(context.Canceled) }
	}
	for i := range int64(6) {
		r.put("cpu_usage", "a", start+i*minute, float64(i))
	}
	r.submit(summary(hook.URL))
	for range 3 {
		r.advance(time.Minute + Lateness)
		r.settle()
	}
	close(released)
	for range 10 {
		r.advance(time.Minute)
		r.settle()
	}
	hook.checkWindows(t, start, 6)
	all := hook.all()
	if len(all) != 6+3 {
		t.Errorf("%d requests, want 3 more than windows", len(all))
	}
	for _, one := range all {
		if one.signature != sign("hush-hush", one.timestamp, one.raw) || !strings.HasPrefix(one.signature, "sha256=") {
			t.Errorf("signature %q", one.signature)
		}
		if one.body.Pipeline != "summary" || one.id != "dlv_"+one.body.RunID || one.body.To.Sub(one.body.From) != time.Minute {
			t.Errorf("body %s of %s", one.raw, one.id)
		}
	}
	errorsSeen := 0
	for _, run := range r.runs("summary") {
		if run.Delivery != nil && run.Delivery.Attempts > 1 {
			errorsSeen += run.Delivery.Attempts - 1
		}
	}
	if errorsSeen != 3 {
		t.Errorf("the log tells of %d failed attempts", errorsSeen)
	}
	if text := r.log.String(); strings.Contains(text, "hush-hush") || strings.Contains(text, "exp_001") {
		t.Errorf("the log repeats the secret or the rows: %s", text)
	}
	if view, _ := r.m.Get("summary"); view.Definition.Output.Secret != "" || !view.Signed {
		t.Errorf("the view has the secret: %+v", view)
	}
}

// causeContext tells the cause it was ended with, as a deadline would.
type causeContext struct{ context.Context }

func (c causeContext) Err() error { return context.Cause(c.Context) }

// TestSignature checks a signature that was computed by another program:
// printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
func TestSignature(t *testing.T) {
	const want = "sha256=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"
	if got := sign("secret", "1700000000", []byte(`{"a":1}`)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestBackoff tries for a day with growing distances, and then gives up.
func TestBackoff(t *testing.T) {
	hook := newReceiver(t)
	hook.answer = func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }
	r := newRig(t, "127.0.0.1")
	r.put("cpu_usage", "a", start, 0)
	d := summary(hook.URL)
	d.Schedule, d.From, d.To = 0, start, start+minute
	if answer := r.submit(d); answer.Delivery == "" || answer.Table == nil {
		t.Fatalf("%+v", answer)
	}
	waits := []int64{}
	for {
		r.settle()
		delivery := r.runs("summary")[0].Delivery
		if delivery.Status != DeliveryPending {
			if delivery.Status != DeliveryFailed || delivery.LastStatus != http.StatusNotFound || delivery.LastError == "" {
				t.Errorf("%+v", delivery)
			}
			break
		}
		waits = append(waits, delivery.NextTry-r.clock.Load())
		r.clock.Store(delivery.NextTry)
	}
	for i, wait := range waits {
		if most := min(int64(maxBackoff), int64(firstBackoff)<<min(i, 20)); wait != most/2 { // chance is one half
			t.Errorf("wait %d is %v", i, time.Duration(wait))
		}
	}
	if passed := r.clock.Load() - start; passed > int64(deliveryPeriod) || passed < int64(deliveryPeriod-maxBackoff) {
		t.Errorf("given up after %v", time.Duration(passed))
	}
	if got := len(hook.all()); got != len(waits)+1 || got != r.runs("summary")[0].Delivery.Attempts {
		t.Errorf("%d attempts", got)
	}
	if r.m.pending != 0 || r.countState()[kindBody] != 0 {
		t.Error("what was given up still waits")
	}
}

func TestRetryAfter(t *testing.T) {
	hook := newReceiver(t)
	hook.answer = func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 0 {
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}
	r := newRig(t, "127.0.0.1")
	r.put("cpu_usage", "a", start, 0)
	d := summary(hook.URL)
	d.Schedule, d.From, d.To = 0, start, start+minute
	r.submit(d)
	r.settle()
	if got := r.runs("summary")[0].Delivery.NextTry; got != start+2*minute {
		t.Errorf("next try after %v", time.Duration(got-start))
	}
}

// TestRedirectIsNotFollowed sends a receiver's redirect nowhere.
func TestRedirectIsNotFollowed(t *testing.T) {
	target := newReceiver(t)
	hook := newReceiver(t)
	hook.answer = func(_ int, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
	}
	r := newRig(t, "127.0.0.1")
	r.put("cpu_usage", "a", start, 0)
	d := summary(hook.URL)
	d.Schedule, d.From, d.To = 0, start, start+minute
	r.submit(d)
	r.settle()
	delivery := r.runs("summary")[0].Delivery
	if delivery.LastStatus != http.StatusTemporaryRedirect || !strings.Contains(delivery.LastError, "redirects are not followed") {
		t.Errorf("%+v", delivery)
	}
	if len(hook.all()) == 0 || len(target.all()) != 0 {
		t.Errorf("the receiver got %d, the redirect's target %d", len(hook.all()), len(target.all()))
	}
}

// TestAnswersAreThrownAway sends to receivers whose answers would show in Go's errors.
func TestAnswersAreThrownAway(t *testing.T) {
	for _, c := range []struct {
		answer, want string
		status       int
	}{
		{"the-word and more of it\r\n\r\n", "the receiver's answer is not one of HTTP", 0},
		{"HTTP/1.1 the-word\r\n\r\n", "the receiver's answer is not one of HTTP", 0},
		{"HTTP/1.1 200 OK\r\nthe-word\r\n\r\n", "the receiver's answer is not one of HTTP", 0},
		{"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://[the-word%zz\r\n\r\n", "redirects are not followed", 302},
		{"", "the receiver closed the connection without an answer", 0},
	} {
		hook := newReceiver(t)
		hook.answer = func(_ int, w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = conn.Write([]byte(c.answer))
			_ = conn.Close()
		}
		r := newRig(t, "127.0.0.1")
		r.put("cpu_usage", "a", start, 0)
		d := summary(hook.URL)
		d.Schedule, d.From, d.To = 0, start, start+minute
		r.submit(d)
		r.settle()
		got := r.runs("summary")[0].Delivery
		if !strings.Contains(got.LastError, c.want) || got.LastStatus != c.status || strings.Contains(r.log.String()+got.LastError, "the-word") {
			t.Errorf("%q: %+v", c.answer, got)
		}
	}
}

// TestPrivateAddressesAreRefused refuses at once what is plainly private, and at the dial what a name turns out to be.
func TestPrivateAddressesAreRefused(t *testing.T) {
	hook := newReceiver(t)
	r := newRig(t)
	r.put("cpu_usage", "a", start, 0)
	d := summary(hook.URL)
	d.Schedule, d.From, d.To = 0, start, start+minute
	_, err := r.m.Submit(t.Context(), d, true)
	if fault, ok := errors.AsType[*FieldError](err); !ok || fault.Path != "output.url" || !strings.Contains(fault.Issue, "webhooks.allowed") {
		t.Errorf("a loopback address: %v", err)
	}
	d.Output.URL = strings.Replace(hook.URL, "127.0.0.1", "receiver.example", 1) + "/path-that-is-secret"
	r.m.opts.Guard.resolver = fakeDNS(t, "127.0.0.1")
	r.submit(d)
	r.settle()
	delivery := r.runs("summary")[0].Delivery
	if !strings.Contains(delivery.LastError, errRefused.Error()) || delivery.Attempts != 1 || len(hook.all()) != 0 {
		t.Errorf("a name of a loopback address: %+v; the receiver got %d", delivery, len(hook.all()))
	}
	if strings.Contains(r.log.String()+delivery.LastError, "path-that-is-secret") {
		t.Error("the log repeats the address")
	}
	// The same once the name is allowed.
	r.m.opts.Guard.hosts = map[string]bool{"receiver.example": true}
	r.advance(time.Minute)
	r.settle()
	if got := r.runs("summary")[0].Delivery; got.Status != DeliveryDelivered {
		t.Errorf("allowed, and %+v", got)
	}
}

// TestProxiesAreIgnored points the environment at a proxy, which would dial past the guard.
func TestProxiesAreIgnored(t *testing.T) {
	proxy := newReceiver(t)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	r := newRig(t)
	r.m.opts.Guard.resolver = fakeDNS(t, "127.0.0.1")
	r.put("cpu_usage", "a", start, 0)
	d := summary("http://receiver.example/")
	d.Schedule, d.From, d.To = 0, start, start+minute
	r.submit(d)
	r.settle()
	if got := r.runs("summary")[0].Delivery; len(proxy.all()) != 0 || !strings.Contains(got.LastError, errRefused.Error()) {
		t.Errorf("the proxy got %d; %+v", len(proxy.all()), got)
	}
}

// TestDeadReceiverDoesNotHoldOthers lets one pipeline's receiver be gone, with many deliveries that wait.
func TestDeadReceiverDoesNotHoldOthers(t *testing.T) {
	alive, dead := newReceiver(t), newReceiver(t)
	dead.Close()
	r := newRig(t, "127.0.0.1")
	for i := range int64(5) {
		r.put("cpu_usage", "a", start+i*minute, float64(i))
	}
	r.submit(summary(alive.URL))
	gone := summary(dead.URL)
	gone.Name = "gone"
	r.submit(gone)
	r.advance(5*time.Minute + Lateness)
	r.settle()
	alive.checkWindows(t, start, 5)
	attempts := 0
	for _, run := range r.runs("gone") {
		attempts += run.Delivery.Attempts
	}
	if view, _ := r.m.Get("gone"); view.Pending != 5 || attempts != 1 {
		t.Errorf("%d wait, after %d attempts at a receiver that isn't there; want 5 and 1", view.Pending, attempts)
	}
}

// TestReplacedWhileSending replaces a pipeline while its receiver takes its time. What it takes in the end counts, and isn't sent again.
func TestReplacedWhileSending(t *testing.T) {
	hook := newReceiver(t)
	arrived, released := make(chan struct{}), make(chan struct{})
	hook.answer = func(int, http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-released
	}
	r := newRig(t, "127.0.0.1")
	r.put("cpu_usage", "a", start, 0)
	r.submit(summary(hook.URL))
	r.advance(time.Minute + Lateness)
	r.m.dispatch()
	r.m.work.Wait() // the run
	r.m.dispatch()
	<-arrived
	r.submit(summary(hook.URL + "/elsewhere"))
	r.m.dispatch() // nothing: it is under way
	close(released)
	r.settle()
	hook.checkWindows(t, start, 1)
	if run := r.runs("summary")[0]; len(hook.all()) != 1 || run.Delivery.Status != DeliveryDelivered || r.m.pending != 0 {
		t.Errorf("%d requests, %+v", len(hook.all()), run.Delivery)
	}
}

// TestCloseCutsShort closes while a receiver hangs and while nothing has been sent, and goes on after a restart.
func TestCloseCutsShort(t *testing.T) {
	hook := newReceiver(t)
	hangs := make(chan struct{}, 1)
	hook.answer = func(n int, _ http.ResponseWriter, request *http.Request) {
		if n == 0 {
			hangs <- struct{}{}
			<-request.Context().Done()
		}
	}
	r := newRig(t, "127.0.0.1")
	r.put("cpu_usage", "a", start, 0)
	r.submit(summary(hook.URL))
	r.advance(time.Minute + Lateness)
	r.m.dispatch()
	r.m.work.Wait()
	r.m.dispatch()
	<-hangs
	r.close()
	r.open()
	if got := r.runs("summary")[0].Delivery; got.Status != DeliveryPending || got.Attempts != 0 {
		t.Errorf("after the restart: %+v", got)
	}
	r.settle()
	hook.checkWindows(t, start, 1)
}

// TestLoop lets the manager's own loop do the work, with a clock that jumps as far as it asks to sleep.
func TestLoop(t *testing.T) {
	hook := newReceiver(t)
	r := newRig(t, "127.0.0.1")
	for i := range int64(3) {
		r.put("cpu_usage", "a", start+i*minute, float64(i))
	}
	r.m.Close()
	done := make(chan struct{})
	hook.answer = func(n int, _ http.ResponseWriter, _ *http.Request) {
		if n == 2 {
			close(done)
		}
	}
	r.options.After = func(d time.Duration) <-chan time.Time {
		woken := make(chan time.Time, 1)
		select {
		case <-done:
		default:
			r.clock.Add(int64(d))
			woken <- time.Unix(0, r.clock.Load())
		}
		return woken
	}
	var err error
	if r.m, err = Open(r.db, r.options); err != nil {
		t.Fatal(err)
	}
	d := summary(hook.URL)
	d.From = start
	r.submit(d)
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was sent")
	}
	r.m.Close()
	hook.checkWindows(t, start, 3)
}

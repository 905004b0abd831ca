package flopynet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
)

// peerOf returns a peer that the handler answers for.
func peerOf(t *testing.T, timeout time.Duration, handler http.HandlerFunc) *peer {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	p, err := newPeer(FLServer, PeerOptions{URL: server.URL, Timeout: timeout}, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

// TestGetRefuses has answers that must fail the request, with a text that says why, and no more.
func TestGetRefuses(t *testing.T) {
	reached := atomic.Bool{}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	t.Cleanup(elsewhere.Close)
	for _, row := range []struct {
		name, want string
		timeout    time.Duration
		answer     http.HandlerFunc
	}{
		{"an error", `it answers 500 Internal Server Error: "no \"such\" thing"`, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = fmt.Fprint(w, ` no "such" thing`, strings.Repeat(" ", 1<<20))
		}},
		{"garbage", "it begins \"<html>\\xff\"", time.Minute, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>\xff")) }},
		{"nothing", "its answer is empty", time.Minute, func(http.ResponseWriter, *http.Request) {}},
		{"another shape", "cannot unmarshal array", time.Minute, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[1]")) }},
		{"too much", "larger than 1000 bytes", time.Minute, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil { // without end
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}},
		{"cut off", "unexpected EOF", time.Minute, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{"))
		}},
		{"no answer", "GET /status: it didn't answer whole within 50ms", 50 * time.Millisecond, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"a byte at a time", "it didn't answer whole within 50ms", 50 * time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond)
			}
		}},
		{"elsewhere", "redirects", time.Minute, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/secret", http.StatusFound)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := peerOf(t, row.timeout, row.answer)
			var into struct{ Status text }
			err := p.get(t.Context(), "/status", nil, 1000, &into)
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.HasPrefix(err.Error(), "GET /status: ") {
				t.Errorf("got %v, want it to say %s", err, row.want)
			}
		})
	}
	if reached.Load() {
		t.Error("a redirect was followed")
	}
}

// TestAFailureHasOneText, so that it is logged once: that of a peer which breaks off each connection.
func TestAFailureHasOneText(t *testing.T) {
	p := peerOf(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = connection.(*net.TCPConn).SetLinger(0) // it is reset
		_ = connection.Close()
	})
	first, second := p.check(t.Context()), p.check(t.Context())
	if first == nil || second == nil || first.Error() != second.Error() {
		t.Errorf("%v; then %v", first, second)
	}
}

func TestCheckTakesAPeerWithoutHealthForWell(t *testing.T) {
	p := peerOf(t, time.Minute, http.NotFound)
	if err := p.check(t.Context()); err != nil {
		t.Error(err)
	}
	if p := peerOf(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }); p.check(t.Context()) == nil {
		t.Error("502 was taken for well")
	}
}

func TestNewPeerRefuses(t *testing.T) {
	for _, address := range []string{"fl-server:8081", "ftp://fl-server", "http://", "/x", "http://a b"} {
		if _, err := newPeer(FLServer, PeerOptions{URL: address}, nil, time.Now); err == nil || !strings.Contains(err.Error(), "fl_server") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestAnswersAreReadWithTolerance(t *testing.T) {
	var got struct {
		A, B, C, D, E number
		S, T          text
		F             flag
		When, Naive   moment
		Never, Future moment
		O             object
		L             list[struct{ N number }]
	}
	const answer = ` {"a": NaN, "b": "7.5", "c": [1], "d": -Infinity, "e": 1e999, "s": "NaN \"Infinity", "t": {}, "f": "true",
		"when": 1705314600.25, "naive": "2024-01-15T10:30:00.250000", "never": "0001-01-01T00:00:00", "future": "now+1h",
		"o": {"x": -Infinity , "y": "NaN"}, "l": [{"n": 1}, 5, null, {"n": NaN}, []]} `
	if err := decodeAnswer([]byte(answer), &got); err != nil {
		t.Fatal(err)
	}
	ns := time.Date(2024, 1, 15, 10, 30, 0, 250_000_000, time.UTC).UnixNano()
	for name, row := range map[string][2]any{
		"numbers": {fmt.Sprint(got.A, got.B, got.C, got.D, got.E), "{0 false} {7.5 true} {0 false} {0 false} {0 false}"},
		"texts":   {fmt.Sprint(got.S, "|", got.T, "|", got.F), `NaN "Infinity||{false false}`},
		"times":   {fmt.Sprint(got.When, got.Naive, got.Never, got.Future), fmt.Sprint(moment{ns, true}, moment{ns, true}, moment{}, moment{})},
		"object":  {string(got.O), `{"x":null,"y":"NaN"}`},
		"list":    {fmt.Sprint(got.L), "[{{1 true}} {{0 false}}]"},
	} {
		if diff := cmp.Diff(row[1], row[0]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	var bad struct{ L list[number] }
	if err := decodeAnswer([]byte(`{"l": {"a": 1}}`), &bad); err == nil || !strings.Contains(err.Error(), "an object where an array should be") {
		t.Errorf("an object for an array: %v", err)
	}
}

// FuzzDecodeAnswer: whatever comes, nothing panics, and what replaces NaN leaves good JSON as it is.
func FuzzDecodeAnswer(f *testing.F) {
	for _, seed := range []string{`{"a": NaN}`, `[-Infinity, "NaN\\"]`, `"\`, `-`, `{"l":[{"n":1}]}`, "null"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var into struct {
			A number
			S text
			M moment
			O object
			L list[object]
		}
		_ = decodeAnswer(body, &into)
		if json.Valid(body) && string(withoutNaN(body)) != string(body) {
			t.Errorf("%q became %q", body, withoutNaN(body))
		}
	})
}

func TestDelays(t *testing.T) {
	p := poller{interval: time.Second}
	for _, row := range []struct {
		failures  int
		took      time.Duration
		low, high time.Duration
	}{
		{0, 0, time.Second, time.Second},
		{0, 300 * time.Millisecond, 700 * time.Millisecond, 700 * time.Millisecond},
		{0, 2300 * time.Millisecond, 700 * time.Millisecond, 700 * time.Millisecond},
		{0, -time.Hour, time.Second, time.Second}, // the clock was set back
		{1, 0, 500 * time.Millisecond, time.Second},
		{3, time.Hour, 2 * time.Second, 4 * time.Second},
		{1000, 0, maxBackoff / 2, maxBackoff},
	} {
		for range 100 {
			if got := p.delay(row.failures, row.took); got < row.low || got > row.high {
				t.Errorf("after %d failures and %v it waits %v, want %v to %v", row.failures, row.took, got, row.low, row.high)
			}
		}
	}
	p.interval = time.Hour
	if got := p.delay(5, 0); got < time.Hour/2 || got > time.Hour {
		t.Errorf("with an interval of an hour it waits %v", got)
	}
}

func TestHealthTellsWhatFailsSinceWhen(t *testing.T) {
	var h health
	h.init(FLServer, "http://fl")
	at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	if got := h.status(); got.Status != StatusUnknown || !got.Since.IsZero() || !got.LastCheck.IsZero() {
		t.Errorf("before the first poll: %+v", got)
	}
	h.note("rounds", at(0), nil)
	h.note("events", at(1), nil)
	h.note("rounds", at(5), errors.New("first"))
	h.note("events", at(6), errors.New("second"))
	h.note("rounds", at(10), errors.New("third"))
	if got := h.status(); got.Status != StatusUnhealthy || got.Error != "third" || !got.Since.Equal(at(5)) || got.Failures != 2 ||
		!got.LastCheck.Equal(at(10)) || !got.LastSuccess.Equal(at(0)) {
		t.Errorf("while it fails: %+v", got)
	}
	h.note("rounds", at(20), nil)
	if got := h.status(); got.Status != StatusUnhealthy || got.Error != "second" || !got.Since.Equal(at(6)) || !got.LastSuccess.Equal(at(1)) {
		t.Errorf("while a part fails: %+v", got)
	}
	h.note("events", at(21), nil)
	h.note("events", at(26), nil)
	if got := h.status(); got.Status != StatusHealthy || got.Error != "" || !got.Since.Equal(at(21)) || got.Failures != 0 {
		t.Errorf("when it works again: %+v", got)
	}
}

// TestPartsOfAPoll: one that fails doesn't keep the next from running; one that hangs does.
func TestPartsOfAPoll(t *testing.T) {
	ran := ""
	part := func(name string, err error) func(context.Context) error {
		return func(context.Context) error { ran += name; return err }
	}
	err := errorsOf(t.Context(), part("a", nil), part("b", errors.New("broken")), part("c", fmt.Errorf("GET /x: %w", errNoAnswer)), part("d", nil))
	if ran != "abc" || !errors.Is(err, errNoAnswer) || !strings.Contains(err.Error(), "broken") {
		t.Errorf("ran %s, %v", ran, err)
	}
	gone := peerOf(t, time.Minute, http.NotFound)
	gone.base.Host = "127.0.0.1:1"
	if err = errorsOf(t.Context(), gone.check, gone.check); err == nil || strings.Count(err.Error(), "refused") != 1 {
		t.Errorf("where nobody listens: %v", err)
	}
}

// TestFailuresAreLoggedOnce: when they begin and end, and if they are others each time, every ten minutes.
func TestFailuresAreLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	var outcome error
	one := poller{peer: peerOf(t, time.Minute, http.NotFound), name: "state", interval: time.Second, now: time.Now,
		logger: slog.New(slog.NewTextHandler(&log, nil)), poll: func(context.Context) error { return outcome }}
	lines := func() int { return strings.Count(log.String(), "\n") }
	for second := range 20 * 60 {
		outcome = fmt.Errorf("noise %d", second)
		one.once(t.Context(), noon.Add(time.Duration(second)*time.Second))
	}
	if lines() != 2 || one.peer.health.status().Error != outcome.Error() {
		t.Errorf("twenty minutes of noise: %s", log.String())
	}
	outcome = nil
	for range 3 {
		one.once(t.Context(), noon.Add(time.Hour))
	}
	outcome = errors.New("broken")
	for hour := range 3 {
		one.once(t.Context(), noon.Add(time.Duration(hour+1)*time.Hour))
	}
	if lines() != 4 || !strings.HasSuffix(log.String(), "error=broken\n") {
		t.Errorf("then well, then always the same: %s", log.String())
	}
}

// TestNodesName: a peer whose name is a node's is found at the node's address if nobody else knows the name.
func TestNodesName(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprintf(w, "%q", r.Host) }))
	t.Cleanup(server.Close)
	at := netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://"))
	unknown := errors.New("no such host")
	for _, row := range []struct {
		host, node string
		unknown    error
		found      bool
	}{
		{"Policy-Engine.invalid", "policy-engine.invalid", unknown, true},
		{"localhost", "localhost", nil, true}, // and not at the node's address, which is asked there in vain
		{"policy-engine.invalid", "another", unknown, false},
	} {
		nodes := map[string]netip.Addr{row.node: at.Addr()}
		if row.unknown == nil {
			nodes[row.node] = netip.MustParseAddr("127.99.99.99")
		}
		p, err := newPeer(PolicyEngine, PeerOptions{URL: fmt.Sprintf("http://%s:%d", row.host, at.Port()), Timeout: time.Minute}, nodes, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.close)
		p.lookup = func(context.Context, string) ([]string, error) { return nil, row.unknown }
		var host string
		if err := p.get(t.Context(), "/health", nil, maxAnswerBytes, &host); (err == nil) != row.found {
			t.Errorf("%+v: %v", row, err)
		}
		if want := fmt.Sprintf("%s:%d", row.host, at.Port()); row.found && host != want {
			t.Errorf("%+v: it was asked as %s", row, host)
		}
	}
}

// TestAStoreThatRefusesIsLoggedOnce, however often a peer is polled meanwhile; and that a series can't be looked up is no reason to
// give its sample up.
func TestAStoreThatRefusesIsLoggedOnce(t *testing.T) {
	db, err := engine.Open("data", engine.Options{FS: vfs.NewMem(), MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	server := httptest.NewServer(flAnswers{"/health": `{}`, "/metrics": `{"current_round":1}`, "/rounds": `{"rounds":[]}`})
	t.Cleanup(server.Close)
	bed, err := NewTestbed(db, Options{FLServer: PeerOptions{URL: server.URL}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bed.Close)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		bed.pollers[0].once(t.Context(), noon)
	}
	if text := log.String(); strings.Count(text, "level=WARN") != 1 {
		t.Errorf("the log:\n%s", text)
	}
	if status := bed.Peer(FLServer); status.Status != StatusHealthy {
		t.Errorf("%+v", status)
	}
	err = bed.fl.recorder.samples([]point{{name: "accuracy", time: noon.UnixNano()}})
	if _, refused := errors.AsType[*refusal](err); refused || !errors.Is(err, engine.ErrClosed) {
		t.Errorf("a sample: %v", err)
	}
}

// TestFaultsOfTheStoreAreNotThePeers: while our disk is full, a peer that answers is well, and is polled at its interval.
func TestFaultsOfTheStoreAreNotThePeers(t *testing.T) {
	var log bytes.Buffer
	p := peerOf(t, time.Minute, http.NotFound)
	var outcome error
	one := poller{peer: p, name: "state", interval: time.Second, now: time.Now, logger: slog.New(slog.NewTextHandler(&log, nil)),
		poll: func(context.Context) error { return outcome }}
	full := fmt.Errorf("storing 3 rounds: %w", engine.ErrDiskFull)
	for _, row := range []struct {
		outcome error
		status  string
		error   string
	}{
		{full, StatusHealthy, ""},
		{errors.Join(full, errors.New("GET /x: broken")), StatusUnhealthy, "GET /x: broken"},
		{fmt.Errorf("two things: %w", errors.Join(full, full)), StatusHealthy, ""},
		{fmt.Errorf("%w: %w", engine.ErrFailed, errors.New("write 000001.wal: input/output error")), StatusHealthy, ""},
		{&refusal{&engine.LimitError{Limit: "max_series"}}, StatusHealthy, ""},
		{&refusal{&engine.TimeError{Reason: "is before its time"}}, StatusUnhealthy, "some samples can't be stored: timestamp 1970-01-01T00:00:00Z is before its time"},
		{nil, StatusHealthy, ""},
	} {
		outcome = row.outcome
		failures := one.once(t.Context(), noon)
		if got := p.health.status(); got.Status != row.status || got.Error != row.error || (failures > 0) != (row.error != "") {
			t.Errorf("%v: %+v, %d failures", row.outcome, got, failures)
		}
	}
	if text := log.String(); strings.Count(text, "can't be stored;") != 4 || strings.Count(text, "can be stored again") != 1 {
		t.Errorf("the log: %s", text)
	}
}

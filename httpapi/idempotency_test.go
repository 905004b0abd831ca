package httpapi

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/engine"
)

// onceServer is a server whose store can crash, and whose clock can be set.
type onceServer struct {
	*testServer
	fs    *vfs.MemFS
	now   *atomic.Int64
	close func()
}

// startOnce serves a store on a file system that knows what a crash would leave of it.
func startOnce(t *testing.T, fs *vfs.MemFS, now *atomic.Int64, store engine.Options) *onceServer {
	t.Helper()
	clock := func() time.Time { return time.Unix(0, now.Load()) }
	store.FS, store.Now = fs, clock
	ts, end := serveStore(t, "data", store, Options{Now: clock})
	return &onceServer{ts, fs, now, end}
}

func newOnce(t *testing.T, store engine.Options) *onceServer {
	now := new(atomic.Int64)
	now.Store(eventsNow.UnixNano())
	return startOnce(t, vfs.NewCrashableMem(), now, store)
}

// crash loses what was not synced and serves what is left.
func (s *onceServer) crash(t *testing.T) *onceServer {
	t.Helper()
	left := s.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(1, 2))})
	s.close()
	return startOnce(t, left, s.now, engine.Options{})
}

func (s *onceServer) post(path, body string, headers ...string) reply {
	s.t.Helper()
	return s.do(http.MethodPost, path, []byte(body), append([]string{"Content-Type", "text/plain"}, headers...)...) // some have faults, which the description doesn't allow
}

// wantReplay fails the test unless the answer is the first one again, byte for byte.
func wantReplay(t *testing.T, when string, first, again reply) {
	t.Helper()
	if again.status != first.status || string(again.body) != string(first.body) || again.header.Get("Content-Type") != first.header.Get("Content-Type") {
		t.Errorf("%s: %d %s, the first time %d %s", when, again.status, again.body, first.status, first.body)
	}
	if again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%s: it doesn't say that it is a replay", when)
	}
}

func wantFirst(t *testing.T, when string, r reply) {
	t.Helper()
	if r.status != http.StatusOK || r.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("%s: %d %s, replayed %q", when, r.status, r.body, r.header.Get("Idempotency-Replayed"))
	}
}

// onceRequests are bodies of each route that takes a key. Times are those of receipt, so doing one again would be seen.
var onceRequests = []struct{ name, path, body, other, key string }{
	{"metrics", "/metrics", `{"metrics":[{"name":"a","value":1},{"name":"b","value":"x"}]}`, `{"metrics":[{"name":"a","value":2}]}`, "key"},
	{"batch", "/metrics/batch", `{"batches":[{"metrics":[{"name":"a","value":1}]}]}`, `{"batches":[]}`, "key"},
	{"events", "/events", `[{"component":"c","event_type":"t"},{"component":"c"}]`, `[]`, "key"},
	{"nothing", "/metrics", `{"metrics":[]}`, `[]`, "nothing"},
	{"no events", "/events", `[]`, `{"events":[]}`, "nothing"},
	{"batch_id", "/metrics", `{"batch_id":"b1","metrics":[{"name":"a","value":1}]}`, `{"batch_id":"b1","metrics":[{"name":"a","value":2}]}`, ""},
	{"batch_id of batches", "/metrics/batch", `{"batches":[{"metrics":[{"name":"a","value":1}]}],"batch_id":"b1"}`, `{"batch_id":"b1","batches":[]}`, ""},
}

// TestRequestsAreDoneOnce sends each request again: at once, later, after a flush, a restart and crashes.
func TestRequestsAreDoneOnce(t *testing.T) {
	for _, test := range onceRequests {
		t.Run(test.name, func(t *testing.T) {
			var headers []string
			if test.key != "" {
				headers = []string{"Idempotency-Key", test.key}
			}
			s := newOnce(t, engine.Options{})
			first := s.post(test.path, test.body, headers...)
			wantFirst(t, "first", first)
			accepted := s.db.Stats().SamplesAccepted
			again := func(when string) {
				t.Helper()
				s.now.Add(int64(time.Hour))
				wantReplay(t, when, first, s.post("/api/v1"+test.path, test.body, headers...))
				s.post(test.path, test.other, headers...).wantError(t, http.StatusConflict, "CONFLICT")
				if n := s.db.Stats().SamplesAccepted; n != accepted {
					t.Errorf("%s: %d samples are accepted, before %d", when, n, accepted)
				}
				result, err := s.db.Events(t.Context(), engine.EventQuery{To: s.now.Load(), Limit: 10})
				if want := strings.Count(test.body, `"event_type"`); err != nil || len(result.Events) != want {
					t.Errorf("%s: %d events, %v; want %d", when, len(result.Events), err, want)
				}
			}
			again("at once")
			s = s.crash(t)
			again("after a crash")
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
			again("after a flush")
			s = s.crash(t)
			again("after a flush and a crash")
			s.now.Add(int64(engine.AnswerAge))
			wantFirst(t, "a day later", s.post(test.path, test.body, headers...))
			s = s.crash(t)
			if next := s.post(test.path, test.body, headers...); next.header.Get("Idempotency-Replayed") != "true" || string(next.body) == string(first.body) {
				t.Errorf("the answer of a day later doesn't take the place of the first: %s", next.body)
			}
		})
	}
}

// TestKeysHaveAScope sends one key to all routes: each is a request of its own.
func TestKeysHaveAScope(t *testing.T) {
	s := newOnce(t, engine.Options{})
	for _, test := range onceRequests[:3] {
		wantFirst(t, test.name, s.post(test.path, test.body, "Idempotency-Key", "same"))
	}
	if given := s.post("/metrics", `{"batch_id":"b","metrics":[]}`, "Idempotency-Key", "k"); given.status != http.StatusOK {
		t.Error(given.status)
	}
	wantFirst(t, "a batch_id beside a key is a name only", s.post("/metrics", `{"batch_id":"b","metrics":[{"name":"a","value":3}]}`))
	for _, bad := range []string{strings.Repeat("x", 256), "\xff"} {
		s.post("/metrics", "[]", "Idempotency-Key", bad).wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
		s.post("/events", "[]", "Idempotency-Key", bad).wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
	}
	wantFirst(t, "255 characters", s.post("/metrics", "[]", "Idempotency-Key", strings.Repeat("é", 255)))
}

// TestRefusedRequestsAreNotKept mends bodies and stores under the same key.
func TestRefusedRequestsAreNotKept(t *testing.T) {
	s := newOnce(t, engine.Options{})
	for _, test := range []struct{ path, bad, good string }{
		{"/metrics", `[{"name":"","value":1}]`, `[{"name":"a","value":1}]`},
		{"/metrics", `[`, `[{"name":"a","value":1}]`},
		{"/events", `[{"component":"c"}]`, `[{"component":"c","event_type":"t"}]`},
	} {
		key := test.path + test.bad
		s.post(test.path, test.bad, "Idempotency-Key", key).wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
		first := s.post(test.path, test.good, "Idempotency-Key", key)
		wantFirst(t, "mended", first)
		wantReplay(t, "mended, again", first, s.post(test.path, test.good, "Idempotency-Key", key))
	}
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range onceRequests[:3] {
		s.post(test.path, test.body, "Idempotency-Key", "late").wantError(t, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
	}
	s = s.crash(t)
	for _, test := range onceRequests[:3] {
		wantFirst(t, "after a 503", s.post(test.path, test.body, "Idempotency-Key", "late"))
	}
}

// TestRequestsWithOneKeyAtOnce sends the same request from many clients: one is done, all get its answer.
func TestRequestsWithOneKeyAtOnce(t *testing.T) {
	s := newOnce(t, engine.Options{})
	for round := range 20 {
		test := onceRequests[round%3]
		key, before := fmt.Sprint(round), s.db.Stats().SamplesAccepted
		answers := make([]reply, 8)
		var group sync.WaitGroup
		for i := range answers {
			group.Go(func() { answers[i] = s.post(test.path, test.body, "Idempotency-Key", key) })
		}
		group.Wait()
		done := 0
		for _, answer := range answers {
			if answer.status != http.StatusOK || string(answer.body) != string(answers[0].body) {
				t.Errorf("%d %s beside %s", answer.status, answer.body, answers[0].body)
			}
			if answer.header.Get("Idempotency-Replayed") == "" {
				done++
			}
		}
		if done != 1 {
			t.Errorf("%d of them were done", done)
		}
		if test.path != "/events" && s.db.Stats().SamplesAccepted != before+1 {
			t.Errorf("%d samples were accepted for one", s.db.Stats().SamplesAccepted-before)
		}
	}
	result, err := s.db.Events(t.Context(), engine.EventQuery{To: s.now.Load() + 1, Limit: 100})
	if err != nil || len(result.Events) != 6 {
		t.Errorf("%d events, %v; want 6, one of each round", len(result.Events), err)
	}
}

// TestKeysOfDifferentClients checks that what one key's client did is not told to another.
func TestKeysOfDifferentClients(t *testing.T) {
	one, two := &request{key: &key{name: "one"}}, &request{key: &key{name: "two"}}
	s := newOnce(t, engine.Options{})
	s.getJSON("/livez") // it serves
	var claims []*once
	for _, r := range []*request{one, two} {
		r.server, r.received = s.server, eventsNow
		claim, err := r.beginOnce("/metrics", []byte("k"), []byte("body")) // would wait for ever if the keys were one
		if err != nil || claim.replayed {
			t.Fatal(claim, err)
		}
		claims = append(claims, claim)
	}
	for _, claim := range claims {
		claim.end()
	}
	if claims[0].key == claims[1].key {
		t.Error("two clients share a key")
	}
}

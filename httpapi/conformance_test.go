package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/engine"
)

// example is a request and an answer of the API's document, as testdata/seed has them. All that the answer has
// must come, under its keys, of its types and with its values; what may differ, or comes beside it, is declared.
type example struct {
	name    string // of its files
	target  string // in place of the path, where the document only lists the parameters
	request string // where it shows no request: the line, headers, and the body behind an empty line
	version string // of the collector; "": 1.0.0
	now     string // the server's clock
	prepare func(*conformance)
	status  int               // 0: 200
	vary    map[string]string // values that can't be the example's: by path, the expression that their JSON matches as a whole
	beside  []string          // paths of what comes beside the example; * for any part of a key
	answer  string            // expected where the document shows none, as JSON
	check   func(*conformance, reply)
	after   func(*conformance) // looks at what the request has done

	// exchange holds a conversation, where there is more to it than a request and its answer.
	exchange func(c *conformance, request seedRequest, base string)
}

// conformance is a server that an example is sent to.
type conformance struct {
	*testServer
	clock  *atomic.Int64
	timers *fakeTimers // of live connections
}

// at moves the clock.
func (c *conformance) at(text string) { c.clock.Store(mustTime(c.t, text)) }

// TestConformance sends the examples of the document over a socket, at both bases, with the Content-Type they
// have and with that of curl -d, each to a server of its own.
func TestConformance(t *testing.T) {
	for _, e := range examples() {
		request := parseExample(e.request)
		if e.request == "" {
			request = parseExample(readSeed(t, e.name+".request"))
		}
		for _, base := range bases {
			for _, contentType := range []string{"", "application/x-www-form-urlencoded"} {
				if contentType != "" && request.withoutContentType() {
					continue
				}
				t.Run(strings.Trim(e.name+base+"/"+contentType, "/"), func(t *testing.T) {
					e.run(t, request, base, contentType)
				})
			}
		}
	}
}

// TestConformanceIsWhole fails for examples among the files that are not sent, and for answers that nothing is
// compared with.
func TestConformanceIsWhole(t *testing.T) {
	files, err := filepath.Glob("testdata/seed/[12]-*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	listed := map[string]bool{}
	for _, e := range examples() {
		if listed[e.name] {
			t.Errorf("%s is listed twice", e.name)
		}
		listed[e.name] = true
	}
	for _, file := range files {
		if name, _, _ := strings.Cut(filepath.Base(file), "."); !listed[name] {
			t.Errorf("%s is of no example of the suite", file)
		}
	}
}

// seedRequest is the request of an example.
type seedRequest struct {
	method, target string
	headers        []string // pairs of name and value
	body           string
}

func parseExample(text string) seedRequest {
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	request := seedRequest{body: strings.TrimSuffix(body, "\n")}
	request.method, request.target, _ = strings.Cut(lines[0], " ")
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		request.headers = append(request.headers, name, value)
	}
	return request
}

func readSeed(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/seed/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (e *example) run(t *testing.T, request seedRequest, base, contentType string) {
	c := startConformance(t, e.version, e.now)
	if e.prepare != nil {
		e.prepare(c)
	}
	target := request.target
	if e.target != "" {
		target = e.target
		if place, _, _ := strings.Cut(target, "?"); place != request.target {
			t.Fatalf("the example is of %s, not of %s", request.target, place)
		}
	}
	if e.exchange != nil {
		e.exchange(c, request, base)
		return
	}
	headers := slices.Clone(request.headers)
	if contentType != "" {
		headers[slices.Index(headers, "Content-Type")+1] = contentType
	}
	answer := c.do(request.method, base+target, []byte(request.body), headers...)
	if want := max(e.status, http.StatusOK); answer.status != want {
		t.Fatalf("%s %s: %d, want %d: %s", request.method, target, answer.status, want, answer.body)
	}
	switch {
	case e.check != nil:
		e.check(c, answer)
	case e.answer != "":
		e.compare(t, e.answer, answer.body)
	default:
		e.compare(t, readSeed(t, e.name+".response.json"), answer.body)
	}
	if e.after != nil {
		e.after(c)
	}
}

// startConformance starts a server with the buffers, the retention and the rate limit of the document's figures.
func startConformance(t *testing.T, version, now string) *conformance {
	t.Helper()
	c := &conformance{clock: new(atomic.Int64), timers: newFakeTimers()}
	if now == "" {
		now = "2024-01-15T10:30:01Z"
	}
	c.clock.Store(mustTime(t, now))
	clock := func() time.Time { return time.Unix(0, c.clock.Load()).UTC() }
	if version == "" {
		version = "1.0.0"
	}
	settings := config.Default()
	settings.DataDir = t.TempDir()
	live, _, err := config.OpenLive(settings)
	if err == nil {
		err = live.Begin(func(_, _ config.Config) {}) // what settings do is tested elsewhere
	}
	if err != nil {
		t.Fatal(err)
	}
	c.testServer = startEngine(t, engine.Options{
		Now: clock, MaxWaitingSamples: 10_000, ResultCacheBytes: 1 << 20, MinChunkSamples: 1,
		Retention: engine.RetentionPolicy{Default: engine.Retention{Raw: 30 * 24 * time.Hour}},
	}, Options{Version: version, Now: clock, After: c.timers.after, Config: live, RateLimit: RateLimit{Reads: 5000, Window: time.Hour},
		ExportPatience: time.Minute})
	return c
}

// compare fails the test for every way in which an answer is not the example's.
func (e *example) compare(t testing.TB, want string, got []byte) {
	t.Helper()
	var wanted, given any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatalf("the example %s: %v", e.name, err)
	}
	if err := json.Unmarshal(got, &given); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	used := map[string]bool{}
	for _, fault := range e.faults("", wanted, given, used) {
		t.Errorf("%s: %s\nin %s", e.name, fault, got)
	}
	for where := range e.vary {
		if !used[where] {
			t.Errorf("%s: %s is declared to vary, and there is no such value in the example", e.name, where)
		}
	}
}

func (e *example) faults(where string, want, got any, used map[string]bool) (faults []string) {
	if pattern, varies := e.vary[where]; varies {
		used[where] = true
		text, _ := json.Marshal(got)
		if !regexp.MustCompile("^(?:" + pattern + ")$").Match(text) {
			return []string{fmt.Sprintf("%s is %s, want a %T such as %v, as %s", where, text, want, want, pattern)}
		}
		return nil
	}
	switch want := want.(type) {
	case map[string]any:
		given, ok := got.(map[string]any)
		if !ok {
			break
		}
		for _, key := range slices.Sorted(maps.Keys(want)) {
			at := strings.TrimPrefix(where+"."+key, ".")
			value, present := given[key]
			if !present {
				faults = append(faults, at+" is missing")
				continue
			}
			faults = append(faults, e.faults(at, want[key], value, used)...)
		}
		for key := range given {
			at := strings.TrimPrefix(where+"."+key, ".")
			if _, known := want[key]; !known && !slices.ContainsFunc(e.beside, func(pattern string) bool { ok, _ := path.Match(pattern, at); return ok }) {
				faults = append(faults, at+" comes beside the example and isn't declared")
			}
		}
		return faults
	case []any:
		given, ok := got.([]any)
		if !ok || len(given) != len(want) {
			break
		}
		for i := range want {
			faults = append(faults, e.faults(fmt.Sprintf("%s[%d]", where, i), want[i], given[i], used)...)
		}
		return faults
	default:
		if want == got {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s is %v (%T), want %v (%T)", where, got, got, want, want)}
}

// TestConformanceNotices shows that the comparison sees a wrong value, a wrong type, a missing key, one too
// many and a list that is too long.
func TestConformanceNotices(t *testing.T) {
	e := &example{vary: map[string]string{"v": `"\d+ms"`}, beside: []string{"extra*"}}
	var want any
	if err := json.Unmarshal([]byte(`{"a": 1, "b": [{"c": "x"}], "v": "15ms"}`), &want); err != nil {
		t.Fatal(err)
	}
	for text, faults := range map[string]int{
		`{"a": 1, "b": [{"c": "x"}], "v": "9ms", "extra_1": 0}`:     0,
		`{"a": 2, "b": [{"c": "x"}], "v": "9ms"}`:                   1,
		`{"a": "1", "b": [{"c": "x"}], "v": "9ms"}`:                 1,
		`{"b": [{"c": null}], "v": "9ms"}`:                          2,
		`{"a": 1, "b": [{"c": "x"}, {"c": "x"}], "v": "9ms"}`:       1,
		`{"a": 1, "b": [{"c": "x", "d": 0}], "v": 9}`:               2,
		`{"a": 1, "b": [{"c": "x"}], "v": "9 ms", "unexpected": 0}`: 2,
	} {
		var got any
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if found := e.faults("", want, got, map[string]bool{}); len(found) != faults {
			t.Errorf("%s: %q, want %d faults", text, found, faults)
		}
	}
}

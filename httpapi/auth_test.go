package httpapi

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/config"
)

// testAuth has a key of each role, each of which is its own secret, and a pair of user name and password.
var testAuth = config.Auth{
	Keys: []config.APIKey{
		{Name: "reader", Role: "read", Secret: "reader-key"},
		{Name: "writer", Role: "write", Secret: "writer-key"},
		{Name: "device", Role: "write", Secret: "device-key", Sources: []string{"edge-7", "edge-8"}},
		{Name: "admin", Role: "admin", Secret: "admin-key"},
	},
	Username: "floppy", Password: "net:work",
}

// startLocked is startServer with keys.
func startLocked(t testing.TB, keys KeyOptions, options Options, extra ...route) *testServer {
	t.Helper()
	ts := startServer(t, options, extra...)
	ts.openKeys(keys)
	return ts
}

// openKeys makes the running server's keys those of the configuration and of the store.
func (ts *testServer) openKeys(options KeyOptions) {
	ts.t.Helper()
	ring, err := OpenKeys(ts.db, options)
	if err != nil {
		ts.t.Fatal(err)
	}
	keys := ts.server.keys
	keys.change.Lock()
	defer keys.change.Unlock()
	keys.required = options.Required
	keys.found.Store(ring.found.Load())
}

// bearer is the header for a key.
func bearer(secret string) []string { return []string{"Authorization", "Bearer " + secret} }

func basic(user, password string) []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}
}

// TestRolesOfEveryRoute asks every endpoint with a key of every role, and without one.
func TestRolesOfEveryRoute(t *testing.T) {
	ts := startLocked(t, KeyOptions{Auth: testAuth}, Options{})
	for _, endpoint := range allRoutes() {
		for _, path := range endpoint.places() {
			path = strings.NewReplacer("{", "", "}", "").Replace(path)
			if endpoint.live {
				path += "?nonsense=1" // or an answer wouldn't end
			}
			for role, headers := range map[role][]string{roleNone: nil, roleRead: bearer("reader-key"), roleWrite: bearer("writer-key"), roleAdmin: bearer("admin-key")} {
				answer := ts.do(endpoint.method, path, nil, headers...)
				switch {
				case role >= endpoint.role:
					if answer.status == http.StatusUnauthorized || answer.status == http.StatusForbidden {
						t.Errorf("%s %s with a key of role %s: %d %s", endpoint.method, path, role, answer.status, answer.body)
					}
				case role == roleNone:
					answer.wantError(t, http.StatusUnauthorized, "UNAUTHORIZED")
				default:
					got := answer.wantError(t, http.StatusForbidden, "FORBIDDEN")
					if got.Details["role"] != role.String() || got.Details["required"] != endpoint.role.String() {
						t.Errorf("%s %s: %v", endpoint.method, path, got.Details)
					}
				}
			}
		}
	}
}

func TestCredentials(t *testing.T) {
	keyed := route{role: roleRead, method: "GET", path: "/who", handler: func(_ *Server, r *request) error {
		r.respond(fasthttp.StatusOK, "text/plain", []byte(r.keyName()))
		return nil
	}}
	live := keyed
	live.path, live.live = "/live", true
	live.handler = func(_ *Server, r *request) error {
		if err := r.noParams(); err != nil { // the key's parameter is gone
			return err
		}
		r.respond(fasthttp.StatusOK, "text/plain", []byte(r.keyName()))
		return nil
	}
	ts := startLocked(t, KeyOptions{Auth: testAuth}, Options{}, keyed, live)
	for _, test := range []struct {
		path    string
		headers []string
		want    string // name of the key; "": 401
	}{
		{"/who", bearer("reader-key"), "reader"},
		{"/who", []string{"Authorization", "bearer  reader-key "}, "reader"},
		{"/who", []string{"Authorization", "Token writer-key"}, "writer"},
		{"/who", basic("anybody", "admin-key"), "admin"},
		{"/who", basic("", "admin-key"), "admin"},
		{"/who", basic("floppy", "net:work"), "user:floppy"},
		{"/live", []string{"Sec-WebSocket-Protocol", "collector, key.reader-key"}, "reader"},
		{"/live?api_key=writer-key", nil, "writer"},
		{"/live?api_key=reader-key", bearer("admin-key"), "admin"},
		{"/who", nil, ""},
		{"/who", bearer("reader-kez"), ""},
		{"/who", bearer(""), ""},
		{"/who", []string{"Authorization", "reader-key"}, ""},
		{"/who", []string{"Authorization", "Digest reader-key"}, ""},
		{"/who", []string{"Authorization", "Basic reader-key"}, ""},
		{"/who", basic("flopp", "net:work"), ""},
		{"/who", bearer("net:work"), ""},
		{"/who", bearer("floppy:net:work"), ""},
		{"/who", basic("user:floppy", "net:work"), ""},
		{"/who?api_key=reader-key", nil, ""},
		{"/who", []string{"Sec-WebSocket-Protocol", "collector, key.reader-key"}, ""},
		{"/live?api_key=wrong", nil, ""},
		{"/live?api_key=reader-key", bearer("wrong"), ""},
	} {
		answer := ts.get(test.path, test.headers...)
		if test.want != "" && (answer.status != http.StatusOK || string(answer.body) != test.want) {
			t.Errorf("%s %v: %d %s, want %s", test.path, test.headers, answer.status, answer.body, test.want)
		}
		if test.want == "" {
			answer.wantError(t, http.StatusUnauthorized, "UNAUTHORIZED")
			if got := answer.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer realm="collector", Basic `) {
				t.Errorf("%s %v: WWW-Authenticate %q", test.path, test.headers, got)
			}
			for _, secret := range []string{"reader-ke", "net:work"} {
				if strings.Contains(string(answer.body), secret) {
					t.Errorf("the key is shown in %s", answer.body)
				}
			}
		}
	}
	script := ts.get("/who", "Sec-Fetch-Mode", "cors")
	if got := script.header.Get("WWW-Authenticate"); got != `Bearer realm="collector"` {
		t.Errorf("a script in a browser is told %q", got)
	}
}

// TestOpenServerIgnoresKeys: without keys nothing is asked for and nothing is looked at.
func TestOpenServerIgnoresKeys(t *testing.T) {
	ts := startServer(t, Options{})
	for _, headers := range [][]string{bearer("nonsense"), basic("a", "b"), {"Authorization", "nonsense"}} {
		if answer := ts.get("/metrics/query?metric=a", headers...); answer.status != http.StatusOK {
			t.Errorf("%v: %d %s", headers, answer.status, answer.body)
		}
	}
	if got := ts.getJSON("/admin/keys"); len(got["keys"].([]any)) != 0 {
		t.Errorf("keys: %v", got)
	}
}

func TestHealthWithoutKey(t *testing.T) {
	ts := startLocked(t, KeyOptions{Auth: testAuth}, Options{})
	for _, headers := range [][]string{nil, bearer("wrong")} {
		answer := ts.get("/health", headers...)
		if got := decodeJSON(t, answer.body); answer.status != http.StatusOK || len(got) != 5 || got["status"] != "healthy" || got["service"] != "collector" || got["version"] != "dev" || got["uptime"] == "" {
			t.Errorf("%v: %d %s", headers, answer.status, answer.body)
		}
	}
	if got := decodeJSON(t, ts.get("/health", bearer("reader-key")...).body); got["components"] == nil {
		t.Errorf("with a key: %v", got)
	}
	for _, path := range []string{"/livez", "/readyz", "/", "/openapi.json", "/openapi.yaml"} {
		if answer := ts.get(path); answer.status != http.StatusOK {
			t.Errorf("%s without a key: %d", path, answer.status)
		}
	}
}

// TestHostIsFreeWithKeys: a foreign page that reaches the server under its own name still knows no key.
func TestHostIsFreeWithKeys(t *testing.T) {
	ts := startLocked(t, KeyOptions{Auth: testAuth}, Options{})
	if answer := ts.get("/metrics/query?metric=a", append(bearer("reader-key"), "Host", "metrics.lab:8000")...); answer.status != http.StatusOK {
		t.Errorf("%d %s", answer.status, answer.body)
	}
	ts.get("/metrics/query?metric=a", "Host", "metrics.lab:8000").wantError(t, http.StatusUnauthorized, "UNAUTHORIZED")
}

func TestAccessors(t *testing.T) {
	type answers struct {
		name     string
		roles    [4]bool
		sources  [2]bool
		stillOut bool
	}
	var got answers
	probe := route{role: roleNone, method: "GET", path: "/probe", handler: func(_ *Server, r *request) error {
		got = answers{name: r.keyName(), sources: [2]bool{r.mayWriteAs("edge-7"), r.mayWriteAs("other")}, stillOut: !r.stillAllowed()()}
		for role := roleNone; role <= roleAdmin; role++ {
			got.roles[role-roleNone] = r.requireRole(role) == nil
		}
		return nil
	}}
	locked, open := startLocked(t, KeyOptions{Auth: testAuth}, Options{}, probe), startServer(t, Options{}, probe)
	for _, test := range []struct {
		ts     *testServer
		secret string
		want   answers
	}{
		{locked, "reader-key", answers{"reader", [4]bool{true, true, false, false}, [2]bool{true, true}, false}},
		{locked, "writer-key", answers{"writer", [4]bool{true, true, true, false}, [2]bool{true, true}, false}},
		{locked, "device-key", answers{"device", [4]bool{true, true, true, false}, [2]bool{true, false}, false}},
		{locked, "admin-key", answers{"admin", [4]bool{true, true, true, true}, [2]bool{true, true}, false}},
		{locked, "wrong", answers{"", [4]bool{true, false, false, false}, [2]bool{true, true}, false}},
		{open, "wrong", answers{"", [4]bool{true, true, true, true}, [2]bool{true, true}, false}},
	} {
		test.ts.get("/probe", bearer(test.secret)...)
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", test.secret, got, test.want)
		}
	}
}

// TestKeyBoundToSources writes with a device's key.
func TestKeyBoundToSources(t *testing.T) {
	ts := startLocked(t, KeyOptions{Auth: testAuth}, Options{})
	write := func(path, body, secret string) reply {
		return ts.do(http.MethodPost, path, []byte(body), append(bearer(secret), "Content-Type", "application/json")...)
	}
	const mixed = `{"source":"edge-7","metrics":[{"name":"a","value":1},{"name":"a","value":2,"source":"fl_server"}]}`
	answer := write("/metrics", mixed, "device-key")
	got := decodeJSON(t, answer.body)
	rejection, _ := got["errors"].([]any)
	if answer.status != http.StatusOK || got["status"] != "partial" || len(rejection) != 1 || rejection[0].(map[string]any)["index"] != 1.0 {
		t.Errorf("%d %s", answer.status, answer.body)
	}
	write("/metrics/batch", `{"batches":[{"source":"fl_server","metrics":[{"name":"a","value":1}]}]}`, "device-key").wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
	if answer := write("/metrics", mixed, "writer-key"); decodeJSON(t, answer.body)["status"] != "success" {
		t.Errorf("a key without sources, after one with: %d %s", answer.status, answer.body)
	}
	if read := ts.get("/metrics/query?metric=a&source=fl_server", bearer("device-key")...); read.status != http.StatusOK {
		t.Errorf("reading: %d", read.status)
	}
}

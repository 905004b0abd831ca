package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

const dash = "https://dash.lab:3000"

func TestCORS(t *testing.T) {
	open := startServer(t, Options{})
	named := startServer(t, Options{AllowedOrigins: []string{dash}})
	anybody := startServer(t, Options{AllowedOrigins: []string{"*", dash}})
	for _, test := range []struct {
		ts                          *testServer
		origin                      string
		allow, credentials, exposes string // headers of the answer; exposes: a part of it
		varies                      bool
	}{
		{open, dash, "", "", "", false},
		{named, dash, dash, "true", "X-RateLimit-Reset", true},
		{named, "https://dash.lab", "", "", "", true},
		{named, "http://dash.lab:3000", "", "", "", true},
		{named, "null", "", "", "", true},
		{named, "", "", "", "", true},
		{anybody, dash, dash, "true", "X-Request-ID", true},
		{anybody, "https://evil.example", "*", "", "X-Next-Cursor", true},
	} {
		for _, path := range []string{"/livez", "/nothing", "/metrics/query?metric=a"} { // errors can be read too
			var headers []string
			if test.origin != "" {
				headers = []string{"Origin", test.origin}
			}
			header := test.ts.get(path, headers...).header
			exposed := header.Get("Access-Control-Expose-Headers")
			if header.Get("Access-Control-Allow-Origin") != test.allow || header.Get("Access-Control-Allow-Credentials") != test.credentials ||
				(exposed != "") != (test.exposes != "") || !strings.Contains(exposed, test.exposes) || strings.Contains(header.Get("Vary"), "Origin") != test.varies {
				t.Errorf("%s from %q: %v", path, test.origin, header)
			}
		}
	}
}

func TestPreflight(t *testing.T) {
	ts := startLocked(t, KeyOptions{Auth: testAuth}, Options{AllowedOrigins: []string{dash}}) // it is answered without a key
	ask := func(origin string) http.Header {
		answer := ts.do(http.MethodOptions, "/metrics", nil, "Origin", origin, "Access-Control-Request-Method", "DELETE", "Access-Control-Request-Headers", "authorization")
		if answer.status != http.StatusNoContent {
			t.Errorf("from %s: %d", origin, answer.status)
		}
		return answer.header
	}
	granted := ask(dash)
	if !strings.Contains(granted.Get("Access-Control-Allow-Methods"), "DELETE") || !strings.Contains(granted.Get("Access-Control-Allow-Headers"), "Authorization") ||
		granted.Get("Access-Control-Max-Age") == "" || granted.Get("Access-Control-Allow-Origin") != dash {
		t.Errorf("granted: %v", granted)
	}
	refused := ask("https://evil.example")
	for name := range refused {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("refused, with %s", name)
		}
	}
	if plain := ts.do(http.MethodOptions, "/metrics", nil, "Origin", dash).header; plain.Get("Access-Control-Allow-Methods") != "" || plain.Get("Allow") == "" {
		t.Errorf("no preflight: %v", plain)
	}
}

// TestForeignPagesChangeNothing asks every route that changes something, as a page of another site would.
func TestForeignPagesChangeNothing(t *testing.T) {
	job := route{role: roleRead, mutates: true, method: "GET", path: "/job", handler: (*Server).getLive}
	live := route{role: roleRead, live: true, method: "GET", path: "/live", handler: (*Server).getLive}
	for name, allowed := range map[string][]string{"nothing allowed": nil, "reading allowed": {"*"}, "one allowed": {dash}} {
		ts := startServer(t, Options{AllowedOrigins: allowed}, job, live)
		closed := 0
		for _, endpoint := range append(allRoutes(), job, live) {
			if !endpoint.mutates && !endpoint.live {
				continue
			}
			closed++
			path := strings.NewReplacer("{", "", "}", "").Replace(endpoint.path)
			if endpoint.live {
				path += "?nonsense=1" // or an answer wouldn't end
			}
			for _, headers := range [][]string{{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example", "Sec-Fetch-Site", "same-site"}} {
				ts.do(endpoint.method, path, nil, headers...).wantError(t, http.StatusForbidden, "FORBIDDEN")
			}
			answer := ts.do(endpoint.method, path, nil, "Origin", dash, "Sec-Fetch-Site", "cross-site")
			if granted := answer.status != http.StatusForbidden; granted != slices.Contains(allowed, dash) {
				t.Errorf("%s: %s %s from the named origin: %d", name, endpoint.method, path, answer.status)
			}
		}
		if closed < 5 {
			t.Errorf("%d routes that change something", closed)
		}
	}
}

// TestRoutesThatChangeSayso: a route of a method that changes something is closed to foreign pages, unless it
// only asks with a body.
func TestRoutesThatChangeSaySo(t *testing.T) {
	asking := []string{"/metrics/query/multi", "/metrics/anomalies", "/api/metrics/query"}
	for _, endpoint := range allRoutes() {
		if endpoint.method != http.MethodGet && !endpoint.mutates && !slices.Contains(asking, endpoint.path) {
			t.Errorf("%s %s doesn't say that it changes something", endpoint.method, endpoint.path)
		}
		if endpoint.role == roleUndeclared || endpoint.mutates && endpoint.role < roleRead {
			t.Errorf("%s %s has the role %s", endpoint.method, endpoint.path, endpoint.role)
		}
	}
}

package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/flopynet/collector/engine"
)

// codeServers are servers in the states that the codes need.
type codeServers struct {
	open    *testServer // without keys, with small limits
	locked  *testServer // with keys
	limited *testServer // one read an hour, and that one is used up
	hasty   *testServer // its queries have no time
	closing *testServer // it is about to stop
	late    *testServer // its export has expired
	expired string      // the path of that export's file
}

func startCodeServers(t *testing.T) *codeServers {
	t.Helper()
	broken := route{role: roleRead, method: "GET", path: "/broken", handler: func(*Server, *request) error { return errors.New("a wire at /dev/sda is loose") }}
	s := &codeServers{
		open:    startServer(t, Options{MaxBodyBytes: 1 << 10}, broken),
		locked:  startLocked(t, KeyOptions{Auth: testAuth}, Options{}),
		limited: startServer(t, Options{RateLimit: RateLimit{Reads: 1}}),
		hasty:   startServer(t, Options{QueryTimeout: time.Nanosecond}),
		closing: startServer(t, Options{}),
	}
	var clock atomic.Int64
	clock.Store(time.Date(2025, 6, 16, 10, 30, 0, 0, time.UTC).UnixNano())
	s.late = startEngine(t, engine.Options{Now: func() time.Time { return time.Unix(0, clock.Load()) }}, Options{ExportPatience: time.Minute})
	s.expired = s.late.wantExport(seedJob, http.StatusOK, "completed")["download_url"].(string)
	s.late.server.options.Exports.Close()
	clock.Add(int64(24 * time.Hour))
	s.limited.getJSON("/metrics/query?metric=a")
	s.hasty.write("a", "", nil, "2024-01-15T10:00:00Z", 1.0)
	s.closing.server.SetReady(false)
	return s
}

// codeRow asks for one code.
type codeRow struct {
	code    string
	status  int
	server  func(*codeServers) *testServer
	method  string
	path    string
	body    string
	headers []string
	want    map[string]string // headers of the answer; "*": any value
	details []string          // keys that details must have
}

func codeRows() []codeRow {
	open := func(s *codeServers) *testServer { return s.open }
	const query = "/metrics/query?metric=a"
	return []codeRow{
		{"INVALID_REQUEST", 400, open, "POST", "/metrics", `{"metrics": [}`, nil, nil, []string{"issue", "offset", "line", "column"}},
		{"INVALID_QUERY", 400, open, "GET", query + "&from=2024-01-15T11:00:00Z&to=2024-01-15T10:00:00Z", "", nil, nil, []string{"issue", "from", "to"}},
		{"INVALID_QUERY", 400, open, "GET", query + "&agregation=avg", "", nil, nil, []string{"parameter", "nearest", "valid"}},
		{"UNAUTHORIZED", 401, func(s *codeServers) *testServer { return s.locked }, "GET", query, "", nil, map[string]string{"WWW-Authenticate": "*"}, []string{"issue"}},
		{"FORBIDDEN", 403, func(s *codeServers) *testServer { return s.locked }, "POST", "/metrics", `[]`, bearer("reader-key"), nil, []string{"key", "role", "required"}},
		{"FORBIDDEN", 403, open, "POST", "/metrics", `[]`, []string{"Origin", "https://evil.example"}, nil, []string{"given", "issue"}},
		{"FORBIDDEN", 403, open, "GET", query, "", []string{"Host", "evil.example"}, nil, []string{"given", "issue"}},
		{"RESOURCE_NOT_FOUND", 404, open, "GET", "/nothing", "", nil, nil, []string{"path"}},
		{"RESOURCE_NOT_FOUND", 404, open, "DELETE", "/admin/keys/nobody", "", nil, nil, []string{"name"}},
		{"METHOD_NOT_ALLOWED", 405, open, "PUT", query, "", nil, map[string]string{"Allow": "GET, HEAD, OPTIONS"}, []string{"method", "allow"}},
		{"CONFLICT", 409, open, "POST", "/metrics", `[{"name":"a","value":2}]`, []string{"Idempotency-Key", "used"}, nil, nil},
		{"GONE", 410, func(s *codeServers) *testServer { return s.late }, "GET", "{expired}", "", nil, nil, []string{"issue"}},
		{"PAYLOAD_TOO_LARGE", 413, open, "POST", "/metrics", `[` + strings.Repeat(" ", 1<<10) + `]`, nil, nil, []string{"limit", "max"}},
		{"UNSUPPORTED_MEDIA_TYPE", 415, open, "POST", "/metrics", `[]`, []string{"Content-Type", "image/png"}, nil, nil},
		{"LIMIT_EXCEEDED", 422, open, "GET", query + "&granularity=1s&from=2020-01-01&to=2024-01-01", "", nil, nil, []string{"limit", "max", "issue"}},
		{"RATE_LIMIT_EXCEEDED", 429, func(s *codeServers) *testServer { return s.limited }, "GET", query, "", nil,
			map[string]string{"Retry-After": "*", "X-RateLimit-Limit": "1", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "*"}, nil},
		{"INTERNAL_ERROR", 500, open, "GET", "/broken", "", nil, nil, nil},
		{"SERVICE_UNAVAILABLE", 503, func(s *codeServers) *testServer { return s.closing }, "GET", "/readyz", "", nil, map[string]string{"Retry-After": "*"}, []string{"issue"}},
		{"QUERY_TIMEOUT", 504, func(s *codeServers) *testServer { return s.hasty }, "GET", query + "&from=2024-01-15&to=2024-01-16&aggregation=avg", "", nil, nil, []string{"issue"}},
	}
}

// TestEachErrorCode produces every code there is over a socket, at both bases, and looks at all of the answer.
func TestEachErrorCode(t *testing.T) {
	servers := startCodeServers(t)
	if answer := servers.open.do("POST", "/metrics", []byte(`[{"name":"a","value":1}]`), "Idempotency-Key", "used"); answer.status != http.StatusOK {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	if answer := servers.open.do("POST", "/api/v1/metrics", []byte(`[{"name":"a","value":1}]`), "Idempotency-Key", "used"); answer.status != http.StatusOK {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	for _, row := range codeRows() {
		for _, base := range bases {
			path := base + strings.Replace(row.path, "{expired}", servers.expired, 1)
			answer := row.server(servers).do(row.method, path, []byte(row.body), append(slices.Clone(row.headers), "X-Request-ID", "asked-by-test")...)
			name := row.code + " by " + row.method + " " + path
			got := answer.wantError(t, row.status, row.code)
			if got.RequestID != "asked-by-test" || answer.header.Get("Content-Type") != typeJSON {
				t.Errorf("%s: request id %s, %v", name, got.RequestID, answer.header)
			}
			for header, want := range row.want {
				if value := answer.header.Get(header); value == "" || want != "*" && value != want {
					t.Errorf("%s: %s is %q, want %q", name, header, value, want)
				}
			}
			for _, key := range row.details {
				if got.Details[key] == nil {
					t.Errorf("%s: no %s in the details: %v", name, key, got.Details)
				}
			}
			if strings.Contains(string(answer.body), "/dev/sda") {
				t.Errorf("%s: our insides are shown: %s", name, answer.body)
			}
			checkRateFields(t, row.code, answer.body)
		}
	}
}

// checkRateFields: those three are beside the code of a 429, and nowhere else.
func checkRateFields(t *testing.T, code string, body []byte) {
	t.Helper()
	var got struct {
		Error struct {
			RetryAfter *int    `json:"retry_after"`
			Limit      *int    `json:"limit"`
			Window     *string `json:"window"`
		} `json:"error"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	e := got.Error
	if code != "RATE_LIMIT_EXCEEDED" {
		if e.RetryAfter != nil || e.Limit != nil || e.Window != nil {
			t.Errorf("%s has fields of a rate limit: %s", code, body)
		}
	} else if e.RetryAfter == nil || *e.RetryAfter < 1 || *e.RetryAfter > 3600 || e.Limit == nil || *e.Limit != 1 || e.Window == nil || *e.Window != "1h" {
		t.Errorf("%s without its fields: %s", code, body)
	}
}

// TestErrorCodesAreAllProduced compares the table above with the codes of the description.
func TestErrorCodesAreAllProduced(t *testing.T) {
	var document struct {
		Components struct {
			Schemas struct {
				Failure struct {
					Properties struct {
						Code struct{ Enum []string }
					}
				} `yaml:"Failure"`
			}
		}
	}
	if err := yaml.Unmarshal(openapiYAML, &document); err != nil {
		t.Fatal(err)
	}
	produced := map[string]bool{}
	for _, row := range codeRows() {
		produced[row.code] = true
	}
	codes := document.Components.Schemas.Failure.Properties.Code.Enum
	for _, code := range codes {
		if !produced[code] {
			t.Errorf("no row of TestEachErrorCode produces %s", code)
		}
		delete(produced, code)
	}
	if len(codes) < 15 || len(produced) > 0 {
		t.Errorf("%d codes are described; not described are %v", len(codes), produced)
	}
}

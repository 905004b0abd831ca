package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"go.yaml.in/yaml/v3"

	"github.com/flopynet/collector/pipeline"
)

// contract is the description that requests and answers of all tests are held against.
var contract = sync.OnceValues(func() (validator.Validator, error) {
	document, err := libopenapi.NewDocument(openapiYAML)
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(document, config.WithoutSecurityValidation())
	if len(errs) > 0 {
		return nil, fmt.Errorf("%v", errs)
	}
	return v, nil
})

// described are the paths of the description by method, as the router spells them.
var described = sync.OnceValue(func() map[string]map[string]any {
	var document struct {
		Paths map[string]map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(openapiYAML, &document); err != nil {
		panic(err)
	}
	operations := map[string]map[string]any{}
	for place, methods := range document.Paths {
		for method, operation := range methods {
			operations[strings.ToUpper(method)+" "+place] = operation
		}
	}
	return operations
})

func TestOpenAPIDocument(t *testing.T) {
	v, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	if valid, errs := v.ValidateDocument(); !valid {
		for _, e := range errs {
			t.Errorf("%s: %s", e.Message, e.Reason)
		}
	}
	ts := startServer(t, Options{})
	served := ts.get("/openapi.json")
	var document map[string]any
	if err := json.Unmarshal(served.body, &document); err != nil || document["openapi"] != "3.1.0" {
		t.Errorf("openapi.json: %v, version %v", err, document["openapi"])
	}
	if yaml := ts.get("/api/v1/openapi.yaml"); !bytes.Equal(yaml.body, openapiYAML) || yaml.header.Get("Content-Type") != typeYAML {
		t.Errorf("openapi.yaml: %d bytes of %s", len(yaml.body), yaml.header.Get("Content-Type"))
	}
}

// TestOpenAPIRoutes holds the list of routes against the description.
func TestOpenAPIRoutes(t *testing.T) {
	roles := map[role]string{roleNone: "none", roleRead: "read", roleWrite: "write", roleAdmin: "admin"}
	operations := described()
	routed := map[string]bool{}
	for _, endpoint := range allRoutes() {
		name := endpoint.method + " " + endpoint.path
		routed[name] = true
		operation, known := operations[name]
		if !known {
			t.Errorf("%s is not described", name)
			continue
		}
		if operation["x-role"] != roles[endpoint.role] {
			t.Errorf("%s is described with the role %v; its route has %q", name, operation["x-role"], roles[endpoint.role])
		}
	}
	for name := range operations {
		if !routed[name] {
			t.Errorf("%s is described and not served", name)
		}
	}
}

// TestOpenAPIParameters holds the parameters that each route takes against those that are described. The other
// names of both ends of a range are told with from and to.
func TestOpenAPIParameters(t *testing.T) {
	var document struct {
		Paths map[string]map[string]struct {
			Parameters []describedParameter `yaml:"parameters"`
		} `yaml:"paths"`
		Components struct {
			Parameters map[string]describedParameter `yaml:"parameters"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(openapiYAML, &document); err != nil {
		t.Fatal(err)
	}
	synonyms := [][]string{{"from", "start", "start_date", "start_time"}, {"to", "end", "end_date", "end_time"}}
	ts := startPipelines(t, Options{Now: seedHour}, pipeline.Options{})
	inPath := regexp.MustCompile(`\{\w+\}`)
	for _, endpoint := range allRoutes() {
		if endpoint.flopynet {
			continue // it ignores what it doesn't know
		}
		answer := ts.do(endpoint.method, inPath.ReplaceAllString(endpoint.path, "x")+"?no_such_parameter=1", nil)
		valid, ok := answer.wantError(t, http.StatusBadRequest, "INVALID_QUERY").Details["valid"].([]any)
		if !ok {
			t.Errorf("%s %s doesn't tell its parameters: %s", endpoint.method, endpoint.path, answer.body)
		}
		taken, told := map[string]bool{}, map[string]bool{}
		for _, name := range valid {
			taken[name.(string)] = true
		}
		for _, parameter := range document.Paths[endpoint.path][strings.ToLower(endpoint.method)].Parameters {
			if parameter.Ref != "" {
				parameter = document.Components.Parameters[path.Base(parameter.Ref)]
			}
			if parameter.In == "query" {
				told[parameter.Name] = true
			}
		}
		for _, names := range synonyms {
			if slices.ContainsFunc(names, func(name string) bool { return told[name] }) {
				for _, name := range names {
					told[name] = true
				}
			}
		}
		if diff := cmp.Diff(told, taken); diff != "" {
			t.Errorf("%s %s is described with other parameters than it takes: %s", endpoint.method, endpoint.path, diff)
		}
	}
}

type describedParameter struct {
	Ref  string `yaml:"$ref"`
	Name string `yaml:"name"`
	In   string `yaml:"in"`
}

// checkContract fails the test if an answer is not as described, or if a request is that was granted.
func checkContract(t testing.TB, request *http.Request, body []byte, answer reply) {
	t.Helper()
	v, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	path := contractPath(request.URL.Path)
	if !isDescribed(request.Method, path) || answer.status == http.StatusNotModified {
		return // a route of the test's own, or a path that there is not
	}
	described := request.Clone(t.Context())
	described.URL = &url.URL{Scheme: "http", Host: request.URL.Host, Path: path, RawQuery: request.URL.RawQuery}
	if described.Method == http.MethodHead {
		return // as GET, with nothing to look at
	}
	described.Body = io.NopCloser(bytes.NewReader(body))
	response := &http.Response{StatusCode: answer.status, Header: answer.header, Body: io.NopCloser(bytes.NewReader(answer.body)), Request: described}
	if answer.header.Get("Content-Encoding") == "" {
		if valid, errs := v.ValidateHttpResponse(described, response); !valid {
			for _, e := range errs {
				t.Errorf("%s %s: the answer is not as described: %s: %s%s in %.2000s", request.Method, request.URL, e.Message, e.Reason, schemaFaults(e.SchemaValidationErrors), answer.body)
			}
		}
	}
	plain := request.Header.Get("Content-Encoding") == "" && request.Header.Get("Content-Type") == "application/json"
	if answer.status/100 == 2 && plain {
		described.Body = io.NopCloser(bytes.NewReader(body))
		if valid, errs := v.ValidateHttpRequest(described); !valid {
			for _, e := range errs {
				t.Errorf("%s %s: granted, and not as described: %s: %s%s in %.2000s", request.Method, request.URL, e.Message, e.Reason, schemaFaults(e.SchemaValidationErrors), body)
			}
		}
	}
}

func schemaFaults[E error](faults []E) string {
	var text strings.Builder
	for _, fault := range faults {
		text.WriteString("; " + fault.Error())
	}
	return text.String()
}

// contractPath is a path as the description has it, without the base and the slash at its end.
func contractPath(path string) string {
	path = strings.TrimPrefix(path, "/api/v1")
	if path = strings.TrimSuffix(path, "/"); path == "" {
		return "/"
	}
	return path
}

// isDescribed reports whether the description has the method on a path like this one.
func isDescribed(method, path string) bool {
	given := strings.Split(path, "/")
	for name := range described() {
		known, template, _ := strings.Cut(name, " ")
		if known != method {
			continue
		}
		if slices.EqualFunc(given, strings.Split(template, "/"), func(given, part string) bool {
			return given == part || strings.HasPrefix(part, "{") && given != ""
		}) {
			return true
		}
	}
	return false
}

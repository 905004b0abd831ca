package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readmeExample is a command of the README and the answer shown below it.
var readmeExample = regexp.MustCompile("(?m)^\\$ curl '([^']+)'(?: -d '([^']+)')?\n(.+)$")

// volatile are the keys of an answer that differ from one time to the next; a write's "timestamp" is one
// too, a sample's is not.
var volatile = []string{"batch_id", "query_time_ms", "request_id"}

// TestReadmeExamples runs the README's commands in their order, against a fresh server.
func TestReadmeExamples(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, t.TempDir())
	examples := readmeExample.FindAllStringSubmatch(string(text), -1)
	if want := strings.Count(string(text), "$ curl"); len(examples) != want || want == 0 {
		t.Fatalf("%d examples with an answer among %d commands", len(examples), want)
	}
	for _, example := range examples {
		url := strings.Replace(example[1], "http://127.0.0.1:8000", p.url, 1)
		got := answer(t, url, example[2])
		if diff := cmp.Diff(steady(t, example[3]), steady(t, got)); diff != "" {
			t.Errorf("curl %s answers\n%s\nwhich is not what the README shows, -README +answer:\n%s", example[1], got, diff)
		}
	}
}

// answer does what curl does: a POST when there is a body, and no look at the status.
func answer(t *testing.T, url, body string) string {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, http.NoBody)
	if body != "" {
		request, err = http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	}
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// steady decodes an answer and blanks what changes from one time to the next. That the keys are there
// is still compared.
func steady(t *testing.T, text string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	blank(object, append([]string{"timestamp"}, volatile...))
	if inner, ok := object["error"].(map[string]any); ok {
		blank(inner, append([]string{"timestamp"}, volatile...))
	}
	return object
}

func blank(object map[string]any, keys []string) {
	for _, key := range keys {
		if _, found := object[key]; found {
			object[key] = "differs"
		}
	}
}

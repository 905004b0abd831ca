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

// readmeExample is a command of the README and the answer shown below it, if it has one.
var readmeExample = regexp.MustCompile("(?m)^\\$ curl (?:-X ([A-Z]+) )?'([^']+)'(?: (?:-d|--data-binary) '([^']+)')?$(?:\n([^$`].*)$)?")

// volatile are the keys of an answer that differ from one time to the next; a write's "timestamp" is one
// too, a sample's is not.
var volatile = []string{"batch_id", "query_time_ms", "analysis_time_ms", "request_id", "id", "run_id"}

// readme returns the README's section that shows the demonstration, whose figures are others each time, and the rest of it.
func readme(t *testing.T) (ofDemo, others string) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, after, found := strings.Cut(string(text), "\n## See it at work\n")
	ofDemo, after, more := strings.Cut(after, "\n## ")
	if !found || !more {
		t.Fatal("the README has no section that shows the demonstration")
	}
	return ofDemo, before + after
}

// TestReadmeExamples runs the README's commands in their order, against a fresh server.
func TestReadmeExamples(t *testing.T) {
	_, text := readme(t)
	p := start(t, t.TempDir())
	examples := readmeExample.FindAllStringSubmatch(text, -1)
	streams := strings.Count(text, "$ curl -N ") // they don't end
	if want := strings.Count(text, "$ curl") - streams; len(examples) != want || want == 0 {
		t.Fatalf("%d examples that can be run among %d commands", len(examples), want)
	}
	for _, example := range examples {
		url := strings.Replace(example[2], "http://127.0.0.1:8000", p.url, 1)
		got := answer(t, example[1], url, example[3])
		if diff := cmp.Diff(steady(t, example[4]), steady(t, got)); diff != "" {
			t.Errorf("curl %s answers\n%s\nwhich is not what the README shows, -README +answer:\n%s", example[2], got, diff)
		}
	}
}

// answer does what curl does: unless told otherwise a POST when there is a body, and no look at the status.
func answer(t *testing.T, method, url, body string) string {
	t.Helper()
	if method == "" && body != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequest(method, url, strings.NewReader(body))
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
	if text == "" {
		return nil
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	blank(object, append([]string{"timestamp"}, volatile...))
	if results, ok := object["results"].([]any); ok {
		for _, result := range results {
			blank(result.(map[string]any), volatile)
		}
	}
	if inner, ok := object["error"].(map[string]any); ok {
		blank(inner, append([]string{"timestamp"}, volatile...))
	}
	if inner, ok := object["results"].([]any); ok {
		for _, result := range inner {
			blank(result.(map[string]any), volatile)
		}
	}
	if inner, ok := object["explain"].(map[string]any); ok {
		blank(inner, []string{"stages_ms"})
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

package testbed

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2024, 1, 15, 12, 0, 0, 0, time.UTC)

// clock is a clock that is set by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// open starts a testbed at noon.
func open(t *testing.T, options Options) (*Testbed, *clock) {
	t.Helper()
	c := &clock{at: noon}
	options.Now = c.now
	bed, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bed.Close)
	return bed, c
}

// get asks for a path and returns the status and the body.
func get(t *testing.T, url string) (int, []byte) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return response.StatusCode, body
}

// getJSON asks for a path and decodes the answer, which must have status 200.
func getJSON[T any](t *testing.T, url string) T {
	t.Helper()
	status, body := get(t, url)
	var answer T
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK {
		t.Fatalf("GET %s: %d, %v, %.300s", url, status, err, body)
	}
	return answer
}

// post sends a command and returns the status and the answer.
func post(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Post(url, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

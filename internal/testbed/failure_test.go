package testbed

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ill has a component fail, and heals it at the end.
func ill(t *testing.T, c interface {
	Fail(Failure) error
	Heal() error
}, f Failure) {
	t.Helper()
	if err := c.Fail(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Heal(); err != nil {
			t.Error(err)
		}
	})
}

func TestDown(t *testing.T) {
	bed, _ := open(t, Options{})
	url := bed.FL.URL()
	get(t, url+"/health")
	ill(t, bed.FL, Failure{Mode: Down})
	if _, err := http.Get(url + "/health"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("down: %v", err)
	}
	if status, _ := get(t, bed.Policy.URL()+"/health"); status != http.StatusOK {
		t.Errorf("the others: %d", status)
	}
	if err := bed.FL.Heal(); err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, url+"/health"); status != http.StatusOK || bed.FL.URL() != url {
		t.Errorf("healed: %d at %s, was %s", status, bed.FL.URL(), url)
	}
}

// TestHang: nothing is answered until the component is healed, which cuts the connection.
func TestHang(t *testing.T) {
	bed, clock := open(t, Options{})
	ill(t, bed.SDN, Failure{Mode: Hang, For: time.Minute})
	ended := make(chan error, 1)
	go func() {
		response, err := http.Get(bed.SDN.URL() + "/status")
		if err == nil {
			response.Body.Close()
			err = errors.New(response.Status)
		}
		ended <- err
	}()
	for bed.SDN.Requests("/status") == 0 {
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-ended:
		t.Errorf("it didn't hang: %v", err)
	default:
	}
	clock.advance(time.Minute)
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("when it was healed: %v", err)
	}
	if status, _ := get(t, bed.SDN.URL()+"/status"); status != http.StatusOK {
		t.Errorf("then: %d", status)
	}
}

func TestDrip(t *testing.T) {
	bed, _ := open(t, Options{})
	_, whole := get(t, bed.FL.URL()+"/health")
	ill(t, bed.FL, Failure{Mode: Drip, DripEvery: time.Millisecond})
	response, err := http.Get(bed.FL.URL() + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	buffer := make([]byte, 1024)
	if n, err := response.Body.Read(buffer); n == 0 || n == len(whole) || err != nil {
		t.Errorf("at once: %d bytes, %v", n, err)
	} else if rest, err := io.ReadAll(response.Body); string(buffer[:n])+string(rest) != string(whole) || err != nil {
		t.Errorf("dripped %s%s, %v; want %s", buffer[:n], rest, err, whole)
	}
}

func TestHuge(t *testing.T) {
	bed, _ := open(t, Options{})
	const size = 3 << 20
	for _, base := range []string{bed.FL.URL() + "/events", bed.FL.URL() + "/rounds", bed.FL.URL() + "/metrics", bed.Policy.URL() + "/api/v1/policy_decisions"} {
		component := bed.FL.component
		if strings.HasPrefix(base, bed.Policy.URL()) {
			component = bed.Policy.component
		}
		ill(t, component, Failure{Mode: Huge, Bytes: size})
		if _, body := get(t, base); len(body) < size || !json.Valid(body) {
			t.Errorf("%s: %d bytes, valid: %v", base, len(body), json.Valid(body))
		}
		ill(t, component, Failure{Mode: HugeGarbage, Bytes: size})
		if _, body := get(t, base); len(body) < size || json.Valid(body) {
			t.Errorf("%s: %d bytes of garbage, valid: %v", base, len(body), json.Valid(body))
		}
	}
}

// TestHugeByDefault is more than 100 MB, of which neither side holds much.
func TestHugeByDefault(t *testing.T) {
	bed, _ := open(t, Options{})
	ill(t, bed.Policy, Failure{Mode: Huge})
	response, err := http.Get(bed.Policy.URL() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if n, err := io.Copy(io.Discard, response.Body); n < 100e6 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestGarbageAndStatuses(t *testing.T) {
	bed, _ := open(t, Options{})
	ill(t, bed.FL, Failure{Mode: Garbage})
	for range 2 {
		if status, body := get(t, bed.FL.URL()+"/status"); status != http.StatusOK || len(body) == 0 || json.Valid(body) {
			t.Errorf("garbage: %d %q", status, body)
		}
	}
	for mode, want := range map[Mode]int{Status500: 500, Status503: 503, Status429: 429} {
		ill(t, bed.FL, Failure{Mode: mode, RetryAfter: 7 * time.Second})
		response, err := http.Get(bed.FL.URL() + "/status")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		wait := response.Header.Get("Retry-After")
		if response.StatusCode != want || (wait == "7") != (want != 500) {
			t.Errorf("%s: %d, Retry-After %q", mode, response.StatusCode, wait)
		}
	}
}

func TestTruncated(t *testing.T) {
	bed, _ := open(t, Options{})
	ill(t, bed.FL, Failure{Mode: Truncated})
	response, err := http.Get(bed.FL.URL() + "/status")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) || len(body) == 0 || int64(len(body)) >= response.ContentLength {
		t.Errorf("%d of %d bytes, %v", len(body), response.ContentLength, err)
	}
}

// TestFailuresOfOnePath leaves the others alone.
func TestFailuresOfOnePath(t *testing.T) {
	bed, _ := open(t, Options{})
	ill(t, bed.FL, Failure{Mode: Status500, Path: "/events"})
	if status, _ := get(t, bed.FL.URL()+"/events?limit=1"); status != 500 {
		t.Errorf("/events: %d", status)
	}
	if status, _ := get(t, bed.FL.URL()+"/rounds"); status != 200 {
		t.Errorf("/rounds: %d", status)
	}
}

func TestRedirects(t *testing.T) {
	bed, _ := open(t, Options{})
	ill(t, bed.FL, Failure{Mode: Redirect})
	if response, err := http.Get(bed.FL.URL() + "/status?a=b"); err == nil || !strings.Contains(err.Error(), "10 redirects") {
		t.Errorf("a loop: %v, %v", response, err)
	}
	ill(t, bed.FL, Failure{Mode: RedirectAway})
	if bed.Strays() != 0 {
		t.Error("strays before")
	}
	get(t, bed.FL.URL()+"/status")
	if bed.Strays() != 1 {
		t.Errorf("%d strays", bed.Strays())
	}
}

// TestWrongShapes: each shape is another answer than the true one, and shows what its name says.
func TestWrongShapes(t *testing.T) {
	bed, clock := open(t, Options{})
	clock.advance(time.Minute)
	_, truth := get(t, bed.FL.URL()+"/rounds?limit=2")
	for shape, holds := range map[Shape]string{
		ShapeNull: "null\n", ShapeScalar: "42\n", ShapeSwapped: `{"0":`, ShapeStrings: `"1"`, ShapeDeep: strings.Repeat("[", 1000), ShapeNaN: ":NaN",
		ShapeInfinite: ":1e999", ShapePast: "-0001", ShapeFuture: "99999-", ShapeTimeless: "accuracy", ShapeNegative: ":-", ShapeUnicode: `\ud800`,
		ShapeNulls: `"accuracy":null`, ShapeDuplicates: `"round":1`, ShapeReversed: `"round":2`, ShapeEmpty: "",
	} {
		ill(t, bed.FL, Failure{Mode: WrongShape, Shape: shape})
		_, body := get(t, bed.FL.URL()+"/rounds?limit=2")
		if string(body) == string(truth) || !strings.Contains(string(body), holds) {
			t.Errorf("%s: %.300s", shape, body)
		}
		switch strict := json.Valid(body); shape {
		case ShapeNaN, ShapeEmpty:
			if strict {
				t.Errorf("%s is valid", shape)
			}
		case ShapeDeep: // too deep for this decoder
		case ShapeTimeless:
			if strings.Contains(string(body), "timestamp") {
				t.Errorf("%s: %s", shape, body)
			}
		default:
			if !strict {
				t.Errorf("%s isn't valid: %.300s", shape, body)
			}
		}
	}
	ill(t, bed.FL, Failure{Mode: WrongShape})
	seen := map[string]bool{}
	for range Shapes() {
		_, body := get(t, bed.FL.URL()+"/rounds?limit=2")
		seen[string(body)] = true
	}
	if len(seen) != len(Shapes()) {
		t.Errorf("%d answers in turn, want %d", len(seen), len(Shapes()))
	}
}

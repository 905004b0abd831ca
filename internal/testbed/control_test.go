package testbed

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestControl has a component fail, and heal, over HTTP: also one that hangs, and one that is down.
func TestControl(t *testing.T) {
	bed, clock := open(t, Options{Seed: 1})
	control := bed.ControlURL()
	for _, mode := range []string{"500", "down", "hang"} {
		if status, answer := post(t, control+"/policy/fail?mode="+mode+"&for=60s"); status != 200 || !strings.Contains(answer, `"mode":"`+mode+`"`) {
			t.Fatalf("%s: %d %s", mode, status, answer)
		}
		overview := getJSON[map[string]map[string]any](t, control)
		if failure := overview["policy"]["failure"].(map[string]any); failure["mode"] != mode || failure["until"] != clock.now().Add(time.Minute).Format(time.RFC3339) {
			t.Errorf("%s: %v", mode, failure)
		}
		if overview["fl"]["failure"] != nil || overview["fl"]["url"] != bed.FL.URL() {
			t.Errorf("the FL server is %v", overview["fl"])
		}
		if status, answer := post(t, control+"/policy/heal"); status != 200 || strings.Contains(answer, "mode") {
			t.Errorf("heal: %d %s", status, answer)
		}
		if status, _ := get(t, bed.Policy.URL()+"/health"); status != 200 {
			t.Errorf("healed of %s: %d", mode, status)
		}
	}
	post(t, control+"/fl/fail?mode=503&for=1m&retry_after=3s&path=/events")
	if status, _ := get(t, bed.FL.URL()+"/events"); status != 503 {
		t.Errorf("503: %d", status)
	}
	clock.advance(time.Minute)
	if status, _ := get(t, bed.FL.URL()+"/events"); status != 200 {
		t.Errorf("after a minute: %d", status)
	}
}

// TestDownForAWhile: when the time is over the component listens again, though nobody can ask it to.
func TestDownForAWhile(t *testing.T) {
	bed, clock := open(t, Options{})
	post(t, bed.ControlURL()+"/sdn/fail?mode=down&for=30s")
	clock.advance(30 * time.Second)
	deadline := time.After(time.Minute)
	for {
		if response, err := http.Get(bed.SDN.URL() + "/health"); err == nil {
			response.Body.Close()
			return
		}
		select {
		case <-deadline:
			t.Fatal("it is still down")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestControlRestarts(t *testing.T) {
	bed, clock := open(t, Options{Seed: 2, Rounds: 3})
	clock.advance(time.Minute)
	for _, path := range []string{"/fl/restart", "/policy/restart", "/sdn/restart", "/fl/train", "/fl/stop?reason=rain"} {
		if status, answer := post(t, bed.ControlURL()+path); status != 200 {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	clock.advance(time.Minute)
	if rounds := bed.Rounds(); len(rounds) != 4 {
		t.Errorf("%d rounds, want the three of the first training and the one after which the second was stopped", len(rounds))
	}
	if status, _ := post(t, bed.ControlURL()+"/fl/resume"); status != 200 {
		t.Errorf("resume: %d", status)
	}
	if status, _ := post(t, bed.ControlURL()+"/sdn/restart?switches=true"); status != 200 {
		t.Errorf("switches: %d", status)
	}
	for _, p := range bed.Ports() {
		if p.RxBytes != 0 {
			t.Errorf("%+v", p)
		}
	}
}

// TestControlRefuses with an error that says what is wrong, what was given and what is valid.
func TestControlRefuses(t *testing.T) {
	bed, _ := open(t, Options{})
	for path, want := range map[string]string{
		"/fl/fail":                              `mode: "", must be one of down, hang, drip`,
		"/fl/fail?mode=sleepy":                  `mode: "sleepy"`,
		"/fl/fail?mode=hang&for=ever":           `for: "ever", must be a duration`,
		"/fl/fail?mode=hang&for=-1s":            `for: "-1s"`,
		"/fl/fail?mode=hang&until=noon":         `parameter: "until"`,
		"/fl/fail?mode=wrong-shape&shape=round": `shape: "round", must be one of null`,
		"/fl/fail?mode=hang&shape=nan":          `is for mode "wrong-shape" alone`,
		"/fl/fail?mode=hang&path=events":        `path: "events", must begin with a slash`,
		"/fl/fail?mode=down&path=/events":       `path: "/events"`,
		"/fl/fail?mode=huge&bytes=many":         `bytes: "many"`,
		"/router/fail?mode=hang":                `component: "router", must be fl, policy or sdn`,
		"/sdn/train":                            "sdn has no training",
		"/policy/restart?switches=true":         "policy has none",
		"/sdn/restart?switches=perhaps":         `switches: "perhaps"`,
		"/fl/resume":                            "no training is stopped",
		"/fl/heal?at=once":                      `parameter: "at", there is none here`,
		"/fl/stop?why=rain":                     `parameter: "why", must be one of reason`,
	} {
		if status, answer := post(t, bed.ControlURL()+path); status != 400 || !strings.Contains(strings.ReplaceAll(answer, `\"`, `"`), want) {
			t.Errorf("%s: %d %s, want %s", path, status, answer, want)
		}
	}
	if status, _ := post(t, bed.ControlURL()+"/fl/explode"); status != 404 {
		t.Errorf("an unknown command: %d", status)
	}
	if status, _ := get(t, bed.FL.URL()+"/health"); status != 200 {
		t.Errorf("the FL server: %d", status)
	}
}

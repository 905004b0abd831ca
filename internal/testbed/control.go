package testbed

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// controlRoutes are described in the package's documentation.
func (t *Testbed) controlRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, t.overview()) })
	command := func(name string, parameters []string, do func(c *component, query url.Values) error) {
		mux.HandleFunc("POST /{component}/"+name, func(w http.ResponseWriter, r *http.Request) {
			c, err := t.named(r.PathValue("component"))
			if err == nil {
				err = onlyKnown(r.URL.Query(), parameters)
			}
			if err == nil {
				err = do(c, r.URL.Query())
			}
			if err != nil {
				writeJSON(w, http.StatusBadRequest, object{"error": err.Error()})
				return
			}
			writeJSON(w, http.StatusOK, c.describe())
		})
	}
	command("fail", []string{"mode", "for", "path", "shape", "retry_after", "drip_every", "bytes"}, func(c *component, query url.Values) error {
		f, err := readFailure(query)
		if err != nil {
			return err
		}
		return c.Fail(f)
	})
	command("heal", nil, func(c *component, _ url.Values) error { return c.Heal() })
	command("restart", []string{"switches"}, t.restartNamed)
	training := func(name string, parameters []string, do func(url.Values) error) {
		command(name, parameters, func(c *component, query url.Values) error {
			if c.name != "fl" {
				return fmt.Errorf("component: %s has no training to %s, fl has", c.name, name)
			}
			return do(query)
		})
	}
	training("train", nil, func(url.Values) error { t.FL.Train(); return nil })
	training("resume", nil, func(url.Values) error { return t.FL.Resume() })
	training("stop", []string{"reason"}, func(query url.Values) error {
		t.FL.Stop(cmp.Or(query.Get("reason"), "No further round is needed"))
		return nil
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusNotFound, object{"error": "there is GET /, and POST /{fl,policy,sdn}/{fail,heal,restart,train,stop,resume}"})
	})
	return mux
}

func onlyKnown(query url.Values, known []string) error {
	for name := range query {
		switch {
		case len(known) == 0:
			return fmt.Errorf("parameter: %q, there is none here", name)
		case !slices.Contains(known, name):
			return fmt.Errorf("parameter: %q, must be one of %s", name, join(known))
		}
	}
	return nil
}

func (t *Testbed) restartNamed(c *component, query url.Values) error {
	switches := false
	if query.Has("switches") {
		var err error
		if switches, err = strconv.ParseBool(query.Get("switches")); err != nil {
			return fmt.Errorf("switches: %q, must be true or false", query.Get("switches"))
		}
	}
	if switches && c.name != "sdn" {
		return fmt.Errorf("switches: %s has none, sdn has", c.name)
	}
	switch c.name {
	case "fl":
		return t.FL.Restart()
	case "policy":
		return t.Policy.Restart()
	}
	if switches {
		t.SDN.RestartSwitches()
		return nil
	}
	return t.SDN.Restart()
}

// readFailure reads the parameters of a failure.
func readFailure(query url.Values) (Failure, error) {
	f := Failure{Mode: Mode(query.Get("mode")), Path: query.Get("path"), Shape: Shape(query.Get("shape"))}
	for name, duration := range map[string]*time.Duration{"for": &f.For, "retry_after": &f.RetryAfter, "drip_every": &f.DripEvery} {
		if !query.Has(name) {
			continue
		}
		d, err := time.ParseDuration(query.Get(name))
		if err != nil || d <= 0 {
			return f, fmt.Errorf("%s: %q, must be a duration above 0, as 60s or 1m30s", name, query.Get(name))
		}
		*duration = d
	}
	if query.Has("bytes") {
		n, err := strconv.ParseInt(query.Get("bytes"), 10, 64)
		if err != nil || n <= 0 {
			return f, errors.New("bytes: " + strconv.Quote(query.Get("bytes")) + ", must be a number above 0")
		}
		f.Bytes = n
	}
	return f, nil
}

// describe tells how a component is.
func (c *component) describe() object {
	now := c.bed.options.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	description := object{"url": "http://" + c.address, "failure": nil}
	if c.failure == nil || !c.until.IsZero() && !now.Before(c.until) {
		return description
	}
	failure := object{"mode": c.failure.Mode, "since": c.since.UTC().Format(time.RFC3339Nano), "until": nil}
	if !c.until.IsZero() {
		failure["until"] = c.until.UTC().Format(time.RFC3339Nano)
	}
	if c.failure.Path != "" {
		failure["path"] = c.failure.Path
	}
	description["failure"] = failure
	return description
}

func (t *Testbed) overview() object {
	overview := object{}
	for _, c := range t.components() {
		overview[c.name] = c.describe()
	}
	overview["training"] = ask(t, func(s *scenario) object {
		return object{"number": s.training, "rounds": s.options.Rounds, "current_round": s.fl.metrics["current_round"], "active": s.fl.active}
	})
	return overview
}

package httpapi

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/pipeline"
)

// live are the document's WebSockets and streams, and what its SDKs would open.
func live() []example {
	const sdkKey = "collector_api_key"
	locked := func(c *conformance) {
		c.openKeys(KeyOptions{Auth: config.Auth{Keys: []config.APIKey{{Name: "sdk", Role: "read", Secret: sdkKey}}}})
	}
	return []example{{
		name: "1-websocket",
		exchange: func(c *conformance, request seedRequest, base string) { // it sends nothing, and gets all there is
			client := c.dial(base + request.target)
			c.timers.fire(socketGrace)
			c.submitSeedMetrics(base)
			seed := readSeed(c.t, "2-websocket.response.json")
			c.wantUpdate(client, seed, map[string]string{"metric.value": "45.2"})
			c.wantUpdate(client, seed, map[string]string{"metric.name": `"memory_usage"`, "metric.value": "512.5", "metric.unit": `"MB"`})
			c.wantUpdate(client, seed, map[string]string{"metric.name": `"active_clients"`, "metric.value": "5", "metric.unit": `"count"`,
				"metric.tags": `\{"experiment_id":"exp_001"\}`})
		},
	}, {
		name: "2-websocket",
		exchange: func(c *conformance, request seedRequest, base string) {
			client := c.dial(base + request.target)
			client.ask(stringify(request.body), `{"type":"subscribed","id":"sub-1"}`)
			// None of these is asked for: another source, another experiment, another metric.
			c.post(base+"/metrics", `[{"name": "cpu_usage", "value": 1, "source": "other", "tags": {"experiment_id": "exp_001"}},
				{"name": "cpu_usage", "value": 2, "source": "fl_server", "tags": {"experiment_id": "exp_002"}},
				{"name": "disk_usage", "value": 3, "source": "fl_server", "tags": {"experiment_id": "exp_001"}}]`)
			c.submitSeed("cpu_usage", "percent", "10:30:00", 47.8)
			c.wantUpdate(client, readSeed(c.t, "2-websocket.response.json"), nil)
		},
	}, {
		name: "2-stream",
		exchange: func(c *conformance, request seedRequest, base string) {
			c.submitSeed("cpu_usage", "percent", "10:29:00", 44.0, "10:30:00", 45.2)
			c.submitSeed("memory_usage", "MB", "10:30:01", 512.5)
			c.submit("cpu_usage", seedTime, 99) // another source
			stream := c.stream(base+request.target+"?metrics=cpu_usage,memory_usage&sources=fl_server,policy_engine", request.headers...)
			c.wantStream(stream)
			c.submitSeed("cpu_usage", "percent", "10:30:02", 46.0)
			c.timers.fire(5 * time.Second) // the document's default
			if event := stream.next(); !strings.HasPrefix(event, `{"metric":"cpu_usage","value":46,"timestamp":"2024-01-15T10:30:02Z"`) {
				c.t.Errorf("behind the first samples comes %s", event)
			}
		},
	}, {
		name: "python: stream_metrics", request: "GET /metrics/stream\nAuthorization: Bearer " + sdkKey,
		exchange: func(c *conformance, request seedRequest, base string) {
			c.submitSeed("cpu_usage", "percent", "10:30:00", 45.2)
			c.submitSeed("memory_usage", "MB", "10:30:01", 512.5)
			locked(c)
			c.wantStream(c.stream(base+request.target+"?metrics=cpu_usage,memory_usage", request.headers...))
		},
	}, {
		name: "javascript: createStream", request: "GET /ws/metrics\nSec-WebSocket-Protocol: collector, key." + sdkKey,
		exchange: func(c *conformance, request seedRequest, base string) {
			locked(c)
			client := c.dial(base+request.target+"?metrics=cpu_usage,memory_usage", request.headers...)
			client.ask(`{"action":"ping"}`, `{"type":"pong"}`)
			c.write("disk_usage", "", []string{"source", "fl_server"}, seedTime, 1.0)
			c.writeSeed()
			c.wantUpdate(client, readSeed(c.t, "2-websocket.response.json"), nil)
		},
	}}
}

// pipelines are the document's. It shows no answer.
func pipelines() []example {
	return []example{{
		name: "2-pipeline", now: "2024-01-15T11:00:00Z", status: http.StatusCreated,
		prepare: func(c *conformance) {
			guard, err := pipeline.NewGuard(nil)
			if err != nil {
				c.t.Fatal(err)
			}
			m, err := pipeline.Open(c.db, pipeline.Options{Guard: guard, Deadline: offline, Now: c.server.options.Now, Stored: c.server.NoteStored})
			if err != nil {
				c.t.Fatal(err)
			}
			c.t.Cleanup(m.Close)
			c.server.SetPipelines(m)
			c.submitSeed("cpu_usage", "percent", "10:00:30", 41.5, "10:02:00", 43.5)
			c.submitSeed("memory_usage", "MB", "10:00:30", 509.2, "10:02:00", 511.2)
			c.submit("cpu_usage", "2024-01-15T10:01:00Z", 99) // of no experiment
		},
		answer: `{"name": "experiment_summary", "status": "completed", "row_count": 1, "rows": [{"timestamp": "2024-01-15T10:00:00Z",
			"avg_cpu_usage": 42.5, "max_cpu_usage": 43.5, "avg_memory_usage": 510.2, "max_memory_usage": 511.2, "value": 553.7}],
			"output": {"destination": "webhook", "url": "https://your-system.com/webhook", "status": "pending"}}`,
		beside: []string{"id", "run_id", "from", "to", "next_run", "warnings", "output.delivery_id"},
	}}
}

// bareWord is a key of an object as JavaScript has it.
var bareWord = regexp.MustCompile(`(?m)^([a-z_]+):`)

// stringify is JSON.stringify for the objects of the document.
func stringify(object string) string {
	return strings.ReplaceAll(bareWord.ReplaceAllString(object, `"$1":`), "'", `"`)
}

// submitSeedMetrics sends the document's first body.
func (c *conformance) submitSeedMetrics(base string) {
	c.t.Helper()
	c.post(base+"/metrics", parseExample(readSeed(c.t, "2-submit.request")).body)
}

// wantUpdate expects the document's message, with these values in place of its own.
func (c *conformance) wantUpdate(client *socketClient, want string, vary map[string]string) {
	c.t.Helper()
	e := &example{name: "2-websocket", vary: vary}
	e.compare(c.t, want, []byte(client.next()))
}

// wantStream expects the lines of the document's stream. It leaves out source and tags, which come behind its keys.
func (c *conformance) wantStream(stream *streamClient) {
	c.t.Helper()
	seed := bufio.NewScanner(strings.NewReader(readSeed(c.t, "2-stream.response.txt")))
	for seed.Scan() {
		want, got := strings.TrimPrefix(seed.Text(), "data: "), stream.next()
		e := &example{name: "2-stream", beside: []string{"source", "tags"}}
		e.compare(c.t, want, []byte(got))
		if begin := strings.TrimSuffix(strings.NewReplacer(": ", ":", ", ", ",").Replace(want), "}"); !strings.HasPrefix(got, begin) {
			c.t.Errorf("%s doesn't begin with the document's keys in their order, as %s", got, begin)
		}
	}
}

// stored expects that metrics of the document can be queried: what an answer of 200 says.
func stored(metrics ...storedMetric) func(*conformance) {
	return func(c *conformance) {
		for _, m := range metrics {
			got := c.getJSON("/metrics/query?metric=" + m.name + "&source=" + m.source + "&from=2024-01-15T10:30:00Z&to=2024-01-15T10:30:01Z")
			points, _ := got["data_points"].([]any)
			if len(points) != 1 || points[0].(map[string]any)["value"] != m.value || got["unit"] != m.unit {
				c.t.Errorf("%s is stored as %v", m.name, got)
			}
			series := c.getJSON("/metrics/series?metric=" + m.name)["series"].([]any)
			tags, err := json.Marshal(series[0].(map[string]any)["tags"])
			if err != nil || len(series) != 1 || string(tags) != m.tags {
				c.t.Errorf("%s has the series %v, %v; want one with %s", m.name, series, err, m.tags)
			}
		}
	}
}

type storedMetric struct {
	source, name string
	value        float64
	unit, tags   string
}

// holds expects settings, by their dotted keys.
func holds(settings map[string]any) func(*conformance) {
	return func(c *conformance) {
		for key, want := range settings {
			var value any = c.getJSON("/config")
			for part := range strings.SplitSeq(key, ".") {
				value = value.(map[string]any)[part]
			}
			if fmt.Sprint(value) != fmt.Sprint(want) {
				c.t.Errorf("%s is %v, want %v", key, value, want)
			}
		}
	}
}

// withoutContentType reports whether an example is sent once only: nothing of it changes with the Content-Type.
func (r *seedRequest) withoutContentType() bool {
	return r.body == "" || !slices.Contains(r.headers, "Content-Type")
}

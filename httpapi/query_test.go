package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// points spells data_points as "time=value", with the values of several aggregations in JSON.
func points(t testing.TB, list any) string {
	t.Helper()
	var words []string
	for _, item := range list.([]any) {
		point := item.(map[string]any)
		stamp := fmt.Sprint(point["timestamp"])
		stamp = strings.TrimSuffix(strings.TrimPrefix(stamp, "2024-01-15T"), "Z")
		text, err := json.Marshal(point["value"])
		if err != nil {
			t.Fatal(err)
		}
		if values, several := point["values"]; several {
			if text, err = json.Marshal(values); err != nil {
				t.Fatal(err)
			}
		}
		words = append(words, stamp+"="+string(text))
	}
	return strings.Join(words, " ")
}

// seedServer has an hour of the seed's cpu_usage: a sample a minute that counts from 0 to 59.
func seedServer(t testing.TB) *testServer {
	ts := startServer(t, Options{Now: func() time.Time { return time.Date(2024, 1, 15, 11, 0, 0, 0, time.UTC) }})
	var samples []any
	for minute := range 60 {
		samples = append(samples, fmt.Sprintf("2024-01-15T10:%02d:00Z", minute), float64(minute))
	}
	ts.write("cpu_usage", "percent", []string{"source", "fl_server", "experiment_id", "exp_001", "host", "fl-server-01"}, samples...)
	return ts
}

func TestSeedQuery(t *testing.T) {
	ts := seedServer(t)
	answer := ts.get("/metrics/query?metric=cpu_usage&source=fl_server&from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z" +
		"&granularity=5m&aggregation=avg&tags=experiment_id:exp_001")
	if answer.status != http.StatusOK || answer.header.Get("Content-Type") != typeJSON {
		t.Fatalf("%d %s: %s", answer.status, answer.header.Get("Content-Type"), answer.body)
	}
	got := decodeJSON(t, answer.body)
	want := "10:00:00=2 10:05:00=7 10:10:00=12 10:15:00=17 10:20:00=22 10:25:00=27 " +
		"10:30:00=32 10:35:00=37 10:40:00=42 10:45:00=47 10:50:00=52 10:55:00=57"
	if diff := cmp.Diff(want, points(t, got["data_points"])); diff != "" {
		t.Errorf("data_points (-want +got):\n%s", diff)
	}
	delete(got, "data_points")
	if _, decimal := got["query_time_ms"].(float64); !decimal {
		t.Errorf("query_time_ms is %v", got["query_time_ms"])
	}
	delete(got, "query_time_ms")
	wantRest := map[string]any{"metric": "cpu_usage", "source": "fl_server", "granularity": "5m", "aggregation": "avg", "unit": "percent", "total_points": 12.0}
	if diff := cmp.Diff(wantRest, got); diff != "" {
		t.Errorf("the rest (-want +got):\n%s", diff)
	}
	// The seed's order of keys.
	at := -1
	for _, key := range []string{"metric", "source", "granularity", "aggregation", "data_points", "total_points", "query_time_ms"} {
		next := bytes.Index(answer.body, []byte(`"`+key+`":`))
		if next <= at {
			t.Errorf("key %s is at %d, after %d", key, next, at)
		}
		at = next
	}
}

func TestQueryAggregations(t *testing.T) {
	ts := seedServer(t)
	const hour = "from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z"
	for _, test := range []struct{ name, query, want string }{
		{"one value for the range", hour + "&aggregation=sum", "10:00:00=1770"},
		{"min", hour + "&aggregation=min", "10:00:00=0"},
		{"max", hour + "&aggregation=max", "10:00:00=59"},
		{"count", hour + "&aggregation=count", "10:00:00=60"},
		{"first", hour + "&aggregation=first", "10:00:00=0"},
		{"last", hour + "&aggregation=last", "10:00:00=59"},
		{"median", hour + "&aggregation=median", "10:00:00=29.5"},
		{"p50 is the median", hour + "&aggregation=p50", "10:00:00=29.5"},
		{"p95 between ranks 56 and 57", hour + "&aggregation=p95", "10:00:00=56.05"},
		{"p0", hour + "&aggregation=p0", "10:00:00=0"},
		{"p100", hour + "&aggregation=p100", "10:00:00=59"},
		{"range", hour + "&aggregation=range", "10:00:00=59"},
		{"delta", hour + "&aggregation=delta", "10:00:00=59"},
		{"increase has no sample before", hour + "&aggregation=increase", "10:00:00=59"},
		{"stddev of 0, 1, 2", "from=2024-01-15T10:00:00Z&to=2024-01-15T10:03:00Z&aggregation=stddev", "10:00:00=0.816496580927726"},
		{"rate a second, from the last sample before", "from=2024-01-15T10:30:00Z&to=2024-01-15T10:40:00Z&aggregation=rate&granularity=5m",
			"10:30:00=0.016666666666666666 10:35:00=0.016666666666666666"},
		{"several", hour + "&aggregation=avg,max&granularity=30m", `10:00:00={"avg":14.5,"max":29} 10:30:00={"avg":44.5,"max":59}`},
		{"a granularity alone is the average", hour + "&granularity=30m", "10:00:00=14.5 10:30:00=44.5"},
		{"granularity auto", hour + "&granularity=auto&max_points=4&aggregation=count", "10:00:00=15 10:15:00=15 10:30:00=15 10:45:00=15"},
		{"a range that cuts buckets", "from=2024-01-15T10:02:00Z&to=2024-01-15T10:06:00Z&granularity=5m&aggregation=count", "10:00:00=3 10:05:00=1"},
		{"another zone", "from=2024-01-15T10:00:00Z&to=2024-01-15T10:30:00Z&granularity=1h&tz=Asia/Kathmandu&aggregation=count", "09:15:00=15 10:15:00=15"},
		{"in seconds", "from=1705312800&to=1705313400&granularity=5m&epoch=s", "1.7053128e+09=2 1.7053131e+09=7"},
		{"only the end", "to=2024-01-15T10:05:00Z&aggregation=count", "09:05:00=5"},
		{"the last hour", "aggregation=count", "10:00:00=60"},
		{"other names", "start=2024-01-15T10:00&end_time=2024-01-15T10:10&aggregation=count", "10:00:00=10"},
		{"gaps are left out", "from=2024-01-15T09:50:00Z&to=2024-01-15T10:10:00Z&granularity=5m&aggregation=count", "10:00:00=5 10:05:00=5"},
		{"or are null", "from=2024-01-15T09:50:00Z&to=2024-01-15T10:10:00Z&granularity=5m&aggregation=count&fill=null",
			"09:50:00=null 09:55:00=null 10:00:00=5 10:05:00=5"},
		{"or a number", "from=2024-01-15T09:55:00Z&to=2024-01-15T10:10:00Z&granularity=5m&aggregation=count&fill=-1.5", "09:55:00=-1.5 10:00:00=5 10:05:00=5"},
		{"nothing found", hour + "&granularity=5m&source=nobody", ""},
		{"nothing found is not filled", "from=2020-01-01&to=2020-01-02&granularity=1h&fill=0", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ts.getJSON("/api/v1/metrics/query/?metric=cpu_usage&" + test.query)
			if diff := cmp.Diff(test.want, points(t, got["data_points"])); diff != "" {
				t.Errorf("data_points (-want +got):\n%s", diff)
			}
			if count := float64(len(got["data_points"].([]any))); got["total_points"] != count {
				t.Errorf("total_points is %v for %v points", got["total_points"], count)
			}
		})
	}
}

// fleetServer has three series with values that tell them apart.
func fleetServer(t testing.TB) *testServer {
	ts := startServer(t, Options{Now: func() time.Time { return time.Date(2024, 1, 15, 12, 0, 0, 0, time.UTC) }})
	ts.write("load", "", []string{"source", "a", "host", "h1", "zone", "eu"}, "2024-01-15T10:00:00Z", 1.0, "2024-01-15T10:01:00Z", 3.0)
	ts.write("load", "ratio", []string{"source", "a", "host", "h2", "zone", "us"}, "2024-01-15T10:00:30Z", 10.0)
	ts.write("load", "", []string{"source", "b", "host", "h1"}, "2024-01-15T10:01:00Z", 100.0, "2024-01-15T10:10:00Z", 200.0)
	return ts
}

const fleetRange = "/metrics/query?metric=load&from=2024-01-15T10:00:00Z&to=2024-01-15T10:15:00Z&"

func TestQueryGroups(t *testing.T) {
	ts := fleetServer(t)
	for _, test := range []struct{ name, query, want string }{
		{"folded", "aggregation=avg", ""},
		{"by a tag", "group_by=host&aggregation=sum", `{"host":"h1"} 10:00:00=304 | {"host":"h2"} 10:00:00=10`},
		{"a missing tag", "group_by=zone&aggregation=count", `{"zone":""} 10:00:00=2 | {"zone":"eu"} 10:00:00=2 | {"zone":"us"} 10:00:00=1`},
		{"by the source", "group_by=source&aggregation=count", `a {} 10:00:00=3 | b {} 10:00:00=2`},
		{"by two", "group_by=source,host&aggregation=max", `a {"host":"h1"} 10:00:00=3 | b {"host":"h1"} 10:00:00=200 | a {"host":"h2"} 10:00:00=10`},
		{"by repeated parameters", "group_by=host&group_by=source&aggregation=max&tags=host:h2", `a {"host":"h2"} 10:00:00=10`},
		{"by all", "group_by=*&aggregation=last", `a {"host":"h1","zone":"eu"} 10:00:00=3 | b {"host":"h1"} 10:00:00=200 | a {"host":"h2","zone":"us"} 10:00:00=10`},
		{"each group is filled", "group_by=source&granularity=5m&aggregation=sum&fill=0", `a {} 10:00:00=14 10:05:00=0 10:10:00=0 | b {} 10:00:00=100 10:05:00=0 10:10:00=200`},
		{"filled linearly", "source=b&group_by=source&granularity=5m&aggregation=sum&fill=linear", `b {} 10:00:00=100 10:05:00=150 10:10:00=200`},
		{"none", "group_by=host&source=nobody&aggregation=avg", ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ts.getJSON(fleetRange + test.query)
			list, grouped := got["series"]
			if test.name == "folded" {
				if grouped || points(t, got["data_points"]) != "10:00:00=62.8" || got["unit"] != "ratio" {
					t.Errorf("folded: %v", got)
				}
				return
			}
			var groups []string
			total := 0
			for _, item := range list.([]any) {
				group := item.(map[string]any)
				tags, err := json.Marshal(group["tags"])
				if err != nil {
					t.Fatal(err)
				}
				text := string(tags) + " " + points(t, group["data_points"])
				if source, named := group["source"]; named {
					text = source.(string) + " " + text
				}
				groups = append(groups, text)
				total += len(group["data_points"].([]any))
			}
			if diff := cmp.Diff(test.want, strings.Join(groups, " | ")); diff != "" {
				t.Errorf("series (-want +got):\n%s", diff)
			}
			if got["total_points"] != float64(total) || got["data_points"] != nil {
				t.Errorf("total_points %v of %d, data_points %v", got["total_points"], total, got["data_points"])
			}
		})
	}
}

func TestQueryFilters(t *testing.T) {
	ts := fleetServer(t)
	for _, test := range []struct{ query, want string }{
		{"tags=host:h1", "4"},
		{"tags=host:h1,zone:eu", "2"},
		{"tags=host:h1&tags=zone:", "2"},
		{"tags=host:h1|h2", "5"},
		{"tags=host!:h1", "1"},
		{"tags=zone!:eu", "3"},
		{"tags=zone!:", "3"},
		{"tags=host:~h[2-9]", "1"},
		{"tags=host:~h", "0"},
		{"tags=zone!:~e.", "3"},
		{"source=b", "2"},
		{"source=a|b", "5"},
		{"source=~[bc]", "2"},
	} {
		got := ts.getJSON(fleetRange + "aggregation=count&" + strings.ReplaceAll(test.query, "|", "%7C"))
		count := "0"
		if list := got["data_points"].([]any); len(list) > 0 {
			count = fmt.Sprint(list[0].(map[string]any)["value"])
		}
		if count != test.want {
			t.Errorf("%s: %s samples, want %s", test.query, count, test.want)
		}
	}
}

func TestQueryRaw(t *testing.T) {
	ts := fleetServer(t)
	answer := ts.get(fleetRange + "source=a&tags=host:h1")
	want := `{"metric":"load","source":"a","granularity":null,"aggregation":null,"unit":null,"data_points":[` +
		`{"timestamp":"2024-01-15T10:00:00Z","value":1},{"timestamp":"2024-01-15T10:01:00Z","value":3}],` +
		`"total_points":2,"next_cursor":null,"query_time_ms":`
	if !strings.HasPrefix(string(answer.body), want) {
		t.Errorf("one series: %s\nwant %s", answer.body, want)
	}
	var pages []string
	cursor := ""
	for {
		got := ts.getJSON(fleetRange + "limit=2&cursor=" + url.QueryEscape(cursor))
		for _, item := range got["data_points"].([]any) {
			point := item.(map[string]any)
			pages = append(pages, fmt.Sprintf("%v %v/%v", point["value"], point["source"], point["tags"].(map[string]any)["host"]))
		}
		if got["next_cursor"] == nil {
			break
		}
		cursor = got["next_cursor"].(string)
		pages = append(pages, "+")
	}
	wantPages := "1 a/h1,10 a/h2,+,3 a/h1,100 b/h1,+,200 b/h1"
	if diff := cmp.Diff(wantPages, strings.Join(pages, ",")); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	other := ts.get("/metrics/query?metric=load&from=2024-01-15T10:00:00Z&to=2024-01-15T10:16:00Z&cursor=" + url.QueryEscape(cursor))
	other.wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	if got := ts.getJSON("/metrics/query?metric=nothing"); len(got["data_points"].([]any)) != 0 || got["total_points"] != 0.0 {
		t.Errorf("an unknown metric: %v", got)
	}
}

func TestQueryCSV(t *testing.T) {
	ts := fleetServer(t)
	ts.write("odd", "", []string{"source", "a", "value", `x,"y"`}, "2024-01-15T10:00:00.5Z", 1e-7)
	ts.write("odder", "", []string{"source", "a", "value", "1", "exported_value", "2", "max", "3"}, "2024-01-15T10:00:00Z", 4.0)
	for _, test := range []struct{ query, want string }{
		{fleetRange + "format=csv&aggregation=count", "timestamp,value\n2024-01-15T10:00:00Z,5\n"},
		{fleetRange + "format=csv&aggregation=count,min&group_by=source,zone",
			"timestamp,count,min,source,zone\n2024-01-15T10:00:00Z,2,1,a,eu\n2024-01-15T10:00:00Z,1,10,a,us\n2024-01-15T10:00:00Z,2,100,b,\n"},
		{fleetRange + "format=csv&limit=3",
			"timestamp,value,source,host,zone\n2024-01-15T10:00:00Z,1,a,h1,eu\n2024-01-15T10:00:30Z,10,a,h2,us\n2024-01-15T10:01:00Z,3,a,h1,eu\n"},
		{fleetRange + "format=csv&source=b&granularity=5m&fill=null&epoch=ms&aggregation=sum",
			"timestamp,value\n1705312800000,100\n1705313100000,\n1705313400000,200\n"},
		{"/metrics/query?metric=odd&from=2024-01-15&to=2024-01-16&format=csv&epoch=s",
			"timestamp,value,source,exported_value\n1705312800.5,1e-7,a,\"x,\"\"y\"\"\"\n"},
		{"/metrics/query?metric=odder&from=2024-01-15&to=2024-01-16&format=csv",
			"timestamp,value,source,exported_value,max,exported_exported_value\n2024-01-15T10:00:00Z,4,a,2,3,1\n"},
		{"/metrics/query?metric=odder&from=2024-01-15&to=2024-01-16&format=csv&aggregation=min,max&group_by=max,value",
			"timestamp,min,max,exported_max,exported_value\n2024-01-15T00:00:00Z,4,4,3,1\n"},
	} {
		answer := ts.get(test.query)
		if diff := cmp.Diff(test.want, string(answer.body)); diff != "" || answer.header.Get("Content-Type") != typeCSV {
			t.Errorf("%s: %s (-want +got):\n%s", test.query, answer.header.Get("Content-Type"), diff)
		}
		if wantCursor := strings.Contains(test.query, "limit=3"); wantCursor != (answer.header.Get("X-Next-Cursor") != "") {
			t.Errorf("%s: X-Next-Cursor is %q", test.query, answer.header.Get("X-Next-Cursor"))
		}
	}
	for accept, want := range map[string]string{
		"text/csv": typeCSV, "application/json, text/csv;q=0.5": typeJSON, "application/json;q=0.1, text/csv": typeCSV,
		"*/*": typeJSON, "text/html": typeJSON, "": typeJSON,
	} {
		if got := ts.get(fleetRange, "Accept", accept).header.Get("Content-Type"); got != want {
			t.Errorf("Accept %q gives %s, want %s", accept, got, want)
		}
	}
}

func TestQueryNamesOnlyWhatWasAskedFor(t *testing.T) {
	ts := seedServer(t)
	got := ts.getJSON("/metrics/query?metric=cpu_usage&granularity=1h")
	if aggregation, there := got["aggregation"]; !there || aggregation != nil || got["granularity"] != "1h" {
		t.Errorf("aggregation is %v, granularity %v", aggregation, got["granularity"])
	}
	got = ts.getJSON("/metrics/query?metric=cpu_usage&aggregation=max")
	if granularity, there := got["granularity"]; !there || granularity != nil || got["aggregation"] != "max" {
		t.Errorf("aggregation is %v, granularity %v", got["aggregation"], granularity)
	}
}

func TestQueryErrors(t *testing.T) {
	ts := seedServer(t)
	for _, test := range []struct {
		query  string
		status int
		code   string
		want   map[string]any // of the details
	}{
		{"", 400, "INVALID_QUERY", map[string]any{"parameter": "metric"}},
		{"metric=cpu&agregation=max", 400, "INVALID_QUERY", map[string]any{"parameter": "agregation", "nearest": "aggregation"}},
		{"metric=cpu&explain=yes", 400, "INVALID_QUERY", map[string]any{"parameter": "explain", "given": "yes"}},
		{"metric=cpu&explain=true&format=csv", 400, "INVALID_QUERY", map[string]any{"parameter": "explain"}},
		{"metric=cpu&metric=mem", 400, "INVALID_QUERY", map[string]any{"parameter": "metric", "given": "mem"}},
		{"metric=cpu&from=2024-01-15&start=2024-01-15", 400, "INVALID_QUERY", map[string]any{"parameter": "start"}},
		{"metric=cpu&from=yesterday", 400, "INVALID_QUERY", map[string]any{"parameter": "from", "given": "yesterday"}},
		{"metric=cpu&to=2300-01-01", 400, "INVALID_QUERY", map[string]any{"parameter": "to"}},
		{"metric=cpu&from=2024-01-15T11:00:00Z&to=2024-01-15T10:00:00Z", 400, "INVALID_QUERY", map[string]any{
			"issue": "Start time must be before end time", "from": "2024-01-15T11:00:00Z", "to": "2024-01-15T10:00:00Z"}},
		{"metric=cpu&aggregation=mean", 400, "INVALID_QUERY", map[string]any{"parameter": "aggregation", "given": "mean"}},
		{"metric=cpu&aggregation=avg,avg", 400, "INVALID_QUERY", map[string]any{"parameter": "aggregation"}},
		{"metric=cpu&granularity=5x", 400, "INVALID_QUERY", map[string]any{"parameter": "granularity", "given": "5x"}},
		{"metric=cpu&granularity=1d&tz=Mars", 400, "INVALID_QUERY", map[string]any{"parameter": "tz"}},
		{"metric=cpu&granularity=1d&max_points=5", 400, "INVALID_QUERY", map[string]any{"parameter": "max_points"}},
		{"metric=cpu&fill=0", 400, "INVALID_QUERY", map[string]any{"parameter": "fill"}},
		{"metric=cpu&granularity=1m&fill=zero", 400, "INVALID_QUERY", map[string]any{"parameter": "fill"}},
		{"metric=cpu&granularity=1m&limit=5", 400, "INVALID_QUERY", map[string]any{"parameter": "limit"}},
		{"metric=cpu&limit=100001", 400, "INVALID_QUERY", map[string]any{"parameter": "limit"}},
		{"metric=cpu&cursor=abc", 400, "INVALID_QUERY", map[string]any{"parameter": "cursor"}},
		{"metric=cpu&tags=host", 400, "INVALID_QUERY", map[string]any{"parameter": "tags", "given": "host"}},
		{"metric=cpu&tags=host:~(", 400, "INVALID_QUERY", map[string]any{"parameter": "tags"}},
		{"metric=cpu&source=~[", 400, "INVALID_QUERY", map[string]any{"parameter": "source"}},
		{"metric=cpu&epoch=min", 400, "INVALID_QUERY", map[string]any{"parameter": "epoch"}},
		{"metric=cpu&format=xml", 400, "INVALID_QUERY", map[string]any{"parameter": "format"}},
		{"metric=cpu&timeout=31s", 400, "INVALID_QUERY", map[string]any{"parameter": "timeout"}},
		{"metric=cpu&group_by=*,host&aggregation=avg", 400, "INVALID_QUERY", map[string]any{"parameter": "group_by"}},
		{"metric=%ff", 400, "INVALID_QUERY", map[string]any{"parameter": "metric"}},
		{"metric=a%00b", 400, "INVALID_QUERY", map[string]any{"parameter": "metric"}},
		{"metric=" + strings.Repeat("x", 257), 400, "INVALID_QUERY", map[string]any{"parameter": "metric"}},
		{"metric=cpu&from=2000-01-01&granularity=1s", 422, "LIMIT_EXCEEDED", map[string]any{"limit": "buckets", "max": 100000.0}},
		{"metric=cpu_usage&granularity=1m&timeout=1ns", 400, "INVALID_QUERY", map[string]any{"parameter": "timeout"}},
	} {
		got := ts.get("/metrics/query?"+test.query).wantError(t, test.status, test.code)
		for key, value := range test.want {
			if diff := cmp.Diff(value, got.Details[key]); diff != "" {
				t.Errorf("%s: details %s (-want +got):\n%s", test.query, key, diff)
			}
		}
	}
	const seedError = `"message":"Invalid time range"`
	if answer := ts.get("/metrics/query?metric=cpu&from=5&to=5"); !strings.Contains(string(answer.body), seedError) {
		t.Errorf("from = to: %s", answer.body)
	}
}

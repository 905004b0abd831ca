package httpapi

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
)

func parseArgs(query string) *fasthttp.Args {
	var args fasthttp.Args
	args.Parse(query)
	return &args
}

func TestParseParams(t *testing.T) {
	known := paramSet{"metric": false, "tags": true, "limit": false}
	p, err := parseParams(parseArgs("metric=a+b%2Bc&tags=x:1&tags=y:2&limit=&&"), known)
	if err != nil {
		t.Fatal(err)
	}
	want := params{"metric": {"a b+c"}, "tags": {"x:1", "y:2"}}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("params (-want +got):\n%s", diff)
	}
	for query, issue := range map[string]string{
		"metrics=a":         "Did you mean metric?",
		"limt=5":            "Did you mean limit?",
		"zzzzzz=5":          "There is no such parameter here",
		"=5":                "There is no such parameter here",
		"metric=a&metric=b": `it is given twice, the first time as "a"`,
		"metric=a&metric=a": `it is given twice, the first time as "a"`,
		"metric=%C3":        "it is not valid UTF-8",
	} {
		_, err := parseParams(parseArgs(query), known)
		failure, ok := errors.AsType[*apiError](err)
		if !ok || !strings.Contains(err.Error(), issue) || failure.code() != "INVALID_QUERY" {
			t.Errorf("%s: %v, want %q", query, err, issue)
		}
	}
	if _, err := parseParams(parseArgs(strings.Repeat("tags=a&", maxParameters+1)), known); err == nil {
		t.Error("any number of parameters is accepted")
	}
}

func TestTimeRange(t *testing.T) {
	now := mustTime(t, "2024-01-15T12:00:00Z")
	for query, want := range map[string]string{
		"":                                "2024-01-15T11:00:00Z 2024-01-15T12:00:00Z",
		"to=2024-01-15T10:00:00Z":         "2024-01-15T09:00:00Z 2024-01-15T10:00:00Z",
		"from=now-2h":                     "2024-01-15T10:00:00Z 2024-01-15T12:00:00Z",
		"start_date=2024-01-14&end=now":   "2024-01-14T00:00:00Z 2024-01-15T12:00:00Z",
		"start=1705312800&end_time=now":   "2024-01-15T10:00:00Z 2024-01-15T12:00:00Z",
		"start_time=0&to=60":              "1970-01-01T00:00:00Z 1970-01-01T00:01:00Z",
		"to=60":                           "1970-01-01T00:00:00Z 1970-01-01T00:01:00Z",
		"from=2024-01-15T10:00:00+01:00":  "2024-01-15T09:00:00Z 2024-01-15T12:00:00Z",
		"from=now&to=2024-01-15T12:00:01": "2024-01-15T12:00:00Z 2024-01-15T12:00:01Z",
		"from=now&to=now":                 "Invalid time range",
		"from=2024-01-16":                 "Invalid time range",
		"from=0&start=0":                  "it means the same as from",
		"end=5&end_date=5":                "it means the same as end_date",
		"from=soon":                       "is not a time",
	} {
		p, err := parseParams(parseArgs(query), paramSet{}.withRange())
		if err != nil {
			t.Fatal(err)
		}
		from, to, err := p.timeRange(now)
		got := formatTime(from) + " " + formatTime(to)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func TestNearestName(t *testing.T) {
	known := []string{"aggregation", "cursor", "from", "to", "tz"}
	for name, want := range map[string]string{
		"agregation": "aggregation", "AGGREGATION": "aggregation", "Form": "from", "too": "to", "tzz": "tz",
		"x": "", "ab": "", "fo": "to", "zzzz": "", "dddddd": "", "frxx": "from", "fxxx": "",
	} {
		if got := nearestName(name, known); got != want {
			t.Errorf("%q: nearest is %q, want %q", name, got, want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"agregation", "aggregation", 1},
		{"form", "from", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"granularty", "granularity", 1},
	} {
		if got := editDistance(test.a, test.b); got != test.want {
			t.Errorf("%q to %q is %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestParseTimeout(t *testing.T) {
	for text, want := range map[string]string{
		"": "30s", "5s": "5s", "500ms": "500ms", "2": "2s", "0.5": "500ms", "30": "30s",
		"31s": "bad", "0": "bad", "-1": "bad", "x": "bad", "1e99": "bad", "NaN": "bad", "1h": "bad",
	} {
		got, err := parseTimeout(params{"timeout": []string{text}}, 30*time.Second)
		if text == "" {
			got, err = parseTimeout(params{}, 30*time.Second)
		}
		if spelt := got.String(); err == nil && spelt != want || err != nil && want != "bad" {
			t.Errorf("timeout %q: %s, %v, want %s", text, spelt, err, want)
		}
	}
}

// Whatever the parameters are, they are read or refused as the client's fault; a cursor made of what was
// read leads back to the same place.
func FuzzParseQuery(f *testing.F) {
	f.Add("metric=cpu_usage&source=fl_server&from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z&granularity=5m&aggregation=avg&tags=experiment_id:exp_001")
	f.Add("metric=a&limit=5&cursor=AQAA")
	f.Add("metric=a&granularity=auto&max_points=3&tz=Europe/Berlin&fill=linear&epoch=ms&format=csv&timeout=5s&group_by=*")
	f.Add("metric=a&aggregation=avg,p99.9,rate&group_by=host,source&from=now-1h&to=now%2B1h")
	f.Add("metric=%zz&tags=a:~%28&tags=b!:")
	f.Fuzz(func(t *testing.T, text string) {
		q, err := parseQuery(parseArgs(text), "", 1705312800e9, 30*time.Second)
		if err != nil {
			failure, ok := errors.AsType[*apiError](err)
			if !ok || failure.status != fasthttp.StatusBadRequest && failure.status != fasthttp.StatusUnprocessableEntity {
				t.Fatalf("%q: %v", text, err)
			}
			failure.appendEnvelope(nil, "id", 0)
			return
		}
		if !q.raw {
			if len(q.edges) < 2 || len(q.functions) == 0 {
				t.Fatalf("%q: %+v", text, q)
			}
			return
		}
		place := engine.Cursor{Time: q.selection.To - 1, Series: 77}
		if err := q.resume(q.cursor(place)); err != nil || q.after != place {
			t.Fatalf("%q: cursor leads to %+v, %v", text, q.after, err)
		}
	})
}

func TestCursorIsBound(t *testing.T) {
	const now = 1705312800e9
	parse := func(query string) (*query, error) {
		return parseQuery(parseArgs(query), "", now, time.Second)
	}
	first, err := parse("metric=a&source=x&tags=k:v")
	if err != nil {
		t.Fatal(err)
	}
	cursor := first.cursor(engine.Cursor{Time: now - 5, Series: 3})
	later, err := parseQuery(parseArgs("metric=a&source=x&tags=k:v&limit=7&cursor="+url.QueryEscape(cursor)), "", now+60e9, time.Second)
	if err != nil || later.selection.From != first.selection.From || later.selection.To != first.selection.To {
		t.Errorf("the next page, a minute later: %+v, %v", later, err)
	}
	for _, other := range []string{"metric=b&source=x&tags=k:v", "metric=a&source=x", "metric=a&tags=k:v", "metric=a&source=x&tags=k:v&from=0"} {
		if _, err := parse(other + "&cursor=" + cursor); err == nil {
			t.Errorf("the cursor is accepted by %s", other)
		}
	}
	for i := range cursor {
		broken := []byte(cursor)
		broken[i] ^= 1
		if _, err := parse(fmt.Sprintf("metric=a&source=x&tags=k:v&cursor=%s", url.QueryEscape(string(broken)))); err == nil {
			t.Errorf("a cursor with another character %d is accepted", i)
		}
	}
}

package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/model"
)

// everyField has a field of each kind that bodies are made of.
type everyField struct {
	bodyRange
	Name    string            `json:"name"`
	Count   int               `json:"count"`
	Small   *int8             `json:"small"`
	Ratio   float64           `json:"ratio"`
	On      *bool             `json:"on"`
	Words   []string          `json:"words"`
	Inner   []innerField      `json:"inner"`
	Limits  map[string]int    `json:"limits"`
	Raw     json.RawMessage   `json:"raw"`
	Numbers map[string]*int64 `json:"numbers,omitempty"`
	Hidden  string
}

type innerField struct {
	Metric string                `json:"metric"`
	Tags   map[string]bodyFilter `json:"tags"`
}

func TestDecodeJSONText(t *testing.T) {
	var got everyField
	text := ` {"name":"a\u00e9","count":-3,"small":127,"ratio":1e3,"on":false,"words":["x",""],"inner":[{"metric":"m"},{}],
		"limits":{"a":1,"b":null},"raw":{"any": [1]},"numbers":{"n":null,"o":5},"from":1.5,"to":"now"} `
	if err := decodeJSONText([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	small, on, five := int8(127), false, int64(5)
	want := everyField{
		Name: "aé", Count: -3, Small: &small, Ratio: 1000, On: &on, Words: []string{"x", ""},
		Inner: []innerField{{Metric: "m"}, {}}, Limits: map[string]int{"a": 1, "b": 0}, Raw: json.RawMessage(`{"any": [1]}`),
		Numbers: map[string]*int64{"n": nil, "o": &five}, bodyRange: bodyRange{From: bodyTime{"1.5"}, To: bodyTime{"now"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	nulls := want
	if err := decodeJSONText([]byte(`{"name":null,"count":null,"small":null,"words":null,"inner":null,"limits":null,"from":null}`), &nulls); err != nil {
		t.Fatal(err)
	}
	if nulls.Small == nil || nulls.Name != "aé" || nulls.From.text != "1.5" {
		t.Errorf("null changed %+v", nulls)
	}
}

func TestDecodeJSONTextErrors(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{``, `not valid JSON; issue: unexpected end of JSON input; offset: 0; line: 1; column: 1`},
		{"{\n \"name\": x}", `offset: 11; line: 2; column: 10`},
		{`{"name":"a"} {`, `offset: 13; line: 1; column: 14`},
		{"{\"name\":\"\xff\"}", `it is not valid UTF-8; offset: 9`},
		{`null`, `given: null; issue: it must be an object`},
		{`[]`, `given: []; issue: it must be an object`},
		{`{"nmae":1}`, `Unknown field; field: nmae; issue: Did you mean name?; nearest: name; valid: [from to`},
		{`{"Name":1}`, `Did you mean name?`},
		{`{"Hidden":""}`, `Unknown field; field: Hidden; issue: There is no such field here`},
		{`{"inner":[{},{"metirc":1}]}`, `Unknown field; field: inner[1].metirc; issue: Did you mean metric?; nearest: metric; valid: [metric tags]`},
		{`{"name":"a","name":"a"}`, `Invalid field name; field: name; given: "a"; issue: it is given twice`},
		{`{"limits":{"a":1,"a":1}}`, `Invalid field limits.a; field: limits.a; given: 1; issue: it is given twice`},
		{`{"name":5}`, `given: 5; issue: it must be a string`},
		{`{"count":1.5}`, `given: 1.5; issue: it must be a whole number`},
		{`{"small":128}`, `given: 128; issue: it must be a whole number`},
		{`{"ratio":"1"}`, `given: "1"; issue: it must be a number`},
		{`{"ratio":1e999}`, `given: 1e999; issue: it must be a number`},
		{`{"on":1}`, `issue: it must be true or false`},
		{`{"words":"x"}`, `Invalid field words; field: words; given: "x"; issue: it must be an array`},
		{`{"words":["x",5]}`, `Invalid field words[1]`},
		{`{"inner":[5]}`, `Invalid field inner[0]; field: inner[0]; given: 5; issue: it must be an object`},
		{`{"limits":[]}`, `it must be an object`},
		{`{"from":{}}`, `it must be a time`},
		{`{"inner":[{"tags":{"host":[1,{}]}}]}`, `Invalid field inner[0].tags.host[1]`},
		{`{"inner":[{"tags":{"host":{"not":{"regexp":"a"}}}}]}`, `field: inner[0].tags.host.not.regexp; issue: Did you mean regex?`},
		{`{"inner":[{"tags":{"host":{"not":{"regex":"("}}}}]}`, `field: inner[0].tags.host.not.regex; given: (; issue: error parsing regexp`},
		{`{"inner":[{"tags":{"host":{"not":{"not":"a"}}}}]}`, filterForms},
		{`{"inner":[{"tags":{"host":{}}}]}`, filterForms},
		{`{"inner":[{"tags":{"host":[]}}]}`, `it matches nothing`},
	} {
		err := decodeJSONText([]byte(test.text), new(everyField))
		failure, ok := errors.AsType[*apiError](err)
		if !ok || failure.code() != "INVALID_REQUEST" || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.text, err, test.want)
		}
	}
}

func FuzzDecodeJSONText(f *testing.F) {
	f.Add([]byte(`{"name":"a","inner":[{"tags":{"a":{"not":["b",1]}}}],"from":"now","limits":{"a":1}}`))
	f.Add([]byte(`{"raw":[{}],"numbers":{"":null}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got everyField
		err := decodeJSONText(text, &got)
		if err != nil {
			if failure, ok := errors.AsType[*apiError](err); !ok || failure.status != fasthttp.StatusBadRequest {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%q is taken for JSON", text)
		}
		var loose struct { // what both understand alike
			Name  string         `json:"name"`
			Ratio float64        `json:"ratio"`
			Words []string       `json:"words"`
			Limit map[string]int `json:"limits"`
		}
		if err := json.Unmarshal(text, &loose); err != nil {
			t.Fatalf("%q: encoding/json refuses it: %v", text, err)
		}
		if got.Name != loose.Name || got.Ratio != loose.Ratio || !reflect.DeepEqual(got.Words, loose.Words) || !reflect.DeepEqual(got.Limits, loose.Limit) {
			t.Fatalf("%q: got %+v, want %+v", text, got, loose)
		}
	})
}

func TestBodySelection(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`{"metric":"m"}`, `""="m"`},
		{`{"metric":"m","source":null}`, `""="m"`},
		{`{"metric":"m","source":""}`, `""="m"`},
		{`{"metric":"m","source":"a|b"}`, `""="m" "source"="a|b"`},
		{`{"metric":"m","source":["a","b.c"]}`, `""="m" "source"=~"a|b\\.c"`},
		{`{"metric":"m","tags":{"z":"1","a":{"regex":"x.*"},"b":{"not":["p","q"]},"c":{"not":{"regex":"r"}}}}`,
			`""="m" "a"=~"x.*" "b"!~"p|q" "c"!~"r" "z"="1"`},
		{`{"metric":"m","tags":{"round":5,"on":true,"gone":null,"empty":"","has":{"not":null},"hasToo":{"not":""}}}`,
			`""="m" "empty"="" "gone"="" "has"!="" "hasToo"!="" "on"="true" "round"="5"`},
		{`{}`, `Missing field q.metric; field: q.metric; issue: give the name of a metric`},
		{`{"metric":"a\nb"}`, `Invalid field q.metric`},
		{`{"metric":"m","tags":{"":"a"}}`, `Invalid field q.tags; field: q.tags; given: ; issue: the key of a tag is empty`},
	} {
		var selection bodySelection
		err := decodeJSONText([]byte(test.text), &selection)
		var matchers []*model.Matcher
		if err == nil {
			matchers, err = selection.matchers("q.")
		}
		var words []string
		for _, m := range matchers {
			words = append(words, m.String())
		}
		if got := strings.Join(words, " "); err == nil && got != test.want || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %s %v, want %s", test.text, got, err, test.want)
		}
	}
}

func TestBodyRange(t *testing.T) {
	now := mustTime(t, "2024-01-15T12:00:00Z")
	for text, want := range map[string]string{
		`{}`: "2024-01-15T11:00:00Z 2024-01-15T12:00:00Z",
		`{"from":"2024-01-15 10:00","end_time":1705316400000}`: "2024-01-15T10:00:00Z 2024-01-15T11:00:00Z",
		`{"start":1705312800.5}`:                               "2024-01-15T10:00:00.500Z 2024-01-15T12:00:00Z",
		`{"to":"now-1h"}`:                                      "2024-01-15T10:00:00Z 2024-01-15T11:00:00Z",
		`{"from":"soon"}`:                                      `Invalid field q.from; field: q.from; given: soon; issue: "soon" is not a time`,
		`{"from":1,"start":1}`:                                 "Invalid field q.start; field: q.start; given: 1; issue: it means the same as from",
		`{"from":"now"}`:                                       "Invalid time range; issue: Start time must be before end time",
	} {
		var got bodyRange
		if err := decodeJSONText([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if got.given() != (text != "{}") {
			t.Errorf("%s: given() is %v", text, got.given())
		}
		from, to, err := got.resolve("q.", now)
		answer := formatTime(from) + " " + formatTime(to)
		if err != nil {
			answer = err.Error()
		}
		if !strings.HasPrefix(answer, want) {
			t.Errorf("%s: %s, want %s", text, answer, want)
		}
	}
}

func TestDecodeBodyOverASocket(t *testing.T) {
	echo := route{method: fasthttp.MethodPost, path: "/echo", role: roleRead, handler: func(_ *Server, r *request) error {
		var body struct {
			Name string `json:"name"`
		}
		if err := decodeBody(r, &body); err != nil {
			return err
		}
		r.respond(fasthttp.StatusOK, typeJSON, fmt.Appendf(nil, "%q", body.Name))
		return nil
	}}
	ts := startServer(t, Options{}, echo)
	if answer := ts.do(http.MethodPost, "/echo", []byte(`{"name":"x"}`)); answer.status != http.StatusOK || string(answer.body) != `"x"` {
		t.Errorf("%d %s", answer.status, answer.body)
	}
	ts.do(http.MethodPost, "/echo", []byte(`<a/>`), "Content-Type", "application/xml").wantError(t, http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE")
	details := ts.do(http.MethodPost, "/echo", []byte(`{"nam":1}`)).wantError(t, http.StatusBadRequest, "INVALID_REQUEST").Details
	want := map[string]any{"field": "nam", "issue": "Did you mean name?", "nearest": "name", "valid": []any{"name"}}
	if diff := cmp.Diff(want, details); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
	large := append(bytes.Repeat([]byte(" "), maxRequestJSON), "{}"...)
	ts.do(http.MethodPost, "/echo", large).wantError(t, http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE")
}

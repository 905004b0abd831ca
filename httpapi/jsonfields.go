package httpapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// bodyTime is a time in a body: a string or a number, in any of timefmt's forms. It is kept as it was given
// until the clock is at hand. Zero: not given.
type bodyTime struct{ text string }

// UnmarshalJSON implements json.Unmarshaler.
func (t *bodyTime) UnmarshalJSON(raw []byte) error {
	switch raw[0] {
	case 'n':
		return nil
	case '"':
		return json.Unmarshal(raw, &t.text)
	case '{', '[', 't', 'f':
		return &fieldFault{given: string(raw), issue: "it must be a time as a string, or a number since the epoch"}
	}
	t.text = string(raw)
	return nil
}

// parse returns the time in nanoseconds since the epoch; now is the server's.
func (t bodyTime) parse(path string, now int64) (int64, error) {
	ns, err := timefmt.ParseTime(t.text, now)
	if err != nil {
		return 0, invalidField(path, t.text, err.Error())
	}
	return ns, nil
}

// bodyRange is a time range in a body, under any of the names of rangeNames; for embedding.
type bodyRange struct {
	From      bodyTime `json:"from"`
	To        bodyTime `json:"to"`
	StartDate bodyTime `json:"start_date"`
	EndDate   bodyTime `json:"end_date"`
	Start     bodyTime `json:"start"`
	End       bodyTime `json:"end"`
	StartTime bodyTime `json:"start_time"`
	EndTime   bodyTime `json:"end_time"`
}

// params returns the ends that are given, as the parameters of the same names.
func (b *bodyRange) params() params {
	p := params{}
	for name, end := range map[string]bodyTime{
		"from": b.From, "to": b.To, "start_date": b.StartDate, "end_date": b.EndDate,
		"start": b.Start, "end": b.End, "start_time": b.StartTime, "end_time": b.EndTime,
	} {
		if end.text != "" {
			p[name] = []string{end.text}
		}
	}
	return p
}

// over returns the range with each end that it leaves open taken from outer.
func (b bodyRange) over(outer *bodyRange) bodyRange {
	none := bodyTime{}
	if b.From == none && b.StartDate == none && b.Start == none && b.StartTime == none {
		b.From, b.StartDate, b.Start, b.StartTime = outer.From, outer.StartDate, outer.Start, outer.StartTime
	}
	if b.To == none && b.EndDate == none && b.End == none && b.EndTime == none {
		b.To, b.EndDate, b.End, b.EndTime = outer.To, outer.EndDate, outer.End, outer.EndTime
	}
	return b
}

// given reports whether the body has an end of a range.
func (b *bodyRange) given() bool { return *b != bodyRange{} }

// resolve returns the range [from, to) in nanoseconds since the epoch, with the defaults that params.timeRange
// has. prefix is what the path of the fields begins with, such as "queries[2]."; "": nothing.
func (b *bodyRange) resolve(prefix string, now int64) (from, to int64, err error) {
	from, to, err = b.params().timeRange(now)
	return from, to, inBody(err, prefix)
}

// bodyFilter selects by one tag or by the source: a string is that value, an array any of them,
// {"regex": "..."} what matches as a whole, {"not": ...} the opposite of any of these. Numbers and booleans
// stand for their JSON text, as they do in tags that are written; null and "" for the tag being absent.
type bodyFilter struct {
	filter tagFilter // without its key
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *bodyFilter) UnmarshalJSON(raw []byte) error {
	if raw[0] != '{' {
		return f.values(raw)
	}
	var object struct {
		Regex *string         `json:"regex"`
		Not   json.RawMessage `json:"not"`
	}
	if err := decodeJSONObject(raw, &object); err != nil {
		return err
	}
	switch {
	case object.Regex != nil && object.Not == nil:
		if issue := checkRegex(*object.Regex); issue != "" {
			return &fieldFault{path: "regex", given: *object.Regex, issue: issue, value: true}
		}
		f.filter.Regex = *object.Regex
		return nil
	case object.Not != nil && object.Regex == nil && !f.filter.Not:
		f.filter.Not = true
		err := f.UnmarshalJSON(object.Not)
		if fault, ok := err.(*fieldFault); ok { //nolint:errorlint // it is made here, and never wrapped
			return fault.within("not")
		}
		return err
	}
	return &fieldFault{given: string(raw), issue: filterForms}
}

const filterForms = `it must be a string, an array of strings, {"regex": "..."} or {"not": one of these}`

// values reads a value or an array of them.
func (f *bodyFilter) values(raw []byte) error {
	elements := []json.RawMessage{raw}
	switch raw[0] {
	case 'n':
		return nil
	case '[':
		if err := json.Unmarshal(raw, &elements); err != nil {
			return err
		}
		if len(elements) == 0 {
			return &fieldFault{given: "[]", issue: "it matches nothing; leave it out, or list at least one value"}
		}
	}
	for i, element := range elements {
		text := string(element)
		switch element[0] {
		case '"':
			if err := json.Unmarshal(element, &text); err != nil {
				return err
			}
		case '{', '[', 'n':
			fault := &fieldFault{given: text, issue: "it must be a string"}
			return fault.within("[" + strconv.Itoa(i) + "]")
		}
		f.filter.Values = append(f.filter.Values, text)
	}
	return nil
}

// matcher returns the matcher for a key.
func (f bodyFilter) matcher(key, path string) (*model.Matcher, error) {
	filter := f.filter
	filter.Key = key
	m, err := filter.matcher()
	if err != nil {
		return nil, invalidField(path, filter.String(), err.Error())
	}
	return m, nil
}

// text spells the filter as a parameter would: "" for one that any empty value means.
func (f bodyFilter) text() string {
	_, operand, _ := strings.Cut(f.filter.String(), ":")
	if f.filter.Not {
		return "!" + operand
	}
	return operand
}

// bodySelection is which series a body is about; for embedding.
type bodySelection struct {
	Metric string                `json:"metric"`
	Source *bodyFilter           `json:"source"` // null and "": any
	Tags   map[string]bodyFilter `json:"tags"`
}

// matchers returns the matchers, the metric's first; it must be given. prefix is what the path of the fields
// begins with, such as "queries[2]."; "": nothing.
func (b *bodySelection) matchers(prefix string) ([]*model.Matcher, error) {
	if b.Metric == "" {
		return nil, missingField(prefix+"metric", "give the name of a metric")
	}
	if err := model.CheckSeries(b.Metric, nil); err != nil {
		return nil, invalidField(prefix+"metric", b.Metric, err.Error())
	}
	if len(b.Tags) > maxTagFilters {
		return nil, invalidField(prefix+"tags", strconv.Itoa(len(b.Tags)), "there are more than "+strconv.Itoa(maxTagFilters)+" filters")
	}
	matchers := []*model.Matcher{model.EqualMatcher(model.NameKey, b.Metric)}
	add := func(filter bodyFilter, key, path string) error {
		m, err := filter.matcher(key, prefix+path)
		matchers = append(matchers, m)
		return err
	}
	if b.Source != nil && b.Source.text() != "" {
		if err := add(*b.Source, model.SourceKey, "source"); err != nil {
			return nil, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(b.Tags)) {
		if key == model.NameKey {
			return nil, invalidField(prefix+"tags", "", "the key of a tag is empty")
		}
		if err := add(b.Tags[key], key, "tags."+key); err != nil {
			return nil, err
		}
	}
	return matchers, nil
}

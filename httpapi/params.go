package httpapi

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// maxParameters bounds how often parameters may be given in one request.
const maxParameters = 1000

// paramSet lists the parameters an endpoint knows; the value says whether one may be repeated.
type paramSet map[string]bool

// params holds the parameters of a request. One that was given without a value counts as not given.
type params map[string][]string

// rangeNames are the names for the ends of a time range, which mean the same.
var rangeNames = [...]struct{ from, to string }{
	{"from", "to"}, {"start_date", "end_date"}, {"start", "end"}, {"start_time", "end_time"},
}

// withRange returns the set extended by the names of a time range.
func (known paramSet) withRange() paramSet {
	for _, names := range rangeNames {
		known[names.from], known[names.to] = false, false
	}
	return known
}

// parseParams reads a query string. It refuses what is not known, what is not UTF-8, and what is
// repeated but must not be.
func parseParams(args *fasthttp.Args, known paramSet) (params, error) {
	given := params{}
	if args.Len() > maxParameters {
		return nil, invalidQuery("Too many parameters", detail{"given", args.Len()}, detail{"max", maxParameters})
	}
	for rawName, rawValue := range args.All() {
		name, value := string(rawName), string(rawValue)
		repeatable, ok := known[name]
		switch {
		case !ok && name == "" && value == "":
			continue // from "?a=b&&c=d"
		case !ok:
			return nil, unknownParameter(name, known)
		case !utf8.ValidString(value):
			return nil, invalidParameter(name, strings.ToValidUTF8(value, "\ufffd"), "it is not valid UTF-8")
		case value == "":
			continue
		case len(given[name]) > 0 && !repeatable:
			return nil, invalidParameter(name, value, "it is given twice, the first time as "+strconv.Quote(clip(given[name][0])))
		}
		given[name] = append(given[name], value)
	}
	return given, nil
}

// knownParams reads a query string at FLOPY-NET's own surface, whose clients send more than they need: what is not known is
// ignored, and of what is repeated the first one counts.
func knownParams(args *fasthttp.Args, known paramSet) (params, error) {
	var kept fasthttp.Args
	for name, value := range args.All() {
		repeatable, ok := known[string(name)]
		if ok && (repeatable || !kept.HasBytes(name)) {
			kept.AddBytesKV(name, value)
		}
	}
	return parseParams(&kept, known)
}

// noParams refuses every parameter, at an endpoint that has none.
func (r *request) noParams() error {
	_, err := parseParams(r.http.QueryArgs(), paramSet{})
	return err
}

func unknownParameter(name string, known paramSet) error {
	names := make([]string, 0, len(known))
	for candidate := range known {
		names = append(names, candidate)
	}
	slices.Sort(names)
	details := []detail{{"parameter", clip(strings.ToValidUTF8(name, "\ufffd"))}}
	if nearest := nearestName(name, names); nearest != "" {
		details = append(details, detail{"issue", "Did you mean " + nearest + "?"}, detail{"nearest", nearest})
	} else {
		details = append(details, detail{"issue", "There is no such parameter here"})
	}
	return invalidQuery("Unknown parameter", append(details, detail{"valid", names})...)
}

// get returns the value of a parameter that is not repeatable, or "".
func (p params) get(name string) string {
	if values := p[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// firstOf returns the first of the names that was given, or "".
func (p params) firstOf(names ...string) string {
	for _, name := range names {
		if len(p[name]) > 0 {
			return name
		}
	}
	return ""
}

// integer reads a whole number in [low, high], or returns fallback when it was not given.
func (p params) integer(name string, low, high, fallback int) (int, error) {
	text := p.get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, invalidParameter(name, text, "use a whole number from "+strconv.Itoa(low)+" to "+strconv.Itoa(high))
	}
	return n, nil
}

// boolean reads true or false; false when it was not given.
func (p params) boolean(name string) (bool, error) {
	word, err := p.oneOf(name, "true", "false")
	return word == "true", err
}

// oneOf reads a word out of a few, or returns "" when it was not given.
func (p params) oneOf(name string, words ...string) (string, error) {
	text := p.get(name)
	if text == "" || slices.Contains(words, text) {
		return text, nil
	}
	return "", invalidParameter(name, text, "use one of "+strings.Join(words, ", "))
}

// list splits a parameter's values at commas and refuses empty and repeated elements.
func (p params) list(name string) ([]string, error) {
	var elements []string
	for _, value := range p[name] {
		for element := range strings.SplitSeq(value, ",") {
			element = strings.TrimSpace(element)
			switch {
			case element == "":
				return nil, invalidParameter(name, value, "an element of the list is empty")
			case slices.Contains(elements, element):
				return nil, invalidParameter(name, value, strconv.Quote(clip(element))+" is listed twice")
			}
			elements = append(elements, element)
		}
	}
	return elements, nil
}

// defaultRange is how long a time range is when only its end is given, or nothing.
const defaultRange = int64(3600e9)

// rangeEnds returns the names under which the ends of a range were given; "": not given.
func (p params) rangeEnds() (from, to string, err error) {
	var fromNames, toNames []string
	for _, names := range rangeNames {
		fromNames, toNames = append(fromNames, names.from), append(toNames, names.to)
	}
	if from, err = p.onlyOneOf(fromNames); err != nil {
		return "", "", err
	}
	to, err = p.onlyOneOf(toNames)
	return from, to, err
}

// timeRange reads the range [from, to), in nanoseconds since the epoch. now counts as the end when none
// is given.
func (p params) timeRange(now int64) (from, to int64, err error) {
	fromName, toName, err := p.rangeEnds()
	if err != nil {
		return 0, 0, err
	}
	to = now
	if toName != "" {
		if to, err = p.time(toName, now); err != nil {
			return 0, 0, err
		}
	}
	from = max(to-defaultRange, 0)
	if fromName != "" {
		if from, err = p.time(fromName, now); err != nil {
			return 0, 0, err
		}
	}
	if from >= to {
		return 0, 0, invalidTimeRange(from, to)
	}
	return from, to, nil
}

// timeRangeOrAll is timeRange but for what is given neither end: that is about all time, for who looks for
// what there is doesn't know when it came.
func (p params) timeRangeOrAll(now int64) (from, to int64, err error) {
	fromName, toName, err := p.rangeEnds()
	if err != nil || fromName != "" || toName != "" {
		return p.timeRange(now)
	}
	return model.MinTime, model.MaxTime + 1, nil
}

// onlyOneOf returns the one of the names that was given, or "".
func (p params) onlyOneOf(names []string) (string, error) {
	first := p.firstOf(names...)
	for _, name := range names {
		if name != first && len(p[name]) > 0 {
			return "", invalidParameter(name, p.get(name), "it means the same as "+first+", which is given too")
		}
	}
	return first, nil
}

func (p params) time(name string, now int64) (int64, error) {
	ns, err := timefmt.ParseTime(p.get(name), now)
	if err != nil {
		return 0, invalidParameter(name, p.get(name), err.Error())
	}
	return ns, nil
}

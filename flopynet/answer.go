package flopynet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// What peers answer is read with tolerance: a field of the wrong type counts as one that isn't there, as do NaN and the
// infinities, which Python writes though JSON has none. Only an answer that is not the thing asked for at all is an error.

// decodeAnswer reads JSON as Python writes it. An answer of another shape than into's is an error.
func decodeAnswer(body []byte, into any) error {
	text := bytes.TrimSpace(withoutNaN(body))
	if len(text) == 0 {
		return fmt.Errorf("its answer is empty, want JSON")
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("its answer is not what it should be: %w; it begins %s", err, strconv.QuoteToASCII(string(text[:min(len(text), 60)])))
	}
	return nil
}

// withoutNaN puts null in the place of NaN, Infinity and -Infinity, outside of strings. It returns the text itself if it
// has none of them.
func withoutNaN(text []byte) []byte {
	if !bytes.Contains(text, []byte("NaN")) && !bytes.Contains(text, []byte("Infinity")) {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	inString := false
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		switch {
		case inString && rest[0] == '\\' && len(rest) > 1:
			out = append(out, rest[0])
			i++
		case rest[0] == '"':
			inString = !inString
		case inString:
		case bytes.HasPrefix(rest, []byte("NaN")):
			out = append(out, "null"...)
			i += len("NaN") - 1
			continue
		case bytes.HasPrefix(rest, []byte("Infinity")):
			out = append(bytes.TrimSuffix(out, []byte("-")), "null"...)
			i += len("Infinity") - 1
			continue
		}
		out = append(out, text[i])
	}
	return out
}

// number is a finite number of an answer, or none. A number in a string is one; a boolean is none.
type number struct {
	value float64
	known bool
}

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (n *number) UnmarshalJSON(raw []byte) error {
	text := string(raw)
	if raw[0] == '"' && json.Unmarshal(raw, &text) != nil {
		text = ""
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	*n = number{}
	if err == nil && !math.IsNaN(value) && !math.IsInf(value, 0) {
		*n = number{value, true}
	}
	return nil
}

// integer is the number without its fraction; 0 if there is none, or it is no int.
func (n number) integer() int {
	if !n.known || math.Abs(n.value) >= 1<<53 {
		return 0
	}
	return int(n.value)
}

// pointer is the number, nil if there is none.
func (n number) pointer() *float64 {
	if !n.known {
		return nil
	}
	return &n.value
}

// text is a string of an answer, or none. A number or a boolean is its JSON text.
type text string

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (t *text) UnmarshalJSON(raw []byte) error {
	*t = ""
	switch raw[0] {
	case '"':
		var s string
		if json.Unmarshal(raw, &s) == nil {
			*t = text(s)
		}
	case 'n', '{', '[':
	default:
		*t = text(raw)
	}
	return nil
}

// flag is a boolean of an answer, or none.
type flag struct{ value, known bool }

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (f *flag) UnmarshalJSON(raw []byte) error {
	*f = flag{value: string(raw) == "true", known: string(raw) == "true" || string(raw) == "false"}
	return nil
}

// number is 1 for true and 0 for false.
func (f flag) number() number {
	if f.value {
		return number{1, f.known}
	}
	return number{0, f.known}
}

// moment is a time of an answer, or none: a number since the epoch, or a text, in UTC if it names no offset. A time before
// 1970 or after 2262 is none.
type moment struct {
	ns    int64 // nanoseconds since the epoch
	known bool
}

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (m *moment) UnmarshalJSON(raw []byte) error {
	*m = moment{}
	var t text
	_ = t.UnmarshalJSON(raw)
	if t == "" || strings.HasPrefix(string(t), "now") { // which our own API reads as a time
		return nil
	}
	if ns, err := timefmt.ParseTime(string(t), 0); err == nil && ns > model.MinTime {
		*m = moment{ns, true}
	}
	return nil
}

// or returns the time, or another one where it isn't known.
func (m moment) or(other int64) int64 {
	if m.known {
		return m.ns
	}
	return other
}

// earliestPlausible is 2000-01-01: what is told to have happened before has a number in the place of its time.
const earliestPlausible = 946_684_800_000_000_000

// isPlausible reports whether the time may be that of something which is kept under it.
func (m moment) isPlausible() bool { return m.known && m.ns >= earliestPlausible }

// list is an array of an answer, of which those elements are left out that are not what they should be.
type list[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (l *list[T]) UnmarshalJSON(raw []byte) error {
	*l = nil
	return eachElement(raw, func(element json.RawMessage) error {
		var one T
		if element[0] != 'n' && json.Unmarshal(element, &one) == nil {
			*l = append(*l, one)
		}
		return nil
	})
}

// members are the values of an object of an answer by their names.
type members map[string]json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (m *members) UnmarshalJSON(raw []byte) error {
	*m = members{}
	return eachMember(raw, func(name string, value json.RawMessage) error {
		(*m)[name] = slices.Clone(value)
		return nil
	})
}

// maxElements bounds how many elements of an array, or of an object, are read: a few bytes each in an answer, they take a hundred
// times as much once they are read.
const maxElements = 100_000

// eachElement calls read with each element of an array, which is read's until it returns.
func eachElement(raw []byte, read func(json.RawMessage) error) error {
	if raw[0] != '[' {
		return fmt.Errorf("there is %s where an array should be", kindOf(raw))
	}
	return eachOf(raw, func(decoder *json.Decoder, element *json.RawMessage) error {
		if err := decoder.Decode(element); err != nil {
			return err
		}
		return read(*element)
	})
}

// eachMember calls read with each member of an object; its value is read's until it returns.
func eachMember(raw []byte, read func(name string, value json.RawMessage) error) error {
	if raw[0] != '{' {
		return fmt.Errorf("there is %s where an object should be", kindOf(raw))
	}
	return eachOf(raw, func(decoder *json.Decoder, value *json.RawMessage) error {
		name, err := decoder.Token()
		if err == nil {
			err = decoder.Decode(value)
		}
		if err != nil {
			return err
		}
		return read(name.(string), *value)
	})
}

// eachOf calls read for each element of an array or an object, with memory that it may use again and again.
func eachOf(raw []byte, read func(*json.Decoder, *json.RawMessage) error) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	var element json.RawMessage
	for n := 0; decoder.More(); n++ {
		if n == maxElements {
			return fmt.Errorf("there are more than %d elements, which are not read", maxElements)
		}
		if err := read(decoder, &element); err != nil {
			return err
		}
	}
	return nil
}

// kindOf names what a JSON text is.
func kindOf(raw []byte) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// object is an object of an answer as it came, without white space; nil where there is none.
type object json.RawMessage

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (o *object) UnmarshalJSON(raw []byte) error {
	*o = nil
	var out bytes.Buffer
	if raw[0] == '{' && json.Compact(&out, raw) == nil {
		*o = out.Bytes()
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	if o == nil {
		return []byte("null"), nil
	}
	return o, nil
}

// orEmpty is the object as JSON, {} where there is none.
func (o object) orEmpty() []byte {
	if o == nil {
		return []byte("{}")
	}
	return o
}

// Bounds of what is kept of an object that a peer told.
const (
	maxKeptFields     = 200
	maxKeptFieldBytes = 4 << 10
)

// scalars returns the object without its lists, and without what is too large or too much to be kept as what was known last.
func (o object) scalars() object {
	kept := members{}
	err := eachMember(o.orEmpty(), func(name string, value json.RawMessage) error {
		if value[0] != '[' && len(name)+len(value) <= maxKeptFieldBytes && len(kept) < maxKeptFields {
			kept[name] = slices.Clone(value)
		}
		return nil
	})
	if err != nil {
		return nil
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return nil
	}
	return text
}

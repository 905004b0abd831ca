package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

// maxRequestJSON bounds the bodies that decodeBody reads: descriptions of what is wanted, not data.
const maxRequestJSON = 1 << 20

// decodeBody reads a small JSON body into the struct, slice or map that into points to.
//
// It is stricter than encoding/json: a key must be one of the struct's `json` names as they are spelt, and
// may be given once. Errors name the field by its path, such as queries[2].tags.host, say what was given
// and what is valid; for an unknown key, the nearest known one. null leaves a field as it is, a pointer
// nil. A type that implements json.Unmarshaler reads itself, null included, and may return a *fieldFault.
// Fields without a `json` name are left alone; embedded structs are read as if their fields stood in place
// of them.
//
// What is beyond types is left to the caller: required fields, ranges, names. It reports them by
// invalidField and missingField. The strings decoded are copies.
func decodeBody(r *request, into any) error {
	if err := r.checkJSON(); err != nil {
		return err
	}
	body, err := r.readBody()
	if err != nil {
		return err
	}
	defer body.release()
	if len(body.bytes) > maxRequestJSON {
		return newError(fasthttp.StatusRequestEntityTooLarge, "The request's body is too large",
			detail{"limit", "body bytes of a request that is not about writing"}, detail{"max", maxRequestJSON})
	}
	r.noteBody(body.bytes)
	return decodeJSONText(body.bytes, into)
}

// decodeJSONText is decodeBody for a text.
func decodeJSONText(text []byte, into any) error {
	if !utf8.Valid(text) {
		return notJSON(text, firstInvalidUTF8(text), "it is not valid UTF-8")
	}
	var raw json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		offset := len(text)
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok && strings.Contains(err.Error(), "invalid character") {
			offset = int(syntax.Offset) - 1
		}
		return notJSON(text, offset, err.Error())
	}
	target := reflect.ValueOf(into).Elem()
	if kind := target.Kind(); raw[0] == 'n' && kind != reflect.Pointer {
		return wrongShape("null", target.Type())
	}
	err := decodeField(raw, target)
	if fault, ok := errors.AsType[*fieldFault](err); ok {
		return fault.answer(target.Type())
	}
	return err
}

func notJSON(text []byte, offset int, issue string) error {
	before := text[:offset]
	line := bytes.Count(before, []byte{'\n'})
	column := offset - bytes.LastIndexByte(before, '\n')
	return invalidRequest("The body is not valid JSON", detail{"issue", issue},
		detail{"offset", offset}, detail{"line", line + 1}, detail{"column", column})
}

func firstInvalidUTF8(text []byte) int {
	at := 0
	for at < len(text) {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}

// decodeJSONObject is for UnmarshalJSON of types that take an object in one of their forms. The errors are
// *fieldFault.
func decodeJSONObject(raw []byte, into any) error {
	return decodeField(raw, reflect.ValueOf(into).Elem())
}

// fieldFault says what is wrong with a field of a body.
type fieldFault struct {
	path  string // from the value at fault outward; "": that value itself
	given string
	issue string
	known []string // of an unknown key: those there are
	value bool     // its type is right
}

func (f *fieldFault) Error() string { return f.path + ": " + f.issue }

// within puts an element before the path.
func (f *fieldFault) within(element string) *fieldFault {
	switch {
	case f.path == "":
		f.path = element
	case f.path[0] == '[':
		f.path = element + f.path
	default:
		f.path = element + "." + f.path
	}
	return f
}

// answer makes the error for the client, of a body that should be of the type.
func (f *fieldFault) answer(body reflect.Type) error {
	switch {
	case f.known != nil:
		return unknownField(f.path, f.given, f.known)
	case f.path == "":
		return wrongShape(f.given, body)
	}
	return invalidField(f.path, f.given, f.issue)
}

// invalidField says what is wrong with a field of the body, what was given and what is valid. The field is
// named by its path.
func invalidField(path, given, issue string) *apiError {
	return invalidRequest("Invalid field "+clip(path),
		detail{"field", clip(path)}, detail{"given", clip(given)}, detail{"issue", issue})
}

// missingField names a field that has to be given, and what with.
func missingField(path, issue string) *apiError {
	return invalidRequest("Missing field "+path, detail{"field", path}, detail{"issue", issue})
}

// inBody turns what invalidParameter says of a parameter into the same about a field of the body, so that
// bodies can share the parsers of parameters. prefix is what the field's path begins with, such as
// "queries[2]."; "": nothing. Other errors stay as they are.
func inBody(err error, prefix string) error {
	failure, ok := errors.AsType[*apiError](err)
	if !ok || !failure.badQuery || len(failure.details) == 0 || failure.details[0].key != "parameter" {
		return err
	}
	path := prefix + failure.details[0].value.(string)
	return invalidRequest("Invalid field "+path, append([]detail{{"field", path}}, failure.details[1:]...)...)
}

func unknownField(path, key string, known []string) error {
	details := []detail{{"field", clip(path)}}
	if nearest := nearestName(key, known); nearest != "" {
		details = append(details, detail{"issue", "Did you mean " + nearest + "?"}, detail{"nearest", nearest})
	} else {
		details = append(details, detail{"issue", "There is no such field here"})
	}
	return invalidRequest("Unknown field", append(details, detail{"valid", known})...)
}

func wrongShape(given string, want reflect.Type) error {
	return invalidRequest("The body is not what it should be", detail{"given", clip(given)},
		detail{"issue", "it must be " + describeType(want)})
}

// decodeField reads valid JSON into a value. The errors are *fieldFault.
func decodeField(raw json.RawMessage, into reflect.Value) error {
	if own, ok := into.Addr().Interface().(json.Unmarshaler); ok {
		err := own.UnmarshalJSON(raw)
		if _, ok := errors.AsType[*fieldFault](err); ok || err == nil {
			return err
		}
		return &fieldFault{given: string(raw), issue: err.Error()}
	}
	if raw[0] == 'n' {
		return nil
	}
	switch into.Kind() {
	case reflect.Pointer:
		target := reflect.New(into.Type().Elem())
		if err := decodeField(raw, target.Elem()); err != nil {
			return err
		}
		into.Set(target)
		return nil
	case reflect.Struct:
		return decodeStruct(raw, into)
	case reflect.Slice:
		return decodeSlice(raw, into)
	case reflect.Map:
		return decodeMap(raw, into)
	}
	if err := json.Unmarshal(raw, into.Addr().Interface()); err != nil {
		return &fieldFault{given: string(raw), issue: "it must be " + describeType(into.Type())}
	}
	return nil
}

func decodeStruct(raw json.RawMessage, into reflect.Value) error {
	fields := map[string]reflect.Value{}
	known := fieldsOf(into, fields, nil)
	given := map[string]bool{}
	return eachMember(raw, into.Type(), func(key string, value json.RawMessage) error {
		field, ok := fields[key]
		switch {
		case !ok:
			return &fieldFault{given: key, known: known}
		case given[key]:
			return &fieldFault{given: string(value), issue: "it is given twice"}
		}
		given[key] = true
		return decodeField(value, field)
	})
}

// fieldsOf gathers the fields of a struct by their JSON names, and returns the names in their order.
func fieldsOf(value reflect.Value, fields map[string]reflect.Value, names []string) []string {
	for i := range value.NumField() {
		field := value.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			names = fieldsOf(value.Field(i), fields, names)
		case field.IsExported() && name != "" && name != "-":
			fields[name] = value.Field(i)
			names = append(names, name)
		}
	}
	return names
}

func decodeMap(raw json.RawMessage, into reflect.Value) error {
	into.Set(reflect.MakeMap(into.Type()))
	return eachMember(raw, into.Type(), func(key string, value json.RawMessage) error {
		index := reflect.ValueOf(key).Convert(into.Type().Key())
		if into.MapIndex(index).IsValid() {
			return &fieldFault{given: string(value), issue: "it is given twice"}
		}
		element := reflect.New(into.Type().Elem()).Elem()
		if err := decodeField(value, element); err != nil {
			return err
		}
		into.SetMapIndex(index, element)
		return nil
	})
}

// eachMember calls visit for the members of what should be an object, in their order.
func eachMember(raw json.RawMessage, want reflect.Type, visit func(key string, value json.RawMessage) error) error {
	if raw[0] != '{' {
		return &fieldFault{given: string(raw), issue: "it must be " + describeType(want)}
	}
	return eachElement(raw, func(decoder *json.Decoder, _ int) error {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		key := token.(string)
		err = visit(key, value)
		if fault, ok := errors.AsType[*fieldFault](err); ok {
			return fault.within(key)
		}
		return err
	})
}

func decodeSlice(raw json.RawMessage, into reflect.Value) error {
	if raw[0] != '[' {
		return &fieldFault{given: string(raw), issue: "it must be " + describeType(into.Type())}
	}
	into.Set(reflect.MakeSlice(into.Type(), 0, 0))
	return eachElement(raw, func(decoder *json.Decoder, index int) error {
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		element := reflect.New(into.Type().Elem()).Elem()
		err := decodeField(value, element)
		into.Set(reflect.Append(into, element))
		if fault, ok := errors.AsType[*fieldFault](err); ok {
			return fault.within("[" + strconv.Itoa(index) + "]")
		}
		return err
	})
}

// eachElement calls visit with a decoder that stands before each element of an array, or before each key
// of an object.
func eachElement(raw json.RawMessage, visit func(decoder *json.Decoder, index int) error) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for i := 0; decoder.More(); i++ {
		if err := visit(decoder, i); err != nil {
			return err
		}
	}
	return nil
}

// describeType says what JSON a type takes.
func describeType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return describeType(t.Elem())
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a whole number"
}

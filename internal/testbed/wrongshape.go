package testbed

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Shape is a way in which an answer can be wrong.
type Shape string

// The shapes of WrongShape.
const (
	ShapeNull       Shape = "null"       // the answer is null
	ShapeNulls      Shape = "nulls"      // each value is
	ShapeSwapped    Shape = "swapped"    // objects are arrays of their values, arrays are objects by index
	ShapeScalar     Shape = "scalar"     // the answer is a number
	ShapeStrings    Shape = "strings"    // numbers are strings, strings are numbers
	ShapeDeep       Shape = "deep"       // each value is under 100,000 arrays
	ShapeNaN        Shape = "nan"        // numbers are NaN, as Python's json spells it
	ShapeInfinite   Shape = "infinite"   // numbers are 1e999
	ShapePast       Shape = "past"       // times are negative, or before the calendar
	ShapeFuture     Shape = "future"     // times are far beyond any clock
	ShapeTimeless   Shape = "timeless"   // there are no times
	ShapeDuplicates Shape = "duplicates" // each element of an array is there twice, with the same id
	ShapeReversed   Shape = "reversed"   // arrays are the other way round
	ShapeEmpty      Shape = "empty"      // no bytes at all
	ShapeNegative   Shape = "negative"   // numbers are negative
	ShapeUnicode    Shape = "unicode"    // strings hold NUL, half a surrogate pair, and 10,000 letters
)

var shapes = []Shape{
	ShapeNull, ShapeNulls, ShapeSwapped, ShapeScalar, ShapeStrings, ShapeDeep, ShapeNaN, ShapeInfinite, ShapePast, ShapeFuture,
	ShapeTimeless, ShapeDuplicates, ShapeReversed, ShapeEmpty, ShapeNegative, ShapeUnicode,
}

// Shapes returns all shapes, in the order in which they take turns.
func Shapes() []Shape { return slices.Clone(shapes) }

// raw is JSON, or what looks like it.
type raw string

// bend makes an answer wrong.
func bend(answer []byte, shape Shape) []byte {
	switch shape {
	case ShapeNull:
		return []byte("null\n")
	case ShapeScalar:
		return []byte("42\n")
	case ShapeEmpty:
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(answer))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return answer // it wasn't JSON in the first place: an answer to a wrong path
	}
	if shape == ShapeDeep {
		const depth = 100_000
		return slices.Concat([]byte(`{"a":`), bytes.Repeat([]byte("["), depth), answer, bytes.Repeat([]byte("]"), depth), []byte("}\n"))
	}
	var out bytes.Buffer
	render(&out, bendValue(value, "", shape))
	return append(out.Bytes(), '\n')
}

// bendValue bends a value that stands under a key.
func bendValue(value any, key string, shape Shape) any {
	isTime := strings.Contains(key, "time") && !strings.Contains(key, "timeout") && !strings.Contains(key, "_time_") && !strings.Contains(key, "uptime")
	switch value := value.(type) {
	case map[string]any:
		bent := map[string]any{}
		var list []any
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if shape == ShapeTimeless && strings.Contains(key, "time") {
				continue
			}
			bent[key] = bendValue(value[key], key, shape)
			list = append(list, bent[key])
		}
		if shape == ShapeSwapped {
			return list
		}
		return bent
	case []any:
		return bendArray(value, key, shape)
	case json.Number:
		return bendNumber(value, isTime, shape)
	case string:
		return bendString(value, isTime, shape)
	}
	return value
}

func bendArray(value []any, key string, shape Shape) any {
	bent := []any{}
	byIndex := map[string]any{}
	for i, element := range value {
		element = bendValue(element, key, shape)
		byIndex[strconv.Itoa(i)] = element
		if bent = append(bent, element); shape == ShapeDuplicates {
			bent = append(bent, element)
		}
	}
	switch shape {
	case ShapeSwapped:
		return byIndex
	case ShapeReversed:
		slices.Reverse(bent)
	}
	return bent
}

func bendNumber(value json.Number, isTime bool, shape Shape) any {
	switch {
	case shape == ShapeNulls:
		return nil
	case shape == ShapeStrings:
		return value.String()
	case shape == ShapeNaN:
		return raw("NaN")
	case shape == ShapeInfinite:
		return raw("1e999")
	case shape == ShapePast && isTime:
		return raw("-62135596801.5")
	case shape == ShapeFuture && isTime:
		return raw("9.9e17")
	case shape == ShapeNegative:
		return raw("-" + strings.TrimPrefix(value.String(), "-"))
	}
	return value
}

func bendString(value string, isTime bool, shape Shape) any {
	switch {
	case shape == ShapeNulls:
		return nil
	case shape == ShapeStrings:
		return raw("17")
	case shape == ShapePast && isTime:
		return "-0001-13-45T99:00:00"
	case shape == ShapeFuture && isTime:
		return "99999-01-01T00:00:00"
	case shape == ShapeUnicode:
		return raw(`"\u0000\ud800` + strings.Repeat("x", 10_000) + `"`)
	}
	return value
}

// render writes a value, and what is raw as it stands.
func render(out *bytes.Buffer, value any) {
	switch value := value.(type) {
	case raw:
		out.WriteString(string(value))
	case map[string]any:
		separator := byte('{')
		for _, key := range slices.Sorted(maps.Keys(value)) {
			out.WriteByte(separator)
			separator = ','
			out.Write(bytes.TrimSpace(encode(key)))
			out.WriteByte(':')
			render(out, value[key])
		}
		if separator == '{' {
			out.WriteByte('{')
		}
		out.WriteByte('}')
	case []any:
		separator := byte('[')
		for _, element := range value {
			out.WriteByte(separator)
			separator = ','
			render(out, element)
		}
		if separator == '[' {
			out.WriteByte('[')
		}
		out.WriteByte(']')
	default:
		out.Write(bytes.TrimSpace(encode(value)))
	}
}

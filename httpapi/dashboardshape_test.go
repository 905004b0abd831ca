package httpapi

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// A shape says what a value of an answer must be. It returns what is wrong, each with the path of the place.
type shape func(where string, value any) []string

// object has these keys; further ones may come. One that ends in ? may be missing, and has its shape if it isn't.
type object map[string]shape

// shape is that of the object.
func (o object) shape(where string, value any) []string {
	given, ok := value.(map[string]any)
	if !ok {
		return wrong(where, value, "an object")
	}
	var faults []string
	for _, key := range slices.Sorted(maps.Keys(o)) {
		name, optional := strings.CutSuffix(key, "?")
		switch inside, present := given[name]; {
		case present:
			faults = append(faults, o[key](where+"."+name, inside)...)
		case !optional:
			faults = append(faults, where+"."+name+" is missing")
		}
	}
	return faults
}

// and adds keys.
func (o object) and(more object) object {
	all := maps.Clone(o)
	maps.Copy(all, more)
	return all
}

func wrong(where string, value any, want string) []string {
	return []string{fmt.Sprintf("%s is %.200v (%T), want %s", where, value, value, want)}
}

func isText(where string, value any) []string {
	if _, ok := value.(string); !ok {
		return wrong(where, value, "a string")
	}
	return nil
}

func isNumber(where string, value any) []string {
	if _, ok := value.(float64); !ok {
		return wrong(where, value, "a number")
	}
	return nil
}

func isWhole(where string, value any) []string {
	if number, ok := value.(float64); !ok || number != math.Trunc(number) {
		return wrong(where, value, "a whole number")
	}
	return nil
}

func isBool(where string, value any) []string {
	if _, ok := value.(bool); !ok {
		return wrong(where, value, "a boolean")
	}
	return nil
}

func isObject(where string, value any) []string { return object{}.shape(where, value) }

// isOneOf is one of some strings.
func isOneOf(words ...string) shape {
	return func(where string, value any) []string {
		if word, ok := value.(string); !ok || !slices.Contains(words, word) {
			return wrong(where, value, fmt.Sprintf("one of %q", words))
		}
		return nil
	}
}

// listOf is an array, never null.
func listOf(element shape) shape {
	return func(where string, value any) (faults []string) {
		list, ok := value.([]any)
		if !ok {
			return wrong(where, value, "an array")
		}
		for i, inside := range list {
			faults = append(faults, element(fmt.Sprintf("%s[%d]", where, i), inside)...)
		}
		return faults
	}
}

// mapOf is an object of any keys.
func mapOf(element shape) shape {
	return func(where string, value any) (faults []string) {
		given, ok := value.(map[string]any)
		if !ok {
			return wrong(where, value, "an object")
		}
		for _, key := range slices.Sorted(maps.Keys(given)) {
			faults = append(faults, element(where+"."+key, given[key])...)
		}
		return faults
	}
}

// nullOr is a value that the dashboard can do without.
func nullOr(present shape) shape {
	return func(where string, value any) []string {
		if value == nil {
			return nil
		}
		return present(where, value)
	}
}

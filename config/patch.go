package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// PatchError says why a key of a patch can't be taken.
type PatchError struct {
	Key   string   // such as storage.retention_dys; "": the patch itself
	Given string   // JSON
	Issue string   // what is wrong with the value
	Known []string // of an unknown key: those there are beside it
	Fixed bool     // the key can't be set through the API
}

// Error is the fault as a sentence.
func (e *PatchError) Error() string {
	switch {
	case e.Known != nil:
		return fmt.Sprintf("unknown key %q", e.Key)
	case e.Fixed:
		return e.Key + " can't be set through the API"
	}
	return fmt.Sprintf("%s is %s; %s", cmp.Or(e.Key, "the patch"), e.Given, e.Issue)
}

// Patch merges a JSON object of settings into c, sections key by key; what isn't named stays. null unsets
// what can be unset: thresholds and ages. A fixed setting may be named with the value it has. The error is a
// *PatchError, and c may then be changed in part. The text must be valid JSON.
//
// Ranges aren't checked here: see Validate.
func (c *Config) Patch(text []byte) error {
	return patchSection(text, "", reflect.ValueOf(c).Elem())
}

func patchSection(text json.RawMessage, prefix string, into reflect.Value) error {
	fault := &PatchError{Key: strings.TrimSuffix(prefix, "."), Given: clip(text), Issue: "it must be an object"}
	if len(text) == 0 || text[0] != '{' {
		return fault
	}
	seen := map[string]bool{}
	return eachMember(text, func(name string, value json.RawMessage) error {
		key := prefix + name
		field, api, known := apiFieldOf(into, name)
		switch {
		case !known:
			return &PatchError{Key: key, Given: clip(value), Known: keysOf(into)}
		case seen[name]:
			return &PatchError{Key: key, Given: clip(value), Issue: "it is given twice"}
		case api == apiSecret:
			return &PatchError{Key: key, Fixed: true}
		}
		seen[name] = true
		if field.Kind() == reflect.Struct {
			return patchSection(value, key+".", field)
		}
		before := setting{value: field}.text()
		if err := patchField(value, key, field); err != nil {
			return err
		}
		if api == apiFixed && !bytes.Equal(before, setting{value: field}.text()) {
			return &PatchError{Key: key, Given: clip(value), Fixed: true}
		}
		return nil
	})
}

func apiFieldOf(section reflect.Value, key string) (value reflect.Value, api string, found bool) {
	for field, value := range section.Fields() {
		if field.Tag.Get("yaml") == key {
			return value, field.Tag.Get("api"), true
		}
	}
	return reflect.Value{}, "", false
}

// eachMember calls visit for the members of an object, in their order.
func eachMember(object json.RawMessage, visit func(name string, value json.RawMessage) error) error {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		if err := visit(name.(string), value); err != nil {
			return err
		}
	}
	return nil
}

// patchField sets one setting.
func patchField(text json.RawMessage, key string, field reflect.Value) error {
	fault := &PatchError{Key: key, Given: clip(text), Issue: "it must be " + typeName(field.Type())}
	if isListOfSections(field.Type()) {
		return patchList(text, key, field)
	}
	_, isAge := field.Interface().(Age)
	if text[0] == 'n' {
		if !isAge && field.Kind() != reflect.Pointer {
			return fault
		}
		field.SetZero()
		return nil
	}
	fresh := reflect.New(field.Type())
	var err error
	if duration, ok := fresh.Interface().(*time.Duration); ok {
		var spelt string
		if err = json.Unmarshal(text, &spelt); err == nil {
			*duration, err = time.ParseDuration(spelt)
		}
	} else {
		err = json.Unmarshal(text, fresh.Interface())
	}
	if err != nil {
		if isAge {
			fault.Issue = `valid are a whole number of hours, days or weeks such as "12h", "30d" or "8w", "forever", and null for not set`
		}
		return fault
	}
	field.Set(fresh.Elem())
	return nil
}

// patchList replaces a list of sections.
func patchList(text json.RawMessage, key string, list reflect.Value) error {
	var items []json.RawMessage
	if text[0] != '[' {
		return &PatchError{Key: key, Given: clip(text), Issue: "it must be an array of objects"}
	}
	if err := json.Unmarshal(text, &items); err != nil {
		return &PatchError{Key: key, Given: clip(text), Issue: err.Error()}
	}
	sections := reflect.MakeSlice(list.Type(), len(items), len(items))
	for i, item := range items {
		if err := patchSection(item, fmt.Sprintf("%s[%d].", key, i), sections.Index(i)); err != nil {
			return err
		}
	}
	list.Set(sections)
	return nil
}

// clip shortens what was given for a message.
func clip(text []byte) string {
	const most = 200
	if len(text) <= most {
		return string(text)
	}
	return string(bytes.ToValidUTF8(text[:most], nil)) + "..."
}

// changedKeys returns the keys of the settings that differ, in their order.
func changedKeys(before, after Config) []string {
	was := settings(&before)
	var keys []string
	eachSetting(reflect.ValueOf(&after).Elem(), "", func(s setting) {
		if !bytes.Equal(was[s.key].text(), s.text()) {
			keys = append(keys, s.key)
		}
	})
	return keys
}

// restartKeys are the changed ones of those that take effect with the next start.
func restartKeys(started, now Config) []string {
	all := settings(&now)
	return slices.DeleteFunc(changedKeys(started, now), func(key string) bool { return all[key].api != apiRestart })
}

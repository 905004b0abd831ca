package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Load gathers the settings: the defaults, over them the file at path (none when path is empty), over it
// FLOPY-NET's variables in environ ("NAME=value"), and over all what was given by flags and our own variables. The file is
// YAML, or FLOPY-NET's JSON. The result is valid. The remarks are to be logged.
func Load(path string, environ []string, given Overrides) (Config, []Remark, error) {
	settings := Default()
	flopynet := newForeign(environ)
	flopynet.collectorsDefaults(&settings)
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return Config{}, nil, fmt.Errorf("reading the configuration: %w", err)
		}
		if err := parseFile(text, path, &settings, flopynet); err != nil {
			return Config{}, nil, fmt.Errorf("configuration file %s: %w", path, err)
		}
	}
	if err := flopynet.apply(&settings); err != nil {
		return Config{}, nil, err
	}
	given.Apply(&settings)
	settings.Flopynet.normalize()
	if err := settings.Validate(); err != nil {
		return Config{}, nil, fmt.Errorf("configuration: %w", err)
	}
	return settings, flopynet.remarks, nil
}

// parseFile replaces the settings that the text of a YAML file gives, or takes the values out of FLOPY-NET's file. A
// key of ours that is unknown or given twice, or a value of the wrong type, is an error with its line.
func parseFile(text []byte, name string, settings *Config, flopynet *foreign) error {
	decoder := yaml.NewDecoder(bytes.NewReader(readable(text)))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil // empty, or comments alone
	} else if err != nil {
		return err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("it holds more than one YAML document; one is expected")
	}
	root := document.Content[0]
	isFlopynets, err := isFlopynetFile(root)
	switch {
	case err != nil:
		return err
	case isFlopynets:
		return flopynet.readFile(root, name)
	}
	return decodeSection(root, "", reflect.ValueOf(settings).Elem())
}

// decodeSection fills the struct section from a mapping. prefix is the section's key with a dot behind
// it, empty for the whole file. A key without a value keeps the default.
func decodeSection(node *yaml.Node, prefix string, section reflect.Value) error {
	if isNull(node) {
		return nil
	}
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: %s is not a mapping of keys to values", node.Line, sectionName(prefix))
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		keyNode, value := node.Content[i], node.Content[i+1]
		key := prefix + keyNode.Value
		field, known := fieldOf(section, keyNode.Value)
		switch {
		case !known:
			return fmt.Errorf("line %d: unknown key %q; %s has %s", keyNode.Line, key, sectionName(prefix), strings.Join(keysOf(section), ", "))
		case seen[key]:
			return fmt.Errorf("line %d: key %q is given twice", keyNode.Line, key)
		}
		seen[key] = true
		if err := decodeField(value, key, field); err != nil {
			return err
		}
	}
	return nil
}

func decodeField(value *yaml.Node, key string, field reflect.Value) error {
	switch {
	case field.Kind() == reflect.Struct:
		return decodeSection(value, key+".", field)
	case isNull(value):
		return nil
	case isListOfSections(field.Type()):
		return decodeList(value, key, field)
	}
	if age, isAge := field.Addr().Interface().(*Age); isAge && value.Kind == yaml.ScalarNode {
		if err := age.UnmarshalText([]byte(value.Value)); err != nil {
			return fmt.Errorf("line %d: %s: %w", value.Line, key, err)
		}
		return nil
	}
	if isFraction(value, field.Type()) || value.Decode(field.Addr().Interface()) != nil {
		return fmt.Errorf("line %d: %s is %s; %s is expected", value.Line, key, given(value), typeName(field.Type()))
	}
	return nil
}

// isFraction reports whether a number isn't whole though the setting's are. The decoder would cut it.
func isFraction(value *yaml.Node, t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var number float64
	return t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64 && value.ShortTag() == "!!float" &&
		value.Decode(&number) == nil && number != math.Trunc(number)
}

// isListOfSections tells the settings that hold any number of mappings of keys to values.
func isListOfSections(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

// decodeList replaces a list of sections.
func decodeList(node *yaml.Node, key string, list reflect.Value) error {
	if node.Kind != yaml.SequenceNode {
		return fmt.Errorf("line %d: %s is not a list of mappings of keys to values", node.Line, key)
	}
	sections := reflect.MakeSlice(list.Type(), len(node.Content), len(node.Content))
	for i, item := range node.Content {
		if err := decodeSection(item, fmt.Sprintf("%s[%d].", key, i), sections.Index(i)); err != nil {
			return err
		}
	}
	list.Set(sections)
	return nil
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

func sectionName(prefix string) string {
	if prefix == "" {
		return "the file"
	}
	return strings.TrimSuffix(prefix, ".")
}

func fieldOf(section reflect.Value, key string) (reflect.Value, bool) {
	for field, value := range section.Fields() {
		if field.Tag.Get("yaml") == key {
			return value, true
		}
	}
	return reflect.Value{}, false
}

func keysOf(section reflect.Value) []string {
	var keys []string
	for field := range section.Type().Fields() {
		keys = append(keys, field.Tag.Get("yaml"))
	}
	return keys
}

func given(value *yaml.Node) string {
	if value.Kind != yaml.ScalarNode {
		return "not a single value"
	}
	return fmt.Sprintf("%q", value.Value)
}

func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 100ms, 5s or 10m"
	case t == reflect.TypeFor[Age]():
		return "an age such as 12h, 30d or forever"
	case t == reflect.TypeFor[*float64]():
		return "a number"
	case t.Kind() == reflect.Slice:
		return "a list of texts"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "a text"
	default:
		return "a whole number"
	}
}

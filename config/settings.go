package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// How the API treats a setting; see Config.
const (
	apiLive    = "live"
	apiRestart = "restart"
	apiFixed   = "fixed"
	apiSecret  = "secret"
)

// setting is one value of a Config.
type setting struct {
	key   string // such as storage.retention_days
	api   string
	value reflect.Value
}

// eachSetting calls visit for every setting of a section that is no secret, in the order of its fields.
func eachSetting(section reflect.Value, prefix string, visit func(setting)) {
	for field, value := range section.Fields() {
		key := prefix + field.Tag.Get("yaml")
		if field.Tag.Get("api") == apiSecret {
			continue
		}
		if field.Type.Kind() == reflect.Struct {
			eachSetting(value, key+".", visit)
			continue
		}
		visit(setting{key, field.Tag.Get("api"), value})
	}
}

// settings returns all settings, by key. Those of a pointer to a Config can be set.
func settings(c *Config) map[string]setting {
	all := make(map[string]setting)
	eachSetting(reflect.ValueOf(c).Elem(), "", func(s setting) { all[s.key] = s })
	return all
}

// text is the value as JSON, durations and ages as their texts; null is not set.
func (s setting) text() json.RawMessage { return marshal(plain(s.value)) }

// plain turns a value into one that encoding/json spells as a file would.
func plain(value reflect.Value) any {
	switch v := value.Interface().(type) {
	case time.Duration:
		return spellDuration(v)
	case Age:
		if v == 0 {
			return nil
		}
		return v.String()
	}
	switch value.Kind() {
	case reflect.Pointer:
		if value.IsNil() {
			return nil
		}
		return plain(value.Elem())
	case reflect.Slice:
		list := make([]any, value.Len())
		for i := range list {
			list[i] = plain(value.Index(i))
		}
		return list
	case reflect.Struct:
		return object(value)
	}
	return value.Interface()
}

// spellDuration is a duration without the parts that are zero: 10m, not 10m0s.
func spellDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// member is one key of a section and what stands behind it.
type member struct {
	key   string
	value any
}

// section is a mapping whose keys keep their order.
type section []member

// MarshalJSON implements json.Marshaler.
func (s section) MarshalJSON() ([]byte, error) {
	text := []byte{'{'}
	for i, m := range s {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(append(text, marshal(m.key)...), ':'), marshal(m.value)...)
	}
	return append(text, '}'), nil
}

func object(value reflect.Value) section {
	s := section{}
	for field, inner := range value.Fields() {
		if field.Tag.Get("api") == apiSecret {
			continue
		}
		s = append(s, member{field.Tag.Get("yaml"), plain(inner)})
	}
	return s
}

// JSON returns the settings as GET /config shows them, without secrets.
func (c Config) JSON() json.RawMessage { return marshal(plain(reflect.ValueOf(c))) }

// marshal spells a value of our own.
func marshal(value any) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // numbers are finite once they are valid, and nothing else can fail
	}
	return text
}

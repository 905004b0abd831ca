package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// flopynetKeys are the keys of FLOPY-NET's configuration file that are read, by section; those of "" stand outside
// of all. FLOPY-NET's collector takes most keys without their section, too.
var flopynetKeys = map[string][]string{
	"": {
		"collector_ip", "policy_engine_host", "policy_engine_port", "policy_engine_url", "fl_server_host", "fl_server_port", "fl_server_url",
		"sdn_controller_host", "sdn_controller_port", "sdn_controller_url", "training_mode", "strict_policy_mode", "storage_dir", "log_level",
		"api_enabled", "api_port", "check_policy_enabled", "policy_monitor_enabled", "fl_monitor_enabled", "network_monitor_enabled", "event_monitor_enabled",
		"policy_interval_sec", "fl_interval_sec", "network_interval_sec", "event_interval_sec",
	},
	"policy_engine":  {"url"},
	"fl_server":      {"url"},
	"sdn_controller": {"url"},
	"storage":        {"metrics_output_dir"},
	"logging":        {"level"},
	"features":       {"check_policy_enabled", "policy_monitor_enabled", "fl_monitor_enabled", "network_monitor_enabled", "event_monitor_enabled"},
	"intervals":      {"policy_interval_sec", "fl_interval_sec", "network_interval_sec", "event_interval_sec"},
	"api":            {"enabled", "port"},
	"limits":         {},
	nodesSection:     nil, // any
}

const nodesSection = "node_ips"

// flopynetUnused are those that FLOPY-NET's files have and that nothing here depends on.
var flopynetUnused = map[string][]string{
	"policy_engine": {"check_endpoint", "applications_endpoint", "statistics_endpoint", "metrics_endpoint"},
	"fl_server":     {"metrics_endpoint"},
	"storage":       {"format"},
	"features":      {"policy_applications_enabled", "policy_stats_enabled", "policy_history_enabled", "policy_reports_enabled"},
	"intervals":     {"policy_report_interval_min"},
	"limits":        {"policy_history_limit", "policy_applications_limit"},
}

// isFlopynetFile tells FLOPY-NET's configuration file from one of ours that is spelled as JSON: it is an object that has
// keys of FLOPY-NET's alone, and no keys of ours alone. One that has both is neither: taking it for FLOPY-NET's would
// ignore settings of ours, and those may be what keeps others out.
func isFlopynetFile(root *yaml.Node) (bool, error) {
	if root.Kind != yaml.MappingNode || root.Style&yaml.FlowStyle == 0 {
		return false, nil
	}
	ours := reflect.ValueOf(new(Config)).Elem()
	var own, theirs string
	note := func(key string, isOurs, isTheirs bool) {
		if isOurs && !isTheirs && own == "" {
			own = key
		}
		if isTheirs && !isOurs && theirs == "" {
			theirs = key
		}
	}
	for key, node := range members(root) {
		section, isOurs := fieldOf(ours, key.Value)
		_, isSection := flopynetKeys[key.Value]
		note(key.Value, isOurs, isSection || isFlopynetKey("", key.Value))
		if !isOurs || !isSection || node.Kind != yaml.MappingNode {
			continue
		}
		for inner := range members(node) { // of storage, which both have
			_, isOurs := fieldOf(section, inner.Value)
			note(key.Value+"."+inner.Value, isOurs, isFlopynetKey(key.Value, inner.Value))
		}
	}
	if own != "" && theirs != "" {
		return false, fmt.Errorf("%s is a key of this collector's and %s one of FLOPY-NET's; a file can have keys of one of them only, and the other's settings can be given as variables or flags", own, theirs)
	}
	return theirs != "", nil
}

func isFlopynetKey(section, key string) bool {
	return slices.Contains(flopynetKeys[section], key) || slices.Contains(flopynetUnused[section], key)
}

// readFile takes the values out of FLOPY-NET's configuration file, which is called name. Keys that are unknown are remarked
// upon; a key given twice, a section that is none or a value that isn't a single one is an error.
func (f *foreign) readFile(root *yaml.Node, name string) error {
	var unused []string
	err := eachKey(root, "", func(key string, at, node *yaml.Node) error {
		if isFlopynetKey("", key) {
			return f.take(key, node, name)
		}
		if _, isSection := flopynetKeys[key]; !isSection {
			f.unknown(key, at)
			return nil
		}
		if isNull(node) {
			return nil
		}
		return eachKey(node, key, func(inner string, at, node *yaml.Node) error {
			full := key + "." + inner
			switch {
			case key == nodesSection, slices.Contains(flopynetKeys[key], inner):
				return f.take(full, node, name)
			case slices.Contains(flopynetUnused[key], inner):
				unused = append(unused, full)
			default:
				f.unknown(full, at)
			}
			return nil
		})
	})
	if len(unused) > 0 {
		f.remarks = append(f.remarks, Remark{Setting: strings.Join(unused, " "), Text: "these keys of FLOPY-NET's configuration file change nothing here"})
	}
	return err
}

func (f *foreign) unknown(key string, at *yaml.Node) {
	f.remarks = append(f.remarks, Remark{Setting: key, Text: fmt.Sprintf("this key, in line %d of the configuration file, is not known as one of FLOPY-NET's, and is ignored", at.Line)})
}

func (f *foreign) take(key string, node *yaml.Node, file string) error {
	switch {
	case isNull(node):
		return nil
	case node.Kind != yaml.ScalarNode:
		return fmt.Errorf("line %d: %s is not a single value", node.Line, key)
	}
	f.values[key] = value{name: key, text: strings.TrimSpace(node.Value), at: fmt.Sprintf("configuration file %s: line %d", file, node.Line), tag: node.ShortTag()}
	return nil
}

// eachKey calls visit for the keys of a mapping, with their places.
func eachKey(mapping *yaml.Node, section string, visit func(key string, at, value *yaml.Node) error) error {
	if mapping.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: %s is not a mapping of keys to values", mapping.Line, section)
	}
	seen := map[string]bool{}
	for key, node := range members(mapping) {
		if seen[key.Value] {
			return fmt.Errorf("line %d: key %q is given twice", key.Line, strings.TrimPrefix(section+"."+key.Value, "."))
		}
		seen[key.Value] = true
		if err := visit(key.Value, key, node); err != nil {
			return err
		}
	}
	return nil
}

// members iterates over a mapping, with what aliases stand for.
func members(mapping *yaml.Node) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(mapping.Content); i += 2 {
			key, value := mapping.Content[i], mapping.Content[i+1]
			if value.Kind == yaml.AliasNode {
				value = value.Alias
			}
			if !yield(key, value) {
				return
			}
		}
	}
}

var jsonString = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// readable spells the texts of JSON so that a parser of YAML reads them, which knows neither \/ nor pairs of surrogates. Lines
// stay what they are.
func readable(text []byte) []byte {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !json.Valid(text) {
		return text
	}
	return jsonString.ReplaceAllFunc(text, func(literal []byte) []byte {
		var decoded string
		if json.Unmarshal(literal, &decoded) != nil {
			return literal
		}
		return marshal(decoded)
	})
}

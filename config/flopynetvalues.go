package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Remark is something about the configuration that a user should know, and that doesn't keep it from being used.
type Remark struct {
	Setting string // as it is spelled where it stands: a variable's name, a key of the file
	Text    string
}

// foreign is what FLOPY-NET's variables and its file say, by their names. The two share it because the variables
// stand directly above the file, and because an address may have its host from the one and its port from the other.
type foreign struct {
	values   map[string]value
	problems []error
	remarks  []Remark
}

// value is what stands behind one name.
type value struct {
	name string
	text string
	at   string // the line in the file; "": it is a variable's
	tag  string // what the file's parser takes it for; "" for variables, which are all texts
}

// flopynetVariables are those of FLOPY-NET's variables that are read, beside NODE_IP_*.
var flopynetVariables = []string{
	"SERVICE_TYPE", "API_HOST", "METRICS_API_PORT", "API_PORT", "COLLECTOR_PORT", "API_ENABLED", "METRICS_OUTPUT_DIR", "LOG_LEVEL",
	"API_AUTH_ENABLED", "API_USERNAME", "API_PASSWORD", "ENABLE_CORS", "API_ALLOWED_ORIGINS",
	"FL_SERVER_URL", "FL_SERVER_HOST", "FL_SERVER_PORT", "POLICY_ENGINE_URL", "POLICY_ENGINE_HOST", "POLICY_ENGINE_PORT",
	"SDN_CONTROLLER_URL", "SDN_CONTROLLER_HOST", "SDN_CONTROLLER_PORT",
	"FL_MONITOR_ENABLED", "POLICY_MONITOR_ENABLED", "NETWORK_MONITOR_ENABLED", "EVENT_MONITOR_ENABLED",
	"FL_INTERVAL_SEC", "POLICY_INTERVAL_SEC", "NETWORK_INTERVAL_SEC", "EVENT_INTERVAL_SEC",
	"TRAINING_MODE", "CHECK_POLICY_ENABLED", "STRICT_POLICY_MODE",
}

// nodeVariable begins the names of the variables that hold the addresses of nodes.
const nodeVariable = "NODE_IP_"

// newForeign takes FLOPY-NET's variables out of environ ("NAME=value"). Empty ones are not given: compose files name
// variables that nobody has given a value.
func newForeign(environ []string) *foreign {
	known := map[string]bool{}
	for _, name := range flopynetVariables {
		known[name] = true
	}
	f := &foreign{values: map[string]value{}}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if !known[name] && !strings.HasPrefix(name, nodeVariable) {
			continue
		}
		if name != "API_PASSWORD" {
			text = strings.TrimSpace(text)
		}
		if text != "" {
			f.values[name] = value{name: name, text: text}
		}
	}
	return f
}

func (v value) problem(format string, args ...any) error {
	where := "the variable " + v.name
	if v.at != "" {
		where = v.at + ": " + v.name
	}
	return fmt.Errorf("%s %s", where, fmt.Sprintf(format, args...))
}

// reject notes that a value can't be used.
func (f *foreign) reject(v value, wanted string) {
	f.problems = append(f.problems, v.problem("is %q; %s", v.text, wanted))
}

func (f *foreign) remark(v value, format string, args ...any) {
	f.remarks = append(f.remarks, Remark{Setting: v.name, Text: fmt.Sprintf(format, args...)})
}

// first returns the value of the first of the names that has one.
func (f *foreign) first(names ...string) (value, bool) {
	for _, name := range names {
		if v, given := f.values[name]; given {
			return v, true
		}
	}
	return value{}, false
}

// text returns the first value that is given, which must be a text; "" if there is none.
func (f *foreign) text(names ...string) (value, string) {
	v, _ := f.first(names...)
	if v.tag != "" && v.tag != "!!str" {
		f.reject(v, "a text is expected")
		return v, ""
	}
	return v, v.text
}

// flag replaces a switch.
func (f *foreign) flag(setting *bool, names ...string) {
	v, given := f.first(names...)
	switch strings.ToLower(v.text) {
	case "true", "1", "t", "yes", "y", "on":
		*setting = true
	case "false", "0", "f", "no", "n", "off":
		*setting = false
	default:
		if given {
			f.reject(v, "valid are true and false")
		}
	}
}

// seconds replaces an interval.
func (f *foreign) seconds(setting *time.Duration, names ...string) {
	v, given := f.first(names...)
	if !given {
		return
	}
	least, most := minPollInterval.Seconds(), maxInterval.Seconds()
	number, err := strconv.ParseFloat(v.text, 64)
	if err != nil || !(number >= least && number <= most) {
		f.reject(v, fmt.Sprintf("valid are %v to %v seconds", least, most))
		return
	}
	*setting = time.Duration(math.Round(number * float64(time.Second)))
}

// port returns "" if none is given. Kubernetes and Docker define NAME_PORT=tcp://address:port for a service that is
// called NAME, as FLOPY-NET's are: such a value is passed over.
func (f *foreign) port(least uint64, names ...string) string {
	v, given := f.first(names...)
	if !given {
		return ""
	}
	if strings.Contains(v.text, "://") && v.at == "" {
		delete(f.values, v.name)
		f.remark(v, "it is %q, which Kubernetes and Docker give a service of that name, and no port; it is ignored", v.text)
		return f.port(least, names...)
	}
	number, err := strconv.ParseUint(v.text, 10, 16)
	if err != nil || number < least {
		f.reject(v, fmt.Sprintf("valid is a port from %d to 65535", least))
		return ""
	}
	return strconv.FormatUint(number, 10)
}

// host returns "" if none is given. An IPv6 address comes without brackets.
func (f *foreign) host(names ...string) string {
	v, text := f.text(names...)
	host := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if _, err := netip.ParseAddr(host); err != nil && strings.ContainsAny(host, ":/@?#[]% \t") {
		f.reject(v, "valid is a host's name or address, without scheme and port")
		return ""
	}
	return host
}

// url returns "" if none is given.
func (f *foreign) url(names ...string) string {
	v, text := f.text(names...)
	if text == "" {
		return ""
	}
	text = strings.TrimRight(text, "/")
	if given, issue := checkURL(text); issue != "" {
		f.problems = append(f.problems, v.problem("is %s; %s", given, issue))
		return ""
	}
	return text
}

// apply replaces the settings that are given, and reports every value that can't be used.
func (f *foreign) apply(c *Config) error {
	f.applyServer(c)
	f.applyAuth(c)
	f.applyPeers(&c.Flopynet)
	f.applyNodes(&c.Flopynet)
	return errors.Join(f.problems...)
}

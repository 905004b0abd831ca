package config

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// collectorsDefaults are those in a container of FLOPY-NET that is its collector, where other containers call it by
// these names and the host by the port it publishes. Listening everywhere without a key takes Insecure, there too.
func (f *foreign) collectorsDefaults(c *Config) {
	if f.values["SERVICE_TYPE"].text == "collector" {
		c.Listen = []string{"0.0.0.0:8000"}
		c.AllowedHosts = []string{"collector", "host.docker.internal"}
	}
}

// pythonLevels are what FLOPY-NET calls the levels of its log beside our names.
var pythonLevels = map[string]string{"warning": "warn", "critical": "error", "fatal": "error", "notset": "debug"}

func (f *foreign) applyServer(c *Config) {
	host := f.host("API_HOST")
	c.Listen = moved(c.Listen, host, f.port(0, "METRICS_API_PORT", "API_PORT", "COLLECTOR_PORT", "api.port", "api_port"))
	if _, dir := f.text("METRICS_OUTPUT_DIR", "storage.metrics_output_dir", "storage_dir"); dir != "" {
		c.DataDir = dir
	}
	if v, level := f.text("LOG_LEVEL", "logging.level", "log_level"); level != "" {
		name := strings.ToLower(level)
		name = cmp.Or(pythonLevels[name], name)
		if _, known := logLevels[name]; known {
			c.Log.Level = name
		} else {
			f.reject(v, "valid are DEBUG, INFO, WARNING, ERROR and CRITICAL")
		}
	}
	if v, given := f.first("API_ENABLED", "api.enabled", "api_enabled"); given {
		on := true
		if f.flag(&on, v.name); !on {
			f.remark(v, "the API stays on: without it, nobody could read what is collected")
		}
	}
}

// moved returns listeners with another host, another port, or both, where they aren't "".
func moved(listen []string, host, port string) []string {
	if host == "" && port == "" {
		return listen
	}
	var all []string
	for _, address := range listen {
		oldHost, oldPort, err := net.SplitHostPort(address)
		if err == nil { // else Validate reports it
			address = net.JoinHostPort(cmp.Or(host, oldHost), cmp.Or(port, oldPort))
		}
		if !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all
}

func (f *foreign) applyAuth(c *Config) {
	auth, asked := f.values["API_AUTH_ENABLED"]
	on := true
	f.flag(&on, auth.name)
	password := f.values["API_PASSWORD"].text
	switch {
	case !on:
	case asked && password == "":
		f.problems = append(f.problems, auth.problem("is %s, and API_PASSWORD is empty; give a password, or keys instead of both", auth.text))
	case password != "": // also when nothing says that it is to be used: a password that isn't asked for helps nobody
		c.Auth.Password = Secret(password)
		c.Auth.Username = cmp.Or(f.values["API_USERNAME"].text, c.Auth.Username)
	}
	cors, asked := f.values["ENABLE_CORS"]
	on = true
	f.flag(&on, cors.name)
	origins := splitList(f.values["API_ALLOWED_ORIGINS"].text)
	switch {
	case !on:
		c.CORS.AllowedOrigins = []string{}
	case len(origins) > 0:
		c.CORS.AllowedOrigins = origins
	case asked:
		c.CORS.AllowedOrigins = []string{AnyOrigin}
	}
}

func splitList(text string) []string {
	var elements []string
	for element := range strings.SplitSeq(text, ",") {
		if element = strings.TrimSpace(element); element != "" {
			elements = append(elements, strings.TrimSuffix(element, "/"))
		}
	}
	return elements
}

func (f *foreign) applyPeers(c *Flopynet) {
	f.poll(&c.FLServer.Enabled, &c.FLServer.Interval, "fl")
	f.poll(&c.PolicyEngine.Enabled, &c.PolicyEngine.Interval, "policy")
	f.poll(&c.SDNController.Enabled, &c.SDNController.Interval, "network")
	f.poll(&c.Events.Enabled, &c.Events.Interval, "event")
	f.address(&c.FLServer.URL, "fl_server", "8081")
	f.address(&c.PolicyEngine.URL, "policy_engine", "5000")
	f.address(&c.SDNController.URL, "sdn_controller", "8181")
	f.flag(&c.CheckPolicy, "CHECK_POLICY_ENABLED", "features.check_policy_enabled", "check_policy_enabled")
	f.flag(&c.StrictPolicy, "STRICT_POLICY_MODE", "strict_policy_mode")
	if v, mode := f.text("TRAINING_MODE", "training_mode"); mode != "" {
		if c.TrainingMode = strings.ToLower(mode); !trainingMode.MatchString(mode) {
			f.reject(v, validTrainingMode)
		}
	}
}

// poll replaces what is said by FL_MONITOR_ENABLED, FL_INTERVAL_SEC and their like.
func (f *foreign) poll(enabled *bool, interval *time.Duration, what string) {
	key := what + "_monitor_enabled"
	f.flag(enabled, strings.ToUpper(key), "features."+key, key)
	key = what + "_interval_sec"
	f.seconds(interval, strings.ToUpper(key), "intervals."+key, key)
}

// address replaces the URL of the peer that FLOPY-NET calls fl_server, policy_engine or sdn_controller. In its file,
// the URL holds unless there is also a port: FLOPY-NET's own file gives its FL server's so, beside a wrong URL. The
// node's variable, which is there for everybody, counts where nothing else has named the peer.
func (f *foreign) address(url *string, peer, defaultPort string) {
	variable, node := strings.ToUpper(peer), strings.ReplaceAll(peer, "_", "-")
	port := f.port(1, variable+"_PORT", peer+"_port")
	join := func(host string) string { return "http://" + net.JoinHostPort(host, cmp.Or(port, defaultPort)) }
	given, host := f.url(variable+"_URL"), f.host(variable+"_HOST")
	fileURL, fileHost := f.url(peer+".url", peer+"_url"), cmp.Or(f.nodeAddress("node_ips."+node), f.host(peer+"_host"))
	switch {
	case given != "":
		*url = given
	case host != "":
		*url = join(host)
	case fileHost != "" && (port != "" || fileURL == ""):
		if *url = join(fileHost); fileURL != "" && fileURL != *url {
			v, _ := f.first(peer+".url", peer+"_url")
			f.remark(v, "it is %s, but the port that is given beside it makes %s, which is polled; leave the port out to have the URL polled", fileURL, *url)
		}
	case fileURL != "":
		*url = fileURL
	case *url == "" && f.nodeAddress(nodeVariable+variable) != "":
		*url = join(f.nodeAddress(nodeVariable + variable))
	}
}

// nodeAddress returns "" for one that is not given, or refused by applyNodes.
func (f *foreign) nodeAddress(name string) string {
	if address, err := netip.ParseAddr(f.values[name].text); err == nil {
		return address.String()
	}
	return ""
}

// applyNodes puts the nodes that are named in place of those of the same name, variables before the file.
func (f *foreign) applyNodes(c *Flopynet) {
	const fileNode = "node_ips."
	nodes := map[string]string{}
	note := func(name string, v value) {
		if address, err := netip.ParseAddr(v.text); err != nil {
			f.reject(v, "valid is an IP address such as 192.168.100.101")
		} else if _, known := nodes[name]; !known {
			nodes[name] = address.String()
		}
		if !nodeName.MatchString(name) {
			f.problems = append(f.problems, v.problem("names no node: behind %s there must be 1 to 64 letters, digits, dots, _ and -", strings.TrimSuffix(v.name, name)))
		}
	}
	names := slices.Sorted(maps.Keys(f.values)) // capitals first
	for _, name := range names {
		if node, isNode := strings.CutPrefix(name, nodeVariable); isNode {
			note(strings.ToLower(strings.ReplaceAll(node, "_", "-")), f.values[name])
		} else if node, isNode := strings.CutPrefix(name, fileNode); isNode {
			note(node, f.values[name])
		}
	}
	if v, given := f.values["collector_ip"]; given {
		note("collector", v)
	}
	c.NodeIPs = slices.DeleteFunc(slices.Clone(c.NodeIPs), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		_, replaced := nodes[name]
		return replaced
	})
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		c.NodeIPs = append(c.NodeIPs, fmt.Sprintf("%s=%s", name, nodes[name]))
	}
}

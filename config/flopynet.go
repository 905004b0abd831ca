package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Flopynet says where FLOPY-NET's components are and how they are polled.
type Flopynet struct {
	FLServer      Peer       `yaml:"fl_server"`
	PolicyEngine  Peer       `yaml:"policy_engine"`
	SDNController Peer       `yaml:"sdn_controller"`
	Events        PeerEvents `yaml:"events"`

	NodeIPs     []string `yaml:"node_ips" api:"restart"`     // name=address, such as fl-client-1=192.168.100.101; see Nodes
	SwitchNames []string `yaml:"switch_names" api:"restart"` // dpid=name, such as 1=core or 0x1a=edge; see Switches

	LinkCapacityBps int64  `yaml:"link_capacity_bps" api:"restart"` // bits a second of a link, in each direction; 0: not known
	TrainingMode    string `yaml:"training_mode" api:"restart"`     // shown; changes nothing
	CheckPolicy     bool   `yaml:"check_policy" api:"restart"`      // ask the policy engine whether metrics may be collected, at the start and with each poll of it
	StrictPolicy    bool   `yaml:"strict_policy" api:"restart"`     // take a failure of that check for a no
}

// Peer is a component that is polled. That its URL is fixed is on purpose: whoever could set it through the API
// could have the collector read any address that it reaches.
type Peer struct {
	URL      string        `yaml:"url" api:"fixed"`        // http or https, with a base path if there is one, without a slash at the end; "": the component isn't polled
	Enabled  bool          `yaml:"enabled" api:"restart"`  // poll it, but for its events
	Interval time.Duration `yaml:"interval" api:"restart"` // from one poll's begin to the next one's
	Timeout  time.Duration `yaml:"timeout" api:"restart"`  // of each request
}

// PeerEvents says how /events of the FL server and of the policy engine are polled, as far as they have a URL.
type PeerEvents struct {
	Enabled  bool          `yaml:"enabled" api:"restart"` // also where the peer itself isn't
	Interval time.Duration `yaml:"interval" api:"restart"`
}

// Node is a machine of the testbed.
type Node struct {
	Name    string // such as fl-client-1
	Address netip.Addr
}

// Limits of the testbed's settings.
const (
	minPollInterval = 100 * time.Millisecond
	minPollTimeout  = 10 * time.Millisecond
	maxPollTimeout  = 10 * time.Minute
	maxLinkCapacity = 1 << 50
)

var (
	nodeName     = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	trainingMode = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	paddedDPID   = regexp.MustCompile(`^[0-9A-Fa-f]{16}$`)
)

func defaultFlopynet() Flopynet {
	peer := Peer{Enabled: true, Interval: 5 * time.Second, Timeout: 5 * time.Second}
	return Flopynet{
		FLServer: peer, PolicyEngine: peer, SDNController: peer,
		Events:       PeerEvents{Enabled: true, Interval: 5 * time.Second},
		TrainingMode: "production", CheckPolicy: true,
	}
}

// Nodes returns what NodeIPs says. The settings must be valid.
func (f Flopynet) Nodes() []Node {
	nodes := make([]Node, 0, len(f.NodeIPs))
	for _, entry := range f.NodeIPs {
		if node, err := parseNode(entry); err == nil {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// Switches returns the configured names of switches by their dpid. The settings must be valid.
func (f Flopynet) Switches() map[uint64]string {
	names := make(map[uint64]string, len(f.SwitchNames))
	for _, entry := range f.SwitchNames {
		if dpid, name, err := parseSwitch(entry); err == nil {
			names[dpid] = name
		}
	}
	return names
}

func parseNode(entry string) (Node, error) {
	name, text, _ := strings.Cut(entry, "=")
	address, err := netip.ParseAddr(text)
	if err != nil || !nodeName.MatchString(name) {
		return Node{}, fmt.Errorf("%q is no node", entry)
	}
	return Node{Name: name, Address: address.Unmap()}, nil
}

func parseSwitch(entry string) (dpid uint64, name string, err error) {
	id, name, _ := strings.Cut(entry, "=")
	if dpid, err = parseDPID(id); err == nil && !nodeName.MatchString(name) {
		err = fmt.Errorf("%q is no name", name)
	}
	return dpid, name, err
}

// parseDPID reads a dpid: decimal, hexadecimal behind 0x, or the sixteen hexadecimal digits of a controller.
func parseDPID(text string) (uint64, error) {
	if paddedDPID.MatchString(text) {
		return strconv.ParseUint(text, 16, 64)
	}
	if digits, isHex := strings.CutPrefix(strings.ToLower(text), "0x"); isHex {
		return strconv.ParseUint(digits, 16, 64)
	}
	return strconv.ParseUint(text, 10, 64)
}

// normalize spells the URLs as they are used.
func (f *Flopynet) normalize() {
	for _, peer := range []*Peer{&f.FLServer, &f.PolicyEngine, &f.SDNController} {
		peer.URL = strings.TrimRight(strings.TrimSpace(peer.URL), "/")
	}
}

func (f Flopynet) validate() error {
	problems := []error{
		f.FLServer.validate("flopynet.fl_server"),
		f.PolicyEngine.validate("flopynet.policy_engine"),
		f.SDNController.validate("flopynet.sdn_controller"),
		within("flopynet.events.interval", f.Events.Interval, minPollInterval, maxInterval),
		within("flopynet.link_capacity_bps", f.LinkCapacityBps, 0, maxLinkCapacity),
		f.validateNames(),
	}
	if !trainingMode.MatchString(f.TrainingMode) {
		problems = append(problems, problem("flopynet.training_mode", "is %q; %s", f.TrainingMode, validTrainingMode))
	}
	return errors.Join(problems...)
}

const validTrainingMode = "valid are 1 to 64 letters, digits, _ and -, such as production, mock or development"

func (f Flopynet) validateNames() error {
	var problems []error
	nodes, switches := map[string]bool{}, map[uint64]bool{}
	for _, entry := range f.NodeIPs {
		node, err := parseNode(entry)
		switch {
		case err != nil:
			problems = append(problems, problem("flopynet.node_ips", "is %q; valid is name=address, such as fl-client-1=192.168.100.101", entry))
		case nodes[node.Name]:
			problems = append(problems, problem("flopynet.node_ips", "is %q; that name is given twice", entry))
		}
		nodes[node.Name] = true
	}
	for _, entry := range f.SwitchNames {
		dpid, _, err := parseSwitch(entry)
		switch {
		case err != nil:
			problems = append(problems, problem("flopynet.switch_names", "is %q; valid is dpid=name with a decimal dpid, one such as 0x1a, or all sixteen hexadecimal digits, such as 1=core", entry))
		case switches[dpid]:
			problems = append(problems, problem("flopynet.switch_names", "is %q; that dpid is given twice", entry))
		}
		if err == nil {
			switches[dpid] = true
		}
	}
	return errors.Join(problems...)
}

func (p Peer) validate(key string) error {
	var problems []error
	if p.URL != "" {
		if given, issue := checkURL(p.URL); issue != "" {
			problems = append(problems, problem(key+".url", "is %s; %s", given, issue))
		}
	}
	return errors.Join(append(problems,
		within(key+".interval", p.Interval, minPollInterval, maxInterval),
		within(key+".timeout", p.Timeout, minPollTimeout, maxPollTimeout))...)
}

// checkURL reports why requests can't be sent to a URL, beside it as it may be shown; "" if they can.
func checkURL(text string) (given, issue string) {
	const wanted = "valid is http:// or https:// with a host, and a port and a path if need be, such as http://192.168.100.10:8081"
	if strings.Contains(text, "@") {
		return "not shown, since it may hold a password", "a user name or password can't be given in it, since GET /config shows it"
	}
	parsed, err := url.Parse(text)
	switch {
	case err != nil, parsed.Scheme != "http" && parsed.Scheme != "https", parsed.Hostname() == "", strings.ContainsAny(text, "?# "):
		return strconv.Quote(text), wanted
	case !validPort(parsed):
		return strconv.Quote(text), "its port must be a number from 1 to 65535"
	}
	return text, ""
}

// validPort reports whether there is a port that can be dialled, or none and no colon that promises one.
func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port != 0
}

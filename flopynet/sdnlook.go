package flopynet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// look is what a controller tells at one time. What is nil it hasn't told.
type look struct {
	at       int64
	switches *[]*switchInfo
	links    *[]linkInfo
	hosts    *[]*hostInfo
	ports    map[datapathID][]portReading
	flows    map[datapathID][]flowReading // an empty list: the switch has none

	flowCount int

	performance *performanceAnswer
	status      *statusAnswer

	leftOut map[string]int // by kind: what exceeds the bounds
}

func newLook(at int64) *look {
	return &look{at: at, ports: map[datapathID][]portReading{}, leftOut: map[string]int{}}
}

// toldAnything reports whether the controller has answered anything.
func (l *look) toldAnything() bool {
	return l.switches != nil || l.links != nil || l.hosts != nil || len(l.ports) > 0 || l.flows != nil || l.performance != nil || l.status != nil
}

// statusAnswer is what /status tells.
type statusAnswer struct {
	Switches     number `json:"switches_connected"`
	Hosts        number `json:"hosts_learned"`
	Links        number `json:"links_discovered"`
	Policies     number `json:"policies_active"`
	PolicyEngine flag   `json:"policy_engine_available"`
	Time         moment `json:"timestamp"`
}

// figures are numbers of an answer by name; others are left out.
type figures map[string]float64

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (n *figures) UnmarshalJSON(raw []byte) error {
	*n = nil
	var told map[string]number
	if json.Unmarshal(raw, &told) == nil {
		*n = figures{}
		for name, value := range told {
			if value.known {
				(*n)[name] = value.value
			}
		}
	}
	return nil
}

// performanceAnswer is what /api/performance/metrics tells. The controller doesn't measure the latency: it makes it up from the
// bandwidth; and its packet loss is always 0.
type performanceAnswer struct {
	Bandwidth  figures `json:"bandwidth"`
	Latency    figures `json:"latency"`
	PacketLoss number  `json:"packet_loss"`
	Flows      figures `json:"flows"`
	Ports      figures `json:"ports"`
	Health     number  `json:"health_score"`
	Totals     figures `json:"totals"`
	Rates      figures `json:"rates"`
	Time       moment  `json:"timestamp"`
}

// controllerClient asks an SDN controller, and remembers which paths it answers.
type controllerClient struct {
	peer    *peer
	flows   int                  // which of flowSources answers; -1: not known
	decimal bool                 // an old Ryu, which takes a switch's number in decimal only
	absent  map[string]time.Time // paths that the controller doesn't have, and when to ask for them again
}

// askAgain is how long a path that a controller doesn't have isn't asked for.
const askAgain = time.Minute

func newControllerClient(p *peer) *controllerClient {
	return &controllerClient{peer: p, flows: -1, absent: map[string]time.Time{}}
}

// optional gets what a controller may not have.
func (c *controllerClient) optional(ctx context.Context, path string, into any) (found bool, err error) {
	if until, ok := c.absent[path]; ok && c.peer.now().Before(until) {
		return false, nil
	}
	delete(c.absent, path)
	err = c.peer.get(ctx, path, nil, maxAnswerBytes, into)
	if isNotThere(err) {
		c.absent[path] = c.peer.now().Add(askAgain)
		return false, nil
	}
	return err == nil, err
}

// topologyParts are what tells of switches, links and hosts, each into a look.
func (c *controllerClient) topologyParts(l *look) []func(context.Context) error {
	return []func(context.Context) error{
		func(ctx context.Context) error {
			var told list[switchAnswer]
			found, err := c.optional(ctx, "/v1.0/topology/switches", &told)
			if err == nil && !found {
				found, err = c.optional(ctx, "/stats/switches", &told)
			}
			if err != nil || !found {
				return cmpError(err, "it has neither /v1.0/topology/switches nor /stats/switches")
			}
			switches, leftOut := switchesOf(told)
			l.switches, l.leftOut["switches and ports"] = &switches, leftOut
			return nil
		},
		func(ctx context.Context) error {
			var told list[linkAnswer]
			found, err := c.optional(ctx, "/v1.0/topology/links", &told)
			if found {
				links, leftOut := linksOf(told)
				l.links, l.leftOut["links"] = &links, leftOut
			}
			return err
		},
		func(ctx context.Context) error {
			var told list[hostAnswer]
			found, err := c.optional(ctx, "/v1.0/topology/hosts", &told)
			if found {
				hosts, leftOut := hostsOf(told)
				l.hosts, l.leftOut["hosts"] = &hosts, leftOut
			}
			return err
		},
	}
}

func cmpError(err error, otherwise string) error {
	if err != nil {
		return err
	}
	return errors.New(otherwise)
}

// figureParts are what tells of performance and status, each into a look.
func (c *controllerClient) figureParts(l *look) []func(context.Context) error {
	return []func(context.Context) error{
		func(ctx context.Context) error {
			var told performanceAnswer
			found, err := c.optional(ctx, "/api/performance/metrics", &told)
			if found {
				l.performance = &told
			}
			return err
		},
		func(ctx context.Context) error {
			var told statusAnswer
			found, err := c.optional(ctx, "/status", &told)
			if found {
				l.status = &told
			}
			return err
		},
	}
}

// ofSwitch gets what a controller tells of one switch: lists of something, by the switch's number, which are put together. None
// says that the switch isn't there any more.
func (c *controllerClient) ofSwitch(ctx context.Context, path string, id datapathID, maxBytes int64) (told []json.RawMessage, err error) {
	var answer members
	written := fmt.Sprintf("0x%x", uint64(id)) // which FLOPY-NET's controller and Ryu read alike; the digits alone they don't
	if c.decimal {
		written = id.String()
	}
	err = c.peer.get(ctx, path+written, nil, maxBytes, &answer)
	if status, ok := errors.AsType[*statusError](err); ok && !c.decimal && status.status == http.StatusBadRequest {
		if err = c.peer.get(ctx, path+id.String(), nil, maxBytes, &answer); err == nil {
			c.decimal = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(answer)) {
		var elements list[json.RawMessage]
		if err := elements.UnmarshalJSON(answer[key]); err != nil {
			return nil, fmt.Errorf("GET %s: %w", path+written, err)
		}
		if told = append(told, elements...); len(told) > maxElements {
			return nil, fmt.Errorf("GET %s: there are more than %d elements, which are not read", path+written, maxElements)
		}
	}
	return told, err
}

// askPorts gets the counters of the ports of switches.
func (c *controllerClient) askPorts(ctx context.Context, l *look, switches []datapathID) error {
	return eachSwitch(ctx, switches, func(id datapathID) error {
		told, err := c.ofSwitch(ctx, "/stats/port/", id, maxAnswerBytes)
		if isNotThere(err) {
			return nil // it has left since
		}
		if err != nil {
			return err
		}
		var leftOut int
		l.ports[id], leftOut = portsOf(told)
		l.leftOut["switches and ports"] += leftOut
		return nil
	})
}

// portsOf sorts what was told of a switch's ports, each once.
func portsOf(told []json.RawMessage) (all []portReading, leftOut int) {
	all = []portReading{}
	for _, raw := range told {
		var one portReading
		if one.UnmarshalJSON(raw) == nil {
			all = append(all, one)
		}
	}
	slices.SortStableFunc(all, func(a, b portReading) int { return cmp.Compare(a.port, b.port) })
	all = slices.CompactFunc(all, func(a, b portReading) bool { return a.port == b.port })
	leftOut = max(0, len(all)-maxPorts)
	return slices.Clone(all[:len(all)-leftOut]), leftOut
}

// maxSwitchFailures is after how many switches that can't be asked about the others are left alone.
const maxSwitchFailures = 3

// eachSwitch does something with each switch, though it fails with some.
func eachSwitch(ctx context.Context, switches []datapathID, do func(datapathID) error) error {
	var all error
	failures := 0
	for _, id := range switches {
		if err := do(id); err != nil {
			all = errors.Join(all, err)
			if failures++; failures == maxSwitchFailures || ctx.Err() != nil || isUnreachable(err) {
				break
			}
		}
	}
	return all
}

// flowSources are the paths that tell of flows, of all switches or of each.
var flowSources = [...]struct { //nolint:gochecknoglobals // a constant
	path      string
	perSwitch bool
}{{"/stats/flows", false}, {"/stats/flowentry/", true}, {"/stats/flow/", true}}

// askFlows gets the flows of switches from the path that answered last, or else from the first that does.
func (c *controllerClient) askFlows(ctx context.Context, l *look, switches []datapathID) error {
	if c.flows >= 0 {
		err := c.askFlowsAt(ctx, l, switches, c.flows)
		if err == nil {
			return nil
		}
		c.flows = -1
		if !isNotThere(err) {
			return err // the next time it is looked for
		}
	}
	var all error
	for i := range flowSources {
		err := c.askFlowsAt(ctx, l, switches, i)
		if err == nil {
			c.flows = i
			return nil
		}
		if all = errors.Join(all, err); !isNotThere(err) {
			return err
		}
	}
	return all
}

func (c *controllerClient) askFlowsAt(ctx context.Context, l *look, switches []datapathID, source int) error {
	if flowSources[source].perSwitch {
		return c.askFlowsOfEach(ctx, l, switches, flowSources[source].path)
	}
	var told members
	if err := c.peer.get(ctx, flowSources[source].path, nil, maxLargeAnswerBytes, &told); err != nil {
		return err
	}
	l.flows, l.flowCount = map[datapathID][]flowReading{}, 0
	for _, id := range switches {
		l.flows[id] = []flowReading{}
	}
	for _, key := range slices.Sorted(maps.Keys(told)) {
		l.addFlow(told[key], 0, c.peer.now().UnixNano())
	}
	return nil
}

func (c *controllerClient) askFlowsOfEach(ctx context.Context, l *look, switches []datapathID, path string) error {
	l.flows, l.flowCount = map[datapathID][]flowReading{}, 0
	missing := 0
	err := eachSwitch(ctx, switches, func(id datapathID) error {
		told, err := c.ofSwitch(ctx, path, id, maxLargeAnswerBytes)
		if isNotThere(err) && missing < len(switches)-1 {
			missing++ // it may have left since; if all have, there is no such path
			return nil
		}
		if err != nil {
			return err
		}
		l.flows[id] = []flowReading{}
		for _, raw := range told {
			l.addFlow(raw, id, c.peer.now().UnixNano())
		}
		return nil
	})
	if err != nil && len(l.flows) == 0 {
		l.flows = nil
	}
	return err
}

// addFlow adds a flow, of the switch that it names itself, or of another one.
func (l *look) addFlow(raw json.RawMessage, of datapathID, asked int64) {
	var one flowReading
	if one.UnmarshalJSON(raw) != nil {
		l.leftOut["flows that can't be read"]++
		return
	}
	if of != 0 || one.dpid == 0 {
		one.dpid = of
	}
	one.asked = asked
	flows, known := l.flows[one.dpid]
	switch {
	case one.dpid == 0:
		l.leftOut["flows that can't be read"]++
	case l.flowCount >= maxFlows || !known && len(l.flows) >= maxSwitches:
		l.leftOut["flows"]++
	default:
		l.flows[one.dpid] = append(flows, one)
		l.flowCount++
	}
}

package flopynet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/flopynet/collector/engine"
)

// What is known of the network is kept in the engine's state under these names. All that changes in one look is written at
// once.
const (
	topologyState = SDNController + "/topology" // topology, when it changes
	totalsState   = SDNController + "/totals"   // networkTotals
	switchState   = SDNController + "/switch/"  // and the dpid: switchRecord, when it changes
	tableState    = SDNController + "/table/"   // and the dpid: the flows of a switch as they were told, when others come or go
)

// maxTableBytes bounds the saved flows of a switch: those beyond are not known after a restart until the controller answers.
const maxTableBytes = 256 << 10

// changes returns what must be written. The caller holds mu.
func (n *network) changes() ([]engine.StateChange, error) {
	var all []engine.StateChange
	add := func(name string, value any) error {
		raw, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("the state %s %q: %w", stateKind, name, err)
		}
		all = append(all, engine.StateChange{Kind: stateKind, Name: name, Value: raw})
		return nil
	}
	if err := add(totalsState, &n.totals); err != nil {
		return nil, err
	}
	if n.topologyChanged {
		if err := add(topologyState, &n.topology); err != nil {
			return nil, err
		}
	}
	for id, record := range n.switches {
		if record.changed {
			if err := add(switchState+id.hex(), record); err != nil {
				return nil, err
			}
		}
		flows := n.flows[id]
		if tableName(flows) == n.tables[id] {
			continue
		}
		if err := add(tableState+id.hex(), boundedTable(flows)); err != nil {
			return nil, err
		}
	}
	for _, id := range n.forgotten {
		if n.switches[id] == nil {
			all = append(all, engine.StateChange{Kind: stateKind, Name: switchState + id.hex()},
				engine.StateChange{Kind: stateKind, Name: tableState + id.hex()})
		}
	}
	return all, nil
}

// saved notes that all changes are durable. Only the poller changes anything, so nothing has changed since.
func (n *network) saved() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.topologyChanged, n.forgotten = false, nil
	clear(n.tables)
	for id, record := range n.switches {
		record.changed = false
		n.tables[id] = tableName(n.flows[id])
	}
}

// tableName is a name for a set of flows.
func tableName(flows []flowReading) string {
	if len(flows) == 0 {
		return ""
	}
	keys := make([]string, len(flows))
	for i := range flows {
		keys[i] = flows[i].key
	}
	slices.Sort(keys)
	sum := sha256.Sum256([]byte(strings.Join(keys, " ")))
	return hex.EncodeToString(sum[:12])
}

func boundedTable(flows []flowReading) []object {
	raws := []object{}
	size := 0
	for _, f := range flows {
		if size += len(f.raw); size > maxTableBytes {
			break
		}
		raws = append(raws, f.raw)
	}
	return raws
}

// loadOne reads one value of state, if it is of the network.
func (n *network) loadOne(name string, value []byte) error {
	switch {
	case name == topologyState:
		return loadInto(value, &n.topology)
	case name == totalsState:
		return loadInto(value, &n.totals)
	case strings.HasPrefix(name, switchState):
		return n.loadSwitch(name[len(switchState):], value)
	case strings.HasPrefix(name, tableState):
		return n.loadTable(name[len(tableState):], value)
	}
	return nil
}

// loadInto sets something to a value, if that can be read whole.
func loadInto[T any](value []byte, into *T) error {
	var read T
	err := json.Unmarshal(value, &read)
	if err == nil {
		*into = read
	}
	return err
}

func (n *network) loadSwitch(dpid string, value []byte) error {
	var id datapathID
	if err := id.UnmarshalText([]byte(dpid)); err != nil {
		return err
	}
	record := newSwitchRecord()
	if err := json.Unmarshal(value, record); err != nil {
		return err
	}
	n.switches[id] = record
	return nil
}

func (n *network) loadTable(dpid string, value []byte) error {
	var id datapathID
	if err := id.UnmarshalText([]byte(dpid)); err != nil {
		return err
	}
	var flows list[flowReading]
	if err := json.Unmarshal(value, &flows); err != nil {
		return err
	}
	for i := range flows {
		flows[i].dpid = id
	}
	n.flows[id], n.tables[id] = flows, tableName(flows)
	return nil
}

// restoreCounts gives the flows that were read from the state the counts that were saved more often. The caller holds mu.
func (n *network) restoreCounts() {
	for id, flows := range n.flows {
		record := n.switches[id]
		if record == nil {
			continue
		}
		for i := range flows {
			if known := record.Flows[flows[i].key]; known != nil {
				flows[i].packets, flows[i].bytes = known.Packets, known.Bytes
			}
		}
	}
}

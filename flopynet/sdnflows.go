package flopynet

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"
)

// flowClass says whose traffic a flow carries: none, one or both of these.
type flowClass uint8

const (
	flTraffic      flowClass = 1 << iota // to or from the FL server or a client
	controlTraffic                       // to or from the SDN controller
)

// flowClasses is how many combinations of them there are.
const flowClasses = 4

// flowState is where a flow is.
type flowState uint8

const (
	flowPresent   flowState = iota
	flowForgotten           // with all others of its switch: the controller has begun anew, or the switch is away
	flowRemoved             // alone
)

// flowRecord is what one flow has counted since its installation. A flow is named by its switch, table, priority and match;
// when the same is installed again it is another flow, which counts from 0.
type flowRecord struct {
	Packets   counter   `json:"packets"`
	Bytes     counter   `json:"bytes"`
	Class     flowClass `json:"class,omitempty"`
	State     flowState `json:"state,omitempty"`
	Seen      int64     `json:"seen"`                // when it was last there
	Alive     int64     `json:"alive"`               // when its age had last advanced; before Seen: a controller lists what the switch has removed
	Age       int64     `json:"age"`                 // ns
	Installed int64     `json:"installed,omitempty"` // about; 0: not told
	Ends      bool      `json:"ends,omitempty"`      // it has a timeout
}

func (f *flowRecord) counted() traffic { return traffic{f.Bytes.amount(), f.Packets.amount()} }

// flowKey names a flow of a switch in few bytes, whatever the order of its match's fields. The cookie is no part of a flow's
// identity in OpenFlow.
func flowKey(table, priority int, raw json.RawMessage) string {
	var match any
	canonical := []byte(raw)
	if json.Unmarshal(orNull(raw), &match) == nil {
		canonical, _ = json.Marshal(match) // it sorts the keys; what was parsed can be written
	}
	hash := sha256.New()
	hash.Write(strconv.AppendInt(nil, int64(table), 10))
	hash.Write([]byte{0})
	hash.Write(strconv.AppendInt(nil, int64(priority), 10))
	hash.Write([]byte{0})
	hash.Write(bytes.TrimSpace(canonical))
	return hex.EncodeToString(hash.Sum(nil)[:12])
}

// installed is about when a flow was installed; 0: not told.
func (f *flowReading) installed() int64 {
	if f.age < 0 {
		return 0
	}
	return max(1, f.measured.or(f.asked)-int64(f.age))
}

const (
	// installedSlack is how far two readings of one installation may lie apart: ages may be whole seconds, and take a while to come.
	installedSlack = int64(2 * time.Second)
	// standstill is how long a flow's age may stand still: FLOPY-NET's controller asks the switches every other second.
	standstill = int64(4 * time.Second)
)

// isAnother reports whether the flow that a switch tells of now is another one than the remembered, under the same name. One
// whose counters went backwards is. One that was installed later is, if its switch was restarted in between, if it had been seen
// gone or standing still, or if such flows end by themselves: a controller learns that a flow is needed again when it isn't there
// any more. Else it was only installed over, as a controller does with permanent flows when a switch connects to it, and OpenFlow
// lets the counters of such a flow go on.
func (f *flowRecord) isAnother(r *flowReading, restartedAfter, jump int64) bool {
	if r.bytes != notTold && r.bytes < f.Bytes || r.packets != notTold && r.packets < f.Packets {
		return true
	}
	installed := r.installed()
	if installed == 0 || f.Installed == 0 || int64(r.age) == f.Age { // an age that stands still tells nothing of the installation
		return false
	}
	if f.Installed < restartedAfter && restartedAfter <= installed {
		return true
	}
	return installed-jump > f.Installed+installedSlack && (f.State == flowRemoved || f.Seen-f.Alive > standstill || f.Ends)
}

// clockJump is by how much a clock was put forward since the last look, or stood still, as while a machine sleeps: all flows are older
// than they were, and yet all seem to have been installed later by so much at least.
func (s *switchRecord) clockJump(readings []flowReading) int64 {
	jump := int64(math.MaxInt64)
	for i := range readings {
		r := &readings[i]
		f := s.Flows[r.key]
		if f == nil || f.Installed == 0 || r.age < 0 || int64(r.age) == f.Age {
			continue
		}
		if int64(r.age) < f.Age {
			return 0
		}
		jump = min(jump, r.installed()-f.Installed)
	}
	if jump == math.MaxInt64 {
		return 0
	}
	return max(0, jump)
}

// takeFlows takes over the flows that a switch has. Those it had before and has no more stay counted.
func (s *switchRecord) takeFlows(readings []flowReading, at int64, room *int, classify func(*flowReading) flowClass) (leftOut int) {
	present := make(map[string]bool, len(readings))
	jump := s.clockJump(readings)
	for i := range readings {
		r := &readings[i]
		key := r.key
		record := s.Flows[key]
		if record != nil && record.isAnother(r, s.RestartedAfter, jump) {
			s.end(key, record)
			*room++
			record = nil
		}
		if record == nil {
			if *room <= 0 {
				leftOut++
				continue
			}
			*room--
			record = &flowRecord{Packets: notTold, Bytes: notTold}
			s.Flows[key] = record
			s.changed = true
		}
		present[key] = true
		class := record.Class | classify(r)
		if record.take(r, at) || class != record.Class {
			record.Class, s.changed = class, true
		}
	}
	absent := flowRemoved
	if len(present) == 0 {
		absent = flowForgotten
	}
	for key, record := range s.Flows {
		if !present[key] && record.State == flowPresent {
			record.State, s.changed = absent, true
		}
		if record.State != flowPresent && at-record.Seen > int64(flowsRemembered) {
			s.end(key, record)
			*room++
		}
	}
	return leftOut
}

// flowsRemembered is how long a flow that is gone may come back as the same one: a controller that has restarted needs a while
// to learn of the flows that its switches have.
const flowsRemembered = 15 * time.Minute

// take takes over what a flow has counted, and reports whether that is worth saving. FLOPY-NET's controller lists a flow that
// it has just installed without counts: that says nothing yet.
func (f *flowRecord) take(r *flowReading, at int64) (changed bool) {
	if r.bytes == notTold && r.packets == notTold {
		f.Seen = at
		return false
	}
	changed = r.bytes > f.Bytes || r.packets > f.Packets
	if r.bytes != notTold {
		f.Bytes = r.bytes
	}
	if r.packets != notTold {
		f.Packets = r.packets
	}
	changed = changed || f.State != flowPresent
	f.State, f.Seen = flowPresent, at
	if age := int64(r.age); age < 0 || age != f.Age {
		f.Alive, f.Age, changed = at, age, true
	}
	f.Installed = max(f.Installed, r.installed())
	f.Ends = r.ends
	return changed
}

// end moves what a flow has counted to that of those that are no more.
func (s *switchRecord) end(key string, f *flowRecord) {
	s.Ended[f.Class].add(f.counted())
	delete(s.Flows, key)
	s.changed = true
}

// endOldest ends the flows that are gone, the oldest first, until there is room.
func endOldest(switches map[datapathID]*switchRecord, room int) int {
	type gone struct {
		of   *switchRecord
		key  string
		seen int64
	}
	var all []gone
	for _, s := range switches {
		for key, f := range s.Flows {
			if f.State != flowPresent {
				all = append(all, gone{s, key, f.Seen})
			}
		}
	}
	slices.SortFunc(all, func(a, b gone) int { return cmp.Or(cmp.Compare(a.seen, b.seen), cmp.Compare(a.key, b.key)) })
	for _, one := range all[:min(len(all), max(0, maxFlows/4-room))] {
		one.of.end(one.key, one.of.Flows[one.key])
		room++
	}
	return room
}

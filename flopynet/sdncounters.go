package flopynet

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"
)

// switchRecord is what is remembered of a switch's counters, so that what was counted once stays counted: ports that begin
// anew, flows that are removed, a controller or a collector that restarts.
type switchRecord struct {
	Seen  int64                      `json:"seen"` // when it was last told of
	Ports map[portNumber]*portRecord `json:"ports,omitempty"`
	Flows map[string]*flowRecord     `json:"flows,omitempty"`
	Ended [flowClasses]traffic       `json:"ended"` // of flows that are no more, by class

	Told           int64 `json:"told,omitempty"`            // when its ports' counters were last told
	RestartedAfter int64 `json:"restarted_after,omitempty"` // what Told was before ports were seen to have begun anew

	changed bool // since it was saved
}

func newSwitchRecord() *switchRecord {
	return &switchRecord{Ports: map[portNumber]*portRecord{}, Flows: map[string]*flowRecord{}}
}

// traffic is an amount of it.
type traffic struct {
	Bytes   int64 `json:"bytes"`
	Packets int64 `json:"packets"`
}

func (t *traffic) add(other traffic) {
	t.Bytes = plus(t.Bytes, other.Bytes)
	t.Packets = plus(t.Packets, other.Packets)
}

// plus adds counts. A sum that is too large, as only a lying controller's can be, is the largest there is.
func plus(a, b int64) int64 {
	if sum := a + b; sum >= 0 {
		return sum
	}
	return math.MaxInt64
}

// portRecord is what a port has counted.
type portRecord struct {
	Seen   int64                      `json:"seen"`
	Last   [len(portCounters)]counter `json:"last"`
	Before [trafficCounters]int64     `json:"before"` // what Last counted before it began anew
	Rate   float64                    `json:"-"`      // bits per second received and sent since the look before; 0 after a restart
}

// total is what a port has counted in all.
func (p *portRecord) total(which int) int64 { return plus(p.Before[which], p.Last[which].amount()) }

// takePorts takes over the counters of a switch's ports, and returns those that are to be believed. FLOPY-NET's controller
// forgets the counters at times and tells zeros until the switch has sent it new ones; stock Ryu's zeros are true. room is for how
// many further ports there is any.
func (s *switchRecord) takePorts(readings []portReading, at int64, room *int) (believed []portReading, leftOut int) {
	if areForgotten(readings) {
		return nil, 0
	}
	anew := s.beganAnew(readings)
	if len(anew) > 0 {
		s.RestartedAfter = s.Told
	}
	s.Told = at
	for _, r := range readings {
		record := s.Ports[r.port]
		if record == nil {
			if (len(s.Ports) >= maxPorts || *room <= 0) && !s.dropPort(at, room) {
				leftOut++
				continue
			}
			*room--
			record = &portRecord{Last: r.counters}
			s.Ports[r.port] = record
		} else if anew[r.port] || len(anew) > 1 {
			record.restart()
		}
		moved, since := plus(record.total(rxBytes), record.total(txBytes)), record.Seen
		for i, c := range r.counters {
			if c != notTold {
				record.Last[i] = c
			}
		}
		record.Seen, s.changed = at, true
		if since != 0 && at > since {
			record.Rate = float64(plus(record.total(rxBytes), record.total(txBytes))-moved) * 8 / (float64(at-since) / float64(time.Second))
		}
		believed = append(believed, r)
	}
	return believed, leftOut
}

// beganAnew returns the ports of which a counter went backwards. One may have been taken out and put in again; if there are
// several, their switch was restarted, and also those have begun anew that have outgrown what they were before.
func (s *switchRecord) beganAnew(readings []portReading) map[portNumber]bool {
	anew := map[portNumber]bool{}
	for _, r := range readings {
		record := s.Ports[r.port]
		if record == nil {
			continue
		}
		for i := range trafficCounters {
			if r.counters[i] != notTold && r.counters[i] < record.Last[i] {
				anew[r.port] = true
			}
		}
	}
	return anew
}

// restart keeps what a port has counted before it began anew.
func (p *portRecord) restart() {
	for i := range p.Before {
		p.Before[i] = p.total(i)
		p.Last[i] = notTold
	}
}

// areForgotten reports whether a controller that keeps counters for the switch has none at the moment.
func areForgotten(readings []portReading) bool {
	for _, r := range readings {
		if !r.rx.known || slices.Max(r.counters[:trafficCounters]) > 0 {
			return false
		}
	}
	return len(readings) > 0
}

// dropPort makes room by forgetting the port that has been gone longest. What it counted goes to another port, so that it stays in
// the switch's totals.
func (s *switchRecord) dropPort(at int64, room *int) bool {
	if len(s.Ports) < 2 {
		return false
	}
	oldest := slices.MinFunc(slices.Collect(maps.Keys(s.Ports)), func(a, b portNumber) int {
		return cmp.Or(cmp.Compare(s.Ports[a].Seen, s.Ports[b].Seen), cmp.Compare(a, b))
	})
	gone := s.Ports[oldest]
	if at-gone.Seen < int64(absentFor) {
		return false
	}
	delete(s.Ports, oldest)
	*room++
	for _, heir := range s.Ports {
		for i := range heir.Before {
			heir.Before[i] = plus(heir.Before[i], gone.total(i))
		}
		return true
	}
	return true
}

// absentFor is how long something must have been gone before it makes room for something else. So a controller that tells of
// other switches, ports and flows each time can't make more series a day than a few times what is kept at once.
const absentFor = 6 * time.Hour

// portTotals are what all ports of a switch have counted.
func (s *switchRecord) portTotals() (totals [trafficCounters]int64) {
	for _, p := range s.Ports {
		for i := range totals {
			totals[i] = plus(totals[i], p.total(i))
		}
	}
	return totals
}

// flowTotals are what all flows of a switch have counted, also those that are no more: by class.
func (s *switchRecord) flowTotals() [flowClasses]traffic {
	totals := s.Ended
	for _, f := range s.Flows {
		totals[f.Class].add(f.counted())
	}
	return totals
}

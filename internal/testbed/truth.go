package testbed

import "time"

// Round is a round that has ended.
type Round struct {
	Training   int // from 1
	Number     int // within the training, from 1
	Begin, End time.Time
	Accuracy   float64
	Loss       float64
	ModelBytes int64
	Clients    int // that took part: Successful + Failed
	Successful int
	Failed     int

	Participants []string // ids of clients whose model counted
	Denied       []string // by policy
	Stragglers   []string
	Dropped      []string // in the middle of it

	details roundDetails
}

// Event is an event of the FL server or the policy engine.
type Event struct {
	ID      string
	Type    string
	Time    time.Time
	Details map[string]any
}

// Decision is a decision of the policy engine.
type Decision struct {
	ID         string
	PolicyID   string
	PolicyName string
	PolicyType string
	Component  string
	Time       time.Time
	Context    map[string]any
	Allowed    bool
	Reason     string
	Evaluation time.Duration
	RequestID  string
}

// Measurement is what a client measured in a round.
type Measurement struct {
	ClientID string
	Training int
	Round    int
	Time     time.Time
	Values   []Value
}

// Value is one number of a Measurement.
type Value struct {
	Name, Unit string
	Value      float64
}

// Port is a port of a switch with what has passed it.
type Port struct {
	Switch               uint64 // dpid
	Number               int    // LocalPort: the switch's own
	Name                 string
	HostIP               string // of the host at it; empty: another switch is, or none
	Up                   bool
	RxPackets, TxPackets int64
	RxBytes, TxBytes     int64
	RxDropped, TxDropped int64
}

// Flow is an entry of a switch's table, also one that was removed, with what it has counted.
type Flow struct {
	Switch             uint64 // dpid
	Priority           int
	SourceIP           string // empty: any
	DestinationIP      string // empty: any
	Drop               bool
	Installed          time.Time
	Removed            time.Time // zero: it is still there
	Packets, Bytes     int64
	IdleTimeoutSeconds int
}

// Host is a host that is attached to a switch.
type Host struct {
	Name, IP, MAC string
	Switch        uint64 // dpid
	Port          int
}

// Client is an FL client.
type Client struct {
	ID, IP    string
	Connected bool
}

package model

// Event is something that happened at one moment, such as a policy decision or an alert.
type Event struct {
	ID        string // names the event: one that is written again under its ID is the same event, stored once
	Time      int64  // nanoseconds since the epoch
	Component string // what it happened to, such as policy_engine
	Type      string
	Level     string // debug, info, warning, error or critical
	Message   string
	Details   []byte // a JSON object; nil: none
}

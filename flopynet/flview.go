package flopynet

import "math"

// serverUnreachable stands for the FL server's own word while it doesn't answer.
const serverUnreachable = "unreachable"

// progress is what is known of the training, whichever of the FL server's answers told it.
type progress struct {
	at       int64  // the time of it; 0: nothing is known
	fresh    bool   // it is of now
	word     string // the server's, for its state
	current  int    // round
	max      int
	clients  int
	active   bool // training is under way; also while it is paused
	paused   bool
	stopped  bool // by policy
	complete bool
}

// progress reads it.
func (f *flServer) progress() progress {
	last, fresh := f.known()
	status, metrics := f.status(), f.metrics()
	p := progress{
		at: last.StatusAt, fresh: fresh, word: string(status.ServerStatus), current: status.CurrentRound.integer(), max: status.MaxRounds.integer(),
		clients: status.ConnectedClients.integer(), paused: status.Paused.value, stopped: status.StoppedByPolicy.value,
	}
	if last.Status == nil { // an old server
		p.at, p.current, p.max, p.clients = last.MetricsAt, metrics.CurrentRound.integer(), metrics.MaxRounds.integer(), metrics.ConnectedClients.integer()
		status.TrainingActive = flag{value: p.current > 0, known: true}
	}
	if p.word == "" {
		p.word = StatusUnknown
	}
	p.current, p.max, p.clients = max(p.current, 0), max(p.max, 0), max(p.clients, 0)
	// The server says that it is active also after it was stopped, and doesn't say that it is done.
	p.complete = metrics.TrainingComplete.value || !status.TrainingActive.value && p.max > 0 && p.current >= p.max
	p.active = status.TrainingActive.value && !p.stopped && !p.complete
	return p
}

// FLStatus is how the training does.
type FLStatus struct {
	ServerStatus     string  `json:"server_status"` // the server's word; unreachable, or unknown if it never told or may not be asked
	CurrentRound     int     `json:"current_round"`
	TotalRounds      int     `json:"total_rounds"`
	ActiveClients    int     `json:"active_clients"`    // that were connected when the round began
	TrainingProgress float64 `json:"training_progress"` // percent; 0 if it isn't known
	LastUpdated      stamp   `json:"last_updated"`      // the server's time of what it told
	Stale            bool    `json:"stale,omitempty"`   // it doesn't answer now
}

// FLStatus tells how the training does.
func (t *Testbed) FLStatus() FLStatus {
	p := t.fl.progress()
	s := FLStatus{ServerStatus: p.word, CurrentRound: p.current, TotalRounds: p.max, ActiveClients: p.clients, LastUpdated: stamp(p.at)}
	if p.max > 0 {
		s.TrainingProgress = math.Min(100, 100*float64(p.current)/float64(p.max))
	}
	if !p.fresh && p.at != 0 {
		s.ServerStatus, s.Stale = serverUnreachable, true
		if t.gate.isClosed() {
			s.ServerStatus = StatusUnknown
		}
	}
	return s
}

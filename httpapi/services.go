package httpapi

import (
	"github.com/flopynet/collector/flopynet"
)

// monitors tells what is polled, by the names that FLOPY-NET has for it.
type monitors struct {
	Policy  bool `json:"policy"`
	FL      bool `json:"fl"`
	Network bool `json:"network"`
	Events  bool `json:"events"`
}

// serviceHealth is how a component of the testbed does, as /health tells it.
type serviceHealth struct {
	Status         string   `json:"status"` // healthy, unhealthy or unknown
	URL            string   `json:"url"`
	Since          *string  `json:"since"`      // when it came to be so; null: it has not been tried yet
	LastCheck      *string  `json:"last_check"` // when it was tried last
	LastSuccess    *string  `json:"last_success"`
	ResponseTimeMs *float64 `json:"response_time_ms"` // of its last answer to GET /health
	Failures       int      `json:"failures"`         // in a row, of what fails now
	Error          *string  `json:"error"`
}

// monitors returns what is polled.
func (s *Server) monitors() monitors {
	return monitors{
		Policy: s.testbed.Polls(flopynet.PolicyEngine), FL: s.testbed.Polls(flopynet.FLServer), Network: s.testbed.Polls(flopynet.SDNController),
		Events: s.testbed.PollsEvents(),
	}
}

// services returns the components that are polled, by name.
func (s *Server) services() map[string]serviceHealth {
	all := map[string]serviceHealth{}
	for _, peer := range s.polled() {
		all[peer.Name] = serviceHealth{
			Status: peer.Status, URL: peer.URL, Since: nullableTime(peer.Since), LastCheck: nullableTime(peer.LastCheck),
			LastSuccess: nullableTime(peer.LastSuccess), ResponseTimeMs: responseTime(&peer), Failures: peer.Failures, Error: nullableText(peer.Error),
		}
	}
	return all
}

// serviceCheck is the last check of a component, as GET /metrics tells it.
type serviceCheck struct {
	Status         string   `json:"status"`
	ResponseTimeMs *float64 `json:"response_time_ms"`
	LastCheck      *string  `json:"last_check"`
}

// serviceChecks returns the last checks of the components that are polled, by name.
func (s *Server) serviceChecks() map[string]serviceCheck {
	all := map[string]serviceCheck{}
	for _, peer := range s.polled() {
		all[peer.Name] = serviceCheck{peer.Status, responseTime(&peer), nullableTime(peer.LastCheck)}
	}
	return all
}

// polled returns the states of the components that are polled.
func (s *Server) polled() []flopynet.PeerStatus {
	var all []flopynet.PeerStatus
	for _, peer := range s.testbed.Peers() {
		if peer.URL != "" {
			all = append(all, peer)
		}
	}
	return all
}

// responseTime is in milliseconds; nil: there was no answer yet.
func responseTime(peer *flopynet.PeerStatus) *float64 {
	if peer.ResponseTime == 0 {
		return nil
	}
	ms := milliseconds(peer.ResponseTime)
	return &ms
}

// nullableText is nil for an empty text.
func nullableText(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

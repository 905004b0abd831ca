package flopynet

import (
	"context"
	"sync"
	"time"
)

// LiveTopologyView is the answer about the topology as it is now.
type LiveTopologyView struct {
	Topology   TopologyLists      `json:"topology"`
	Timestamp  float64            `json:"timestamp"`
	Source     string             `json:"source"` // live_query, or last_known: the controller didn't answer
	Statistics TopologyStatistics `json:"statistics"`
	Message    string             `json:"message,omitempty"` // why it is the last known
	Freshness
}

// liveLook is a look at the topology for those who ask for it now. All that ask at a time share one.
type liveLook struct {
	mu      sync.Mutex
	pending *liveResult
	client  *controllerClient // of the one look that may be under way
}

// liveResult is what a look gave, once done is closed.
type liveResult struct {
	done chan struct{}
	view LiveTopologyView
}

// LiveTopology asks the controller for its topology, and waits for that as long as it may take to answer one question; whoever asks
// meanwhile shares the answer. If the controller doesn't answer, or must not be asked, it is the topology that was polled last. The
// error is ctx's.
func (t *Testbed) LiveTopology(ctx context.Context) (LiveTopologyView, error) {
	n := t.network
	if n.client == nil {
		return n.lastKnown("no SDN controller is polled"), nil
	}
	if _, refused := t.gate.refusal(); refused != nil {
		return n.lastKnown("it is not asked: " + refused.Error()), nil //nolint:nilerr // the answer tells it
	}
	n.live.mu.Lock()
	result := n.live.pending
	if result == nil {
		result = &liveResult{done: make(chan struct{})}
		n.live.pending = result
		n.live.mu.Unlock()
		n.lookNow(result)
		return result.view, nil
	}
	n.live.mu.Unlock()
	select {
	case <-result.done:
		return result.view, nil
	case <-ctx.Done():
		return LiveTopologyView{}, ctx.Err()
	}
}

// lookNow asks the controller, on behalf of all that wait for the result: that who asked first has gone doesn't end it.
func (n *network) lookNow(result *liveResult) {
	defer close(result.done)
	defer func() {
		n.live.mu.Lock()
		n.live.pending = nil
		n.live.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(n.testbed.ctx, n.client.peer.timeout)
	defer cancel()
	if n.live.client == nil {
		n.live.client = newControllerClient(n.client.peer)
	}
	l := newLook(n.testbed.options.Now().Truncate(time.Millisecond).UnixNano())
	if err := whileReachable(ctx, n.live.client.topologyParts(l)); err != nil {
		result.view = n.lastKnown(err.Error())
		return
	}
	now := topology{Switches: *l.switches}
	if l.links != nil {
		now.Links = *l.links
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.hosts != nil {
		now.Hosts = *l.hosts
		keepAddresses(n.topology.Hosts, now.Hosts)
	}
	lists := n.lists(&now, l.at)
	result.view = LiveTopologyView{Topology: lists, Timestamp: lists.Timestamp, Source: "live_query", Statistics: lists.statistics()}
}

// lastKnown is the topology that was polled last, and why it isn't that of now.
func (n *network) lastKnown(why string) LiveTopologyView {
	view := n.testbed.Topology(false, false)
	view.Stale = view.Timestamp != 0
	if view.ServerStatus == "" && n.client != nil {
		view.ServerStatus = serverUnreachable
	}
	return LiveTopologyView{
		Topology: view.TopologyLists, Timestamp: view.Timestamp, Source: "last_known", Statistics: view.Statistics, Message: why, Freshness: view.Freshness,
	}
}

package flopynet

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/flopynet/collector/engine"
)

// No component lists the FL clients. They are known from what names them: metrics that bear the tag client_id, decisions
// whose context has a client_id, and the configured nodes. Those that decisions named are kept in a table of their own, so that
// nobody has to read all decisions to list them.

// flClientKind is the kind of state in which the clients that decisions named are kept, by their keys.
const flClientKind = "fl_client"

// Bounds of the table.
const (
	maxClients       = 10_000
	maxClientIDBytes = 256
)

// namedClient is a client as decisions told of it.
type namedClient struct {
	ID       string `json:"client_id"`
	Address  string `json:"address,omitempty"`
	LastSeen int64  `json:"last_seen"`          // when a decision was last made about it; ns
	Round    int    `json:"round,omitempty"`    // that it was last allowed to train in; 0: none
	RoundAt  int64  `json:"round_at,omitempty"` // when that was; ns
	Rounds   int    `json:"rounds,omitempty"`   // how many it was allowed to train in
}

// namedClients are all of them.
type namedClients struct {
	db *engine.DB

	writing sync.Mutex             // is held while changes become durable, which nobody who reads has to wait for
	kept    map[string]namedClient // as it is durable

	mu    sync.Mutex
	byKey map[string]namedClient
}

// openNamedClients reads which clients there are.
func openNamedClients(db *engine.DB, logger *slog.Logger) *namedClients {
	all := &namedClients{db: db, byKey: map[string]namedClient{}, kept: map[string]namedClient{}}
	err := eachRestored(db, logger, flClientKind, func(key string, value []byte) error {
		var one namedClient
		if err := json.Unmarshal(value, &one); err != nil {
			return err
		}
		all.byKey[key], all.kept[key] = one, one
		return nil
	})
	if err != nil {
		logger.Error("not all FL clients that are known can be read", "error", err)
	}
	return all
}

// clientKey is what the spellings of a client's name have in common: fl-client-1, FL_CLIENT_1 and client-1 are one.
func clientKey(name string) string {
	key := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "_", "-")
	return strings.TrimPrefix(key, "fl-")
}

// sightingContext is what we read of a decision's context.
type sightingContext struct {
	ClientID     text   `json:"client_id"`
	ClientIP     text   `json:"client_ip"`
	CurrentRound number `json:"current_round"`
	ServerRound  number `json:"server_round"`
	Operation    text   `json:"operation"`
}

// sighting is what a decision tells of a client.
type sighting struct {
	id, address string
	at          int64 // ns
	round       int   // that it may train in now; 0: none
}

// sightingIn reads a decision's context. One that names no client is no sighting, whose id is empty.
func sightingIn(context object, at int64, allowed bool) sighting {
	var fields sightingContext
	_ = json.Unmarshal(context.orEmpty(), &fields) // its fields never fail
	if clientKey(string(fields.ClientID)) == "" || len(fields.ClientID) > maxClientIDBytes || strings.ContainsFunc(string(fields.ClientID), unicode.IsControl) {
		return sighting{}
	}
	s := sighting{id: string(fields.ClientID), at: at}
	if address, err := netip.ParseAddr(string(fields.ClientIP)); err == nil {
		s.address = address.String()
	}
	if allowed && strings.Contains(string(fields.Operation), "training") {
		s.round = max(fields.CurrentRound.integer(), fields.ServerRound.integer())
	}
	return s
}

// keepAfter is how much later than is kept a client must have been seen for that alone to be made durable: a crash may
// cost as much of when it was last seen.
const keepAfter = time.Second

// saw takes in what decisions tell, and returns when that is durable. To be told the same again does no harm.
func (c *namedClients) saw(sightings []sighting) error {
	if len(sightings) == 0 {
		return nil
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.note(sightings)
	now := c.list()
	var changes []engine.StateChange
	for key, one := range now {
		if kept := c.kept[key]; one.isLike(&kept) {
			continue
		}
		value, err := json.Marshal(one)
		if err != nil {
			return err
		}
		changes = append(changes, engine.StateChange{Kind: flClientKind, Name: key, Value: value})
	}
	for key := range c.kept {
		if _, known := now[key]; !known {
			changes = append(changes, engine.StateChange{Kind: flClientKind, Name: key})
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if err := c.db.ChangeState(changes...); err != nil {
		return fmt.Errorf("keeping %d clients: %w", len(changes), err)
	}
	for _, change := range changes {
		if change.Value == nil {
			delete(c.kept, change.Name)
		} else {
			c.kept[change.Name] = now[change.Name]
		}
	}
	return nil
}

// note takes sightings in.
func (c *namedClients) note(sightings []sighting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range slices.SortedStableFunc(slices.Values(sightings), func(a, b sighting) int { return cmp.Compare(a.at, b.at) }) {
		key := clientKey(s.id)
		client, known := c.byKey[key]
		if !known && len(c.byKey) >= maxClients {
			c.makeRoom()
		}
		client.take(&s)
		c.byKey[key] = client
	}
}

// makeRoom forgets the tenth of the clients that weren't seen for longest. The caller holds mu.
func (c *namedClients) makeRoom() {
	keys := slices.SortedFunc(maps.Keys(c.byKey), func(a, b string) int { return cmp.Compare(c.byKey[a].LastSeen, c.byKey[b].LastSeen) })
	for _, key := range keys[:len(keys)/10] {
		delete(c.byKey, key)
	}
}

// take takes in a sighting.
func (n *namedClient) take(s *sighting) {
	if n.ID == "" || s.at > n.LastSeen {
		n.ID, n.LastSeen = s.id, max(s.at, n.LastSeen)
		if s.address != "" {
			n.Address = s.address
		}
	}
	if s.round > 0 && s.at > n.RoundAt {
		if s.round != n.Round {
			n.Rounds++
		}
		n.Round, n.RoundAt = s.round, s.at
	}
}

// isLike reports whether a client needn't be kept anew.
func (n *namedClient) isLike(kept *namedClient) bool {
	return n.ID == kept.ID && n.Address == kept.Address && n.Round == kept.Round && n.LastSeen-kept.LastSeen < int64(keepAfter)
}

// list returns the clients by their keys.
func (c *namedClients) list() map[string]namedClient {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.byKey)
}

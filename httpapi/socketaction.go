package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// socketAction is a message of a client of /ws/metrics.
type socketAction struct {
	Action  string                `json:"action"`
	ID      socketID              `json:"id"`
	Metrics *bodyFilter           `json:"metrics"`
	Sources *bodyFilter           `json:"sources"`
	Tags    map[string]bodyFilter `json:"tags"`
	Events  socketEvents          `json:"events"`
}

// socketID is a subscription's id as JSON, a string or a whole number; "": not given.
type socketID string

const maxSocketID = 256

// UnmarshalJSON implements json.Unmarshaler.
func (id *socketID) UnmarshalJSON(raw []byte) error {
	if raw[0] == 'n' {
		return nil
	}
	if _, err := strconv.ParseInt(string(raw), 10, 64); raw[0] != '"' && err != nil || len(raw) > maxSocketID {
		return &fieldFault{given: string(raw), issue: fmt.Sprintf("it must be a string or a whole number, of at most %d bytes", maxSocketID)}
	}
	*id = socketID(raw)
	return nil
}

// socketEvents says which events a subscription is to: none, all or those of some types.
type socketEvents struct {
	wanted bool
	types  []string
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *socketEvents) UnmarshalJSON(raw []byte) error {
	switch raw[0] {
	case 'n':
		return nil
	case '[':
		if err := json.Unmarshal(raw, &e.types); err == nil && len(e.types) > 0 && len(e.types) <= maxLiveNames {
			e.wanted = true
			return nil
		}
	case 't', 'f':
		return json.Unmarshal(raw, &e.wanted)
	}
	return &fieldFault{given: string(raw), issue: "it must be true, false or an array of event types"}
}

// subscription returns what a subscribe is about.
func (a *socketAction) subscription() (engine.Subscription, error) {
	var l liveSelection
	add := func(filter bodyFilter, key, path string) error {
		if _, err := filter.matcher(key, path); err != nil {
			return err
		}
		if len(filter.filter.Values) > maxLiveNames {
			return invalidField(path, strconv.Itoa(len(filter.filter.Values)), fmt.Sprintf("at most %d values are allowed", maxLiveNames))
		}
		filter.filter.Key = key
		l.filters = append(l.filters, filter.filter)
		return nil
	}
	if len(a.Tags) > maxTagFilters {
		return engine.Subscription{}, invalidField("tags", strconv.Itoa(len(a.Tags)), fmt.Sprintf("at most %d filters are allowed", maxTagFilters))
	}
	for _, named := range []struct {
		filter    *bodyFilter
		key, path string
	}{{a.Metrics, model.NameKey, "metrics"}, {a.Sources, model.SourceKey, "sources"}} {
		if named.filter == nil || named.filter.text() == "" {
			continue // any
		}
		if err := add(*named.filter, named.key, named.path); err != nil {
			return engine.Subscription{}, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(a.Tags)) {
		if key == model.NameKey {
			return engine.Subscription{}, invalidField("tags", "", "the key of a tag is empty")
		}
		if err := add(a.Tags[key], key, "tags."+key); err != nil {
			return engine.Subscription{}, err
		}
	}
	s, err := l.subscription()
	s.Events, s.EventTypes = a.Events.wanted, a.Events.types
	s.OnlyEvents = s.Events && !l.selective()
	return s, err
}

// apply does what a message asks for.
func (c *socket) apply(a *socketAction) {
	switch a.Action {
	case "subscribe":
		c.subscribe(a)
	case "unsubscribe":
		c.unsubscribe(string(a.ID))
	case "ping":
		c.sendText([]byte(`{"type":"pong"}`))
	case "":
		c.sendError(missingField("action", "use subscribe, unsubscribe or ping"))
	default:
		c.sendError(invalidField("action", a.Action, "use subscribe, unsubscribe or ping"))
	}
}

// subscribe adds a subscription, or puts it in the place of the one with its id, or of the updates that one gets who
// names nothing. The acknowledgement goes out before the first update.
func (c *socket) subscribe(a *socketAction) {
	c.spoken = true
	s, err := a.subscription()
	if err != nil {
		c.sendError(err)
		return
	}
	id := string(a.ID)
	if id == "" {
		id = c.nextID()
	}
	end, replaces := c.subscriptions[id]
	if !replaces && len(c.subscriptions) >= maxSubscriptions {
		c.sendError(limitExceeded("Too many subscriptions", "subscriptions of a connection", maxSubscriptions, maxSubscriptions+1,
			"list several values in one subscription, or use several connections"))
		return
	}
	c.subscriptions[id] = c.watcher.Subscribe(s)
	c.endEverything()
	if replaces {
		end()
	}
	c.sendText([]byte(`{"type":"subscribed","id":` + id + `}`))
}

// endEverything ends the subscription of who had named nothing.
func (c *socket) endEverything() {
	if c.everything != nil {
		c.everything()
		c.everything = nil
	}
}

// nextID makes an id that isn't in use.
func (c *socket) nextID() string {
	for {
		c.numbered++
		id := `"sub-` + strconv.Itoa(c.numbered) + `"`
		if _, taken := c.subscriptions[id]; !taken {
			return id
		}
	}
}

// unsubscribe ends one subscription, or all.
func (c *socket) unsubscribe(id string) {
	if id == "" {
		for _, end := range c.subscriptions {
			end()
		}
		clear(c.subscriptions)
		c.endEverything()
		c.spoken = true
		c.sendText([]byte(`{"type":"unsubscribed","id":null}`))
		return
	}
	end, known := c.subscriptions[id]
	if !known {
		c.sendError(newError(fasthttp.StatusNotFound, "There is no such subscription", detail{"id", json.RawMessage(id)}))
		return
	}
	end()
	delete(c.subscriptions, id)
	c.sendText([]byte(`{"type":"unsubscribed","id":` + id + `}`))
}

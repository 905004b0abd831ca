package pipeline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// The kinds of small state. A run's name is its pipeline's, a slash and its number; a delivery's is its
// pipeline's, a slash and its id, and so is that of its body.
const (
	kindPipeline = "pipeline"
	kindRun      = "pipeline_run"
	kindDelivery = "pipeline_delivery"
	kindBody     = "pipeline_body"
)

func runName(pipeline string, number uint64) string { return fmt.Sprintf("%s/%016x", pipeline, number) }

func deliveryName(pipeline, id string) string { return pipeline + "/" + id }

// change is a list of changes that are stored together.
type change []engine.StateChange

func (c *change) set(kind, name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode the %s %s: %w", kind, name, err)
	}
	*c = append(*c, engine.StateChange{Kind: kind, Name: name, Value: text})
	return nil
}

func (c *change) remove(kind, name string) {
	*c = append(*c, engine.StateChange{Kind: kind, Name: name})
}

// loadState reads what is stored.
func (m *Manager) loadState() error {
	err := m.db.EachState(kindPipeline, func(name string, value []byte) error {
		e := &entry{deliveries: make(map[string]*Delivery)}
		err := json.Unmarshal(value, &e.record)
		if err == nil {
			err = rebuildMatchers(&e.Definition)
		}
		if err == nil {
			e.plan, err = compile(&e.Definition)
		}
		if err != nil {
			// It stays in the store; the others go on.
			m.opts.Logger.Error("a stored pipeline can't be read, and does not run; define it again", "pipeline", name, "err", err)
			return nil
		}
		m.pipelines[name] = e
		return nil
	})
	if err == nil {
		err = m.db.EachState(kindRun, func(name string, value []byte) error {
			run := &Run{}
			if err := json.Unmarshal(value, run); err != nil {
				return fmt.Errorf("read the run %s: %w", name, err)
			}
			if e := m.ownerOf(name); e != nil {
				e.runs = append(e.runs, run) // the names' order is that of the numbers
			}
			return nil
		})
	}
	if err == nil {
		err = m.db.EachState(kindDelivery, func(name string, value []byte) error {
			d := &Delivery{}
			if err := json.Unmarshal(value, d); err != nil {
				return fmt.Errorf("read the delivery %s: %w", name, err)
			}
			if e := m.ownerOf(name); e != nil {
				e.deliveries[d.ID] = d
				if d.Status == DeliveryPending {
					m.enqueue(e, d)
				}
			}
			return nil
		})
	}
	for _, e := range m.pipelines {
		slices.SortFunc(e.waiting, func(a, b *Delivery) int { return cmp.Compare(a.Number, b.Number) })
	}
	return err
}

// ownerOf returns the pipeline of a run or a delivery by its name in the state.
func (m *Manager) ownerOf(name string) *entry {
	pipeline, _, _ := strings.Cut(name, "/")
	return m.pipelines[pipeline]
}

// rebuildMatchers compiles the expressions of matchers, which are not stored.
func rebuildMatchers(d *Definition) error {
	for _, step := range d.Steps {
		if step.Filter == nil {
			continue
		}
		for i, stored := range step.Filter.Matchers {
			m, err := model.NewMatcher(stored.Key, stored.Op, stored.Value)
			if err != nil {
				return err
			}
			step.Filter.Matchers[i] = m
		}
	}
	return nil
}

// addRun puts a run into the history of a pipeline and into the change, in place of an earlier try of the same,
// and takes out what is too old. apply does to memory what the change does to the disk.
func (m *Manager) addRun(c *change, e *entry, run *Run) (apply func(), err error) {
	name := e.Definition.Name
	kept := slices.Clone(e.runs)
	if last := e.lastRun(); last != nil && last.ID == run.ID {
		run.Number, run.Tries = last.Number, last.Tries+1
		kept = kept[:len(kept)-1]
	} else {
		run.Number, run.Tries = e.NextRun, 1
	}
	kept = append(kept, run)
	var forgotten []string // deliveries
	for len(kept) > maxRuns {
		c.remove(kindRun, runName(name, kept[0].Number))
		if d := e.deliveries[kept[0].DeliveryID]; d != nil && d.Status != DeliveryPending {
			c.remove(kindDelivery, deliveryName(name, d.ID))
			forgotten = append(forgotten, d.ID)
		}
		kept = kept[1:]
	}
	if err := c.set(kindRun, runName(name, run.Number), run); err != nil {
		return nil, err
	}
	return func() {
		e.runs = kept
		for _, id := range forgotten {
			delete(e.deliveries, id)
		}
	}, nil
}

package flopynet

import (
	"encoding/json"
	"fmt"

	"github.com/flopynet/collector/engine"
)

// stateKind is the kind of what we keep of the testbed in the engine's state: how far each poller has come, and what was
// known last of each component, so that a restart goes on where it ended. Names are <component>/<what>.
const stateKind = "flopynet"

// loadState reads a value that saveState wrote. It leaves into as it is when there is none.
func loadState(db *engine.DB, name string, into any) error {
	raw, err := db.State(stateKind, name)
	if err != nil || raw == nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("the state %s %q: %w", stateKind, name, err)
	}
	return nil
}

// saveState makes a value durable.
func saveState(db *engine.DB, name string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("the state %s %q: %w", stateKind, name, err)
	}
	return db.ChangeState(engine.StateChange{Kind: stateKind, Name: name, Value: raw})
}

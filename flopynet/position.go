package flopynet

import (
	"encoding/json"
	"fmt"
	"log/slog"

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

// restored reads a value that saveState wrote; it is the zero value when there is none. One that can't be read is logged and taken for
// none, so that it keeps nobody's collector from starting: where a poller begins anew, it repeats much and loses nothing, and what
// was known last is soon told again.
func restored[T any](db *engine.DB, logger *slog.Logger, name string) (value T) {
	if err := loadState(db, name, &value); err != nil {
		logger.Error("what was known of the testbed can't be read; it begins anew", "state", name, "error", err)
		var none T
		return none
	}
	return value
}

// eachRestored calls read with each value of a kind of state. Those that can't be read are logged and left out; the error says that
// the reading ended too early.
func eachRestored(db *engine.DB, logger *slog.Logger, kind string, read func(name string, value []byte) error) error {
	leftOut := func(name string, err error) {
		logger.Error("what was known of the testbed can't be read; it is left out", "state", kind, "name", name, "error", err)
	}
	return db.ReadStates(engine.StateRange{Kind: kind, Damaged: leftOut}, func(name string, value []byte) error {
		if err := read(name, value); err != nil {
			leftOut(name, err)
		}
		return nil
	})
}

// saveState makes a value durable.
func saveState(db *engine.DB, name string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("the state %s %q: %w", stateKind, name, err)
	}
	return db.ChangeState(engine.StateChange{Kind: stateKind, Name: name, Value: raw})
}

package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// changesName is the file in the data directory that keeps what was changed through the API.
const changesName = "config.json"

// Live is the configuration of a running collector: what flags, environment and file say, and over it what
// was changed through the API, which it keeps in the data directory.
//
// What was said last holds. A change through the API holds until it is replaced, or until the start after
// which flags, environment or file say something else about that setting than they did when it was changed:
// then an operator has spoken since, and the change is forgotten. A setting that has its default counts as
// not given, so that a version with other defaults overrules nobody.
type Live struct {
	path  string
	given Config // by flags, environment and file

	current atomic.Pointer[Config]

	read string // checksum of what the file held

	mu      sync.Mutex        // held by a change
	started Config            // what the process began with
	changes map[string]change // by the setting's key
	apply   func(before, after Config)
}

// change is a setting that was changed through the API.
type change struct {
	Value json.RawMessage `json:"value"`
	Given json.RawMessage `json:"given,omitempty"` // what flags, environment and file said; absent: nothing, or the default
}

// Overruled is a change through the API that a start has forgotten.
type Overruled struct {
	Key           string
	Change, Given string // JSON
}

// OpenLive lays the changes that are kept in the data directory over the settings that were given, which must
// be valid, and returns those changes that don't hold any more. Nothing is written before Begin.
func OpenLive(given Config) (*Live, []Overruled, error) {
	l := &Live{path: filepath.Join(given.DataDir, changesName), given: given}
	current := given
	changes, err := readChanges(l.path)
	if err != nil {
		return nil, nil, err
	}
	l.changes, l.read = changes, checksum(changes)
	was := l.givenTexts()
	var overruled []Overruled
	for _, key := range sortedKeys(changes) {
		kept := changes[key]
		if !bytes.Equal(kept.Given, was[key]) {
			overruled = append(overruled, Overruled{Key: key, Change: string(kept.Value), Given: string(was[key])})
			delete(changes, key)
			continue
		}
		if err := current.Patch(nest(key, kept.Value)); err != nil {
			return nil, nil, fmt.Errorf("%s: %w; mend the file's damage by removing it, and change the settings again", l.path, err)
		}
	}
	if err := current.Validate(); err != nil {
		return nil, nil, fmt.Errorf("configuration, with what was changed through the API (%s; kept in %s): %w",
			strings.Join(sortedKeys(changes), ", "), l.path, err)
	}
	l.started = current
	l.current.Store(&current)
	return l, overruled, nil
}

// givenTexts returns what flags, environment and file say, by key, but for what is the default.
func (l *Live) givenTexts() map[string]json.RawMessage {
	defaults := Default()
	usual := settings(&defaults)
	given := make(map[string]json.RawMessage)
	for key, s := range settings(&l.given) {
		if text := s.text(); !bytes.Equal(text, usual[key].text()) {
			given[key] = text
		}
	}
	return given
}

// nest makes the patch {"a": {"b": value}} of the key a.b.
func nest(key string, value json.RawMessage) json.RawMessage {
	parts := strings.Split(key, ".")
	for _, part := range slices.Backward(parts) {
		value = marshal(section{{part, value}})
	}
	return value
}

// Begin is called once the data directory is this process's own. apply puts changed settings in force; it is
// called for one change at a time. Changes that don't hold any more leave the file.
func (l *Live) Begin(apply func(before, after Config)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.apply = apply
	kept, err := readChanges(l.path)
	switch {
	case err != nil:
		return err
	case checksum(kept) != l.read: // by the process that had the directory before, at its end
		return fmt.Errorf("%s was changed after it was read; start again", l.path)
	case len(kept) == len(l.changes):
		return nil
	}
	return writeChanges(l.path, l.changes)
}

// Config returns the settings in force, or about to be with the next start.
func (l *Live) Config() Config { return *l.current.Load() }

// Changed lists the settings that were changed through the API and are not what flags, environment and file say.
func (l *Live) Changed() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return sortedKeys(l.changes)
}

// Outcome is what a change has led to.
type Outcome struct {
	Before, After   Config
	Changed         []string // keys
	RestartRequired []string // keys of what holds only after the next start, from earlier changes too
}

// Change merges a JSON object of settings into the configuration, keeps it durably and puts it in force. When
// it returns an error, nothing has changed: a *PatchError, one of Validate, or that of writing the file.
// check, which may be nil, is called with what is about to hold; its error refuses the change.
func (l *Live) Change(patch []byte, check func(before, after Config) error) (Outcome, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.Config()
	next := before
	if err := next.Patch(patch); err != nil {
		return Outcome{}, err
	}
	if err := next.Validate(); err != nil {
		return Outcome{}, err
	}
	outcome := Outcome{Before: before, After: next, Changed: changedKeys(before, next), RestartRequired: restartKeys(l.started, next)}
	if check != nil {
		if err := check(before, next); err != nil {
			return Outcome{}, err
		}
	}
	if len(outcome.Changed) == 0 {
		return outcome, nil
	}
	changes := make(map[string]change)
	was, now := l.givenTexts(), settings(&next)
	for _, key := range changedKeys(l.given, next) {
		changes[key] = change{Value: now[key].text(), Given: was[key]}
	}
	if err := writeChanges(l.path, changes); err != nil {
		// The new file may be in place and only its durability in doubt: then the one before comes back.
		return Outcome{}, errors.Join(fmt.Errorf("keep the configuration: %w", err), writeChanges(l.path, l.changes))
	}
	l.changes = changes
	l.current.Store(&next)
	if l.apply != nil {
		l.apply(before, next)
	}
	return outcome, nil
}

func sortedKeys(changes map[string]change) []string {
	keys := make([]string, 0, len(changes))
	for key := range changes {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
)

// The engine keeps small state for the parts above it, such as pipelines and keys: values of up to a few
// KiB by kind and name. It is for what changes by the second at most; samples and events have better places.

// StateChange sets or removes one value.
type StateChange struct {
	Kind, Name string
	Value      []byte // nil: removed
}

// ChangeState applies all of the changes or, when it returns an error, none, and returns when that is
// durable.
func (db *DB) ChangeState(changes ...StateChange) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	if db.diskFull.Load() {
		return ErrDiskFull
	}
	batch := db.chunks.NewBatch()
	defer func() { _ = batch.Close() }()
	for _, change := range changes {
		key := keys.AppendState(nil, change.Kind, change.Name)
		var err error
		if change.Value == nil {
			err = batch.Delete(key, nil)
		} else {
			err = batch.Set(key, sealState(change.Value), nil)
		}
		if err != nil {
			return fmt.Errorf("change the state %s %q: %w", change.Kind, change.Name, err)
		}
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("change %d values of state: %w", len(changes), err)
	}
	return nil
}

// State returns a value, nil if there is none.
func (db *DB) State(kind, name string) ([]byte, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	value, closer, err := db.chunks.Get(keys.AppendState(nil, kind, name))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the state %s %q: %w", kind, name, err)
	}
	opened, err := openState(kind, name, value)
	return opened, errors.Join(err, closer.Close())
}

// EachState calls fn with each value of a kind, by name, until it returns an error. The value is fn's to
// keep. fn must not change the state.
func (db *DB) EachState(kind string, fn func(name string, value []byte) error) error {
	return db.ReadStates(StateRange{Kind: kind}, fn)
}

// StateRange is the values of a kind whose names lie in [From, To), in the order of their bytes.
type StateRange struct {
	Kind     string
	From, To string // To "": no end
	Newest   bool   // from the last name to the first
	Limit    int    // most values; 0: all

	// Damaged is told of values that are damaged, which are passed over then; nil: the first of them ends the reading with its error,
	// an ErrCorrupt.
	Damaged func(name string, err error)
}

// ReadStates calls fn with the values of a range until it returns an error, which it returns. The value is fn's to
// keep. fn must not change the state.
func (db *DB) ReadStates(r StateRange, fn func(name string, value []byte) error) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	lower, upper := keys.Range(keys.AppendStatePrefix(nil, r.Kind))
	if r.From != "" {
		lower = keys.AppendState(nil, r.Kind, r.From)
	}
	if r.To != "" {
		upper = keys.AppendState(nil, r.Kind, r.To)
	}
	if bytes.Compare(lower, upper) >= 0 {
		return nil
	}
	it, err := db.chunks.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("read the state %s: %w", r.Kind, err)
	}
	start, step := it.First, it.Next
	if r.Newest {
		start, step = it.Last, it.Prev
	}
	for valid, n := start(), 0; valid && err == nil && (r.Limit == 0 || n < r.Limit); valid, n = step(), n+1 {
		err = passState(it, r.Damaged, fn)
	}
	return errors.Join(err, it.Close())
}

// passState calls fn with the value that the iterator is at.
func passState(it *pebble.Iterator, damaged func(name string, err error), fn func(name string, value []byte) error) error {
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	kind, name, err := keys.ParseState(it.Key())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	opened, err := openState(kind, name, value)
	switch {
	case err == nil:
		return fn(name, opened)
	case damaged == nil:
		return err
	}
	damaged(name, err)
	return nil
}

// sealState puts the CRC32C behind a value.
func sealState(value []byte) []byte {
	sealed := append(make([]byte, 0, len(value)+4), value...)
	return binary.BigEndian.AppendUint32(sealed, crc32.Checksum(value, castagnoli))
}

// openState is the inverse of sealState, with memory of its own.
func openState(kind, name string, sealed []byte) ([]byte, error) {
	end := len(sealed) - 4
	if end < 0 || crc32.Checksum(sealed[:end], castagnoli) != binary.BigEndian.Uint32(sealed[end:]) {
		return nil, fmt.Errorf("%w: the checksum of the state %s %q is wrong", ErrCorrupt, kind, name)
	}
	return append(make([]byte, 0, end), sealed[:end]...), nil
}

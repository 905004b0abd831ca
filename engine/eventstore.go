package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/wal/record"
)

// encodeEvent writes an event, and a CRC32C of key and value.
func encodeEvent(dst, key []byte, e *Event) []byte {
	start := len(dst)
	dst = record.AppendEvent(dst, e)
	return binary.BigEndian.AppendUint32(dst, keyedChecksum(key, dst[start:]))
}

func decodeEvent(key, value []byte) (Event, error) {
	body, err := checkEvent(key, value)
	if err != nil {
		return Event{}, err
	}
	event, err := record.DecodeEvent(body)
	if err != nil {
		return Event{}, fmt.Errorf("%w: the event under %x: %w", ErrCorrupt, key, err)
	}
	return event, nil
}

// peekEvent reads parts of an event, which are parts of value.
func peekEvent(key, value []byte) (record.EventParts, error) {
	body, err := checkEvent(key, value)
	if err != nil {
		return record.EventParts{}, err
	}
	parts, err := record.PeekEvent(body)
	if err != nil {
		return record.EventParts{}, fmt.Errorf("%w: the event under %x: %w", ErrCorrupt, key, err)
	}
	return parts, nil
}

// checkEvent returns an event's value without its checksum, which must be right.
func checkEvent(key, value []byte) ([]byte, error) {
	end := len(value) - 4
	if end < 0 || binary.BigEndian.Uint32(value[end:]) != keyedChecksum(key, value[:end]) {
		return nil, fmt.Errorf("%w: the checksum of the event under %x is wrong", ErrCorrupt, key)
	}
	return value[:end], nil
}

// encodeEventPlace writes an event's key, without its first byte, and a CRC32C of key and value.
func encodeEventPlace(dst, key []byte, place keys.Event) []byte {
	start := len(dst)
	dst = append(dst, keys.AppendEvent(nil, place)[1:]...)
	return binary.BigEndian.AppendUint32(dst, keyedChecksum(key, dst[start:]))
}

func decodeEventPlace(key, value []byte) (keys.Event, error) {
	end := len(value) - 4
	if end < 0 || binary.BigEndian.Uint32(value[end:]) != keyedChecksum(key, value[:end]) {
		return keys.Event{}, fmt.Errorf("%w: the checksum of the place of an event under %x is wrong", ErrCorrupt, key)
	}
	return keys.ParseEvent(append([]byte{keys.PrefixEvent}, value[:end]...))
}

// findStored looks up which events of a batch the chunk store has. At replay, that may be because an unfinished flush
// has left them there.
func (db *DB) findStored(b *eventBatch) error {
	b.at = db.events.changes.Load()
	if b.stored == nil {
		b.stored = make([]bool, len(b.events))
	}
	for i := range b.events {
		if !b.named[i] {
			continue
		}
		var err error
		if b.stored[i], err = db.isStored(b.events[i].ID); err != nil {
			return fmt.Errorf("look up the event %q: %w", b.events[i].ID, err)
		}
	}
	return nil
}

// isStored reports whether the chunk store has an event under the ID.
func (db *DB) isStored(id string) (bool, error) {
	key := keys.AppendEventID(nil, id)
	value, closer, err := db.chunks.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	place, err := decodeEventPlace(key, value)
	if closeErr := closer.Close(); closeErr != nil {
		return false, closeErr
	}
	if err != nil {
		// Where it is can't be told, but that it was stored can.
		db.opts.Logger.Error("the place of an event is damaged", "event_id", id, "err", err)
		return true, nil
	}
	// An event whose value was damaged when it expired may have left its ID behind.
	_, closer, err = db.chunks.Get(keys.AppendEvent(nil, place))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, closer.Close()
}

// writeEvents writes the events up to the flush's LSN, each together with its ID.
func (f *flusher) writeEvents() error {
	f.events = f.db.events.upTo(f.at.lsn)
	for i := range f.events {
		placed := &f.events[i]
		f.key = keys.AppendEvent(f.key[:0], placed.place)
		f.value = encodeEvent(f.value[:0], f.key, &placed.event)
		if err := f.batch.Set(f.key, f.value, nil); err != nil {
			return err
		}
		f.key = keys.AppendEventID(f.key[:0], placed.event.ID)
		f.value = encodeEventPlace(f.value[:0], f.key, placed.place)
		if err := f.batch.Set(f.key, f.value, nil); err != nil {
			return err
		}
		if err := f.commitIfFull(); err != nil {
			return err
		}
	}
	return nil
}

// dropGroup is how many events are dropped at once, which bounds a batch.
const dropGroup = 4096

// retireEvents drops the events that have expired. It does so by the hour, since what can be dropped together
// costs the chunk store little.
func (db *DB) retireEvents(ctx context.Context, p pass) error {
	expiry := db.eventExpiry.Load()
	due := p.now - int64(db.opts.RetentionGrace)
	if expiry.age == 0 || due < expiry.changed {
		return nil
	}
	before := due - int64(expiry.age)
	before -= before % hour
	for flushed := false; ; {
		begin := db.opts.Now()
		dropped, err := db.dropEvents(expiry, before)
		if errors.Is(err, errStillLogged) && !flushed {
			flushed = true
			if err := db.flushHead(false); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("drop events: %w", err)
		}
		if dropped < dropGroup {
			return nil
		}
		flushed = false
		if err := db.pause(ctx, p, db.opts.Now().Sub(begin)); err != nil {
			return err
		}
	}
}

// errStillLogged says that the log has events that were left out for the sake of those that are to go.
var errStillLogged = errors.New("an event was written again while it expired")

// dropEvents drops a group of the oldest events, and their IDs, if they are older than before and the retention
// is still this one. It returns how many. After errStillLogged, a flush makes it possible.
func (db *DB) dropEvents(expiry *eventExpiry, before int64) (int, error) {
	db.flush.mu.Lock() // so that none comes to the group meanwhile
	defer db.flush.mu.Unlock()
	if before <= 0 || db.eventExpiry.Load() != expiry {
		return 0, nil
	}
	lower, upper := []byte{keys.PrefixEvent}, keys.AppendEvent(nil, keys.Event{Time: before})
	it, err := db.chunks.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return 0, err
	}
	batch := db.chunks.NewBatch()
	defer func() { _ = batch.Close() }()
	var last []byte
	var ids []string
	dropped := 0
	for it.First(); it.Valid() && dropped < dropGroup; it.Next() {
		last = append(last[:0], it.Key()...)
		dropped++
		value, err := it.ValueAndErr()
		if err != nil {
			return 0, errors.Join(err, it.Close())
		}
		event, err := decodeEvent(it.Key(), value)
		if err != nil { // its ID stays behind; isStored sees that it leads nowhere
			db.opts.Logger.Error("an event that has expired is damaged", "err", err)
			continue
		}
		ids = append(ids, event.ID)
		if err := batch.Delete(keys.AppendEventID(nil, event.ID), nil); err != nil {
			return 0, errors.Join(err, it.Close())
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil || dropped == 0 {
		return 0, err
	}
	if err := batch.DeleteRange(lower, append(last, 0), nil); err != nil {
		return 0, err
	}
	if err := db.commitDropped(batch, ids); err != nil {
		return 0, err
	}
	db.opts.Logger.Debug("dropped events", "events", dropped)
	return dropped, nil
}

// commitDropped commits a batch that drops events with these IDs, while none is on its way from log to head.
func (db *DB) commitDropped(batch *pebble.Batch, ids []string) error {
	release := db.pipe.hold()
	defer release()
	if db.events.logged(ids) {
		return errStillLogged
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return err
	}
	db.events.changes.Add(1)
	return nil
}

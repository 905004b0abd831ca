package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/wal"
	"github.com/flopynet/collector/wal/record"
)

// Answer is what a request was answered that wrote something, kept so that the request can be repeated: it
// becomes durable in one frame of the log with what it answers.
type Answer = record.Answer

// AnswerAge is how long answers are kept, unless they are too many.
const AnswerAge = 24 * time.Hour

// MaxAnswerBytes is how large the body of an answer may be that is kept, and maxAnswersBytes how large all may be
// together.
const (
	MaxAnswerBytes  = 4 << 20
	maxAnswersBytes = 64 << 20
)

// answers knows the answers that are kept. The bodies of those that are flushed are in the chunk store alone.
type answers struct {
	most int // Options.MaxAnswers

	mu    sync.Mutex
	byKey map[[32]byte]*keptAnswer
	order []*keptAnswer // by LSN
	size  int           // of all, in bytes
	gone  bool          // the chunk store may have some before the first of order

	unflushed atomic.Int64 // about what those take in memory that are not in the chunk store, in bytes
}

// keptAnswer is an answer with its place.
type keptAnswer struct {
	lsn    wal.LSN
	key    [32]byte
	time   int64
	size   int
	answer *Answer // nil: read it from the chunk store
}

// checkAnswerSize reports why an answer can't be kept.
func checkAnswerSize(a *Answer) error {
	if a != nil && len(a.Body) > MaxAnswerBytes {
		return &LimitError{Limit: "bytes of an answer that is kept", Max: MaxAnswerBytes, Advice: "write smaller batches"}
	}
	return nil
}

// answerBytes is about what an answer takes in memory.
func answerBytes(a *Answer) int {
	const fixed = 320 // the structs, the places in map and list
	return fixed + len(a.ContentType) + len(a.Body)
}

// add keeps an answer, and lets the oldest go if they are too many or too old.
func (s *answers) add(lsn wal.LSN, a *Answer, flushed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.order); n > 0 && s.order[n-1].lsn >= lsn {
		return // replay meets what an unfinished flush has left: the chunk store has it
	}
	kept := &keptAnswer{lsn: lsn, key: a.Key, time: a.Time, size: answerBytes(a)}
	if !flushed {
		kept.answer = a
		s.unflushed.Add(int64(kept.size))
	}
	s.order = append(s.order, kept)
	s.byKey[kept.key] = kept
	s.size += kept.size
	for len(s.order) > s.most || s.size > maxAnswersBytes || a.Time-s.order[0].time >= int64(AnswerAge) {
		s.dropFirst()
	}
}

func (s *answers) dropFirst() {
	first := s.order[0]
	s.order[0], s.order = nil, s.order[1:]
	s.size -= first.size
	if s.byKey[first.key] == first { // else there is a newer one
		delete(s.byKey, first.key)
	}
	if first.answer != nil {
		s.unflushed.Add(-int64(first.size))
	}
	s.gone = true
}

// find returns a copy of what is known of the answer for a key.
func (s *answers) find(key [32]byte) (keptAnswer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept := s.byKey[key]; kept != nil {
		return *kept, true
	}
	return keptAnswer{}, false
}

// upTo returns the answers up to an LSN that are not flushed, and the LSN before which the chunk store is to forget
// all, 0 if it has none of those.
func (s *answers) upTo(lsn wal.LSN) (written []keptAnswer, goneBefore wal.LSN) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kept := range s.order {
		if kept.lsn <= lsn && kept.answer != nil {
			written = append(written, *kept)
		}
	}
	if s.gone && len(s.order) > 0 {
		goneBefore = s.order[0].lsn
	}
	return written, goneBefore
}

// release lets go of the bodies of what upTo returned.
func (s *answers) release(written []keptAnswer, goneBefore wal.LSN) {
	s.mu.Lock()
	defer s.mu.Unlock()
	flushed := make(map[wal.LSN]bool, len(written))
	for i := range written {
		flushed[written[i].lsn] = true
	}
	for _, kept := range s.order {
		if flushed[kept.lsn] && kept.answer != nil {
			kept.answer = nil
			s.unflushed.Add(-int64(kept.size))
		}
	}
	if len(s.order) > 0 && s.order[0].lsn == goneBefore {
		s.gone = false
	}
}

// Answer returns the answer that is kept for a key, nil if there is none. It must not be changed.
func (db *DB) Answer(key [32]byte) (*Answer, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	kept, found := db.answers.find(key)
	if !found || db.opts.Now().UnixNano()-kept.time >= int64(AnswerAge) {
		return nil, nil
	}
	if kept.answer != nil {
		return kept.answer, nil
	}
	stored := keys.AppendAnswer(nil, uint64(kept.lsn))
	value, closer, err := db.chunks.Get(stored)
	if errors.Is(err, pebble.ErrNotFound) { // it went meanwhile
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read an answer: %w", err)
	}
	answer, err := decodeStoredAnswer(stored, value)
	return answer, errors.Join(err, closer.Close())
}

// encodeStoredAnswer writes an answer, and a CRC32C of key and value.
func encodeStoredAnswer(dst, key []byte, a *Answer) []byte {
	start := len(dst)
	dst = record.AppendAnswerBody(dst, a)
	return binary.BigEndian.AppendUint32(dst, keyedChecksum(key, dst[start:]))
}

func decodeStoredAnswer(key, value []byte) (*Answer, error) {
	end := len(value) - 4
	if end < 0 || binary.BigEndian.Uint32(value[end:]) != keyedChecksum(key, value[:end]) {
		return nil, fmt.Errorf("%w: the checksum of the answer under %x is wrong", ErrCorrupt, key)
	}
	answer, err := record.DecodeAnswerBody(value[:end])
	if err != nil {
		return nil, fmt.Errorf("%w: the answer under %x: %w", ErrCorrupt, key, err)
	}
	return answer, nil
}

// loadAnswers learns which answers the chunk store has. One that is damaged is forgotten, since nothing else tells
// whose it was.
func (db *DB) loadAnswers() error {
	return db.eachKey([]byte{keys.PrefixAnswer}, func(key, value []byte) error {
		lsn, err := keys.ParseAnswer(key)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		answer, err := decodeStoredAnswer(key, value)
		if err != nil {
			db.opts.Logger.Error("an answer that was kept is damaged; its request would be done again", "err", err)
			return nil
		}
		db.answers.add(wal.LSN(lsn), answer, true)
		return nil
	})
}

// writeAnswers writes the answers up to the flush's LSN, and drops those that are not kept any more.
func (f *flusher) writeAnswers() error {
	f.answers, f.answersBefore = f.db.answers.upTo(f.at.lsn)
	if f.answersBefore > 0 {
		if err := f.batch.DeleteRange([]byte{keys.PrefixAnswer}, keys.AppendAnswer(nil, uint64(f.answersBefore)), nil); err != nil {
			return err
		}
	}
	for i := range f.answers {
		f.key = keys.AppendAnswer(f.key[:0], uint64(f.answers[i].lsn))
		f.value = encodeStoredAnswer(f.value[:0], f.key, f.answers[i].answer)
		if err := f.batch.Set(f.key, f.value, nil); err != nil {
			return err
		}
		if err := f.commitIfFull(); err != nil {
			return err
		}
	}
	return nil
}

// unflushedBytes is about what events and answers take in memory until they are flushed.
func (db *DB) unflushedBytes() int64 { return db.events.size.Load() + db.answers.unflushed.Load() }

package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/internal/keys"
)

// answerOf makes an answer for the request of a number, received at a time.
func answerOf(number int, at int64) *Answer {
	a := &Answer{Time: at, Status: 200, ContentType: "application/json", Body: fmt.Appendf(nil, "answer %d", number)}
	copy(a.Key[:], fmt.Sprintf("key %d", number))
	copy(a.Request[:], fmt.Sprintf("request %d", number))
	return a
}

// writeAnswer writes a batch with nothing in it but an answer.
func (w *world) writeAnswer(a *Answer) {
	w.t.Helper()
	var batch Batch
	batch.SetAnswer(a)
	if err := w.db.Write(&batch); err != nil {
		w.t.Fatal(err)
	}
}

// answer returns the body that is kept for a number, "" if there is none.
func (w *world) answer(number int) string {
	w.t.Helper()
	want := answerOf(number, 0)
	got, err := w.db.Answer(want.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	if got == nil {
		return ""
	}
	want.Time, want.Body = got.Time, got.Body
	if !cmp.Equal(got, want) {
		w.t.Errorf("answer %d is %+v", number, got)
	}
	return string(got.Body)
}

func (w *world) wantAnswers(when string, from, to, gone int) {
	w.t.Helper()
	for number := range to {
		want := ""
		if number >= from {
			want = fmt.Sprint("answer ", number)
		}
		if got := w.answer(number); got != want {
			w.t.Errorf("%s: answer %d is %q, want %q", when, number, got, want)
		}
	}
	stored := 0
	if err := w.db.eachKey([]byte{keys.PrefixAnswer}, func(_, _ []byte) error { stored++; return nil }); err != nil {
		w.t.Fatal(err)
	}
	if most := to - gone; stored > most {
		w.t.Errorf("%s: %d answers are stored, at most %d should be", when, stored, most)
	}
}

// TestAnswersAreBounded keeps the latest, through flushes, restarts and crashes.
func TestAnswersAreBounded(t *testing.T) {
	w := newWorld(t, Options{MaxAnswers: 10})
	written := 0
	write := func(n int) {
		for range n {
			w.writeAnswer(answerOf(written, w.now.Load()))
			written++
		}
	}
	write(7)
	w.wantAnswers("few", 0, 7, 0)
	w.flush()
	write(6)
	w.wantAnswers("some flushed", 3, 13, 0)
	w.restart(true)
	w.wantAnswers("after a crash", 3, 13, 0)
	w.flush()
	w.wantAnswers("after a flush", 3, 13, 3)
	if n := w.db.answers.unflushed.Load(); n != 0 {
		t.Errorf("%d bytes are not flushed", n)
	}
	w.restart(true)
	w.wantAnswers("after a flush and a crash", 3, 13, 3)
	write(20)
	w.flush()
	w.restart(false)
	w.wantAnswers("at the end", 23, 33, 23)
	w.setNow(w.now.Load() + int64(AnswerAge) - 1)
	w.wantAnswers("nearly a day later", 23, 33, 23)
	w.setNow(w.now.Load() + 1)
	w.wantAnswers("a day later", 33, 33, 23)
	write(1)
	w.flush()
	w.wantAnswers("with one of that day", 33, 34, 33)
}

// TestAnswersOfOneKey keeps the later of two.
func TestAnswersOfOneKey(t *testing.T) {
	w := newWorld(t, Options{MaxAnswers: 2})
	first, second := answerOf(1, w.now.Load()), answerOf(1, w.now.Load())
	second.Body = []byte("second")
	w.writeAnswer(first)
	w.flush()
	w.writeAnswer(second)
	for _, step := range []func(){func() {}, w.flush, func() { w.restart(true) }, func() { w.writeAnswer(answerOf(2, w.now.Load())) }} {
		step()
		if got := w.answer(1); got != "second" {
			t.Errorf("the answer is %q", got)
		}
	}
}

// TestAnswerComesWithItsEvents checks that an answer sees the IDs that events are given, and that too large a one is
// refused with all of its batch.
func TestAnswerComesWithItsEvents(t *testing.T) {
	w := newWorld(t, Options{})
	events := []Event{event("", 1, "x")}
	answer := answerOf(1, w.now.Load())
	if err := w.db.WriteEventsAnswered(context.Background(), events, func() *Answer {
		answer.Body = []byte(events[0].ID)
		return answer
	}); err != nil {
		t.Fatal(err)
	}
	w.restart(true)
	w.wantEvents("after a crash", w.answer(1)+" x")

	large := answerOf(2, w.now.Load())
	large.Body = make([]byte, MaxAnswerBytes+1)
	var limit *LimitError
	var batch Batch
	batch.SetAnswer(large)
	if err := w.db.Write(&batch); !errors.As(err, &limit) {
		t.Errorf("too large an answer: %v", err)
	}
	err := w.db.WriteEventsAnswered(context.Background(), []Event{event("y", 2, "y")}, func() *Answer { return large })
	if !errors.As(err, &limit) || len(w.events()) != 1 {
		t.Errorf("too large an answer: %v, %q", err, w.events())
	}
}

// TestAnswerDamage damages an answer: it is never given, and the others are.
func TestAnswerDamage(t *testing.T) {
	w := newWorld(t, Options{})
	for number := range 3 {
		w.writeAnswer(answerOf(number, w.now.Load()))
	}
	w.flush()
	var key, value []byte
	if err := w.db.eachKey([]byte{keys.PrefixAnswer}, func(k, v []byte) error {
		key, value = bytes.Clone(k), bytes.Clone(v)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	value[len(value)/2] ^= 1
	if err := w.db.chunks.Set(key, value, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if got, err := w.db.Answer(answerOf(2, 0).Key); !errors.Is(err, ErrCorrupt) || got != nil {
		t.Errorf("a damaged answer is %+v, %v", got, err)
	}
	w.restart(false)
	w.wantAnswers("after a restart", 0, 2, -1)
	if got := w.answer(2); got != "" {
		t.Errorf("a damaged answer is %q", got)
	}
}

// TestUnflushedAnswersAreBounded writes large answers faster than they are flushed.
func TestUnflushedAnswersAreBounded(t *testing.T) {
	w := newWorld(t, Options{FlushEventBytes: 64 << 10, FlushInterval: time.Hour})
	for number := range 200 {
		large := answerOf(number, w.now.Load())
		large.Body = append(large.Body, make([]byte, 8<<10)...)
		var batch Batch
		batch.SetAnswer(large)
		err := w.db.Write(&batch)
		if errors.Is(err, ErrBehind) {
			w.flush()
			err = w.db.Write(&batch)
		}
		if err != nil {
			t.Fatal(err)
		}
		if size := w.db.unflushedBytes(); size > 5*64<<10 {
			t.Fatalf("%d bytes in memory", size)
		}
	}
}

// TestAnswerOptions refuses bounds that nothing could be kept within.
func TestAnswerOptions(t *testing.T) {
	for _, opts := range []Options{{MaxAnswers: -1}, {FlushEventBytes: -1}} {
		opts.FS = vfs.NewMem()
		db, err := Open("data", opts)
		if err == nil {
			t.Errorf("%+v is taken", opts)
			closeDB(t, db)
		}
	}
}

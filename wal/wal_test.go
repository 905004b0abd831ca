package wal

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestAppendRefuses(t *testing.T) {
	log, err := Open(Options{FS: newTestFS(t), Dir: testDir})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Append(1, 1, nil); !errors.Is(err, errNotReplayed) {
		t.Errorf("before Replay: %v", err)
	}
	if err := log.Sync(); !errors.Is(err, errNotReplayed) {
		t.Errorf("before Replay: %v", err)
	}
	if result, err := log.Replay(10, nil); err != nil || result.LastLSN != 10 {
		t.Fatalf("replay: %+v, %v", result, err)
	}
	if _, err := log.Replay(10, nil); !errors.Is(err, errReplayed) {
		t.Errorf("a second Replay: %v", err)
	}
	tests := []struct {
		name        string
		first, last LSN
		payload     []byte
		want        string
	}{
		{"a repeated LSN", 10, 11, nil, "can't follow LSN 10"},
		{"a skipped LSN", 12, 12, nil, "can't follow LSN 10"},
		{"no LSN", 11, 10, nil, "can't follow LSN 10"},
		{"too many LSNs", 11, 11 + math.MaxUint32, nil, "can't follow LSN 10"},
		{"too large a payload", 11, 11, make([]byte, MaxFrameBytes+1), "exceeds the limit"},
	}
	for _, test := range tests {
		if err := log.Append(test.first, test.last, test.payload); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if err := log.Append(11, 12, []byte("good")); err != nil {
		t.Errorf("after the refusals: %v", err)
	}
	if err := log.Sync(); err != nil {
		t.Errorf("after the refusals: %v", err)
	}
}

func TestOpenRefusesSegmentSize(t *testing.T) {
	for _, size := range []int64{-1, maxSegmentSize + 1} {
		if _, err := Open(Options{FS: newTestFS(t), Dir: testDir, SegmentBytes: size}); err == nil {
			t.Errorf("%d bytes are accepted", size)
		}
	}
}

func TestRotationAndTruncation(t *testing.T) {
	fs := newTestFS(t)
	log, err := Open(Options{FS: fs, Dir: testDir, SegmentBytes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Replay(0, nil); err != nil {
		t.Fatal(err)
	}
	log.Rotate() // nothing to rotate
	for lsn := LSN(1); lsn <= 10; lsn++ {
		if err := log.Append(lsn, lsn, make([]byte, 400)); err != nil { // 440 with its frame: two a segment
			t.Fatal(err)
		}
	}
	check := func(what string, segments int, size int64) {
		t.Helper()
		if log.SegmentCount() != segments || log.Size() != size {
			t.Errorf("%s: %d segments of %d bytes, want %d of %d", what, log.SegmentCount(), log.Size(), segments, size)
		}
		names, err := fs.List(testDir)
		if err != nil || len(names) != segments {
			t.Errorf("%s: files %q, %v", what, names, err)
		}
	}
	truncate := func(through LSN) {
		t.Helper()
		if err := log.Truncate(through); err != nil {
			t.Fatal(err)
		}
	}
	check("appended", 5, 5*928)
	truncate(3)
	check("truncated in the middle of the second segment", 4, 4*928)
	truncate(4)
	check("truncated to its end", 3, 3*928)
	truncate(100)
	check("truncated beyond the end", 1, 928)
	log.Rotate()
	truncate(100)
	check("rotated, nothing appended", 1, 928)
	if err := log.Append(11, 11, make([]byte, 2000)); err != nil {
		t.Fatal(err)
	}
	check("a frame larger than a segment", 2, 928+2088)
	truncate(10)
	check("the older one truncated", 1, 2088)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}

	got := replayAfter(t, fs, 10)
	if len(got.frames) != 1 || len(got.result.Damage) != 0 {
		t.Errorf("replay of the rest: %+v", got.result)
	}
	if err := got.log.Truncate(11); err != nil || got.log.SegmentCount() != 1 {
		t.Errorf("the newest segment must stay: %d, %v", got.log.SegmentCount(), err)
	}
}

func TestReplayPassesErrorsOn(t *testing.T) {
	b := newBuilder(t)
	threeSegments(b)
	log, err := Open(Options{FS: b.fs, Dir: testDir})
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("unknown series")
	if _, err := log.Replay(0, func(f Frame) error {
		if f.First == 4 {
			return stop
		}
		return nil
	}); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if err := log.Append(7, 7, nil); !errors.Is(err, errNotReplayed) {
		t.Errorf("an append behind a failed replay: %v", err)
	}
	if result, err := log.Replay(0, func(Frame) error { return nil }); err != nil || result.Frames != 6 {
		t.Errorf("the second try: %+v, %v", result, err)
	}
}

// TestReplayOfLargeFrames crosses the reader's window at every place: frames larger than it, headers and
// magics cut by its end, and searches for the next frame over several windows.
func TestReplayOfLargeFrames(t *testing.T) {
	b := newBuilder(t)
	sizes := []int{3 * windowBytes, 10, windowBytes - 200, 17, 2*windowBytes + 5, 0, windowBytes, 100}
	for shift := range 60 {
		sizes = append(sizes, windowBytes/2-frameOverhead-shift%2)
	}
	for i, size := range sizes {
		lsn := LSN(i + 1)
		if err := b.log.Append(lsn, lsn, bytes.Repeat([]byte{0xff, 'F', byte(i)}, size/3+1)[:size]); err != nil {
			t.Fatal(err)
		}
		if err := b.log.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	got := replayAfter(t, b.fs, 0)
	if len(got.frames) != len(sizes) || len(got.result.Damage) > 0 {
		t.Fatalf("%d frames of %d, damage %v", len(got.frames), len(sizes), got.result.Damage)
	}
	for i, f := range got.frames {
		if len(f.Payload) != sizes[i] || len(f.Payload) > 2 && f.Payload[2] != byte(i) {
			t.Errorf("frame %d has %d bytes, want %d", i, len(f.Payload), sizes[i])
		}
	}

	b.edit(1, flipByte(segmentHeader)) // the magic of the largest frame: the search begins in its payload
	got = replayAfter(t, b.fs, 0)
	if len(got.frames) != len(sizes)-1 || len(got.result.Damage) != 1 {
		t.Errorf("%d frames, damage %v", len(got.frames), got.result.Damage)
	}
}

// TestReplayTakesNoMemoryForBadLengths replays a header that promises more than the file holds.
func TestReplayTakesNoMemoryForBadLengths(t *testing.T) {
	fs := newTestFS(t)
	if err := fs.MkdirAll(testDir, 0o755); err != nil {
		t.Fatal(err)
	}
	data := appendHeader(nil, header{segment: 1})
	huge := appendFrame(nil, frame{segment: 1, first: 1, count: 1}, make([]byte, MaxFrameBytes))
	writeFile(t, fs, segmentName(1), append(data, huge[:frameHeader]...))
	log, err := Open(Options{FS: fs, Dir: testDir})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	result, err := log.Replay(0, nil)
	runtime.ReadMemStats(&after)
	if err != nil || result.TornBytes != frameHeader {
		t.Fatalf("%+v, %v", result, err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > windowBytes {
		t.Errorf("%d bytes were allocated for a file of %d", got, len(data)+frameHeader)
	}
}

// TestConcurrentTruncation runs what may be called beside Append, for the race detector.
func TestConcurrentTruncation(t *testing.T) {
	fs := newTestFS(t)
	log, err := Open(Options{FS: fs, Dir: testDir, SegmentBytes: 500})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Replay(0, nil); err != nil {
		t.Fatal(err)
	}
	synced := make(chan LSN, 1000)
	var group sync.WaitGroup
	group.Go(func() {
		for lsn := range synced {
			if log.Size() <= 0 || log.SegmentCount() <= 0 {
				t.Error("an empty log")
			}
			if lsn%20 == 0 {
				log.Rotate()
			}
			if err := log.Truncate(lsn - 1); err != nil {
				t.Error(err)
			}
		}
	})
	for lsn := LSN(1); lsn <= 500; lsn++ {
		if err := log.Append(lsn, lsn, fmt.Appendf(nil, "%0100d", lsn)); err != nil {
			t.Fatal(err)
		}
		if err := log.Sync(); err != nil {
			t.Fatal(err)
		}
		synced <- lsn
	}
	close(synced)
	group.Wait()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	got := replayAfter(t, fs, 499)
	if len(got.frames) != 1 || got.result.LastLSN != 500 {
		t.Errorf("replay found %+v", got.result)
	}
}

// TestOnRealFiles runs the log on the operating system's files once.
func TestOnRealFiles(t *testing.T) {
	opts := Options{FS: vfs.Default, Dir: t.TempDir() + "/wal", SegmentBytes: 300}
	for round := range 3 {
		log, err := Open(opts)
		if err != nil {
			t.Fatal(err)
		}
		frames := 0
		result, err := log.Replay(0, func(f Frame) error {
			frames++
			if !bytes.Equal(f.Payload, testPayload(f.First)) {
				t.Errorf("frame %d holds %q", f.First, f.Payload)
			}
			return nil
		})
		if err != nil || frames != round*10 || len(result.Damage) > 0 {
			t.Fatalf("round %d: %d frames, %+v, %v", round, frames, result, err)
		}
		for range 10 {
			result.LastLSN++
			if err := log.Append(result.LastLSN, result.LastLSN, testPayload(result.LastLSN)); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

package wal

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
)

// crashState is a state in which a log can be found, and what Replay must make of it.
type crashState struct {
	name       string
	build      func(b *builder) // on a log that is open and empty
	after      LSN
	want       []LSN // the first LSN of each frame delivered
	last       LSN   // ReplayResult.LastLSN; 0: that of want's end
	torn       bool
	tornFrames int
	damage     []string // each: segment number, offset, bytes, a part of the reason
	once       bool     // the damage is in a segment that nothing is known of, and which is not read again
}

// at says where damage is expected: a frame of the log that makeSegments builds.
func at(p place, reason string) string {
	return fmt.Sprintf("%d %d %d %s", p.segment, p.offset, p.size, reason)
}

var crashStates = []crashState{
	{name: "empty folder", build: func(b *builder) { b.close() }},
	{name: "clean", build: func(b *builder) { b.append(3); b.close() }, want: []LSN{1, 2, 3}},
	{name: "not closed", build: func(b *builder) { b.append(3) }, want: []LSN{1, 2, 3}},
	{name: "above a checkpoint", build: func(b *builder) { b.append(5) }, after: 3, want: []LSN{4, 5}},
	{name: "all below the checkpoint", build: func(b *builder) { b.append(3) }, after: 9, last: 9},
	{name: "written and not synced, and there", build: func(b *builder) { b.append(1); b.appendUnsynced(2) }, want: []LSN{1, 2, 3}},

	{name: "torn header", build: func(b *builder) { b.append(3); b.cut(3, frameHeader-1) }, want: []LSN{1, 2}, torn: true},
	{name: "torn first byte", build: func(b *builder) { b.append(3); b.cut(3, 1) }, want: []LSN{1, 2}, torn: true},
	{name: "torn payload", build: func(b *builder) { b.append(3); b.cut(3, frameHeader+5) }, want: []LSN{1, 2}, torn: true},
	{name: "torn trailer", build: func(b *builder) { b.append(3); b.cut(3, b.places[3].size-1) }, want: []LSN{1, 2}, torn: true},
	{name: "torn only frame", build: func(b *builder) { b.append(1); b.cut(1, 20) }, torn: true},
	{name: "frame ends at its begin", build: func(b *builder) { b.append(3); b.cut(3, 0) }, want: []LSN{1, 2}},
	{name: "zeros for a frame", build: func(b *builder) { b.append(3); b.zero(3, 0, 0) }, want: []LSN{1, 2}, torn: true},
	{name: "zeros for a header", build: func(b *builder) { b.append(3); b.zero(3, 0, frameHeader) }, want: []LSN{1, 2}, torn: true},
	{name: "zeros for a payload's end", build: func(b *builder) { b.append(3); b.zero(3, frameHeader+2, 0) }, want: []LSN{1, 2}, torn: true},
	{name: "zeros behind the last frame", build: func(b *builder) {
		b.append(3)
		b.edit(1, func(data []byte) []byte { return append(data, make([]byte, 5000)...) })
	}, want: []LSN{1, 2, 3}, torn: true},
	{name: "bit flip in the last frame", build: func(b *builder) { b.append(3); b.flip(3, frameHeader) }, want: []LSN{1, 2}, torn: true},
	{name: "hole among frames never synced", build: func(b *builder) { b.append(1); b.appendUnsynced(4); b.zero(3, 0, 0) },
		want: []LSN{1, 2}, torn: true, tornFrames: 2},
	{name: "two holes among frames never synced", build: func(b *builder) {
		b.append(1)
		b.appendUnsynced(5)
		b.zero(3, 0, 0)
		b.zero(5, 40, 0)
	}, want: []LSN{1, 2}, torn: true, tornFrames: 3},
	{name: "hole in frames synced together, nothing behind", build: func(b *builder) {
		b.appendUnsynced(3)
		b.append(1)
		b.zero(2, 0, 0)
	}, want: []LSN{1}, torn: true, tornFrames: 2},
}

// damageStates are those in which something durable is gone.
func damageStates() []crashState {
	place := framePlaces()
	return []crashState{
		{name: "bit flip in a middle payload", build: func(b *builder) { b.append(5); b.flip(3, frameHeader+1) },
			want: []LSN{1, 2, 4, 5}, damage: []string{at(place(3), "payload")}},
		{name: "bit flip in a middle magic", build: func(b *builder) { b.append(5); b.flip(3, 0) },
			want: []LSN{1, 2, 4, 5}, damage: []string{at(place(3), "no frame begins")}},
		{name: "bit flip in a middle length", build: func(b *builder) { b.append(5); b.flip(3, 28) },
			want: []LSN{1, 2, 4, 5}, damage: []string{at(place(3), "header's checksum")}},
		{name: "bit flip in a middle trailer", build: func(b *builder) { b.append(5); b.flip(3, b.places[3].size-1) },
			want: []LSN{1, 2, 4, 5}, damage: []string{at(place(3), "payload")}},
		{name: "bit flip in the first frame", build: func(b *builder) { b.append(3); b.flip(1, 50) },
			want: []LSN{2, 3}, damage: []string{at(place(1), "payload")}},
		{name: "bad frame, then a good one that says it was durable", build: func(b *builder) {
			b.appendUnsynced(3)
			b.append(1)
			b.append(1)
			b.zero(2, 0, 0)
		}, want: []LSN{1, 3, 4, 5}, damage: []string{at(place(2), "no frame begins")}},
		{name: "decay, and a torn tail", build: func(b *builder) { b.append(6); b.flip(2, 40); b.cut(6, 9) },
			want: []LSN{1, 3, 4, 5}, torn: true, damage: []string{at(place(2), "payload")}},
		{name: "two bad frames, neighbours", build: func(b *builder) { b.append(5); b.flip(2, 40); b.flip(3, 3) }, want: []LSN{1, 4, 5},
			damage: []string{fmt.Sprintf("1 %d %d payload", place(2).offset, place(2).size+place(3).size)}},
		{name: "stale frame of another segment", build: func(b *builder) {
			b.append(5)
			p := b.places[3]
			b.edit(1, func(data []byte) []byte {
				stale := frame{segment: 77, first: 3, count: 1, synced: uint32(p.offset)}
				copy(data[p.offset:], appendFrame(nil, stale, testPayload(3)))
				return data
			})
		}, want: []LSN{1, 2, 4, 5}, damage: []string{at(place(3), "belongs to segment 77")}},
		{name: "frame written twice", build: func(b *builder) {
			b.append(3)
			p := b.places[2]
			b.edit(1, func(data []byte) []byte { return append(data, data[p.offset:p.offset+p.size]...) })
		}, want: []LSN{1, 2, 3}, damage: []string{fmt.Sprintf("1 %d %d stands behind LSN 3", place(4).offset, place(2).size)}},
		{name: "frame cut out without a trace", build: func(b *builder) {
			b.append(3)
			p := b.places[2]
			b.edit(1, func(data []byte) []byte {
				rest := frame{segment: 1, first: 3, count: 1, synced: uint32(p.offset)}
				return appendFrame(data[:p.offset], rest, testPayload(3))
			})
		}, want: []LSN{1, 3}, damage: []string{fmt.Sprintf("1 %d 0 LSN 2 to 2 are missing", place(2).offset)}},
		{name: "bad segment header", build: func(b *builder) { b.append(3); b.edit(1, flipByte(13)) },
			want: []LSN{1, 2, 3}, damage: []string{"1 0 48 checksum"}},
		{name: "bad segment header and nothing else good", build: func(b *builder) {
			b.append(1)
			b.edit(1, func(data []byte) []byte { return make([]byte, len(data)) })
		}, torn: true, damage: []string{"1 0 48 checksum"}, once: true},
	}
}

// framePlaces returns where frames of one LSN each stand in a first segment.
func framePlaces() func(LSN) place {
	return func(lsn LSN) place {
		p := place{segment: 1, offset: segmentHeader}
		for i := LSN(1); ; i++ {
			p.size = frameOverhead + int64(len(testPayload(i)))
			if i == lsn {
				return p
			}
			p.offset += p.size
		}
	}
}

func flipByte(offset int64) func([]byte) []byte {
	return func(data []byte) []byte {
		data[offset] ^= 0x10
		return data
	}
}

// threeSegments leaves frames 1 2, 3 4 and 5 6 in segments 1, 2 and 3.
func threeSegments(b *builder) {
	for range 3 {
		b.append(2)
		b.log.Rotate()
	}
	b.close()
}

// segmentStates are those of logs with several segments.
var segmentStates = []crashState{
	{name: "three segments", build: threeSegments, want: []LSN{1, 2, 3, 4, 5, 6}},
	{name: "new segment without a byte", build: func(b *builder) {
		threeSegments(b)
		writeFile(b.t, b.fs, segmentName(4), nil)
	}, want: []LSN{1, 2, 3, 4, 5, 6}},
	{name: "new segment with half a header", build: func(b *builder) {
		threeSegments(b)
		writeFile(b.t, b.fs, segmentName(4), appendHeader(nil, header{segment: 4, previous: 3})[:20])
	}, want: []LSN{1, 2, 3, 4, 5, 6}},
	{name: "new segment with zeros for a header", build: func(b *builder) {
		threeSegments(b)
		writeFile(b.t, b.fs, segmentName(4), make([]byte, segmentHeader))
	}, want: []LSN{1, 2, 3, 4, 5, 6}},
	{name: "new segment with a header only", build: func(b *builder) {
		threeSegments(b)
		b.open()
		b.append(1)
		b.cut(7, 0)
	}, want: []LSN{1, 2, 3, 4, 5, 6}},
	{name: "new segment whose name is lost", build: func(b *builder) {
		threeSegments(b)
		b.open()
		b.appendUnsynced(1)
		b.remove(4)
	}, want: []LSN{1, 2, 3, 4, 5, 6}},
	{name: "torn tail, then an unfinished segment", build: func(b *builder) {
		threeSegments(b)
		b.cut(6, 50)
		writeFile(b.t, b.fs, segmentName(4), nil)
	}, want: []LSN{1, 2, 3, 4, 5}, torn: true},
	{name: "torn tail that was cut, then more", build: func(b *builder) {
		b.append(3)
		b.cut(3, 50)
		b.open()
		b.append(2)
	}, want: []LSN{1, 2, 3, 4}},
	{name: "holes that were cut, then more with the same LSNs", build: func(b *builder) {
		b.append(1)
		b.appendUnsynced(4)
		b.zero(3, 0, 0)
		b.open()
		b.append(5)
	}, want: []LSN{1, 2, 3, 4, 5, 6, 7}},
	{name: "unfinished segment that came back", build: func(b *builder) {
		threeSegments(b)
		writeFile(b.t, b.fs, segmentName(4), make([]byte, 9))
		b.open()
		b.append(1)
		writeFile(b.t, b.fs, segmentName(4), make([]byte, 9))
	}, want: []LSN{1, 2, 3, 4, 5, 6, 7}},
	{name: "bad last frame of a middle segment", build: func(b *builder) { threeSegments(b); b.flip(4, 44) },
		want: []LSN{1, 2, 3, 5, 6}, damage: []string{"2 124 85 payload"}},
	{name: "middle segment cut short", build: func(b *builder) { threeSegments(b); b.cut(4, 0) },
		want: []LSN{1, 2, 3, 5, 6}, damage: []string{"2 124 85 was 209 bytes long and is now 124"}},
	{name: "middle segment empty", build: func(b *builder) {
		threeSegments(b)
		b.edit(2, func([]byte) []byte { return nil })
	}, want: []LSN{1, 2, 5, 6}, damage: []string{"2 0 209 was 209 bytes long"}},
	{name: "middle segment missing", build: func(b *builder) { threeSegments(b); b.remove(2) },
		want: []LSN{1, 2, 5, 6}, damage: []string{"2 0 0 LSN 3 to 4"}},
	{name: "two segments missing", build: func(b *builder) { threeSegments(b); b.remove(1); b.remove(2) },
		want: []LSN{5, 6}, damage: []string{"2 0 0 LSN 1 to 4"}},
	{name: "segments missing below the checkpoint", build: func(b *builder) { threeSegments(b); b.remove(1); b.remove(2) },
		after: 4, want: []LSN{5, 6}},
	{name: "truncation that lost only the younger segment", build: func(b *builder) { threeSegments(b); b.remove(2) },
		after: 5, want: []LSN{6}},
	{name: "checkpoint inside a missing segment", build: func(b *builder) { threeSegments(b); b.remove(2) },
		after: 3, want: []LSN{5, 6}, damage: []string{"2 0 0 LSN 4 to 4"}},
	{name: "bad header of a middle segment", build: func(b *builder) { threeSegments(b); b.edit(2, flipByte(47)) },
		want: []LSN{1, 2, 3, 4, 5, 6}, damage: []string{"2 0 48 checksum"}},
	{name: "segment under another's name", build: func(b *builder) {
		threeSegments(b)
		writeFile(b.t, b.fs, segmentName(2), readFile(b.t, b.fs, segmentName(1)))
	}, want: []LSN{1, 2, 5, 6}, damage: []string{"2 0 48 that of segment 1", "2 48 125 belongs to segment 1", "2 173 36 is now 173"}},
	{name: "damage below the checkpoint, in a segment not needed", build: func(b *builder) { threeSegments(b); b.flip(1, 40) },
		after: 4, want: []LSN{5, 6}},
	{name: "other files", build: func(b *builder) {
		threeSegments(b)
		for _, name := range []string{"LOCK", "0000000000000009.wal.bak", "9.wal", "0000000000000000.wal", "000000000000000A.wal"} {
			writeFile(b.t, b.fs, name, []byte("something else"))
		}
	}, want: []LSN{1, 2, 3, 4, 5, 6}},
}

func TestCrashStates(t *testing.T) {
	states := append(append(damageStates(), crashStates...), segmentStates...)
	for _, state := range states {
		t.Run(state.name, func(t *testing.T) {
			b := newBuilder(t)
			state.build(b)
			first := replayAfter(t, b.fs, state.after)
			checkReplay(t, state, first)
			if t.Failed() {
				return
			}

			// Whatever the state was, the log goes on, and the next start finds what this one found.
			next := first.result.LastLSN + 1
			if err := first.log.Append(next, next+1, []byte("more")); err != nil {
				t.Fatal(err)
			}
			if err := first.log.Close(); err != nil {
				t.Fatal(err)
			}
			second := replayAfter(t, b.fs, state.after)
			first.frames = append(first.frames, Frame{First: next, Last: next + 1, Payload: []byte("more")})
			if diff := cmp.Diff(first.frames, second.frames); diff != "" {
				t.Errorf("after going on, frames differ (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(first.result.Damage, second.result.Damage); diff != "" && !state.once {
				t.Errorf("after going on, damage differs (-first +second):\n%s", diff)
			}
			if second.result.TornBytes != 0 {
				t.Errorf("after going on, %d bytes are torn again", second.result.TornBytes)
			}
		})
	}
}

type replayed struct {
	log    *Log
	frames []Frame // without File and Offset
	result ReplayResult
}

func replayAfter(t *testing.T, fs vfs.FS, after LSN) replayed {
	t.Helper()
	log, err := Open(Options{FS: fs, Dir: testDir})
	if err != nil {
		t.Fatal(err)
	}
	r := replayed{log: log}
	r.result, err = log.Replay(after, func(f Frame) error {
		r.frames = append(r.frames, Frame{First: f.First, Last: f.Last, Payload: bytes.Clone(f.Payload)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func checkReplay(t *testing.T, state crashState, got replayed) {
	t.Helper()
	var firsts []LSN
	for _, f := range got.frames {
		firsts = append(firsts, f.First)
		if !bytes.Equal(f.Payload, testPayload(f.First)) {
			t.Errorf("frame %d holds %q", f.First, f.Payload)
		}
	}
	if diff := cmp.Diff(state.want, firsts); diff != "" {
		t.Errorf("frames differ (-want +got):\n%s", diff)
	}
	last := state.last
	if last == 0 && len(state.want) > 0 {
		last = state.want[len(state.want)-1]
	}
	if got.result.LastLSN != last || got.result.Frames != len(firsts) {
		t.Errorf("LastLSN is %d with %d frames, want %d with %d", got.result.LastLSN, got.result.Frames, last, len(firsts))
	}
	if (got.result.TornBytes > 0) != state.torn || got.result.TornFrames != state.tornFrames {
		t.Errorf("%d bytes and %d frames are torn, want %v and %d", got.result.TornBytes, got.result.TornFrames, state.torn, state.tornFrames)
	}
	if len(got.result.Damage) != len(state.damage) {
		t.Fatalf("damage %v, want %q", got.result.Damage, state.damage)
	}
	for i, damage := range got.result.Damage {
		number, _ := parseSegmentName(damage.File)
		place := fmt.Sprintf("%d %d %d", number, damage.Offset, damage.Bytes)
		words := strings.SplitN(state.damage[i], " ", 4)
		if place != strings.Join(words[:3], " ") || !strings.Contains(damage.Reason, words[3]) {
			t.Errorf("damage %v, want %q", damage, state.damage[i])
		}
	}
}

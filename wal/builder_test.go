package wal

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const testDir = "/data/wal"

// builder writes a log through Log and then does to its files what a crash or a bad disk would.
type builder struct {
	t      *testing.T
	fs     *vfs.MemFS
	log    *Log
	next   LSN
	places map[LSN]place // of each frame, by its first LSN
}

type place struct {
	segment      uint64
	offset, size int64
}

func newBuilder(t *testing.T) *builder {
	b := &builder{t: t, fs: newTestFS(t), next: 1, places: map[LSN]place{}}
	b.open()
	return b
}

func newTestFS(t *testing.T) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	if err := fs.MkdirAll(testDir[:len(testDir)-len("/wal")], 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/", "/data"} {
		if err := syncDir(fs, dir); err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

// testPayload is recognisable, of a length that depends on the LSN.
func testPayload(first LSN) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "<frame %d>", first), 1+int(first%7))
}

// open replays the log and readies it for more.
func (b *builder) open() ReplayResult {
	b.t.Helper()
	var err error
	if b.log, err = Open(Options{FS: b.fs, Dir: testDir}); err != nil {
		b.t.Fatal(err)
	}
	result, err := b.log.Replay(0, func(Frame) error { return nil })
	if err != nil {
		b.t.Fatal(err)
	}
	b.next = result.LastLSN + 1
	return result
}

// append writes frames of one LSN each and makes each durable before the next, as the engine does.
func (b *builder) append(frames int) {
	b.t.Helper()
	for range frames {
		b.appendUnsynced(1)
		if err := b.log.Sync(); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *builder) appendUnsynced(frames int) {
	b.t.Helper()
	for range frames {
		payload := testPayload(b.next)
		if err := b.log.Append(b.next, b.next, payload); err != nil {
			b.t.Fatal(err)
		}
		size := frameOverhead + int64(len(payload))
		b.places[b.next] = place{b.log.header.segment, b.log.size - size, size}
		b.next++
	}
}

func (b *builder) close() {
	b.t.Helper()
	if err := b.log.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// edit replaces a segment's bytes.
func (b *builder) edit(segment uint64, change func([]byte) []byte) {
	b.t.Helper()
	writeFile(b.t, b.fs, segmentName(segment), change(readFile(b.t, b.fs, segmentName(segment))))
}

func readFile(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	file, err := fs.Open(fs.PathJoin(testDir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t testing.TB, fs vfs.FS, name string, data []byte) {
	t.Helper()
	file, err := fs.Create(fs.PathJoin(testDir, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(bytes.Clone(data)); err != nil { // Write may change what it is given
		t.Fatal(err)
	}
}

// cut ends the segment of a frame so many bytes behind the frame's begin.
func (b *builder) cut(lsn LSN, keep int64) {
	b.edit(b.places[lsn].segment, func(data []byte) []byte { return data[:b.places[lsn].offset+keep] })
}

// zero overwrites a part of a frame, to its end if size is 0.
func (b *builder) zero(lsn LSN, from, size int64) {
	p := b.places[lsn]
	if size == 0 {
		size = p.size - from
	}
	b.edit(p.segment, func(data []byte) []byte {
		clear(data[p.offset+from : p.offset+from+size])
		return data
	})
}

// flip inverts a bit of a frame's byte.
func (b *builder) flip(lsn LSN, at int64) {
	p := b.places[lsn]
	b.edit(p.segment, func(data []byte) []byte {
		data[p.offset+at] ^= 0x10
		return data
	})
}

func (b *builder) remove(segment uint64) {
	b.t.Helper()
	if err := b.fs.Remove(b.fs.PathJoin(testDir, segmentName(segment))); err != nil {
		b.t.Fatal(err)
	}
}

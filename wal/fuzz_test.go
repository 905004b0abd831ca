package wal

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzFrame decodes a segment header and a frame; what is accepted must encode to the same bytes.
func FuzzFrame(f *testing.F) {
	f.Add(appendHeader(nil, header{segment: 1, previousLast: 9}))
	f.Add(appendFrame(nil, frame{segment: 1, first: 10, count: 2, synced: 48}, []byte("payload")))
	f.Add([]byte(frameMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		if h, err := decodeHeader(data, 1); err == nil && !bytes.Equal(appendHeader(nil, h), data[:segmentHeader]) {
			t.Errorf("segment header %x is read as %+v", data, h)
		}
		decoded, err := decodeFrameHeader(data, 1, 48)
		if err != nil || int64(len(data)) < decoded.size() {
			return
		}
		payload, err := decoded.checkPayload(data[frameHeader:])
		if err == nil && !bytes.Equal(appendFrame(nil, decoded, payload), data[:decoded.size()]) {
			t.Errorf("frame %x is read as %+v", data, decoded)
		}
	})
}

// FuzzReplay replays two segments of any bytes. Frames must ascend, must stand in the file as they were
// delivered, and must be the same, with one more, after the log went on.
func FuzzReplay(f *testing.F) {
	head := appendHeader(nil, header{segment: 1})
	good := bytes.Clone(head)
	for lsn := LSN(1); lsn <= 4; lsn++ {
		good = appendFrame(good, frame{segment: 1, first: lsn, count: 1, synced: uint32(len(good))}, testPayload(lsn))
	}
	next := appendHeader(nil, header{segment: 2, previous: 1, previousLength: int64(len(good)), previousLast: 4})
	next = appendFrame(next, frame{segment: 2, first: 5, count: 3, synced: segmentHeader}, testPayload(5))
	f.Add(good, next)
	f.Add(good[:len(good)-1], []byte{})
	f.Add(good, flipByte(60)(bytes.Clone(next)))
	f.Add(flipByte(100)(bytes.Clone(good)), next[:10])
	f.Add(append(bytes.Clone(good), good[segmentHeader:]...), next)
	f.Add(head, make([]byte, 100))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		fs := newTestFS(t)
		if err := fs.MkdirAll(testDir, 0o755); err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{segmentName(1): first, segmentName(2): second}
		for name, data := range files {
			writeFile(t, fs, name, data)
		}
		log, err := Open(Options{FS: fs, Dir: testDir})
		if err != nil {
			t.Fatal(err)
		}
		var frames []Frame
		result, err := log.Replay(0, func(got Frame) error {
			number, _ := parseSegmentName(got.File)
			encoded := files[got.File][got.Offset:]
			decoded, err := decodeFrameHeader(encoded, number, got.Offset)
			if err != nil || decoded.first != got.First || !bytes.Equal(encoded[frameHeader:frameHeader+decoded.length], got.Payload) {
				t.Errorf("%+v does not stand there: %+v, %v", got, decoded, err)
			}
			if n := len(frames); n > 0 && frames[n-1].Last >= got.First {
				t.Errorf("frame %d to %d follows LSN %d", got.First, got.Last, frames[n-1].Last)
			}
			got.Payload = bytes.Clone(got.Payload)
			frames = append(frames, got)
			return nil
		})
		if err != nil || result.LastLSN == unknownLSN {
			return
		}
		lsn := result.LastLSN + 1
		if err := log.Append(lsn, lsn, []byte("more")); err != nil {
			t.Fatal(err)
		}
		again := replayAfter(t, fs, 0)
		for i := range frames {
			frames[i].File, frames[i].Offset = "", 0
		}
		if diff := cmp.Diff(append(frames, Frame{First: lsn, Last: lsn, Payload: []byte("more")}), again.frames); diff != "" {
			t.Errorf("after going on (-want +got):\n%s", diff)
		}
	})
}

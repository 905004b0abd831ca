package httpapi

import (
	"encoding/binary"
	"strconv"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/numfmt"
	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// The kinds of frames that we send, whole: the first byte of RFC 6455, section 5.2.
const (
	frameText  = 0x81
	frameClose = 0x88
	framePing  = 0x89
	framePong  = 0x8a
)

// maxFrameHeader is how long the header of a frame can be that a server sends.
const maxFrameHeader = 10

// appendFrameHeader appends the header of an unmasked frame, as servers send them.
func appendFrameHeader(dst []byte, kind byte, length int) []byte {
	switch {
	case length < 126:
		return append(dst, kind, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, kind, 126), uint16(length))
	default:
		return binary.BigEndian.AppendUint64(append(dst, kind, 127), uint64(length))
	}
}

// appendFrame appends a whole frame.
func appendFrame(dst []byte, kind byte, payload []byte) []byte {
	return append(appendFrameHeader(dst, kind, len(payload)), payload...)
}

// beginFrame leaves room for a frame's header, and endFrame, given what beginFrame was, puts it there.
func beginFrame(dst []byte) []byte { return append(dst, make([]byte, maxFrameHeader)...) }

func endFrame(dst []byte, start int) []byte {
	payload := dst[start+maxFrameHeader:]
	var header [maxFrameHeader]byte
	n := copy(dst[start:], appendFrameHeader(header[:0], frameText, len(payload)))
	return dst[:start+n+copy(dst[start+n:], payload)]
}

// socketFormat makes the messages of /ws/metrics, as frames. All clients share it.
type socketFormat struct{}

// socketSeries is what the messages of a series have in common: what stands before the time, between the time and the
// value, and behind the value.
type socketSeries struct{ before, between, behind []byte }

// Prepare implements engine.Format.
func (socketFormat) Prepare(s *model.Series) any {
	p := &socketSeries{}
	p.before = append(appendJSONString([]byte(`{"type":"metric_update","source":`), s.Source()), `,"timestamp":"`...)
	p.between = append(appendJSONString([]byte(`","metric":{"name":`), s.Name), `,"value":`...)
	p.behind = appendNullableString([]byte(`,"unit":`), s.Unit)
	p.behind = append(appendTags(append(p.behind, `,"tags":`...), s.Tags), "}}"...)
	return p
}

// AppendUpdate implements engine.Format.
func (socketFormat) AppendUpdate(dst []byte, prepared any, u *engine.Update) []byte {
	p, start := prepared.(*socketSeries), len(dst)
	dst = append(beginFrame(dst), p.before...)
	dst = append(timefmt.AppendTime(dst, u.Time), p.between...)
	dst = append(numfmt.AppendJSON(dst, u.Value), p.behind...)
	return endFrame(dst, start)
}

// AppendEvent implements engine.EventFormat.
func (socketFormat) AppendEvent(dst []byte, _ engine.Position, e *engine.Event) []byte {
	start := len(dst)
	dst = appendJSONString(append(beginFrame(dst), `{"type":"event","event_id":`...), e.ID)
	dst = append(timefmt.AppendTime(append(dst, `,"timestamp":"`...), e.Time), '"')
	dst = appendJSONString(append(dst, `,"component":`...), e.Component)
	dst = appendJSONString(append(dst, `,"event_type":`...), e.Type)
	dst = appendJSONString(append(dst, `,"level":`...), e.Level)
	dst = appendNullableString(append(dst, `,"message":`...), e.Message)
	dst = append(dst, `,"details":`...)
	if e.Details == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, e.Details...)
	}
	return endFrame(append(dst, '}'), start)
}

// streamFormat makes the events of /metrics/stream. All clients share it.
type streamFormat struct{ run uint32 } // of the engine

// streamSeries is what the events of a series have in common.
type streamSeries struct{ before, behind []byte }

// Prepare implements engine.Format.
func (streamFormat) Prepare(s *model.Series) any {
	p := &streamSeries{}
	p.before = append(appendJSONString([]byte(`data: {"metric":`), s.Name), `,"value":`...)
	p.behind = append(appendSourceAndTags([]byte(`",`), s.Tags), "}\n\n"...)
	return p
}

// AppendUpdate implements engine.Format.
func (f streamFormat) AppendUpdate(dst []byte, prepared any, u *engine.Update) []byte {
	dst = f.appendID(dst, u.Position)
	return f.appendData(dst, prepared, u.Sample)
}

func (f streamFormat) appendID(dst []byte, at engine.Position) []byte {
	dst = engine.Resume{Position: at, Run: f.run}.Append(append(dst, "id: "...))
	return append(dst, '\n')
}

func (streamFormat) appendData(dst []byte, prepared any, sample model.Sample) []byte {
	p := prepared.(*streamSeries)
	dst = numfmt.AppendJSON(append(dst, p.before...), sample.Value)
	dst = timefmt.AppendTime(append(dst, `,"timestamp":"`...), sample.Time)
	return append(dst, p.behind...)
}

// appendLagged appends what a client is told that was too slow, as a JSON object without its braces.
func appendLagged(dst []byte, dropped uint64, estimated bool) []byte {
	dst = strconv.AppendUint(append(dst, `"type":"lagged","dropped":`...), dropped, 10)
	if estimated {
		dst = append(dst, `,"estimated":true`...)
	}
	return dst
}

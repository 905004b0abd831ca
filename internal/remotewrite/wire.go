package remotewrite

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The first bytes of fields: their number and the wire type of what follows.
const (
	keyVarint1  = 1<<3 | byte(protowire.VarintType)
	keyFixed1   = 1<<3 | byte(protowire.Fixed64Type)
	keyBytes1   = 1<<3 | byte(protowire.BytesType)
	keyVarint2  = 2<<3 | byte(protowire.VarintType)
	keyBytes2   = 2<<3 | byte(protowire.BytesType)
	keyBytes3   = 3<<3 | byte(protowire.BytesType)
	keyBytes4   = 4<<3 | byte(protowire.BytesType)
	keyVarint4  = 4<<3 | byte(protowire.VarintType)
	keyBytes5   = 5<<3 | byte(protowire.BytesType)
	keyNotKnown = 0 // of no field
)

// field is a field of a message.
type field struct {
	key     byte   // one of the constants above; keyNotKnown for all others
	bytes   []byte // the content, of a field of bytes
	integer uint64 // the value, of a varint or of a fixed64
}

// cutField takes the first field off a message that isn't empty. The fault is a negative code of protowire's.
func cutField(message []byte) (f field, rest []byte, fault int) {
	if len(message) >= 2 && message[1] < 0x80 && message[0]&7 == byte(protowire.BytesType) && message[0] >= 1<<3 && message[0] < 0x80 {
		end := 2 + int(message[1])
		if end > len(message) {
			return f, nil, codeTruncated
		}
		return field{key: message[0], bytes: message[2:end]}, message[end:], 0
	}
	return cutAnyField(message)
}

// Codes of protowire's: the bytes end where there should be more, and a number that no field can have.
var (
	codeTruncated = func() int { _, n := protowire.ConsumeVarint(nil); return n }()
	codeNumber    = func() int { _, _, n := protowire.ConsumeTag([]byte{0}); return n }()
)

// cutAnyField is cutField for fields of all kinds.
func cutAnyField(message []byte) (f field, rest []byte, fault int) {
	number, kind, n := protowire.ConsumeTag(message)
	if n < 0 {
		return f, nil, n
	}
	if number > protowire.MaxValidNumber {
		return f, nil, codeNumber
	}
	rest = message[n:]
	if number < 16 {
		f.key = byte(number)<<3 | byte(kind)
	}
	switch kind {
	case protowire.VarintType:
		f.integer, n = protowire.ConsumeVarint(rest)
	case protowire.Fixed64Type:
		f.integer, n = protowire.ConsumeFixed64(rest)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(rest)
	default:
		f.key = keyNotKnown
		n = protowire.ConsumeFieldValue(number, kind, rest)
	}
	if n < 0 {
		return f, nil, n
	}
	return f, rest[n:], 0
}

// sample is a sample as it is sent.
type sample struct {
	ms    int64 // since the epoch
	value float64
}

// readSample reads a message of type Sample: a double at 1 and an int64 at 2.
func readSample(message []byte) (s sample, fault int) {
	if len(message) >= 11 && message[0] == keyFixed1 && message[9] == keyVarint2 {
		if ms, n := protowire.ConsumeVarint(message[10:]); n == len(message)-10 {
			return sample{int64(ms), math.Float64frombits(binary.LittleEndian.Uint64(message[1:]))}, 0
		}
	}
	for len(message) > 0 {
		var f field
		if f, message, fault = cutField(message); fault < 0 {
			return s, fault
		}
		switch f.key {
		case keyFixed1:
			s.value = math.Float64frombits(f.integer)
		case keyVarint2:
			s.ms = int64(f.integer)
		}
	}
	return s, 0
}

// readLabel reads a message of type Label: a string at 1 and one at 2.
func readLabel(message []byte) (name, value []byte, fault int) {
	for len(message) > 0 {
		var f field
		if f, message, fault = cutField(message); fault < 0 {
			return nil, nil, fault
		}
		switch f.key {
		case keyBytes1:
			name = f.bytes
		case keyBytes2:
			value = f.bytes
		}
	}
	return name, value, 0
}

// appendLabel appends a label as it is in a message of version 1: a field with the number 1.
func appendLabel(dst, name, value []byte) []byte {
	length := protowire.SizeBytes(len(name)) + protowire.SizeBytes(len(value)) + 2
	dst = protowire.AppendVarint(append(dst, keyBytes1), uint64(length))
	dst = protowire.AppendBytes(append(dst, keyBytes1), name)
	return protowire.AppendBytes(append(dst, keyBytes2), value)
}

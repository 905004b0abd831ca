package record

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/flopynet/collector/model"
)

// Definition and unit records. Both name a series and carry a text that reaches to the end of the body.
//
//	+------------+----------------------------+
//	| id uvarint | identity, or unit in UTF-8 |
//	+------------+----------------------------+

// Kind says what a record is.
type Kind uint8

// The kinds of records. Some have an LSN: the first of a frame has the frame's first LSN, and each further one
// the next. 7 is reserved for samples that name their series by tags, which will have one as well.
// A Reader shows what is inside a compressed record in its place.
const (
	KindDefinition Kind = 1 // the identity of a series, before any record that names the series by id
	KindUnit       Kind = 2 // the unit of a series; the last one written wins
	KindSamples    Kind = 3 // one write batch
	KindEvents     Kind = 4 // one batch of events
	KindDelete     Kind = 5 // a range of time of some series is deleted
	KindAnswer     Kind = 6 // what the request was answered that the next batch came with
	KindCompressed Kind = 8 // all other records of the payload
)

// HasLSN reports whether records of the kind have an LSN.
func (k Kind) HasLSN() bool { return k == KindSamples || k == KindEvents || k == KindDelete }

func (k Kind) String() string {
	switch k {
	case KindDefinition:
		return "definition"
	case KindUnit:
		return "unit"
	case KindSamples:
		return "samples"
	case KindEvents:
		return "events"
	case KindDelete:
		return "delete"
	case KindAnswer:
		return "answer"
	case KindCompressed:
		return "compressed"
	default:
		return fmt.Sprintf("kind %d", uint8(k))
	}
}

// known reports whether a reader understands records of the kind; the reserved ones it doesn't.
func (k Kind) known() bool { return k >= KindDefinition && k <= KindAnswer || k == KindCompressed }

// headerBytes is the length of what precedes a record's body.
const headerBytes = 5

// Errors of a Reader.
var (
	ErrMalformed   = errors.New("malformed record")
	ErrUnknownKind = errors.New("unknown kind of record")
)

// AppendDefinition appends the record that gives a series its id. The identity is what
// model.AppendIdentity wrote.
func AppendDefinition(dst []byte, id model.SeriesID, identity []byte) []byte {
	dst, start := beginRecord(dst, KindDefinition)
	dst = binary.AppendUvarint(dst, uint64(id))
	dst = append(dst, identity...)
	return endRecord(dst, start)
}

// AppendUnit appends the record that sets the unit of a series.
func AppendUnit(dst []byte, id model.SeriesID, unit string) []byte {
	dst, start := beginRecord(dst, KindUnit)
	dst = binary.AppendUvarint(dst, uint64(id))
	dst = append(dst, unit...)
	return endRecord(dst, start)
}

// beginRecord appends a header without its length, which endRecord fills in. start is where the body
// begins.
func beginRecord(dst []byte, kind Kind) (_ []byte, start int) {
	dst = append(dst, byte(kind), 0, 0, 0, 0)
	return dst, len(dst)
}

func endRecord(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start-4:], uint32(len(dst)-start))
	return dst
}

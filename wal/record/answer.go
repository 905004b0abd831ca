package record

import (
	"encoding/binary"
	"fmt"
)

// The body of an answer record: what a request was answered whose samples or events are in the record behind it.
//
//	+--------+------------+-------------+----------------+----------------------+------+
//	| key 32 | request 32 | time varint | status uvarint | content type: string | body |
//	+--------+------------+-------------+----------------+----------------------+------+

// Answer is what a request was answered, kept so that the request can be repeated.
type Answer struct {
	Key         [32]byte // a hash of what names the request
	Request     [32]byte // a hash of the request's body
	Time        int64    // when the request was received; nanoseconds since the epoch
	Status      int      // of HTTP
	ContentType string
	Body        []byte
}

// AppendAnswer appends the record of an answer.
func AppendAnswer(dst []byte, a *Answer) []byte {
	dst, start := beginRecord(dst, KindAnswer)
	return endRecord(AppendAnswerBody(dst, a), start)
}

// AppendAnswerBody appends the body of an answer's record.
func AppendAnswerBody(dst []byte, a *Answer) []byte {
	dst = append(append(dst, a.Key[:]...), a.Request[:]...)
	dst = binary.AppendVarint(dst, a.Time)
	dst = binary.AppendUvarint(dst, uint64(a.Status))
	return append(appendText(dst, a.ContentType), a.Body...)
}

// DecodeAnswerBody is the inverse of AppendAnswerBody. The answer has memory of its own. An error wraps
// ErrMalformed.
func DecodeAnswerBody(body []byte) (*Answer, error) {
	a, err := decodeAnswer(body)
	if err != nil {
		return nil, fmt.Errorf("%w: answer: %w", ErrMalformed, err)
	}
	return a, nil
}

func decodeAnswer(body []byte) (*Answer, error) {
	a := new(Answer)
	n := copy(a.Key[:], body)
	n += copy(a.Request[:], body[n:])
	if n < len(a.Key)+len(a.Request) {
		return nil, errCut
	}
	packed, rest, err := cutUvarint(body[n:])
	if err != nil {
		return nil, err
	}
	status, rest, err := cutUvarint(rest)
	if err != nil {
		return nil, err
	}
	if status > 999 {
		return nil, fmt.Errorf("status %d", status)
	}
	length, rest, err := cutLength(rest)
	if err != nil {
		return nil, err
	}
	a.Time, a.Status = unzigzag(packed), int(status)
	a.ContentType, a.Body = string(rest[:length]), append([]byte(nil), rest[length:]...)
	return a, nil
}

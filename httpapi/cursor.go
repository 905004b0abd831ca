package httpapi

import (
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// A cursor is, in unpadded base64url, big-endian:
//
//	version uint8 = 1
//	from, to int64   the range of the first page, so that "now" does not move between pages
//	time int64       of the last sample sent
//	series uint64    of the last sample sent
//	check uint64     xxhash64 of the bytes before and of the parameters that choose the samples
const (
	cursorVersion = 1
	cursorBytes   = 1 + 5*8
)

// cursor spells the place behind the last row of a page.
func (q *query) cursor(after engine.Cursor) string {
	raw := make([]byte, 0, cursorBytes)
	raw = append(raw, cursorVersion)
	raw = binary.BigEndian.AppendUint64(raw, uint64(q.selection.From))
	raw = binary.BigEndian.AppendUint64(raw, uint64(q.selection.To))
	raw = binary.BigEndian.AppendUint64(raw, uint64(after.Time))
	raw = binary.BigEndian.AppendUint64(raw, uint64(after.Series))
	raw = binary.BigEndian.AppendUint64(raw, q.cursorCheck(raw))
	return base64.RawURLEncoding.EncodeToString(raw)
}

// resume sets the query on behind the cursor, which must come from the same query.
func (q *query) resume(text string) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != cursorBytes || raw[0] != cursorVersion ||
		binary.BigEndian.Uint64(raw[cursorBytes-8:]) != q.cursorCheck(raw[:cursorBytes-8]) {
		return invalidParameter("cursor", text, "it is not a next_cursor of this query; repeat the query's other parameters as they were")
	}
	q.selection.From = int64(binary.BigEndian.Uint64(raw[1:]))
	q.selection.To = int64(binary.BigEndian.Uint64(raw[9:]))
	q.after = engine.Cursor{
		Time:   int64(binary.BigEndian.Uint64(raw[17:])),
		Series: model.SeriesID(binary.BigEndian.Uint64(raw[25:])),
	}
	return nil
}

func (q *query) cursorCheck(raw []byte) uint64 {
	digest := xxhash.New()
	digest.Write(raw)           //nolint:errcheck // a hash does not fail
	digest.WriteString(q.print) //nolint:errcheck // as above
	return digest.Sum64()
}

// fingerprint joins the parameters that choose the samples of a query.
func (q *query) fingerprint(p params) string {
	parts := []string{q.metric, q.source}
	parts = append(parts, p["tags"]...)
	for _, names := range rangeNames {
		parts = append(parts, "\x00", p.get(names.from), p.get(names.to))
	}
	return strings.Join(parts, "\x00")
}

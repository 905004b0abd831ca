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
//	version uint8    what it is a place in: cursorSamples, cursorList, cursorEvents
//	from, to int64   the range of the first page, so that "now" does not move between pages
//	time int64       of the last sample or event sent; not in a list
//	series uint64    of the last sample, or of the last entry of a list; of an event, lsn and n, both uint64
//	text             of the last entry of a list
//	check uint64     xxhash64 of the bytes before and of the parameters that choose what is sent
const (
	cursorSamples = 1
	cursorList    = 2
	cursorEvents  = 3

	sampleCursorBytes = 1 + 4*8
	listCursorBytes   = 1 + 3*8 // and the text
	eventCursorBytes  = 1 + 5*8
)

// sealCursor spells a cursor. print is what the parameters are told by.
func sealCursor(raw []byte, print string) string {
	raw = binary.BigEndian.AppendUint64(raw, cursorCheck(raw, print))
	return base64.RawURLEncoding.EncodeToString(raw)
}

// openCursor returns what sealCursor was given, of this version and at least so many bytes, or an error if the
// cursor comes from something else.
func openCursor(text, print string, version byte, atLeast int) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	end := len(raw) - 8
	if err != nil || end < atLeast || raw[0] != version || binary.BigEndian.Uint64(raw[end:]) != cursorCheck(raw[:end], print) {
		return nil, invalidParameter("cursor", text, "it is not a next_cursor of this query; repeat the query's other parameters as they were")
	}
	return raw[:end], nil
}

func cursorCheck(raw []byte, print string) uint64 {
	digest := xxhash.New()
	digest.Write(raw)         //nolint:errcheck // a hash does not fail
	digest.WriteString(print) //nolint:errcheck // as above
	return digest.Sum64()
}

// appendRange begins a cursor.
func appendRange(version byte, selection *engine.Selection) []byte {
	raw := binary.BigEndian.AppendUint64([]byte{version}, uint64(selection.From))
	return binary.BigEndian.AppendUint64(raw, uint64(selection.To))
}

func setRange(selection *engine.Selection, raw []byte) {
	selection.From = int64(binary.BigEndian.Uint64(raw[1:]))
	selection.To = int64(binary.BigEndian.Uint64(raw[9:]))
}

// cursor spells the place behind the last row of a page.
func (q *query) cursor(after engine.Cursor) string {
	raw := appendRange(cursorSamples, &q.selection)
	raw = binary.BigEndian.AppendUint64(raw, uint64(after.Time))
	raw = binary.BigEndian.AppendUint64(raw, uint64(after.Series))
	return sealCursor(raw, q.print)
}

// resume sets the query on behind the cursor, which must come from the same query.
func (q *query) resume(text string) error {
	raw, err := openCursor(text, q.print, cursorSamples, sampleCursorBytes)
	if err != nil {
		return err
	}
	setRange(&q.selection, raw)
	q.after = engine.Cursor{
		Time:   int64(binary.BigEndian.Uint64(raw[17:])),
		Series: model.SeriesID(binary.BigEndian.Uint64(raw[25:])),
	}
	return nil
}

// cursor spells the place behind the last entry of a page.
func (l *listing) cursor(after engine.ListCursor) string {
	raw := appendRange(cursorList, &l.selection)
	raw = binary.BigEndian.AppendUint64(raw, uint64(after.Series))
	return sealCursor(append(raw, after.Text...), l.print)
}

// resume sets the list on behind the cursor, which must come from the same list.
func (l *listing) resume(text string) error {
	raw, err := openCursor(text, l.print, cursorList, listCursorBytes)
	if err != nil {
		return err
	}
	setRange(&l.selection, raw)
	l.page.After = engine.ListCursor{
		Text: string(raw[listCursorBytes:]), Series: model.SeriesID(binary.BigEndian.Uint64(raw[17:])),
	}
	return nil
}

// fingerprint joins the parameters that choose the samples of a query.
func (q *query) fingerprint(p params) string {
	parts := []string{q.metric, q.source}
	parts = append(parts, p["tags"]...)
	return strings.Join(append(parts, rangePrint(p)...), "\x00")
}

func rangePrint(p params) (parts []string) {
	for _, names := range rangeNames {
		parts = append(parts, "\x00", p.get(names.from), p.get(names.to))
	}
	return parts
}

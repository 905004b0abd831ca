package httpapi

import (
	"bytes"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// An answer is built in memory, and stays there until the client has taken it. Tags are spelt with each sample,
// so its text may be many times what the engine held for it.

// smallAnswerBytes is up to where nobody counts them.
const smallAnswerBytes = 256 << 10

// hold sets memory aside for so many bytes of answer, until that is sent. The error is as that of
// engine.Hold.Add.
func (r *request) hold(size int64) error {
	if size <= smallAnswerBytes {
		return nil
	}
	if r.held == nil {
		r.held = r.server.db.Hold()
	}
	return r.held.Add(size)
}

// listedCopies is how many times what an answer lists is in memory while it is made: as it was read, as JSON, and as JSON grows.
const listedCopies = 3

// respondListed answers with a list whose elements take about size bytes.
func (r *request) respondListed(value any, size int) error {
	if err := r.hold(int64(size) * listedCopies); err != nil {
		return err
	}
	r.respondLarge(typeJSON, append(appendJSON(nil, value), '\n'))
	return nil
}

// keepHeld lets what is held go when the answer has been sent, or when that has failed.
func (r *request) keepHeld() {
	if r.held == nil {
		return
	}
	response := &r.http.Response
	if response.IsBodyStream() || len(response.Body()) <= smallAnswerBytes {
		r.held.Release()
		return
	}
	text := response.Body() // was set raw: it survives the change
	response.SetBodyStream(&heldBody{bytes.NewReader(text), r.held}, len(text))
}

// heldBody is closed when it was sent.
type heldBody struct {
	*bytes.Reader
	held *engine.Hold
}

func (b *heldBody) Close() error {
	b.held.Release()
	return nil
}

// tagsBytes is about how long tags are when they are spelt.
func tagsBytes(tags model.Tags) (n int64) {
	for _, tag := range tags {
		n += int64(len(tag.Key) + len(tag.Value) + len(`"":"",`))
	}
	return n
}

// textBytes is about how long the answer's text is.
func (a *answer) textBytes() (n int64) {
	n = pointBytes * 8 // what is around the points
	if a.samples != nil {
		owners := make([]int64, len(a.samples.Series))
		if len(owners) > 1 || a.query.csv {
			for i := range owners {
				owners[i] = tagsBytes(a.samples.Series[i].Tags)
			}
		}
		for _, row := range a.samples.Rows {
			n += pointBytes + owners[row.Series]
		}
		return n
	}
	point := int64(pointBytes)
	for _, name := range a.query.names {
		point += int64(len(name)) + pointBytes/2
	}
	for _, group := range a.groups {
		points := int64(len(group.buckets))
		owners := int64(1) // is spelt once, but in CSV
		if a.query.csv {
			owners = points
		}
		n += points*point + owners*tagsBytes(group.tags)
	}
	return n
}

package httpapi

import (
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/ingest"
	"github.com/flopynet/collector/internal/timefmt"
)

// writer is what the endpoints for writing share.
type writer struct {
	cache func() *ingest.Cache // made when first asked for
	pool  sync.Pool            // of *writeScratch
}

// writeScratch is the memory of one request, used again by later ones.
type writeScratch struct {
	decoder  *ingest.Decoder
	batch    engine.Batch
	response []byte
	claim    *once // nil: the request has no key
}

// A scratch is used again unless it may have become large: after bodies of many bytes or samples.
const (
	maxPooledBody    = 1 << 20
	maxPooledSamples = 1 << 16
)

func writeRoutes() []route {
	w := &writer{cache: sync.OnceValue(func() *ingest.Cache { return ingest.NewCache(ingest.CacheOptions{}) })}
	return []route{
		{method: fasthttp.MethodPost, path: "/metrics", about: "write metrics", role: roleWrite, mutates: true,
			handler: func(s *Server, r *request) error { return w.write(s, r, ingest.Metrics) }},
		{method: fasthttp.MethodPost, path: "/metrics/batch", about: "write metrics of several sources", role: roleWrite, mutates: true,
			handler: func(s *Server, r *request) error { return w.write(s, r, ingest.Batches) }},
	}
}

// pathOf is where bodies of the shape are posted.
func pathOf(shape ingest.Shape) string {
	if shape == ingest.Batches {
		return "/metrics/batch"
	}
	return "/metrics"
}

// write answers a request that writes metrics.
func (w *writer) write(s *Server, r *request, shape ingest.Shape) error {
	if err := r.noParams(); err != nil {
		return err
	}
	if err := r.checkJSON(); err != nil {
		return err
	}
	body, err := r.readBody()
	if err != nil {
		return err
	}
	defer body.release()
	if err := body.reserve(ingest.ScratchBytes(len(body.bytes))); err != nil {
		return err
	}
	scratch := w.scratch(s)
	report, err := w.store(s, r, scratch, body.bytes, shape)
	if len(body.bytes) <= maxPooledBody || report != nil && report.Accepted <= maxPooledSamples {
		w.pool.Put(scratch)
	}
	return err
}

func (w *writer) scratch(s *Server) *writeScratch {
	if scratch, ok := w.pool.Get().(*writeScratch); ok {
		return scratch
	}
	return &writeScratch{decoder: ingest.NewDecoder(w.cache(), s.db)}
}

// writeTries is how often a body is written whose series are dropped at the same moment.
const writeTries = 3

// store makes the body's samples durable and answers. The error is what to answer when none of them is.
func (w *writer) store(s *Server, r *request, scratch *writeScratch, body []byte, shape ingest.Shape) (report *ingest.Report, err error) {
	defer func() {
		scratch.claim.end()
		scratch.claim = nil
	}()
	key, err := r.idempotencyKey()
	if err != nil {
		return nil, err
	}
	if key != nil {
		if scratch.claim, err = r.beginOnce(pathOf(shape), key, body); err != nil || scratch.claim.replayed {
			return nil, err
		}
	}
	for range writeTries {
		if report, err = w.tryStore(s, r, scratch, body, shape); !errors.Is(err, engine.ErrStaleSeries) {
			break
		}
	}
	return report, err
}

func (w *writer) tryStore(s *Server, r *request, scratch *writeScratch, body []byte, shape ingest.Shape) (*ingest.Report, error) {
	if r.boundToSources() {
		scratch.decoder.Restrict(r.mayWriteAs)
	}
	report, err := scratch.decoder.Decode(body, shape, r.received.UnixNano(), &scratch.batch)
	if err != nil {
		return nil, invalidBody(err)
	}
	if scratch.claim == nil && report.BatchID != "" {
		if scratch.claim, err = r.beginOnce(pathOf(shape), []byte(report.BatchID), body); err != nil || scratch.claim.replayed {
			return report, err
		}
	}
	if report.Accepted == 0 && report.Rejected > 0 {
		return report, noneAccepted(report, shape)
	}
	scratch.response = appendWriteResponse(scratch.response[:0], report, shape, r.received.UnixNano())
	if scratch.claim != nil {
		scratch.batch.SetAnswer(scratch.claim.answer(fasthttp.StatusOK, typeJSON, scratch.response))
	}
	if report.Accepted > 0 || scratch.claim != nil {
		if err := s.db.Write(&scratch.batch); err != nil {
			return report, err
		}
		scratch.decoder.Commit()
	}
	if report.Accepted > 0 {
		s.NoteStored(s.options.Now(), report.Accepted)
	}
	r.respond(fasthttp.StatusOK, typeJSON, scratch.response)
	return report, nil
}

// invalidBody turns the faults of a body as a whole into what a client is told.
func invalidBody(err error) error {
	if syntax, ok := errors.AsType[*ingest.SyntaxError](err); ok {
		return invalidRequest("The body is not valid JSON", detail{"issue", syntax.Message},
			detail{"offset", syntax.Offset}, detail{"line", syntax.Line}, detail{"column", syntax.Column})
	}
	if shape, ok := errors.AsType[*ingest.ShapeError](err); ok {
		details := []detail{{"issue", shape.Error()}}
		if shape.Field != "" {
			details = append(details, detail{"field", shape.Field})
		}
		return invalidRequest("The body is not a list of metrics as it should be", details...)
	}
	return err
}

// noneAccepted is the answer when every metric was refused.
func noneAccepted(report *ingest.Report, shape ingest.Shape) error {
	type rejection struct {
		Batch  *int   `json:"batch,omitempty"`
		Index  int    `json:"index"`
		Name   string `json:"name"`
		Reason string `json:"reason"`
	}
	list := make([]rejection, len(report.Errors))
	for i, e := range report.Errors {
		list[i] = rejection{Index: e.Index, Name: e.Name, Reason: e.Reason}
		if shape == ingest.Batches {
			list[i].Batch = &e.Batch
		}
	}
	details := []detail{{"metrics_rejected", report.Rejected}, {"errors", list}}
	if len(report.Warnings) > 0 {
		details = append(details, detail{"warnings", report.Warnings})
	}
	if report.OnlyLimits() {
		return newError(fasthttp.StatusUnprocessableEntity, "No metric was accepted: each exceeds a limit", details...)
	}
	return invalidRequest("No metric was accepted", details...)
}

// appendWriteResponse appends the answer to a request of which something, or all there was, is stored.
func appendWriteResponse(dst []byte, report *ingest.Report, shape ingest.Shape, now int64) []byte {
	status := "success"
	if report.Rejected > 0 {
		status = "partial"
	}
	dst = append(dst, `{"status":"`...)
	dst = append(dst, status...)
	dst = append(dst, `","metrics_accepted":`...)
	dst = strconv.AppendInt(dst, int64(report.Accepted), 10)
	dst = append(dst, `,"timestamp":"`...)
	dst = timefmt.AppendTime(dst, now)
	dst = append(dst, `","batch_id":`...)
	dst = appendBatchID(dst, report.BatchID)
	if report.Rejected > 0 {
		dst = append(dst, `,"metrics_rejected":`...)
		dst = strconv.AppendInt(dst, int64(report.Rejected), 10)
		dst = appendRejections(append(dst, `,"errors":[`...), report.Errors, shape)
	}
	if shape == ingest.Batches {
		dst = appendBatchReports(append(dst, `,"batches":[`...), report.Batches)
	}
	if len(report.Warnings) > 0 {
		dst = append(dst, `,"warnings":[`...)
		for i, warning := range report.Warnings {
			dst = appendJSONString(appendComma(dst, i), warning)
		}
		dst = append(dst, ']')
	}
	return append(dst, "}\n"...)
}

// appendRejections appends the elements of an array and its end.
func appendRejections(dst []byte, rejections []ingest.Rejection, shape ingest.Shape) []byte {
	for i, r := range rejections {
		dst = append(appendComma(dst, i), '{')
		if shape == ingest.Batches {
			dst = append(dst, `"batch":`...)
			dst = strconv.AppendInt(dst, int64(r.Batch), 10)
			dst = append(dst, ',')
		}
		dst = append(dst, `"index":`...)
		dst = strconv.AppendInt(dst, int64(r.Index), 10)
		dst = appendJSONString(append(dst, `,"name":`...), r.Name)
		dst = appendJSONString(append(dst, `,"reason":`...), r.Reason)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendBatchReports appends the elements of an array and its end.
func appendBatchReports(dst []byte, batches []ingest.BatchReport) []byte {
	for i, b := range batches {
		dst = appendJSONString(append(appendComma(dst, i), `{"source":`...), b.Source)
		dst = appendBatchID(append(dst, `,"batch_id":`...), b.BatchID)
		dst = append(dst, `,"metrics_accepted":`...)
		dst = strconv.AppendInt(dst, int64(b.Accepted), 10)
		dst = append(dst, `,"metrics_rejected":`...)
		dst = strconv.AppendInt(dst, int64(b.Rejected), 10)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendComma appends a comma unless index is that of an array's first element.
func appendComma(dst []byte, index int) []byte {
	if index > 0 {
		return append(dst, ',')
	}
	return dst
}

// appendBatchID appends the client's id of a batch, or a new one if it gave none.
func appendBatchID(dst []byte, given string) []byte {
	if given != "" {
		return appendJSONString(dst, given)
	}
	random := rand.Uint64()
	dst = append(dst, `"batch_`...)
	for range 6 {
		dst = hex.AppendEncode(dst, []byte{byte(random)})
		random >>= 8
	}
	return append(dst, '"')
}

package httpapi

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/rawcache"
	"github.com/flopynet/collector/internal/remotewrite"
)

// The messages of Prometheus remote write 1.0 and 2.0, as the Content-Type names them.
const (
	protoV1 = "prometheus.WriteRequest"
	protoV2 = "io.prometheus.write.v2.Request"
)

// What was stored of a request of version 2.0, in headers of its answer. Of the last two it is nothing, ever.
const (
	headerSamplesWritten    = "X-Prometheus-Remote-Write-Samples-Written"
	headerHistogramsWritten = "X-Prometheus-Remote-Write-Histograms-Written"
	headerExemplarsWritten  = "X-Prometheus-Remote-Write-Exemplars-Written"
)

// remoteWriter is what all requests of Prometheus remote write share.
type remoteWriter struct {
	cache func() *remotewrite.Cache // made when first asked for
	pool  sync.Pool                 // of *remoteScratch
}

// remoteScratch is the memory of one request, used again by later ones.
type remoteScratch struct {
	decoder *remotewrite.Decoder
	batch   engine.Batch
}

func newRemoteWriter() *remoteWriter {
	return &remoteWriter{cache: sync.OnceValue(func() *remotewrite.Cache { return remotewrite.NewCache(rawcache.Options{}) })}
}

// write answers a request whose Content-Type names the message, "" for the one of version 1.0.
func (w *remoteWriter) write(s *Server, r *request, proto string) error {
	if err := r.noParams(); err != nil {
		return err
	}
	var version remotewrite.Version
	switch proto {
	case "", protoV1:
		version = remotewrite.V1
	case protoV2:
		version = remotewrite.V2
	default:
		return newError(fasthttp.StatusUnsupportedMediaType, "The protobuf message is not supported",
			detail{"given", clip(proto)}, detail{"valid", []string{protoV1, protoV2}})
	}
	body, err := r.readBody()
	if err != nil {
		return err
	}
	defer body.release()
	if err := body.reserve(remotewrite.ScratchBytes(len(body.bytes), version)); err != nil {
		return err
	}
	scratch := w.scratch(s)
	for range writeTries {
		if err = scratch.store(s, r, body.bytes, version); !errors.Is(err, engine.ErrStaleSeries) {
			break
		}
	}
	if scratch.batch.Len() <= maxPooledSamples {
		w.pool.Put(scratch)
	}
	return err
}

func (w *remoteWriter) scratch(s *Server) *remoteScratch {
	if scratch, ok := w.pool.Get().(*remoteScratch); ok {
		return scratch
	}
	return &remoteScratch{decoder: remotewrite.NewDecoder(w.cache(), s.db)}
}

// store makes the body's samples durable and answers. The error is what to answer unless all that was sent is stored.
func (scratch *remoteScratch) store(s *Server, r *request, body []byte, version remotewrite.Version) error {
	if r.boundToSources() {
		scratch.decoder.Restrict(r.mayWriteAs)
	}
	report, err := scratch.decoder.Decode(body, version, &scratch.batch)
	if syntax, ok := errors.AsType[*remotewrite.SyntaxError](err); ok {
		return invalidRequest("The body is not a valid protobuf message", detail{"issue", syntax.Error()}, detail{"offset", syntax.Offset})
	}
	if err != nil {
		return err
	}
	if err := s.db.Write(&scratch.batch); err != nil {
		return err
	}
	scratch.decoder.Commit()
	if report.Samples > 0 {
		s.NoteStored(s.options.Now(), report.Samples)
	}
	if version == remotewrite.V2 {
		header := &r.http.Response.Header
		header.Set(headerSamplesWritten, strconv.Itoa(report.Samples))
		header.Set(headerHistogramsWritten, "0")
		header.Set(headerExemplarsWritten, "0")
	}
	if !report.Complete() {
		return refusedRemotely(report)
	}
	r.http.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// refusedRemotely is the answer when something was refused. Prometheus logs its beginning and doesn't send these
// samples again.
func refusedRemotely(report *remotewrite.Report) error {
	type rejection struct {
		Index  int    `json:"index"`
		Name   string `json:"name"`
		Reason string `json:"reason"`
	}
	list := make([]rejection, len(report.Errors))
	for i, e := range report.Errors {
		list[i] = rejection(e)
	}
	message := fmt.Sprintf("Refused: %d samples and %d native histograms; stored: %d samples", report.Rejected, report.Histograms, report.Samples)
	details := []detail{
		{"issue", report.Errors[0].Reason},
		{"samples_accepted", report.Samples}, {"samples_rejected", report.Rejected}, {"histograms_rejected", report.Histograms},
		{"exemplars_ignored", report.Exemplars}, {"errors", list},
	}
	if report.Samples == 0 && report.OnlyLimits() {
		return newError(fasthttp.StatusUnprocessableEntity, message, details...)
	}
	return invalidRequest(message, details...)
}

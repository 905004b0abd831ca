package httpapi

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/lineproto"
	"github.com/flopynet/collector/internal/rawcache"
)

// influxAPI is one of the two interfaces by which InfluxDB's clients write.
type influxAPI struct {
	known      paramSet
	precisions []influxPrecision // by the name in the parameter precision
	words      map[string][]string
}

type influxPrecision struct {
	name string
	unit time.Duration
}

// There is one database here, so those that clients name are all the same.
var (
	influxAPI1 = influxAPI{
		known: paramSet{"db": false, "rp": false, "precision": false, "consistency": false, "u": false, "p": false},
		precisions: []influxPrecision{{"ns", time.Nanosecond}, {"n", time.Nanosecond}, {"us", time.Microsecond}, {"u", time.Microsecond},
			{"ms", time.Millisecond}, {"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}},
		words: map[string][]string{"consistency": {"any", "one", "quorum", "all"}},
	}
	influxAPI2 = influxAPI{
		known: paramSet{"org": false, "orgID": false, "bucket": false, "precision": false},
		precisions: []influxPrecision{{"ns", time.Nanosecond}, {"us", time.Microsecond}, {"ms", time.Millisecond},
			{"s", time.Second}},
	}
)

// precision returns the unit of timestamps that a request asks for. It refuses parameters that are not as they
// should be.
func (api *influxAPI) precision(r *request) (time.Duration, error) {
	given, err := parseParams(r.http.QueryArgs(), api.known)
	if err != nil {
		return 0, err
	}
	for name, words := range api.words {
		if _, err := given.oneOf(name, words...); err != nil {
			return 0, err
		}
	}
	names := make([]string, len(api.precisions))
	for i, precision := range api.precisions {
		names[i] = precision.name
	}
	name, err := given.oneOf("precision", names...)
	if err != nil {
		return 0, err
	}
	return api.precisions[max(0, slices.Index(names, name))].unit, nil
}

// influxWriter is what the endpoints for line protocol share.
type influxWriter struct {
	cache func() *lineproto.Cache // made when first asked for
	pool  sync.Pool               // of *influxScratch
}

// influxScratch is the memory of one request, used again by later ones.
type influxScratch struct {
	decoder *lineproto.Decoder
	batch   engine.Batch
}

func newInfluxWriter() *influxWriter {
	return &influxWriter{cache: sync.OnceValue(func() *lineproto.Cache { return lineproto.NewCache(rawcache.Options{}) })}
}

// write answers a request that writes lines.
func (w *influxWriter) write(s *Server, r *request, api *influxAPI) error {
	precision, err := api.precision(r)
	if err != nil {
		return err
	}
	body, err := r.readBody()
	if err != nil {
		return err
	}
	defer body.release()
	if err := body.reserve(lineproto.ScratchBytes(len(body.bytes))); err != nil {
		return err
	}
	scratch, ok := w.pool.Get().(*influxScratch)
	if !ok {
		scratch = &influxScratch{decoder: lineproto.NewDecoder(w.cache(), s.db)}
	}
	report, err := scratch.store(s, r, body.bytes, precision)
	if len(body.bytes) <= maxPooledBody || report != nil && report.Accepted <= maxPooledSamples {
		defer w.pool.Put(scratch) // not before the answer is made of the report, which is the decoder's
	}
	if err != nil {
		return err
	}
	if report.Accepted > 0 {
		s.NoteStored(s.options.Now(), report.Accepted)
	}
	if report.Rejected() > 0 {
		return partialWrite(report)
	}
	r.http.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// store makes the body's samples durable.
func (scratch *influxScratch) store(s *Server, r *request, body []byte, precision time.Duration) (report *lineproto.Report, err error) {
	for range writeTries {
		if r.boundToSources() {
			scratch.decoder.Restrict(r.mayWriteAs)
		}
		if report, err = scratch.decoder.Decode(body, int64(precision), r.received.UnixNano(), &scratch.batch); err != nil {
			return nil, err
		}
		if err = s.db.Write(&scratch.batch); !errors.Is(err, engine.ErrStaleSeries) {
			break
		}
	}
	return report, err
}

// maxMessageFaults is how many refusals the message of a partial write tells of; its details tell of more.
const maxMessageFaults = 3

// partialWrite is the answer when some lines or fields were refused. InfluxDB's clients know by its first words that
// sending all of it again would be of no use.
func partialWrite(report *lineproto.Report) error {
	type rejection struct {
		Line   int    `json:"line"`
		Field  string `json:"field,omitempty"`
		Reason string `json:"reason"`
	}
	list := make([]rejection, len(report.Errors))
	var message strings.Builder
	fmt.Fprintf(&message, "partial write: %s stored, %s and %s refused", count(report.Accepted, "sample"),
		count(report.RejectedLines, "line"), count(report.RejectedFields, "field"))
	for i, e := range report.Errors {
		list[i] = rejection(e)
		if i >= maxMessageFaults {
			continue
		}
		fmt.Fprintf(&message, "; line %d", e.Line)
		if e.Field != "" {
			fmt.Fprintf(&message, ", field %q", e.Field)
		}
		message.WriteString(": " + e.Reason)
	}
	if more := report.Rejected() - maxMessageFaults; more > 0 {
		fmt.Fprintf(&message, "; and %d more", more)
	}
	details := []detail{{"samples_accepted", report.Accepted}, {"lines_rejected", report.RejectedLines},
		{"fields_rejected", report.RejectedFields}, {"errors", list}}
	if report.Accepted == 0 && report.OnlyLimits() {
		return newError(fasthttp.StatusUnprocessableEntity, message.String(), details...)
	}
	return invalidRequest(message.String(), details...)
}

// count spells a number of things.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// influxVersion is that of the InfluxDB whose interface for writing this one is like.
const influxVersion = "1.8.10"

// getPing answers GET /ping, by which InfluxDB's clients find out whether there is one.
func (s *Server) getPing(r *request) error {
	given, err := parseParams(r.http.QueryArgs(), paramSet{"verbose": false, "wait_for_leader": false})
	if err != nil {
		return err
	}
	verbose, err := given.boolean("verbose")
	if err != nil {
		return err
	}
	header := &r.http.Response.Header
	header.Set("X-Influxdb-Version", influxVersion)
	header.Set("X-Influxdb-Build", "collector")
	if !verbose {
		r.http.SetStatusCode(fasthttp.StatusNoContent)
		return nil
	}
	r.respondValue(fasthttp.StatusOK, map[string]string{"version": influxVersion, "build": "collector", "collector_version": s.options.Version})
	return nil
}

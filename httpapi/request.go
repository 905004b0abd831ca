package httpapi

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
)

// request is a request that is being answered. It is valid until its handler returns.
type request struct {
	http       *fasthttp.RequestCtx
	server     *Server
	id         string
	received   time.Time
	locked     bool   // the server has keys, so a route that has a role needs one
	key        *key   // that the request was made with; nil: none that is valid
	keyGiven   bool   // a key was given, valid or not
	asks       bool   // its route is one of the queries, and changes nothing
	asked      string // the beginning of a query's body
	read       readStats
	clientAddr netip.Addr   // see client
	bodyRead   bool         // to its end
	stream     *stream      // the answer, if it is one
	held       *engine.Hold // memory of the answer; nil: none worth counting
	cause      error        // of a 503 or 504 that somebody waited for; for the log
	route      string       // its pattern; "": it came to none

	failure spelling // see route
}

const headerRequestID = "X-Request-ID"

const (
	typeJSON = "application/json; charset=utf-8"
	typeCSV  = "text/csv; charset=utf-8"
)

// varyDefault is on what every answer depends.
const varyDefault = "Accept, Accept-Encoding"

// requestKey is where handle leaves the request for wrap, among fasthttp's user values.
type requestKey struct{}

// handle is the first to see a request and the last to see its answer.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	r := &request{http: ctx, server: s, id: requestID(ctx), received: s.options.Now()}
	ctx.SetUserValue(requestKey{}, r)
	ctx.Response.Header.Set(headerRequestID, r.id)
	ctx.Response.Header.Set(fasthttp.HeaderVary, varyDefault)
	s.origins.allowOrigin(ctx)
	ctx.Response.Header.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	defer func() {
		if cause := recover(); cause != nil {
			r.failPanic(cause, debug.Stack())
		}
		r.closeIfUnread()
		r.limitSending()
		s.observe(r)
		s.logAccess(r)
		r.keepHeld()
	}()
	trimSlash(ctx)
	if err := s.checkHost(ctx); err != nil && !s.keys.Any() { // with keys, a page that knows none gets nothing
		r.failure = s.spell[string(ctx.Path())]
		r.fail(err)
	} else {
		s.router.Handler(ctx)
	}
	r.compress()
	r.handOver()
}

// wrap makes fasthttp's kind of handler of a route's.
func (s *Server) wrap(endpoint route) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		r := ctx.UserValue(requestKey{}).(*request)
		r.route, r.failure = endpoint.path, endpoint.failure
		r.asks = endpoint.query && !endpoint.mutates
		if err := s.admit(r, &endpoint); err != nil {
			r.fail(err)
			return
		}
		err := endpoint.handler(s, r)
		if err != nil {
			r.fail(err)
		}
		if endpoint.query {
			now := s.options.Now()
			took := now.Sub(r.received)
			if err == nil {
				s.queries.note(now, took)
			}
			s.logSlowQuery(r, took, err)
		}
	}
}

// admit refuses a request that its route is closed to.
func (s *Server) admit(r *request, endpoint *route) error {
	s.authenticate(r, endpoint)
	if endpoint.mutates || endpoint.live {
		if err := s.checkOrigin(r.http); err != nil {
			return err
		}
	}
	if err := s.limitRate(r, endpoint); err != nil {
		return err
	}
	return r.requireRole(endpoint.role)
}

// handleMalformed answers what fasthttp could not read as a request.
func (s *Server) handleMalformed(ctx *fasthttp.RequestCtx, cause error) {
	r := &request{http: ctx, server: s, id: newRequestID(), received: s.options.Now()}
	ctx.Response.Reset()
	ctx.Response.Header.Set(headerRequestID, r.id)
	r.fail(malformed(cause))
	r.closeGently()
	s.observe(r)
	s.logAccess(r)
}

// pathValue returns what the path has in the place of {name}, decoded; "" if that is no valid text.
func (r *request) pathValue(name string) string {
	raw, _ := r.http.UserValue(name).(string)
	text, err := url.PathUnescape(raw)
	if err != nil || !utf8.ValidString(text) {
		return ""
	}
	return strings.Clone(text)
}

// respond answers with a body, which is copied.
func (r *request) respond(status int, contentType string, body []byte) {
	r.http.SetStatusCode(status)
	r.http.SetContentType(contentType)
	r.http.SetBody(body)
}

// respondLarge is respond without the copy: the body must not be changed afterwards.
func (r *request) respondLarge(contentType string, body []byte) {
	r.http.SetStatusCode(fasthttp.StatusOK)
	r.http.SetContentType(contentType)
	r.http.Response.SetBodyRaw(body)
}

// takeBody returns memory to make a body in that answers before this one were made in. It is for respondTaken, or is
// lost.
func (r *request) takeBody() []byte { return r.http.Response.SwapBody(nil)[:0] }

// respondTaken is respondLarge for a body in what takeBody returned, whose memory the next answer gets.
func (r *request) respondTaken(contentType string, body []byte) {
	if r.held != nil { // it is sent as a stream, which outlives the response's own memory
		r.respondLarge(contentType, body)
		return
	}
	r.http.SetStatusCode(fasthttp.StatusOK)
	r.http.SetContentType(contentType)
	r.http.Response.SwapBody(body)
}

// fail answers with the error's envelope.
func (r *request) fail(err error) {
	failure := r.classify(err)
	if failure.retryAfter > 0 {
		r.http.Response.Header.Set(fasthttp.HeaderRetryAfter, fmt.Sprint(failure.retryAfter))
	}
	if failure.status == fasthttp.StatusUnauthorized {
		r.challenge()
	}
	r.http.Response.Header.Del(fasthttp.HeaderContentEncoding)
	r.respondFailure(failure)
}

// respondFailure answers with the envelope of a failure.
func (r *request) respondFailure(failure *apiError) {
	spell := r.failure
	if spell == nil {
		spell = (*request).envelope
	}
	r.respond(failure.status, typeJSON, spell(r, failure))
}

// envelope is the common envelope of a failure.
func (r *request) envelope(failure *apiError) []byte {
	return failure.appendEnvelope(nil, r.id, r.received.UnixNano())
}

// classify finds the answer to an error, and sees to it that the log tells what the client won't learn.
func (r *request) classify(err error) *apiError {
	failure := classify(err)
	switch failure.status {
	case fasthttp.StatusInternalServerError:
		r.server.logger.Error("request failed", "request_id", r.id, "method", string(r.http.Method()),
			"path", string(r.http.Path()), "error", err)
	case fasthttp.StatusServiceUnavailable, fasthttp.StatusGatewayTimeout:
		if !errors.Is(err, context.Canceled) { // the client went away; nobody waits for the answer
			r.cause = err
		}
	}
	return failure
}

// failPanic answers after a panic, which it logs with its stack.
func (r *request) failPanic(cause any, stack []byte) {
	r.server.logger.Error("panic while answering a request", "request_id", r.id, "method", string(r.http.Method()),
		"path", string(r.http.Path()), "panic", fmt.Sprint(cause), "stack", string(stack))
	r.http.Response.ResetBody()
	r.http.Response.Header.Del(fasthttp.HeaderContentEncoding)
	r.http.SetConnectionClose()
	r.respondFailure(newError(fasthttp.StatusInternalServerError, internalMessage))
}

// requestID returns the client's X-Request-ID if it may be used, else a new one.
func requestID(ctx *fasthttp.RequestCtx) string {
	given := ctx.Request.Header.Peek(headerRequestID)
	if len(given) == 0 || len(given) > 64 {
		return newRequestID()
	}
	for _, b := range given {
		letter := b|0x20 >= 'a' && b|0x20 <= 'z'
		if !letter && (b < '0' || b > '9') && b != '.' && b != '_' && b != '-' {
			return newRequestID()
		}
	}
	return string(given)
}

func newRequestID() string {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], rand.Uint64())
	return "req-" + hex.EncodeToString(raw[:])
}

// context returns a context for the request that ends after the timeout, when the client goes away, or
// when the server is stopped. Its cancel function must be called before the handler returns.
func (r *request) context(timeout time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithValue(r.server.base, readStatsKey{}, &r.read), timeout)
	watch := watchClient(r.http.Conn(), cancel)
	return ctx, func() {
		watch.stop()
		cancel()
	}
}

package httpapi

import (
	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/config"
)

// origins are the web sites that Options.AllowedOrigins allows.
type origins struct {
	named map[string]bool // their pages may read, change and subscribe
	any   bool            // all others' may read
}

func newOrigins(allowed []string) origins {
	o := origins{named: map[string]bool{}}
	for _, origin := range allowed {
		if origin == config.AnyOrigin {
			o.any = true
		} else {
			o.named[origin] = true
		}
	}
	return o
}

const (
	exposedHeaders = "X-Request-ID, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, X-Next-Cursor, X-Exact, X-Error-Bound, " +
		"ETag, Content-Disposition, Content-Range, Idempotency-Replayed, WWW-Authenticate"
	allowedHeaders = "Authorization, Content-Type, Content-Encoding, Idempotency-Key, X-Request-ID, Last-Event-ID, Range, If-Range, If-None-Match"
)

// preflightSeconds is how long a browser may remember what a preflight said.
const preflightSeconds = "600"

// allowOrigin tells the browser whether the page may read the answer. Cookies and passwords that the browser
// keeps go to sites by name alone.
func (o origins) allowOrigin(ctx *fasthttp.RequestCtx) (allowed bool) {
	if !o.any && len(o.named) == 0 {
		return false
	}
	header := &ctx.Response.Header
	header.Set(fasthttp.HeaderVary, varyDefault+", Origin")
	origin := string(ctx.Request.Header.Peek(fasthttp.HeaderOrigin))
	switch {
	case origin == "":
		return false
	case o.named[origin]:
		header.Set(fasthttp.HeaderAccessControlAllowOrigin, origin)
		header.Set(fasthttp.HeaderAccessControlAllowCredentials, "true")
	case o.any:
		header.Set(fasthttp.HeaderAccessControlAllowOrigin, config.AnyOrigin)
	default:
		return false
	}
	header.Set(fasthttp.HeaderAccessControlExposeHeaders, exposedHeaders)
	return true
}

// answerOptions answers OPTIONS; the router has set the Allow header. A browser asks so before a page sends
// what isn't as simple as a form.
func (s *Server) answerOptions(ctx *fasthttp.RequestCtx) {
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	header := &ctx.Response.Header
	if len(header.Peek(fasthttp.HeaderAccessControlAllowOrigin)) == 0 || len(ctx.Request.Header.Peek(fasthttp.HeaderAccessControlRequestMethod)) == 0 {
		return
	}
	header.SetBytesV(fasthttp.HeaderAccessControlAllowMethods, header.Peek(fasthttp.HeaderAllow))
	header.Set(fasthttp.HeaderAccessControlAllowHeaders, allowedHeaders)
	header.Set(fasthttp.HeaderAccessControlMaxAge, preflightSeconds)
}

// Package httpapi serves the collector's HTTP interface on fasthttp.
//
// # The way of a request
//
// Server.handle gives the request its id, applies the Host rule, and hands it to the router. A route's
// handler is a function func(*Server, *request) error: it answers by request.respond (or one of its
// siblings), or returns an error. Every error goes through one table, in errors.go, which knows the
// status, the code and the Retry-After of each; what the table does not know is logged and becomes a
// 500 that says nothing about our insides. A panic takes the same way.
//
// # Adding an endpoint
//
// Each family of endpoints is a file with a function that returns its routes; allRoutes lists the
// families. A route that changes something sets mutates: it is then closed to foreign web pages. One that
// reads samples sets query: it is then counted and timed for /system/performance. Paths are given without
// the base: every route is served at / and at /api/v1, with and without a slash at its end, and HEAD
// wherever there is GET.
//
// Every route declares the role that a key must have for it, and is refused before its handler runs. A handler that
// needs more for some of what it does calls request.requireRole; one that writes for a source asks
// request.mayWriteAs; what is scoped to a client goes by request.keyName. A route that is live, a WebSocket or
// server-sent events, takes a key as browsers can send it there, and should ask what request.stillAllowed
// returned from time to time.
//
// A handler that takes a body calls request.readBody and releases what it gets; the body arrives
// decompressed, within the limits, in pooled memory that is gone after the release. request.checkJSON
// applies the rule for Content-Type. Faults are made with invalidRequest (body), invalidQuery
// (parameters), limitExceeded, newError; engine errors are returned as they are. A handler that has
// stored samples calls Server.NoteStored, which /health reports.
//
// Everything that comes out of a fasthttp.RequestCtx is reused once the handler has returned: copy what
// is to outlive it.
package httpapi

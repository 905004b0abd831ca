package httpapi

import (
	"slices"
	"strings"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"
)

// handler answers a request, or returns the error to answer with.
type handler func(*Server, *request) error

// route is an endpoint.
type route struct {
	method   string
	path     string // without the base and without a slash at its end, unless it is "/"
	about    string // one line for the index
	role     role   // what a client must be allowed to, once there are keys
	mutates  bool   // it changes something: closed to foreign web pages
	live     bool   // a WebSocket or server-sent events: likewise, and a key may come as browsers can send it there
	login    bool   // a key may also come in the parameters u and p, as clients of InfluxDB send it
	query    bool   // it counts among the queries that /system/performance tells of
	flopynet bool   // it belongs to FLOPY-NET's own surface: served at its path alone, which begins with /api
	openHead bool   // HEAD tells everybody that it is here, and nothing else: FLOPY-NET's dashboard looks so, without its password
	handler  handler

	failure spelling // nil: the common envelope
}

// spelling is how a failure is told to clients of another program's.
type spelling func(r *request, failure *apiError) []byte

// role is what a key allows; each includes those before it.
type role uint8

const (
	roleUndeclared role = iota // refused when the server is made
	roleNone                   // no key is needed
	roleRead
	roleWrite
	roleAdmin
)

// bases are where the same routes are served.
var bases = [...]string{"", "/api/v1"}

// places returns the paths at which a route is served.
func (endpoint *route) places() []string {
	if endpoint.flopynet {
		return []string{endpoint.path}
	}
	places := make([]string, len(bases))
	for i, base := range bases {
		places[i] = base + endpoint.path
		if base != "" {
			places[i] = strings.TrimSuffix(places[i], "/")
		}
	}
	return places
}

// head is what answers HEAD for a route that answers GET.
func (endpoint route) head() route {
	if endpoint.openHead {
		endpoint.role, endpoint.query, endpoint.handler = roleNone, false, (*Server).present
	}
	return endpoint
}

// allRoutes lists every endpoint.
func allRoutes() []route {
	return slices.Concat(writeRoutes(), formatRoutes(), eventRoutes(), policyRoutes(), deleteRoutes(), queryRoutes(), multiRoutes(), anomalyRoutes(),
		catalogueRoutes(), cardinalityRoutes(), exportRoutes(), exportJobRoutes(), liveRoutes(), pipelineRoutes(),
		opsRoutes(), metricsRoutes(), configRoutes(), keyRoutes(), adminRoutes(), snapshotRoutes(), openapiRoutes(),
		flopynetRoutes(), flopynetEventRoutes(), flopynetMetricsRoutes(), flopynetQueryRoutes(), flRoutes(), flopynetFLRoutes(), networkRoutes())
}

// newRouter returns a router for the routes.
func (s *Server) newRouter(routes []route) *router.Router {
	r := router.New()
	r.RedirectTrailingSlash = false
	r.RedirectFixedPath = false
	r.NotFound = s.wrap(route{role: roleNone, handler: (*Server).notFound})
	r.MethodNotAllowed = s.wrap(route{role: roleNone, handler: (*Server).methodNotAllowed})
	r.GlobalOPTIONS = s.answerOptions
	for _, endpoint := range routes {
		serve := s.wrap(endpoint)
		for _, path := range endpoint.places() {
			r.Handle(endpoint.method, path, serve)
			if endpoint.failure != nil {
				s.spell[path] = endpoint.failure
			}
			if endpoint.method == fasthttp.MethodGet {
				r.Handle(fasthttp.MethodHead, path, s.wrap(endpoint.head()))
			}
		}
	}
	return r
}

// trimSlash takes the slash off the end of the path, where it means nothing. The router could do with
// routes for both spellings, but its tree refuses some sets of them.
func trimSlash(ctx *fasthttp.RequestCtx) {
	uri := ctx.Request.URI()
	if path := uri.PathOriginal(); len(path) > 1 && path[len(path)-1] == '/' {
		uri.SetPathBytes(path[:len(path)-1])
	}
}

func (s *Server) notFound(r *request) error {
	return newError(fasthttp.StatusNotFound, "There is no such path", detail{"path", clip(string(r.http.Path()))},
		detail{"issue", "see GET / for the endpoints there are"})
}

// methodNotAllowed answers for paths that have other methods; the router has set the Allow header.
func (s *Server) methodNotAllowed(r *request) error {
	return newError(fasthttp.StatusMethodNotAllowed, "The method is not allowed here",
		detail{"method", string(r.http.Method())},
		detail{"allow", string(r.http.Response.Header.Peek(fasthttp.HeaderAllow))})
}

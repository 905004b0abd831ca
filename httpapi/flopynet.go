package httpapi

import (
	"github.com/valyala/fasthttp"
)

// flopynetRoutes are those of FLOPY-NET's own surface that belong to no family.
func flopynetRoutes() []route {
	return []route{
		{flopynet: true, method: fasthttp.MethodGet, path: "/api", about: "the surface of FLOPY-NET's collector", role: roleNone, handler: (*Server).getFlopynetIndex},
	}
}

// getFlopynetIndex answers GET /api with what FLOPY-NET's programs find there.
func (s *Server) getFlopynetIndex(r *request) error {
	if _, err := knownParams(r.http.QueryArgs(), paramSet{}); err != nil {
		return err
	}
	endpoints := map[string]string{}
	for _, known := range allRoutes() {
		if known.flopynet {
			endpoints[known.method+" "+known.path] = known.about
		}
	}
	r.respondValue(fasthttp.StatusOK, map[string]any{"name": "collector", "version": s.options.Version, "endpoints": endpoints})
	return nil
}

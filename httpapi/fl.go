package httpapi

import (
	"github.com/valyala/fasthttp"
)

func flRoutes() []route {
	return []route{
		{method: fasthttp.MethodGet, path: "/fl/status", about: "state of the federated training", role: roleRead, handler: (*Server).getFLStatus},
		{method: fasthttp.MethodGet, path: "/fl/clients", about: "the clients of the federated training", role: roleRead, query: true, handler: (*Server).getFLClients},
	}
}

// getFLStatus answers GET /fl/status.
func (s *Server) getFLStatus(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	r.respondValue(fasthttp.StatusOK, s.testbed.FLStatus())
	return nil
}

// getFLClients answers GET /fl/clients.
func (s *Server) getFLClients(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	ctx, cancel := r.context(s.options.QueryTimeout)
	defer cancel()
	clients, err := s.testbed.FLClients(ctx)
	if err != nil {
		return err
	}
	r.respondLarge(typeJSON, append(appendJSON(nil, clients), '\n'))
	return nil
}

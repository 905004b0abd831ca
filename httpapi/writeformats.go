package httpapi

import (
	"mime"

	"github.com/valyala/fasthttp"
)

// formatRoutes are those of the formats that other programs write in.
func formatRoutes() []route {
	influx, remote := newInfluxWriter(), newRemoteWriter()
	return []route{
		{method: fasthttp.MethodPost, path: "/write", about: "write in InfluxDB's line protocol, or as Prometheus' remote write", role: roleWrite,
			mutates: true, login: true, failure: failureOfWrite, handler: func(s *Server, r *request) error {
				if proto, ok := r.protobuf(); ok {
					return remote.write(s, r, proto)
				}
				return influx.write(s, r, &influxAPI1)
			}},
		{method: fasthttp.MethodPost, path: "/api/v2/write", about: "the same as InfluxDB 2 has it", role: roleWrite, mutates: true,
			failure: influxFailure2, handler: func(s *Server, r *request) error { return influx.write(s, r, &influxAPI2) }},
		{method: fasthttp.MethodGet, path: "/ping", about: "the version of InfluxDB's interface, for its clients", role: roleNone, handler: (*Server).getPing},
	}
}

const typeProtobuf = "application/x-protobuf"

// protobuf reports whether the body of POST /write is Prometheus' remote write, and which message it names, if it
// does. All others are line protocol, for which clients give Content-Types of all kinds.
func (r *request) protobuf() (proto string, ok bool) {
	kind, parameters, _ := mime.ParseMediaType(string(r.http.Request.Header.ContentType())) // kind is "" if it can't be read
	return parameters["proto"], kind == typeProtobuf
}

// failureOfWrite spells a failure of POST /write for the client that its body is from.
func failureOfWrite(r *request, failure *apiError) []byte {
	if _, ok := r.protobuf(); ok {
		return r.envelope(failure)
	}
	return influxFailure1(r, failure)
}

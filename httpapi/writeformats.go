package httpapi

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// formatRoutes are those of the formats that other programs write in.
func formatRoutes() []route {
	influx := newInfluxWriter()
	return []route{
		{method: fasthttp.MethodPost, path: "/write", about: "write in InfluxDB's line protocol", role: roleWrite, mutates: true, login: true,
			failure: failureOfWrite, handler: func(s *Server, r *request) error {
				if r.hasProtobuf() {
					return newError(fasthttp.StatusUnsupportedMediaType, "The Content-Type is not supported",
						detail{"given", typeProtobuf}, detail{"issue", "send InfluxDB's line protocol"})
				}
				return influx.write(s, r, &influxAPI1)
			}},
		{method: fasthttp.MethodPost, path: "/api/v2/write", about: "the same as InfluxDB 2 has it", role: roleWrite, mutates: true,
			failure: influxFailure2, handler: func(s *Server, r *request) error { return influx.write(s, r, &influxAPI2) }},
		{method: fasthttp.MethodGet, path: "/ping", about: "the version of InfluxDB's interface, for its clients", role: roleNone, handler: (*Server).getPing},
	}
}

const typeProtobuf = "application/x-protobuf"

// hasProtobuf reports whether the body of POST /write is Prometheus' remote write. All others are line protocol,
// for which clients give Content-Types of all kinds.
func (r *request) hasProtobuf() bool {
	kind, _, _ := bytes.Cut(r.http.Request.Header.ContentType(), []byte(";"))
	return string(bytes.TrimSpace(kind)) == typeProtobuf
}

// failureOfWrite spells a failure of POST /write for the client that its body is from.
func failureOfWrite(r *request, failure *apiError) []byte {
	if r.hasProtobuf() {
		return r.envelope(failure)
	}
	return influxFailure1(r, failure)
}

package httpapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/valyala/fasthttp"
	"go.yaml.in/yaml/v3"
)

// openapiYAML describes every route and every answer. The tests check all they send and get against it.
//
//go:embed openapi.yaml
var openapiYAML []byte

const typeYAML = "application/yaml"

func openapiRoutes() []route {
	asJSON := sync.OnceValue(openapiJSON)
	return []route{
		{method: fasthttp.MethodGet, path: "/openapi.json", about: "the OpenAPI description of all this", role: roleNone,
			handler: func(_ *Server, r *request) error { return r.respondDocument(typeJSON, asJSON()) }},
		{method: fasthttp.MethodGet, path: "/openapi.yaml", about: "the same in YAML", role: roleNone,
			handler: func(_ *Server, r *request) error { return r.respondDocument(typeYAML, openapiYAML) }},
	}
}

func (r *request) respondDocument(contentType string, document []byte) error {
	if err := r.noParams(); err != nil {
		return err
	}
	r.respondLarge(contentType, document)
	return nil
}

// openapiJSON turns the description into JSON.
func openapiJSON() []byte {
	var document any
	err := yaml.Unmarshal(openapiYAML, &document)
	if err == nil {
		var text []byte
		if text, err = json.Marshal(document); err == nil {
			return text
		}
	}
	panic(fmt.Sprintf("the embedded openapi.yaml: %v", err)) // a fault of the build
}

package httpapi

import (
	"mime"
	"strings"

	"github.com/valyala/fasthttp"
)

// checkJSON reports a Content-Type that is not JSON. A missing one, text/plain and a form's are what
// simple clients send without thinking, and are taken for JSON.
func (r *request) checkJSON() error {
	given := string(r.http.Request.Header.ContentType())
	if given == "" {
		return nil
	}
	kind, parameters, err := mime.ParseMediaType(given)
	charset := strings.ToLower(parameters["charset"])
	switch {
	case err != nil || charset != "" && charset != "utf-8" && charset != "us-ascii":
	case kind == "application/json", kind == "text/plain", kind == "application/x-www-form-urlencoded":
		return nil
	}
	return newError(fasthttp.StatusUnsupportedMediaType, "The Content-Type is not supported",
		detail{"given", clip(given)}, detail{"valid", []string{"application/json"}})
}

// contentEncoding returns identity, gzip, zstd or snappy.
func contentEncoding(header *fasthttp.RequestHeader) (string, error) {
	given := string(header.ContentEncoding())
	switch name := strings.ToLower(strings.TrimSpace(given)); name {
	case "", "identity":
		return "identity", nil
	case "gzip", "x-gzip":
		return "gzip", nil
	case "zstd", "snappy":
		return name, nil
	}
	return "", newError(fasthttp.StatusUnsupportedMediaType, "The Content-Encoding is not supported",
		detail{"given", clip(given)}, detail{"valid", []string{"gzip", "zstd", "snappy", "identity"}})
}

package httpapi

import (
	"bytes"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"
)

// minCompressBytes is the size below which compressing an answer gains nothing.
const minCompressBytes = 1 << 10

var (
	gzipWriters = sync.Pool{New: func() any {
		writer, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		if err != nil {
			panic(err) // the level is a constant
		}
		return writer
	}}
	zstdWriters = sync.Pool{New: func() any {
		encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err) // the options are constants
		}
		return encoder
	}}
)

// compress compresses the answer's body if it is worth it and the client accepts it.
func (r *request) compress() {
	response := &r.http.Response
	if response.IsBodyStream() || len(response.Body()) < minCompressBytes || len(response.Header.ContentEncoding()) > 0 {
		return
	}
	encoding := acceptedEncoding(string(r.http.Request.Header.Peek(fasthttp.HeaderAcceptEncoding)))
	if encoding == "" {
		return
	}
	var out bytes.Buffer
	out.Grow(len(response.Body()) / 4)
	if encoding == "zstd" {
		encoder := zstdWriters.Get().(*zstd.Encoder)
		encoder.Reset(&out)
		encoder.Write(response.Body()) //nolint:errcheck // a bytes.Buffer does not fail
		encoder.Close()                //nolint:errcheck // as above
		encoder.Reset(nil)
		zstdWriters.Put(encoder)
	} else {
		writer := gzipWriters.Get().(*gzip.Writer)
		writer.Reset(&out)
		writer.Write(response.Body()) //nolint:errcheck // as above
		writer.Close()                //nolint:errcheck // as above
		gzipWriters.Put(writer)
	}
	response.Header.SetContentEncoding(encoding)
	response.SetBodyRaw(out.Bytes())
}

// acceptedEncoding picks what an Accept-Encoding header likes best of zstd and gzip: zstd, when it likes
// them the same. It returns "" when it wants neither.
func acceptedEncoding(accept string) string {
	weights := map[string]float64{}
	for part := range strings.SplitSeq(accept, ",") {
		name, weight := acceptPart(part)
		weights[name] = weight
	}
	weightOf := func(name string) float64 {
		if weight, named := weights[name]; named {
			return weight
		}
		return weights["*"]
	}
	zstdWeight, gzipWeight := weightOf("zstd"), weightOf("gzip")
	switch {
	case zstdWeight == 0 && gzipWeight == 0:
		return ""
	case zstdWeight >= gzipWeight:
		return "zstd"
	default:
		return "gzip"
	}
}

// acceptPart splits an element of an Accept header into its name and its weight, 1 unless q says less.
func acceptPart(part string) (name string, weight float64) {
	name, parameters, _ := strings.Cut(part, ";")
	weight = 1
	for parameter := range strings.SplitSeq(parameters, ";") {
		if value, found := strings.CutPrefix(strings.TrimSpace(parameter), "q="); found {
			if q, err := strconv.ParseFloat(value, 64); err == nil && q >= 0 && q <= 1 {
				weight = q
			}
		}
	}
	return strings.ToLower(strings.TrimSpace(name)), weight
}

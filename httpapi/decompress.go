package httpapi

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"
)

// maxZstdWindow bounds what a zstd frame may make the decoder keep. It is what RFC 9659 asks of HTTP, and
// what the levels up to 19 need.
const maxZstdWindow = 8 << 20

// snappyMagic opens a stream in snappy's framing format; without it, a body is a single block.
var snappyMagic = []byte("\xff\x06\x00\x00sNaPpY")

// maxSnappyRatio is above what a block can reach: 64 bytes from an element of 3.
const maxSnappyRatio = 24

var (
	gzipReaders   = sync.Pool{New: func() any { return new(gzip.Reader) }}
	snappyReaders = sync.Pool{New: func() any { return snappy.NewReader(nil) }}
	zstdReaders   = sync.Pool{New: func() any {
		decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			panic(err) // the options are constants
		}
		return decoder
	}}
)

// decompress reads the body from its encoding, which is one of contentEncoding's.
func (b *body) decompress(encoding string, sent *sentReader, options *Options) error {
	var err error
	switch encoding {
	case "gzip":
		err = b.gunzip(sent, options.MaxDecodedBytes)
	case "zstd":
		err = b.unzstd(sent, options.MaxDecodedBytes)
	default:
		err = b.unsnappy(sent, options)
	}
	if err == nil {
		return nil
	}
	if sent.err != nil {
		return sent.err
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return zstdWindowTooLarge()
	}
	if failure := classify(err); failure.status != fasthttp.StatusInternalServerError {
		return failure
	}
	return invalidRequest("The request's body is not valid "+encoding, detail{"issue", err.Error()})
}

func (b *body) gunzip(source io.Reader, limit int64) error {
	reader := gzipReaders.Get().(*gzip.Reader)
	defer gzipReaders.Put(reader)
	if err := reader.Reset(source); err != nil {
		return unexpected(err)
	}
	return b.fill(reader, limit, "decompressed")
}

func (b *body) unzstd(source io.Reader, limit int64) error {
	decoder := zstdReaders.Get().(*zstd.Decoder)
	defer func() {
		if decoder.Reset(nil) == nil {
			zstdReaders.Put(decoder)
		}
	}()
	if err := decoder.Reset(source); err != nil {
		return unexpected(err)
	}
	return b.fill(decoder, limit, "decompressed")
}

func zstdWindowTooLarge() error {
	return invalidRequest("The request's body has too large a zstd window", detail{"limit", "zstd window bytes"},
		detail{"max", maxZstdWindow}, detail{"issue", "compress it at level 19 or below and without --long"})
}

// unsnappy reads a single block, as Prometheus sends it, or the framing format.
func (b *body) unsnappy(source io.Reader, options *Options) error {
	block := bodyPool.Get().(*body)
	block.budget = b.budget
	defer block.release()
	if err := block.reserve(int64(cap(block.bytes))); err != nil {
		return err
	}
	if err := block.fill(source, options.MaxBodyBytes, "as sent"); err != nil {
		return err
	}
	if bytes.HasPrefix(block.bytes, snappyMagic) {
		reader := snappyReaders.Get().(*snappy.Reader)
		defer snappyReaders.Put(reader)
		reader.Reset(bytes.NewReader(block.bytes))
		return b.fill(reader, options.MaxDecodedBytes, "decompressed")
	}
	length, err := snappy.DecodedLen(block.bytes)
	switch {
	case err != nil:
		return err
	case int64(length) > options.MaxDecodedBytes:
		return bodyTooLarge("decompressed", options.MaxDecodedBytes)
	case length > maxSnappyRatio*len(block.bytes):
		return snappy.ErrCorrupt
	}
	if length > cap(b.bytes) {
		if err := b.grow(int64(length)); err != nil {
			return err
		}
	}
	b.bytes, err = snappy.Decode(b.bytes[:length], block.bytes)
	return err
}

// unexpected makes the end of the source, where a header should be, an error that says so.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

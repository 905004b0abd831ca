package export

import (
	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/klauspost/compress/zstd"
)

// fastZstd is the codec for Parquet's pages with one encoder for all of them, which makes no garbage, at its
// fastest setting. The library's own makes an encoder of some megabytes for each page.
type fastZstd struct {
	compress.Codec // the library's own, for reading
	encoder        *zstd.Encoder
}

func (z fastZstd) Encode(dst, src []byte) []byte { return z.encoder.EncodeAll(src, dst[:0]) }

func (z fastZstd) EncodeLevel(dst, src []byte, _ int) []byte { return z.Encode(dst, src) }

// The library keeps its codecs in a table, made for being changed by an init.
func init() {
	own, err := compress.GetCodec(compress.Codecs.Zstd)
	if err != nil {
		panic(err) // the library has it
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithZeroFrames(true), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // the options are constants
	}
	compress.RegisterCodec(compress.Codecs.Zstd, fastZstd{own, encoder})
}

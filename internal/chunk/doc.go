// Package chunk encodes runs of samples of one series: at most MaxSamples float64 values at strictly
// increasing times, lossless to the last bit, in one of two codecs. It knows neither files nor series; keys are opaque bytes
// that the checksum covers, so that a chunk read back under another key is found out.
//
// A stored chunk, its value in the key-value store (docs/format.md, section 4, is normative):
//
//	 0       1       2       3       4               8
//	+-------+-------+---------------+---------------+
//	| codec | unit  | flags         | count         |
//	+-------+-------+---------------+---------------+
//	| min time                                      |  int64, nanoseconds; also the first sample's time
//	+-----------------------------------------------+
//	| max time                                      |
//	+-----------------------------------------------+
//	| sum                                           |  float64
//	+-----------------------------------------------+
//	| min                                           |
//	+-----------------------------------------------+
//	| max                                           |
//	+-----------------------------------------------+
//	| first                                         |  also the first sample's value
//	+-----------------------------------------------+
//	| last                                          |
//	+-----------------------------------------------+
//	| payload of the codec                 ...
//	+-----------------------+-----------------------
//	| CRC32C of key, value  |
//	+-----------------------+
//
// CodecGorilla is the codec of open chunks, since it needs to see a sample but once. It is that of
// T. Pelkonen et al., "Gorilla: A Fast, Scalable, In-Memory Time Series Database", VLDB 2015: deltas of
// deltas of the times and exclusive ors of the values, in prefix codes of single bits, here with times in
// the coarsest power of ten of nanoseconds that loses nothing, code widths of our own and whole blocks
// decoded at once. The payload holds all samples but the first; a sample's bits, the most significant
// first:
//
//	time:  0                        same delta as before
//	       10     +  7 bits         change of the delta in units, two's complement
//	       110    + 14 bits
//	       1110   + 20 bits
//	       11110  + 28 bits
//	       11111  + 64 bits
//	value: 0                        same bits as before
//	       10     + n bits          exclusive or with the value before, inside the last window
//	       11 z n + n bits          new window: z leading zero bits (5 bits), n significant ones (6 bits, less one)
//
// CodecDecimal makes two columns of the samples, as package column encodes them, the one right behind the
// other: the times of all samples as integers, in units since the first, and their values as floats.
// Values that are decimals of few digits take a sixth of what they take in the other codec, others a tenth
// less, and all are decoded faster. Encode takes the codec that makes the chunk smaller.
//
// An Appender is an open chunk, a Block an immutable view of samples in either form.
package chunk

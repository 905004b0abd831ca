// Package chunk encodes runs of samples of one series: at most MaxSamples float64 values at strictly
// increasing times, lossless to the last bit. It knows neither files nor series; keys are opaque bytes
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
//	| payload: samples 2 to count          ...
//	+-----------------------+-----------------------
//	| CRC32C of key, value  |
//	+-----------------------+
//
// The codec is that of T. Pelkonen et al., "Gorilla: A Fast, Scalable, In-Memory Time Series Database",
// VLDB 2015: deltas of deltas of the times and exclusive ors of the values, in prefix codes of single
// bits, here with times in the coarsest power of ten of nanoseconds that loses nothing, code widths of
// our own and whole blocks decoded at once. A sample's bits, the most significant first:
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
// An Appender is an open chunk, a Block an immutable view of samples in either form.
package chunk

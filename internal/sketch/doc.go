// Package sketch summarises samples so that their quantiles can be told within RelativeError, whatever
// the values, and summaries of disjoint samples can be merged.
//
// The method is that of C. Masson, J. E. Rim, H. K. Lee, "DDSketch: A Fast and Fully-Mergeable Quantile
// Sketch with Relative-Error Guarantees", VLDB 2019: count the values in bins whose edges grow
// geometrically, so that one number stands for all of a bin. Bins are never collapsed. Ours split
// each octave into 35, so their edges grow by 2^(1/35) = 1.0200, a little less than the 1.01/0.99 that an
// error of 1 % allows. So the bin of a value follows from its bits and a table, without a logarithm and
// alike on every processor, and the rest of the error is there for the rounding of subnormal
// numbers. See bins.go for the bins, binary.go for the encoding.
package sketch

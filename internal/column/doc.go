// Package column encodes whole columns of integers or floats, lossless to the last bit, into and out of
// slices that the caller owns. A column knows its own end but not its length: the caller keeps that. A
// column without values has no bytes. All arithmetic is modulo 2^64; a varint is LEB128 of the zigzag
// form of a signed integer, a uvarint of an unsigned one.
//
// A column of integers v[0] to v[n-1]:
//
//	+------+---------------+--------------+-------------------------------------------------
//	| mode | first, varint | step, varint | blocks: 128 residuals each, fewer in the last ...
//	+------+---------------+--------------+-------------------------------------------------
//
// First is v[0], and each other integer has a residual r[i], from which it follows:
//
//	mode 0   v[i] = first + i step                                 no blocks
//	     1   v[i] = first + i step + r[i]
//	     2   v[i] = v[i-1] + r[i]                                  no step
//	     3   v[i] = v[i-1] + d[i], d[i] = d[i-1] + r[i]            d[0] = step
//
// A block of m residuals:
//
//	+------+----------------+-----------+-------------------+----------------------+
//	| head | centre, varint | low parts | high parts, unary | high parts, a list   |
//	+------+----------------+-----------+-------------------+----------------------+
//
//	head         bits 0 to 5: the width w; bit 6: there is a list; bit 7: there is a part in unary.
//	             255 means a width of 64 and neither
//	residual     centre 2^max(0, w-6) - half + low + high 2^w, with half = 2^(w-1) where 0 < w < 64, else 0
//	low parts    m integers of w bits, the lowest bit of each in the lowest bits free; filled up to a byte
//	in unary     a code for each high part: as many zero bits as its zigzag form says, then a one;
//	             from the lowest bit of each byte on; filled up to a byte. A code has 11 bits at most
//	list         a byte: their number less one, and in bit 7 whether there are large ones;
//	             a byte for each: the residual's index in the block, in bit 7 whether it is negative;
//	             if there are large ones, a uvarint for each: its magnitude less one, which is else zero
//
// A high part is the sum of the two, in unary and in the list, where there are both; zero where there is
// neither. So the usual residual is a few bits, found without looking at those before, and an unusual one
// costs two bytes or so. These are the ideas of patched frames of reference (M. Zukowski et al.,
// "Super-Scalar RAM-CPU Cache Compression", ICDE 2006) and of Rice's code (R. F. Rice, "Some Practical
// Universal Noiseless Coding Techniques", JPL 1979), whose quotients are the high parts here.
//
// A column of floats:
//
//	+------+---------------------+-----------------------------------------------------+
//	| form | column of integers  | exceptions: uvarint number, then for each one       |
//	|      |                     | uvarint values skipped, the value, big-endian bits  |
//	+------+---------------------+-----------------------------------------------------+
//
//	form 0 to 14    decimals: a value is its integer divided by 10^form, rounded to the nearest float64
//	     16 to 30   the same with exponents 0 to 14, and exceptions: values that are not what their
//	                integers say
//	     32         a value's bits are its integer
//
// The magnitude of a decimal's integer is at most 2^53. That most measured values are such decimals is what
// A. Afroozeh et al. found ("ALP: Adaptive Lossless Floating-Point Compression", SIGMOD 2023).
package column

//go:generate go run generate_unpack.go

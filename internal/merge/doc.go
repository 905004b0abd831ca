// Package merge brings the pieces of one series together: chunks, samples in memory, and the parts of both
// that deletes have hidden. Pieces are called runs; where runs have a sample of the same time, that of the
// newest run stands.
package merge

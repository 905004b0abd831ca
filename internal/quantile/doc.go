// Package quantile finds exact quantiles of many values without sorting them. It counts how many values
// fall into each of some thousand cells of equal width, which tells in which cells the wanted ranks are, and
// gathers the values of those cells alone: two passes over values where they lie, and a sort of a few of them.
// A cell that holds too many is divided again, by the order of the values' bits, of which each further pass
// settles as many as there are bits in a cell's number: so no distribution takes more than a handful of passes.
package quantile

// Package analysis finds the anomalies of a series: points that don't fit the rest of it, or don't fit where
// they stand.
//
// Detect is all there is to call. It computes the signals of a series (signals.go): the value, the step from
// the point before, and the value's distance from the medians around and before it, after a cycle was taken
// out, if the series has one (season.go, on the places of grid.go). A detector gives each point a score from 0 to 1 (detectors.go,
// forest.go), and the rule of Detect decides what is reported.
//
// Everything is a function of its input: no clock, no state, and a fixed seed.
package analysis

// Package model is the vocabulary of the collector: samples, tags, series, matchers, tiers and
// aggregates. It imports the standard library only, so that every other package can speak it.
package model

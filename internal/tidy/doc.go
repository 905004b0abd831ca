// Package tidy holds tests of the project's own form: which package may import which, how long files and
// functions are, who may read the clock, and whether the documents' links lead anywhere.
package tidy

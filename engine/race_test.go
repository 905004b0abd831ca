//go:build race

package engine

import "testing"

// cases returns how many cases of a random test run: few of them under the race detector, which makes each of them
// some ten times as dear and looks for what goroutines do to each other. The others run without it.
func cases(_, raced uint64) uint64 { return raced }

// singleThreaded skips a test that is dear and has no goroutines that could meet.
func singleThreaded(t *testing.T) { t.Skip("runs without the race detector") }

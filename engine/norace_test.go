//go:build !race

package engine

import "testing"

// cases returns how many cases of a random test run: all, see race_test.go.
func cases(all, _ uint64) uint64 { return all }

// singleThreaded marks a test that is dear and has no goroutines that could meet, see race_test.go.
func singleThreaded(*testing.T) {}

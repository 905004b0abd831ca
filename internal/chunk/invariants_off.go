//go:build !invariants

package chunk

// invariants turns on checks of what callers promise.
const invariants = false

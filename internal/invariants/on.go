//go:build invariants

package invariants

// Enabled is a constant, so that a disabled check is not even compiled.
const Enabled = true

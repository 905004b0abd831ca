// Package invariants says whether this binary checks the engine's own promises as it goes. Tests do
// (build tag invariants); what is shipped doesn't, so the checks cost nothing there. A promise that is
// broken panics: the fault is ours, and what follows can't be trusted.
package invariants

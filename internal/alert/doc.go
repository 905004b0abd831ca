// Package alert watches figures of the collector itself and raises an event when one crosses its threshold,
// and another when it has come back. Where the figures come from and where the events go is the caller's.
package alert

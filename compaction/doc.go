// Package compaction decides what maintenance of the chunk store there is to do, and does it through a
// pebble.Reader and a *pebble.Batch. It never commits, locks, sleeps or looks at the clock.
//
// # Retention
//
// A Policy says how long each series is kept in each tier; it hides at once what is older. Expired records
// what was dropped for good, which no later policy brings back.
package compaction

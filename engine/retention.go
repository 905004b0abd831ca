package engine

import "github.com/flopynet/collector/compaction"

// RetentionPolicy says how long everything is kept: a default, and rules for the series that they select.
type RetentionPolicy = compaction.Policy

// RetentionRule selects series by the patterns of their metric's name and source and gives them a
// retention of their own.
type RetentionRule = compaction.Rule

// Retention is how long raw samples, points of five minutes and points of an hour are kept; 0: not set.
type Retention = compaction.Retention

// KeepForever is the Retention of what is never dropped.
const KeepForever = compaction.Forever

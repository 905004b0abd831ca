// Package pipeline turns stored samples into tables of rows: once, when asked, or on a schedule; and hands the
// rows to the caller, writes them back as series, or sends them to a webhook.
//
// # From a definition to rows
//
// A Definition is a list of steps: filters, one aggregate, and what works on its rows. compile checks it and
// makes a plan, whose formulas are compiled once. run asks the engine for each metric of the selection, joins
// the answers by window and group into a table, and lets the steps change it in their order.
//
// A name in a formula stands for a column: an alias, <function>_<metric>, or <function>_<prefix> where one metric
// alone begins so. A scheduled pipeline keeps which metric a name was first resolved to, so that a metric that
// appears later doesn't change what is computed.
//
// # Schedules
//
// A Manager holds the pipelines. A scheduled one has a position: all windows before it are done. Its next run
// covers the windows from there that end at or before the next time of its schedule, and begins Lateness after
// that time, so that samples which come a little late count. What a run covers hangs on the position alone, so
// the runs after a time of standstill are those there would have been.
//
// A run's effect and the position are stored together. A delivery to a webhook is part of the same atomic
// change; samples that are written back come before it, and writing them again changes nothing.
//
// # Deliveries
//
// A delivery is stored before it is sent, and leaves the queue once an answer of 2xx is stored. So it is sent
// at least once, always under the same id. Those of a pipeline are sent one at a time.
//
// # Locks
//
// Manager.mu guards everything that changes, and is held while a change is stored, so that memory and disk
// agree. It is not held while a run reads or a delivery is under way.
package pipeline

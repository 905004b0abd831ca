// Package flopynet watches a FLOPY-NET testbed: it polls the components, stores what they tell in the engine, and answers
// from that. System measures the machine the collector runs on; Testbed has the components and the views.
//
// # The way of what a component tells
//
// A peer is a component as we reach it: one GET at a time, each bounded in time and size, read with tolerance (answer.go). A
// poller asks it for some things at an interval, for ever, in a goroutine of its own, so that one that hangs delays no other;
// after failures it waits longer, up to 30 s. What a poller learns goes three ways: numbers become samples, by a recorder
// that belongs to the component and gives them its name as their source; what happened becomes events; what is neither becomes
// small state. Times are the component's own where it gives any.
//
// Each step may be the last before a crash, so they have an order: samples first, which may be written again and are the
// same then; events and rows next, which are known by an id and stored once; the position last, which says what need not be
// asked for again. Nobody's position passes what isn't durable.
//
// # Files
//
//	testbed, peer, poller, health, answer, recorder, position, gate    the frame of all monitors
//	fl..., round...                                                     the FL server: its state, rounds of trainings, events; the clients
//	policy..., decision..., eventviews                                  the policy engine: its figures, decisions, events
//	sdn..., network...                                                  the SDN controller: topology, counters, flows
//	history, columns, latest...                                         rows and latest values put together from series
//	system, machine, probes                                             this machine
//
// Files whose names end in view or views, and those of network..., have the answers of the HTTP API, whose names of fields are
// the seed's or FLOPY-NET's.
package flopynet

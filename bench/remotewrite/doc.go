// Package remotewrite has the sender of a Prometheus 3, with the code that it has in there, write to a collector by
// remote write 2.0, and compares each sample.
//
//	make check-remote-write
package remotewrite

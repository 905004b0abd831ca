// Package flopynet stores measurements of the testbed's parts in the engine. System measures the machine
// the collector runs on; what it stores has the source "system".
package flopynet

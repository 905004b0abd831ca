// Package telemetry turns the collector's own measurements into the exposition format of Prometheus, and into
// samples that the collector stores of itself. Names and units follow the conventions of Prometheus. There is
// no global registry: what is exposed is what a Telemetry was made of.
package telemetry

package main

import (
	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/httpapi"
)

// ownFigures hands the collector's own metrics to what stores them.
func ownFigures(server *httpapi.Server) func() ([]flopynet.Figure, error) {
	return func() ([]flopynet.Figure, error) {
		samples, err := server.OwnMetrics()
		figures := make([]flopynet.Figure, len(samples))
		for i, s := range samples {
			figures[i] = flopynet.Figure(s)
		}
		return figures, err
	}
}

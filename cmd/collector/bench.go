package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/flopynet/collector/bench"
)

type benchCommand struct {
	Peers     []string      `name:"peers" placeholder:"NAME" help:"Peers to compare with: victoriametrics, prometheus, influxdb, or none (default: those that are installed)."`
	Encodings []string      `name:"encodings" placeholder:"NAME" help:"Encodings to write: influx, prw, json1 (default all)."`
	Variants  []string      `name:"variants" placeholder:"NAME" help:"Kinds of values: dec2, full, int (default all)."`
	Parts     []string      `name:"parts" placeholder:"NAME" help:"What to measure: ${bench_parts} (default all)."`
	Quick     bool          `name:"quick" help:"A small workload, to see that all works; its figures say little."`
	Repeat    int           `name:"repeat" default:"1" placeholder:"N" help:"Runs in turn, of which the medians count (default 1)."`
	Out       string        `name:"out" default:"bench-results" placeholder:"DIR" help:"Folder for RESULTS.md and plots (default ./bench-results)."`
	Profile   string        `name:"profile" placeholder:"DIR" help:"Folder for CPU profiles of the collector during each part."`
	Timeout   time.Duration `name:"timeout" default:"1h" placeholder:"DURATION" help:"After which the run is given up (default 1h)."`
}

// Run compares this program with its peers.
func (c benchCommand) Run() error {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	// A terminal that is closed must not leave servers behind, some of which take its signal as a wish to reload.
	if !signal.Ignored(syscall.SIGHUP) { // as it is under nohup
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	program, err := os.Executable()
	if err != nil {
		return err
	}
	return bench.Compare(ctx, bench.Options{
		Program: program, Peers: c.Peers, Encodings: c.Encodings, Variants: c.Variants, Parts: c.Parts,
		Quick: c.Quick, Repeat: c.Repeat, Out: c.Out, Profile: c.Profile, Timeout: c.Timeout,
		Command: "collector " + strings.Join(os.Args[1:], " "), Stdout: os.Stdout, Stderr: os.Stderr,
	})
}

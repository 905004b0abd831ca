package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/flopynet/collector/bench"
	"github.com/flopynet/collector/config"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitForced = 130 // a second signal cut the shutdown short
)

// commands is the command line.
type commands struct {
	PrintVersion kong.VersionFlag `name:"version" help:"Print the version."`

	Serve   serveCommand   `cmd:"" help:"Run the server."`
	Demo    demoCommand    `cmd:"" help:"Run the server with a simulated testbed, to see it at work."`
	Testbed testbedCommand `cmd:"" help:"Run the simulated testbed alone, for a server to poll."`
	Bench   benchCommand   `cmd:"" help:"Compare with VictoriaMetrics, Prometheus and InfluxDB on this machine."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

type serveCommand struct {
	Config           string `name:"config" env:"COLLECTOR_CONFIG" placeholder:"FILE" help:"File with settings: YAML, or FLOPY-NET's JSON."`
	Profile          string `name:"profile" hidden:"" placeholder:"FILE" help:"Write a CPU profile of the whole run to this file."`
	config.Overrides `embed:""`
}

// Run starts the server and returns once it has stopped.
func (c serveCommand) Run() error {
	settings, remarks, err := config.Load(c.Config, os.Environ(), c.Overrides)
	if err != nil {
		return err
	}
	logger := newLogger(os.Stderr, settings.LogLevel())
	for _, remark := range remarks {
		logger.Warn(remark.Text, "setting", remark.Setting)
	}
	return profiled(c.Profile, func() error { return serve(settings) })
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run() error {
	_, err := fmt.Println(versionText())
	return err
}

func main() { os.Exit(run(os.Args[1:])) }

// dropEmptyVariables takes settings that are empty in the environment out of it: compose files name
// variables that nobody has given a value, and the parser would take that for the value.
func dropEmptyVariables() {
	for _, entry := range os.Environ() {
		if name, value, _ := strings.Cut(entry, "="); value == "" && strings.HasPrefix(name, config.EnvPrefix) {
			_ = os.Unsetenv(name) // it fails for no name that is there
		}
	}
}

// run executes one command line and returns the exit code; --help and --version end the program in it.
func run(arguments []string) int {
	var cli commands
	parser, err := kong.New(&cli,
		kong.Name("collector"),
		kong.Description("Collects metrics, stores them durably and answers queries, from one binary and one directory."),
		kong.Vars{"version": versionText(), "bench_parts": strings.Join(bench.PartNames(), ", ")})
	if err != nil {
		panic(err) // the tags above are malformed
	}
	tellDemoDefaults(parser.Model.Node)
	dropEmptyVariables()
	command, err := parser.Parse(arguments)
	if err != nil {
		fmt.Fprintf(os.Stderr, "collector: %v\nTry collector --help.\n", err)
		return exitUsage
	}
	if err := command.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "collector: %v\n", err)
		if errors.Is(err, errForced) {
			return exitForced
		}
		return exitFailed
	}
	return exitOK
}

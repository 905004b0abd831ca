package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/httpapi"
	"github.com/flopynet/collector/internal/export"
	"github.com/flopynet/collector/pipeline"
)

// drainTimeout bounds how long requests under way may hold up the shutdown.
const drainTimeout = 10 * time.Second

// errForced says that the user didn't want to wait for the shutdown.
var errForced = errors.New("stopped at once by a second signal; what was acknowledged is safe in the write-ahead log")

// serve runs the server until a signal ends it, and returns nil after an orderly shutdown.
func serve(settings config.Config) error {
	logger, level := startLogger(settings)
	listeners, err := listenAll(settings, logger)
	if err != nil {
		return err
	}
	defer closeAll(listeners)
	ready := func(effective config.Config, locked bool) { printBanner(os.Stdout, effective, listeners, locked) }
	return untilSignal(logger, func(stop <-chan struct{}) error {
		return runService(settings, logger, level, listeners, ready, stop)
	})
}

// startLogger returns the logger that the settings want, and its level, and warns of variables that are no settings.
func startLogger(settings config.Config) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(settings.LogLevel())
	logger := newLogger(os.Stderr, level)
	for _, name := range config.UnknownEnvironment(os.Environ()) {
		logger.Warn("this environment variable is no setting and is ignored; collector serve --help lists them", "name", name)
	}
	return logger, level
}

// listenAll takes the ports. They come first: whoever lacks one should learn it before a long recovery, not after.
func listenAll(settings config.Config, logger *slog.Logger) ([]net.Listener, error) {
	listeners, err := listen(settings.Listen)
	if err != nil {
		return nil, err
	}
	encrypted, err := encrypt(listeners, settings, logger)
	if err != nil {
		closeAll(listeners)
	}
	return encrypted, err
}

// untilSignal runs something that ends when its channel is closed: at the first signal. At the second it is left alone.
func untilSignal(logger *slog.Logger, run func(stop <-chan struct{}) error) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() { done <- run(stop) }()
	var stopping time.Time
	select {
	case err := <-done:
		return err
	case received := <-signals:
		stopping = time.Now()
		logger.Info("stopping; a second signal stops at once", "signal", received.String())
		close(stop)
	}
	select {
	case err := <-done:
		if err == nil {
			logger.Info("stopped", "took", time.Since(stopping))
		}
		return err
	case <-signals:
		return errForced
	}
}

// runService opens the store and serves it on the listeners until stop is closed or a listener fails. It calls ready once
// it serves, with the settings in force, and says whether a key is needed.
func runService(given config.Config, logger *slog.Logger, level *slog.LevelVar, listeners []net.Listener,
	ready func(effective config.Config, locked bool), stop <-chan struct{}) (err error) {
	live, err := openConfig(given, logger)
	if err != nil {
		return err
	}
	settings := live.Config()
	level.Set(settings.LogLevel())
	opened := time.Now()
	db, err := engine.Open(settings.DataDir, engineOptions(settings, logger))
	if err != nil {
		return fmt.Errorf("opening the data directory %s: %w", settings.DataDir, err)
	}
	defer func() {
		if closeErr := db.Close(); closeErr != nil {
			err = errors.Join(err, fmt.Errorf("closing the data directory %s: %w", settings.DataDir, closeErr))
		}
	}()
	logger.Info("the data directory is open", "data_dir", settings.DataDir, "took", time.Since(opened))

	applied := &applier{db: db, level: level, logger: logger}
	if err := live.Begin(applied.apply); err != nil {
		return fmt.Errorf("keeping the configuration in %s: %w", settings.DataDir, err)
	}
	keys, err := openKeys(db, settings, logger)
	if err != nil {
		return err
	}
	exports, err := export.OpenJobs(db, export.JobOptions{Logger: logger, MaxBytes: settings.Exports.MaxBytes, Keep: settings.Exports.Keep})
	if err != nil {
		return fmt.Errorf("taking up the exports: %w", err)
	}
	defer exports.Close()
	options := serverOptions(settings, logger, keys, live)
	options.Exports = exports
	var server *httpapi.Server
	testbed, err := openTestbed(db, settings, logger, func(at time.Time, samples int) { server.NoteStored(at, samples) })
	if err != nil {
		return err
	}
	defer testbed.Close()
	options.Testbed = testbed
	server = httpapi.New(db, options)
	pipelines, err := openPipelines(db, server, settings, logger)
	if err != nil {
		return err
	}
	defer pipelines.Close()
	if settings.SelfMetrics {
		system := flopynet.StartSystem(db, flopynet.SystemOptions{Logger: logger, Stored: server.NoteStored})
		defer system.Close()
		own := flopynet.StartOwn(db, flopynet.SystemOptions{Logger: logger, Stored: server.NoteStored}, ownFigures(server))
		defer own.Close()
	}
	alerts := watchAlerts(db, server, live, logger)
	defer alerts.Close()
	err = serveUntil(server, listeners, stop, func() {
		testbed.Start()
		ready(settings, keys.Any())
	})
	testbed.Close() // first, so that nobody who waits for a component that hangs holds up the rest
	return errors.Join(err, drain(server, logger))
}

// serveUntil answers on the listeners until stop is closed or one of them fails, and calls ready once it does.
func serveUntil(server *httpapi.Server, listeners []net.Listener, stop <-chan struct{}, ready func()) error {
	failed := make(chan error, len(listeners))
	for _, listener := range listeners {
		go func() { failed <- server.Serve(listener) }()
	}
	server.SetReady(true)
	ready()

	select {
	case <-stop:
		return nil
	case cause := <-failed:
		return fmt.Errorf("a listener failed: %w", cause)
	}
}

// openPipelines goes on with the pipelines that are stored, and gives them to the server.
func openPipelines(db *engine.DB, server *httpapi.Server, settings config.Config, logger *slog.Logger) (*pipeline.Manager, error) {
	guard, err := pipeline.NewGuard(settings.Webhooks.Allowed)
	if err != nil {
		return nil, fmt.Errorf("webhooks.allowed: %w", err)
	}
	pipelines, err := pipeline.Open(db, pipeline.Options{Logger: logger, Guard: guard, Agent: "collector/" + versionNumber(), Stored: server.NoteStored})
	if err != nil {
		return nil, fmt.Errorf("opening the pipelines: %w", err)
	}
	server.SetPipelines(pipelines)
	return pipelines, nil
}

// drain lets the requests under way finish. Not waiting for the slowest is no failure: whatever was
// acknowledged is durable.
func drain(server *httpapi.Server, logger *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		logger.Warn("some requests were cut off, since they were still under way", "after", drainTimeout)
		return nil
	}
	return err
}

func engineOptions(settings config.Config, logger *slog.Logger) engine.Options {
	tuning := tuningOf(settings)
	options := engine.Options{
		Logger:            logger,
		SyncInterval:      settings.WAL.SyncInterval,
		Retention:         settings.RetentionPolicy(),
		EventRetention:    time.Duration(settings.Storage.RetentionEvents),
		MaxSeries:         tuning.MaxSeries,
		MaxNewSeries:      tuning.MaxNewSeries,
		ResultCacheBytes:  tuning.ResultCacheBytes,
		MaxQuerySamples:   tuning.MaxQuerySamples,
		MaxQueryBytes:     tuning.MaxQueryBytes,
		MaxQueriesBytes:   tuning.MaxQueriesBytes,
		MaxWaitingSamples: tuning.MaxWaitingSamples,
		MaxGroupSamples:   tuning.MaxGroupSamples,
		FlushInterval:     tuning.FlushInterval,
		Uncompressed:      tuning.Uncompressed,
		MinFreeBytes:      tuning.MinFreeBytes,
		Workers:           tuning.Workers,
	}
	switch settings.WAL.Sync {
	case config.SyncInterval:
		options.Sync = engine.SyncInterval
	case config.SyncOff:
		options.Sync = engine.SyncOff
	default:
		options.Sync = engine.SyncAlways
	}
	return options
}

// listen binds all addresses, or none.
func listen(addresses []string) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, address := range addresses {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			closeAll(listeners)
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, fmt.Errorf("%s is in use already, maybe by another collector; choose another address with --listen", address)
			}
			return nil, fmt.Errorf("listening on %s: %w", address, err)
		}
		listeners = append(listeners, listener)
	}
	return listeners, nil
}

// closeAll closes what the server may have closed before; that a listener is closed already is fine.
func closeAll(listeners []net.Listener) {
	for _, listener := range listeners {
		_ = listener.Close()
	}
}

// newLogger writes one line an event. An error is its message: some of those of the chunk store would
// spell out the stack of their origin.
func newLogger(out io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
			if err, isError := attr.Value.Any().(error); isError {
				attr.Value = slog.StringValue(err.Error())
			}
			return attr
		},
	}))
}

package flopynet

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

const (
	systemSource = "system"
	ownSource    = "collector"

	defaultInterval    = 5 * time.Second
	defaultOwnInterval = 15 * time.Second

	// settleTime lies between the start and the first measurement: the usage of the CPU is a difference
	// of two readings, and a shorter distance would show little but noise.
	settleTime = 250 * time.Millisecond

	// probeTimeout bounds one probe, so that a slow one delays the others by no more than that.
	probeTimeout = 2 * time.Second
)

// SystemOptions adjusts a System. The zero value of every field but Logger means its default.
type SystemOptions struct {
	Interval time.Duration    // between two measurements; default 5 s
	Now      func() time.Time // stamps the samples; default time.Now
	Host     string           // value of the tag host; default the machine's name
	Logger   *slog.Logger     // required

	// Stored is told when samples became durable, and how many; default nobody.
	Stored func(at time.Time, samples int)
}

// System measures this machine's cpu, memory, disk and network, at once and then at each interval, until
// Close.
type System struct {
	db       *engine.DB
	options  SystemOptions
	recorder *recorder

	// Touched by the measuring goroutine alone.
	probes []probe
	faults map[string]string // by probe: its last error, which is logged when it changes

	cancel context.CancelFunc
	done   chan struct{}
}

// StartSystem begins to measure. Close the result before the engine.
func StartSystem(db *engine.DB, options SystemOptions) *System {
	ctx, cancel := context.WithCancel(context.Background())
	return newSystem(db, options, systemSource, systemProbes(ctx)).start(ctx, cancel)
}

// Figure is one measurement of the collector itself.
type Figure struct {
	Name  string
	Unit  string // "" where there is none
	Tags  model.Tags
	Value float64
}

// StartOwn begins to store what read tells of the collector itself, as source "collector", every 15 s unless
// options say otherwise. read must always name about the same series, and few. Close the result before the engine.
func StartOwn(db *engine.DB, options SystemOptions, read func() ([]Figure, error)) *System {
	if options.Interval == 0 {
		options.Interval = defaultOwnInterval
	}
	ctx, cancel := context.WithCancel(context.Background())
	own := probe{"collector", func(context.Context) ([]measurement, error) {
		figures, err := read()
		measurements := make([]measurement, len(figures))
		for i, f := range figures {
			measurements[i] = measurement{name: f.Name, unit: f.Unit, value: f.Value, more: f.Tags}
		}
		return measurements, err
	}}
	return newSystem(db, options, ownSource, []probe{own}).start(ctx, cancel)
}

func (s *System) start(ctx context.Context, cancel context.CancelFunc) *System {
	s.cancel = cancel
	go s.run(ctx)
	return s
}

func newSystem(db *engine.DB, options SystemOptions, source string, probes []probe) *System {
	if options.Interval == 0 {
		options.Interval = defaultInterval
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Host == "" {
		options.Host = hostName()
	}
	if options.Stored == nil {
		options.Stored = func(time.Time, int) {}
	}
	return &System{
		db: db, options: options, probes: probes, recorder: newRecorder(db, source, options.Logger, options.Now, options.Stored),
		faults: map[string]string{}, done: make(chan struct{}),
	}
}

// hostName falls back to "localhost", since a series' identity shouldn't lack its host now and then.
func hostName() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}

// Close stops the measurements and waits for the one under way.
func (s *System) Close() {
	s.cancel()
	<-s.done
}

func (s *System) run(ctx context.Context) {
	defer close(s.done)
	timer := time.NewTimer(min(settleTime, s.options.Interval))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(s.options.Interval)
		s.collect(ctx)
	}
}

// collect takes and stores one measurement. What one probe can't tell doesn't keep the others' values
// from being stored.
func (s *System) collect(ctx context.Context) {
	// Whole milliseconds: nothing here is known to the nanosecond, and finer times take more room.
	now := s.options.Now().Truncate(time.Millisecond).UnixNano()
	err := s.db.CheckTime(engine.RetentionClass{}, now)
	s.report("clock", err)
	if err != nil {
		return
	}
	var all []point
	for _, p := range s.probes {
		probing, cancel := context.WithTimeout(ctx, probeTimeout)
		measurements, err := p.read(probing)
		cancel()
		if ctx.Err() != nil {
			return // closed
		}
		for _, m := range measurements {
			one, checkErr := s.point(m, now)
			if checkErr != nil {
				err = checkErr
				continue
			}
			all = append(all, one)
		}
		s.report(p.name, err)
	}
	if len(all) > 0 {
		// What can't be stored is lost: the next measurement is worth more than an old one.
		s.report("store", s.recorder.samples(all))
	}
}

// point makes what is stored of a measurement, and reports why it can't be.
func (s *System) point(m measurement, now int64) (point, error) {
	tags := append(model.Tags{{Key: "host", Value: s.options.Host}, m.tag}, m.more...)
	p := point{name: m.name, unit: m.unit, tags: tags, time: now, value: m.value}
	return p, s.recorder.check(&p)
}

// report logs the errors of a probe, or of the store, when they begin, change and end: not each time.
func (s *System) report(name string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == s.faults[name] {
		return
	}
	s.faults[name] = text
	if text == "" {
		s.options.Logger.Info("measuring this machine works again", "probe", name)
	} else {
		s.options.Logger.Warn("measuring this machine failed; it is tried again at each interval", "probe", name, "error", text)
	}
}

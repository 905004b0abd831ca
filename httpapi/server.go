package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/internal/export"
	"github.com/flopynet/collector/internal/telemetry"
	"github.com/flopynet/collector/pipeline"
)

// Options configures a Server. The zero value is ready for use.
type Options struct {
	Version string           // as /health tells it; "": "dev"
	Logger  *slog.Logger     // nil: nothing is logged
	Now     func() time.Time // nil: time.Now

	// QueryTimeout bounds a query; a request may ask for less. 0: 30 s.
	QueryTimeout time.Duration

	// MaxBodyBytes bounds a request's body as it is sent. 0: 32 MiB.
	MaxBodyBytes int64

	// MaxDecodedBytes bounds a request's body once it is decompressed. 0: 256 MiB.
	MaxDecodedBytes int64

	// MaxInFlightBytes bounds the memory of all bodies that are being read or handled; requests wait
	// a few seconds for their share, then get 503. It is raised, if need be, to what a single request can
	// take: about twice MaxDecodedBytes and MaxBodyBytes, and 128 MiB.
	MaxInFlightBytes int64

	// MaxConnections bounds the open connections, and so many again that are WebSockets or event streams.
	// 0: 4,096.
	MaxConnections int

	// Config is what GET and PUT /config show and change. nil: there is nothing to show.
	Config *config.Live

	// After is how live connections wait. nil: time.After.
	After func(time.Duration) <-chan time.Time

	// AllowedHosts are names, beside localhost and IP addresses, that requests may give as Host, without
	// a port. The rule keeps a foreign web page from reaching the collector under a name of its own.
	// They don't matter once there are keys.
	AllowedHosts []string

	// Keys decide who may do what. nil: those made through the API from now on.
	Keys *Keyring

	// AllowedOrigins are the web sites whose pages may use the API, as browsers spell them: https://dash.lab:3000.
	// "*" lets all pages read, and changes nothing about who may change something.
	AllowedOrigins []string

	// TrustedProxies are those whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix

	RateLimit RateLimit

	// LogAccess logs each request at level info instead of debug.
	LogAccess bool

	// SlowQuery is how long a query may take without being logged. 0: for ever.
	SlowQuery time.Duration

	// Exports makes exports to files. The server does not own it. nil: there are none, and their endpoints answer
	// 503.
	Exports *export.Jobs

	// Testbed is what is known of FLOPY-NET's components. The server does not own it. nil: none of them is polled.
	Testbed *flopynet.Testbed

	// ExportPatience is how long the answer to a request for an export to a file waits for that to be done.
	// 0: 1 s.
	ExportPatience time.Duration
}

// Time limits of connections. A body has, on top of the header's time, what readBody grants it.
const (
	headerTimeout = 30 * time.Second
	idleTimeout   = 2 * time.Minute
)

// maxHeaderBytes bounds the request line and the headers together.
const maxHeaderBytes = 32 << 10

// handlingBytes is set aside for what a handler reserves on top of its request's body.
const handlingBytes = 128 << 20

func (o Options) withDefaults() Options {
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	setDefault(&o.QueryTimeout, 30*time.Second)
	setDefault(&o.ExportPatience, time.Second)
	setDefault(&o.MaxBodyBytes, 32<<20)
	setDefault(&o.MaxDecodedBytes, 256<<20)
	o.MaxInFlightBytes = max(o.MaxInFlightBytes, 2*(o.MaxDecodedBytes+o.MaxBodyBytes+maxPooledBytes)+handlingBytes)
	setDefault(&o.MaxConnections, 4096)
	setDefault(&o.RateLimit.Window, time.Hour)
	return o
}

func setDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Server answers HTTP requests from a DB, which it does not own.
type Server struct {
	db      *engine.DB
	options Options
	logger  *slog.Logger
	hosts   map[string]bool
	keys    *Keyring
	origins origins
	reads   *rateLimiter // nil: no limit; likewise writes
	writes  *rateLimiter
	memory  *memoryBudget
	http    *fasthttp.Server
	router  *router.Router
	spell   map[string]spelling // of failures, by path, where it isn't the common envelope
	started time.Time
	ready   atomic.Bool
	stored  atomic.Int64 // when samples were last stored, in nanoseconds since the epoch; 0: not yet
	samples *meter       // stored
	queries *queryStats
	admin   adminJobs
	machine *flopynet.Machine
	testbed *flopynet.Testbed

	telemetry *telemetry.Telemetry // our own metrics
	streams   *streams
	live      *liveClients

	underway  underway // requests that must not be done twice
	pipelines *pipeline.Manager

	// base is cancelled when Shutdown loses its patience; all requests' contexts come from it.
	base   context.Context
	cancel context.CancelFunc
}

// New returns a Server that answers from db. It is not ready, in the sense of /readyz, until SetReady.
func New(db *engine.DB, options Options) *Server {
	options = options.withDefaults()
	s := &Server{
		db:      db,
		options: options,
		logger:  options.Logger,
		hosts:   map[string]bool{"localhost": true},
		keys:    options.Keys,
		origins: newOrigins(options.AllowedOrigins),
		reads:   newRateLimiter(options.RateLimit.Reads, options.RateLimit.Window),
		writes:  newRateLimiter(options.RateLimit.Writes, options.RateLimit.Window),
		memory:  newMemoryBudget(options.MaxInFlightBytes),
		started: options.Now(),
		machine: flopynet.NewMachine(options.Now),
		live:    newLiveClients(options.MaxConnections),
	}
	if s.testbed = options.Testbed; s.testbed == nil {
		s.testbed = flopynet.NoTestbed(db, options.Now)
	}
	s.telemetry = telemetry.New(db.Stats, options.Version)
	if s.keys == nil {
		s.keys = newKeyring(db, KeyOptions{})
	}
	for _, host := range options.AllowedHosts {
		s.hosts[strings.ToLower(host)] = true
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.streams = newStreams()
	s.samples, s.queries = newMeter(s.started), newQueryStats(s.started)
	s.spell = map[string]spelling{}
	s.router = s.newRouter(allRoutes())
	s.http = &fasthttp.Server{
		Name:                         "collector",
		Handler:                      s.handle,
		ErrorHandler:                 s.handleMalformed,
		Logger:                       fasthttpLogger{s.logger},
		ReadBufferSize:               maxHeaderBytes,
		ReadTimeout:                  headerTimeout,
		IdleTimeout:                  idleTimeout,
		Concurrency:                  options.MaxConnections,
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		SecureErrorLogMessage:        true,
		CloseOnShutdown:              true,
	}
	return s
}

// Serve accepts connections until Shutdown or until the listener fails. It may be called for several
// listeners, each in a goroutine of its own.
func (s *Server) Serve(listener net.Listener) error {
	// A body somewhat above the limit, of which nothing has been read, must fit in what is discarded.
	return s.http.Serve(&lingerListener{Listener: listener, limit: 2 * s.options.MaxBodyBytes})
}

// Shutdown stops accepting, ends live connections, lets the requests that are under way finish, and returns when they have. When
// ctx ends first, their queries are cancelled and its error is returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.SetReady(false)
	err := errors.Join(s.live.stop(ctx), s.http.ShutdownWithContext(ctx))
	err = errors.Join(err, s.streams.wait(ctx))
	s.cancel()
	s.streams.running.Wait() // soon: they have been told to stop
	return err
}

// SetReady says what /readyz answers.
func (s *Server) SetReady(ready bool) { s.ready.Store(ready) }

// NoteStored records that samples became durable at this time, from clients or from the collector itself.
func (s *Server) NoteStored(at time.Time, samples int) {
	s.stored.Store(at.UnixNano())
	s.samples.add(at, samples)
}

// IngestionRate returns the samples a second of the last minute.
func (s *Server) IngestionRate() float64 { return s.samples.rate(s.options.Now(), meterSlot) }

// now is the server's clock in nanoseconds since the epoch.
func (s *Server) now() int64 { return s.options.Now().UnixNano() }

// fasthttpLogger passes on what fasthttp says about connections: noise of clients, mostly.
type fasthttpLogger struct{ logger *slog.Logger }

func (l fasthttpLogger) Printf(format string, args ...any) {
	l.logger.Debug("http connection", "event", lazyText{format, args})
}

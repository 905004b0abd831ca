package httpapi

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

const (
	typeEventStream = "text/event-stream; charset=utf-8"

	headerLastEventID = "Last-Event-ID"

	// maxStreamSeries bounds the series of one stream.
	maxStreamSeries = 10_000

	// streamHeartbeat is how often a stream has a comment, so that proxies keep it and a client that is gone is noticed.
	streamHeartbeat = 15 * time.Second

	defaultStreamInterval = 5 * time.Second
	minStreamInterval     = 100 * time.Millisecond
	maxStreamInterval     = 24 * time.Hour
)

// eventStream is a client of /metrics/stream.
type eventStream struct {
	request  *request
	live     *liveClients
	after    func(time.Duration) <-chan time.Time
	allowed  func() bool
	watcher  *engine.Watcher
	format   streamFormat
	interval time.Duration // 0: each sample

	first  []engine.LatestSample // to be sent at the beginning
	start  engine.Resume         // what was written up to here is in first
	resume bool                  // it continues an earlier stream
	series map[model.SeriesID]*streamed

	connected chan struct{} // closed when conn is there
	conn      *liveConn
	out       []byte
	ended     bool
}

// streamed is what a stream knows of a series.
type streamed struct {
	prepared any
	sent     model.Sample // the newest that was sent
}

// openStream answers GET /metrics/stream.
func (s *Server) openStream(r *request) error {
	p, err := parseParams(r.http.QueryArgs(), paramSet{"metrics": true, "sources": true, "tags": true, "interval": false})
	if err != nil {
		return err
	}
	selection, err := parseLiveSelection(p)
	if err != nil {
		return err
	}
	c := &eventStream{
		request: r, live: s.live, after: s.options.After, allowed: r.stillAllowed(), connected: make(chan struct{}),
		format: streamFormat{run: s.db.WatchPosition().Run}, series: make(map[model.SeriesID]*streamed),
	}
	if c.interval, err = parseStreamInterval(p); err != nil {
		return err
	}
	header := &r.http.Response.Header
	if !r.http.Request.Header.IsHTTP11() {
		return invalidRequest("A stream needs HTTP/1.1", detail{"issue", "its length isn't known beforehand"})
	}
	header.Set(fasthttp.HeaderContentType, typeEventStream)
	header.Set(fasthttp.HeaderCacheControl, "no-store")
	header.Set("X-Accel-Buffering", "no") // a proxy is to pass on what there is
	if r.http.IsHead() {
		return nil
	}
	if err := s.live.enter(c); err != nil {
		return err
	}
	if err := c.open(&selection); err != nil {
		s.live.leave(c)
		return err
	}
	header.SetContentLength(-1)
	r.http.Hijack(c.run)
	r.http.HijackSetNoResponse(true)
	return nil
}

// parseStreamInterval reads after how many seconds there is news; 0 for each sample.
func parseStreamInterval(p params) (time.Duration, error) {
	text := p.get("interval")
	if text == "" {
		return defaultStreamInterval, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	interval := time.Duration(seconds * float64(time.Second))
	if err != nil || math.IsNaN(seconds) || seconds != 0 && (seconds < minStreamInterval.Seconds() || seconds > maxStreamInterval.Seconds()) {
		return 0, invalidParameter("interval", text, "use a number of seconds from 0.1 to 86400, or 0 for each sample")
	}
	return interval, nil
}

// open begins to watch: behind the client's last event if what followed is still there, else from now, with the newest
// samples first.
func (c *eventStream) open(selection *liveSelection) error {
	subscription, err := selection.subscription()
	if err != nil {
		return err
	}
	options := engine.WatchOptions{MaxSeries: maxStreamSeries, Skip: c.sentFirst}
	if c.interval == 0 {
		options.Format = c.format
	}
	db := c.request.server.db
	if last, err := engine.ParseResume(string(c.request.http.Request.Header.Peek(headerLastEventID))); err == nil {
		options.After = &last
		c.watcher, err = db.Watch(options)
		if err == nil {
			c.resume = true
			c.watcher.Subscribe(subscription)
			return nil
		}
		if !errors.Is(err, engine.ErrNotBuffered) {
			return err
		}
		options.After = nil
	}
	if c.watcher, err = db.Watch(options); err != nil {
		return err
	}
	if err := c.findFirst(selection); err != nil {
		c.watcher.Close()
		return err
	}
	c.watcher.Subscribe(subscription)
	return nil
}

// findFirst reads the newest sample of each series.
func (c *eventStream) findFirst(selection *liveSelection) (err error) {
	matchers, err := selection.matchers()
	if err != nil {
		return err
	}
	s := c.request.server
	c.start = s.db.WatchPosition()
	ctx, cancel := c.request.context(s.options.QueryTimeout)
	defer cancel()
	c.first, err = s.db.Latest(ctx, engine.Selection{Matchers: matchers, To: model.MaxTime + 1}, maxStreamSeries)
	for i := range c.first {
		first := &c.first[i]
		c.series[first.Series.ID] = &streamed{prepared: c.format.Prepare(&first.Series), sent: first.Sample}
	}
	return err
}

// sentFirst reports whether an update is among the first samples: the watcher was there before these were read.
func (c *eventStream) sentFirst(u *engine.Update) bool {
	if u.LSN <= c.start.LSN {
		return true
	}
	known := c.series[u.Series.ID]
	return known != nil && sameSample(known.sent, u.Sample)
}

func sameSample(a, b model.Sample) bool {
	return a.Time == b.Time && math.Float64bits(a.Value) == math.Float64bits(b.Value)
}

// hurry implements liveClient.
func (c *eventStream) hurry() {
	select {
	case <-c.connected:
		c.conn.hurry()
	default: // it will see that we're stopping
	}
}

// run serves the stream to its end.
func (c *eventStream) run(conn net.Conn) {
	defer c.live.leave(c)
	defer c.watcher.Close()
	c.conn = newLiveConn(conn)
	close(c.connected)
	gone := make(chan struct{})
	go func() {
		io.Copy(io.Discard, conn) //nolint:errcheck // whatever ends it, the client is gone
		close(gone)
	}()
	defer func() {
		c.conn.end(0)
		<-gone
	}()
	if c.conn.send(bytes.Clone(c.request.http.Response.Header.Header())) == nil {
		c.sendFirst()
		c.serve(gone)
	}
}

// serve sends what comes until the stream is to end.
func (c *eventStream) serve(gone <-chan struct{}) {
	heartbeat := c.after(streamHeartbeat)
	var tick <-chan time.Time
	if c.interval > 0 {
		tick = c.after(c.interval)
		if c.resume {
			c.sendNewest()
		}
	}
	for !c.ended {
		select {
		case <-gone:
			return
		case <-c.live.stopped:
			c.sendEnd()
		case <-c.watcher.Done():
			c.sendEnd()
		case <-c.watcher.Ready():
			switch {
			case !c.allowed():
				c.sendEnd()
			case c.interval == 0:
				c.sendEach()
			default:
				c.watcher.CatchUp() // what it leaves comes with the tick
			}
		case <-tick:
			if tick = c.after(c.interval); !c.allowed() {
				c.sendEnd()
				continue
			}
			c.sendNewest()
		case <-heartbeat:
			if heartbeat = c.after(streamHeartbeat); !c.allowed() {
				c.sendEnd()
				continue
			}
			c.send([]byte(": still here\n\n"))
		}
	}
}

// sendFirst sends the newest samples. Only the last has an id, so that who didn't get them all gets them again.
func (c *eventStream) sendFirst() {
	c.out = append(c.out[:0], ": a stream of the newest samples\n\n"...)
	for i := range c.first {
		first := &c.first[i]
		if i == len(c.first)-1 {
			c.out = c.format.appendID(c.out, c.start.Position)
		}
		if c.out = c.format.appendData(c.out, c.series[first.Series.ID].prepared, first.Sample); len(c.out) > 64<<10 {
			c.flush()
		}
	}
	c.flush()
	c.first = nil
}

// sendEach sends every update that waits.
func (c *eventStream) sendEach() {
	b := batches.Get().(*engine.Batched)
	defer batches.Put(b)
	c.watcher.Take(b)
	c.appendLagged(b)
	c.out = append(c.out, b.Data...)
	c.flush()
}

// sendNewest sends the newest update of each series that has one which is newer than what was sent.
func (c *eventStream) sendNewest() {
	b := batches.Get().(*engine.Batched)
	defer batches.Put(b)
	for c.watcher.CatchUp() {
	}
	c.watcher.Take(b)
	c.appendLagged(b)
	last := -1
	for i := range b.Updates {
		if c.isNewer(&b.Updates[i]) {
			last = i
		}
	}
	for i := range b.Updates[:last+1] {
		u := &b.Updates[i]
		if !c.isNewer(u) {
			continue
		}
		if i == last {
			c.out = c.format.appendID(c.out, b.Through)
		}
		known := c.known(u.Series)
		known.sent = u.Sample
		if c.out = c.format.appendData(c.out, known.prepared, u.Sample); len(c.out) > 64<<10 {
			c.flush()
		}
	}
	c.flush()
	clear(b.Updates) // they hold series
}

// isNewer reports whether an update is newer than what was sent of its series. So is a correction of that.
func (c *eventStream) isNewer(u *engine.Update) bool {
	known := c.series[u.Series.ID]
	return known == nil || u.Time >= known.sent.Time && !sameSample(known.sent, u.Sample)
}

// known returns what is known of a series. When that are far more than can be streamed, since series come and go, all
// are forgotten; then an older sample may be taken for a newer one.
func (c *eventStream) known(s *model.Series) *streamed {
	known := c.series[s.ID]
	if known == nil {
		if len(c.series) >= 4*maxStreamSeries {
			clear(c.series)
		}
		known = &streamed{prepared: c.format.Prepare(s)}
		c.series[s.ID] = known
	}
	return known
}

func (c *eventStream) appendLagged(b *engine.Batched) {
	if b.Dropped > 0 {
		c.out = append(appendLagged(append(c.out, "event: lagged\ndata: {"...), b.Dropped, b.Estimated), "}\n\n"...)
	}
}

// flush sends what was appended.
func (c *eventStream) flush() {
	if len(c.out) > 0 {
		c.send(c.out)
	}
	if c.out = c.out[:0]; cap(c.out) > maxPooledBytes {
		c.out = nil
	}
}

// send sends whole events as a chunk of the answer's body.
func (c *eventStream) send(events []byte) {
	if c.ended {
		return
	}
	chunk := append(strconv.AppendInt(make([]byte, 0, len(events)+16), int64(len(events)), 16), "\r\n"...)
	chunk = append(append(chunk, events...), "\r\n"...)
	c.ended = c.conn.send(chunk) != nil
}

// sendEnd ends the answer's body.
func (c *eventStream) sendEnd() {
	if !c.ended {
		c.ended = true
		c.conn.send([]byte("0\r\n\r\n")) //nolint:errcheck // the stream ends in any case
	}
}

package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
)

const (
	// maxSocketMessage bounds what a client may send at once, in bytes; more closes the connection with 1009.
	maxSocketMessage = 64 << 10

	// maxSubscriptions bounds the subscriptions of a connection.
	maxSubscriptions = 100

	// socketGrace is how long a connection that names nothing has for a subscribe, before it gets every update.
	socketGrace = 250 * time.Millisecond

	// waitingCommands is how much a client may send while it doesn't take what we send.
	waitingCommands = 16
)

// batches are for what is taken from watchers.
var batches = sync.Pool{New: func() any { return new(engine.Batched) }}

// socket is a client of /ws/metrics. Its handler's goroutine reads; another, serve, owns all else and is alone in
// sending: frames go out whole, many in one write where many wait.
type socket struct {
	request   *request
	live      *liveClients
	after     func(time.Duration) <-chan time.Time
	allowed   func() bool
	watcher   *engine.Watcher
	selection liveSelection // of the parameters

	connected chan struct{} // closed when conn is there
	conn      *liveConn
	frames    *websocket.Conn // reads
	commands  chan func()     // from the reader to serve
	readerEnd chan struct{}
	serveEnd  chan struct{}

	subscriptions map[string]func() // how to end them, by id as JSON
	numbered      int               // ids given
	spoken        bool              // it has said what it wants
	everything    func()            // ends the subscription of one that had named nothing in time; nil: there is none
	broken        bool              // nothing more can be sent
}

// openSocket answers GET /ws/metrics.
func (s *Server) openSocket(r *request) error {
	p, err := parseParams(r.http.QueryArgs(), paramSet{"metrics": true, "sources": true, "tags": true})
	if err != nil {
		return err
	}
	c := &socket{
		request: r, live: s.live, after: s.options.After, allowed: r.stillAllowed(), connected: make(chan struct{}),
		commands: make(chan func(), waitingCommands), readerEnd: make(chan struct{}), serveEnd: make(chan struct{}),
		subscriptions: make(map[string]func()),
	}
	if c.selection, err = parseLiveSelection(p); err != nil {
		return err
	}
	if !websocket.FastHTTPIsWebSocketUpgrade(r.http) {
		return invalidRequest("This is a WebSocket", detail{"issue", "open it with a WebSocket client, as ws://...; GET /metrics/stream is for plain HTTP"})
	}
	if err := s.live.enter(c); err != nil {
		return err
	}
	c.watcher, err = s.db.Watch(engine.WatchOptions{Format: socketFormat{}})
	if err != nil {
		s.live.leave(c)
		return err
	}
	if err := upgrader.Upgrade(r.http, c.run); err != nil {
		c.watcher.Close()
		s.live.leave(c)
		return invalidRequest("The WebSocket's handshake is not valid", detail{"issue", err.Error()})
	}
	// The answer goes out from run: fasthttp then doesn't decide to close the connection instead of calling it.
	r.http.HijackSetNoResponse(true)
	return nil
}

// upgrader makes the handshake. The rules for origins have been applied, for this route as for others.
var upgrader = websocket.FastHTTPUpgrader{
	Subprotocols: []string{keyProtocol},
	CheckOrigin:  func(*fasthttp.RequestCtx) bool { return true },
	Error:        func(*fasthttp.RequestCtx, int, error) {},
}

// run serves the connection to its end.
func (c *socket) run(frames *websocket.Conn) {
	defer c.live.leave(c)
	defer c.watcher.Close()
	c.frames, c.conn = frames, newLiveConn(frames.NetConn())
	close(c.connected)
	if c.conn.send(bytes.Clone(c.request.http.Response.Header.Header())) != nil {
		return
	}
	go c.serve()
	c.read()
	close(c.readerEnd)
	c.conn.hurry()
	<-c.serveEnd
}

// hurry implements liveClient.
func (c *socket) hurry() {
	select {
	case <-c.connected:
		c.conn.hurry()
	default: // it will see that we're stopping
	}
}

// read hands on what the client sends, until it goes.
func (c *socket) read() {
	c.frames.SetReadLimit(maxSocketMessage)
	c.frames.SetPongHandler(func(string) error {
		c.conn.heard()
		return nil
	})
	c.frames.SetPingHandler(func(data string) error {
		c.conn.heard()
		c.command(func() { c.send(appendFrame(nil, framePong, []byte(data))) })
		return nil
	})
	c.frames.SetCloseHandler(func(code int, _ string) error {
		c.command(func() {
			if code == websocket.CloseNoStatusReceived {
				code = websocket.CloseNormalClosure
			}
			c.sendClose(code, "")
		})
		return nil
	})
	for {
		c.conn.heard()
		kind, text, err := c.frames.ReadMessage()
		if err != nil {
			return
		}
		if kind != websocket.TextMessage {
			c.refuse(invalidRequest("The message is binary", detail{"issue", "send JSON as a text message"}), false)
			continue
		}
		var action socketAction
		if err := decodeJSONText(text, &action); err != nil {
			c.refuse(err, asksToSubscribe(text))
			continue
		}
		c.command(func() { c.apply(&action) })
	}
}

// command lets serve do something, and waits if it can't now, so that a client that doesn't read is not read either.
func (c *socket) command(do func()) {
	select {
	case c.commands <- do:
	case <-c.serveEnd: // the client's last words
	}
}

// refuse answers with an error. A subscribe that is refused is one, too: a mistyped filter must not mean everything.
func (c *socket) refuse(err error, subscribe bool) {
	c.command(func() {
		c.spoken = c.spoken || subscribe
		c.sendError(err)
	})
}

// asksToSubscribe reports whether a message that can't be understood is a subscribe.
func asksToSubscribe(text []byte) bool {
	var message struct {
		Action string `json:"action"`
	}
	_ = json.Unmarshal(text, &message) // what it can't read it leaves
	return message.Action == "subscribe"
}

// serve sends until the connection is to end.
func (c *socket) serve() {
	defer close(c.serveEnd)
	defer c.conn.end(liveHurryTimeout)
	var grace <-chan time.Time
	if c.spoken = c.selection.selective(); c.spoken {
		c.subscribeNamed()
	} else {
		grace = c.after(socketGrace)
	}
	ping := c.after(livePingInterval)
	for !c.broken {
		select {
		case <-c.live.stopped:
			c.sendClose(websocket.CloseGoingAway, errStopping.Error())
		case <-c.watcher.Done():
			c.sendClose(websocket.CloseGoingAway, engine.ErrClosed.Error())
		case <-c.readerEnd:
			c.finish()
		case do := <-c.commands:
			if c.mayGoOn() {
				do()
			}
		case <-c.watcher.Ready():
			if c.mayGoOn() {
				c.sendUpdates()
			}
		case <-grace:
			if grace = nil; !c.spoken {
				c.everything = c.watcher.Subscribe(engine.Subscription{})
			}
		case <-ping:
			if ping = c.after(livePingInterval); c.mayGoOn() {
				c.send(appendFrame(nil, framePing, nil))
			}
		}
	}
}

// mayGoOn ends the connection if its key is no longer valid.
func (c *socket) mayGoOn() bool {
	if !c.allowed() {
		c.sendClose(websocket.ClosePolicyViolation, "the key is no longer valid")
		return false
	}
	return true
}

// finish does what the client still said before it went.
func (c *socket) finish() {
	for {
		select {
		case do := <-c.commands:
			do()
		default:
			c.broken = true
			return
		}
	}
}

// subscribeNamed subscribes to what the parameters name.
func (c *socket) subscribeNamed() {
	s, err := c.selection.subscription()
	if err != nil {
		c.sendError(err)
		return
	}
	c.subscriptions[c.nextID()] = c.watcher.Subscribe(s)
}

func (c *socket) sendUpdates() {
	b := batches.Get().(*engine.Batched)
	defer batches.Put(b)
	c.watcher.Take(b)
	if b.Dropped > 0 {
		lagged := append(appendLagged([]byte{'{'}, b.Dropped, b.Estimated), '}')
		c.send(appendFrame(nil, frameText, lagged))
	}
	if b.Count > 0 {
		c.send(b.Data)
	}
}

func (c *socket) sendText(text []byte) { c.send(appendFrame(nil, frameText, text)) }

func (c *socket) sendError(err error) {
	failure := classify(err)
	if failure.status == 500 {
		c.request.server.logger.Error("a WebSocket's request failed", "request_id", c.request.id, "error", err)
	}
	c.sendText(bytes.TrimSpace(failure.appendEnvelope(nil, c.request.id, c.request.server.now())))
}

// sendClose sends a close frame, the last there is.
func (c *socket) sendClose(code int, reason string) {
	c.send(appendFrame(nil, frameClose, websocket.FormatCloseMessage(code, reason)))
	c.broken = true
}

// send sends whole frames. If it can't, the connection is closed, which the reader sees.
func (c *socket) send(frames []byte) {
	if c.broken {
		return
	}
	if err := c.conn.send(frames); err != nil {
		c.broken = true
		if !errors.Is(err, net.ErrClosed) {
			c.conn.Close() //nolint:errcheck // there is nothing left to be done
		}
	}
}

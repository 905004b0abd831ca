package flopynet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Names of the components that are polled; they are the sources of their series and the components of their events.
const (
	FLServer      = "fl_server"
	PolicyEngine  = "policy_engine"
	SDNController = "sdn_controller"
)

// Bounds of what a peer may send. Whatever is larger, slower or otherwise wrong fails the one request.
const (
	maxAnswerBytes      = 4 << 20
	maxLargeAnswerBytes = 16 << 20 // of lists of rounds, flows and the like
	maxHeaderBytes      = 64 << 10
	maxErrorBytes       = 200 // of a body that explains a failure
)

// peer is a component of the testbed, as we reach it.
type peer struct {
	name    string
	base    *url.URL
	timeout time.Duration // of one request, its answer included
	http    *http.Client
	now     func() time.Time
	health  health

	node   netip.Addr                                      // of the node that has the URL's host as its name; invalid: there is none
	lookup func(context.Context, string) ([]string, error) // of a host's name
}

// newPeer makes a peer. The URL must be absolute. Its host may be the name of one of the nodes.
func newPeer(name string, o PeerOptions, nodes map[string]netip.Addr, now func() time.Time) (*peer, error) {
	base, err := url.Parse(strings.TrimSuffix(o.URL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("the address of %s is %q; it must be a URL such as http://192.168.100.10:8081", name, o.URL)
	}
	p := &peer{name: name, base: base, timeout: o.Timeout, now: now, node: nodes[strings.ToLower(base.Hostname())], lookup: net.DefaultResolver.LookupHost}
	transport := &http.Transport{
		DialContext:            p.dial,
		MaxIdleConns:           4,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        2 * time.Minute,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	p.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect }}
	p.health.init(name, base.String())
	return p, nil
}

// dial connects to the peer: to its node's address if nobody knows its name. FLOPY-NET's templates for GNS3 name the policy
// engine, in a network without a name server.
func (p *peer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if p.node.IsValid() {
		looking, cancel := context.WithTimeout(ctx, p.timeout/2) // which leaves time to ask
		_, err := p.lookup(looking, p.base.Hostname())
		cancel()
		if _, port, split := net.SplitHostPort(address); err != nil && split == nil {
			address = net.JoinHostPort(p.node.String(), port)
		}
	}
	dialer := net.Dialer{Timeout: p.timeout, KeepAlive: 30 * time.Second}
	return dialer.DialContext(ctx, network, address)
}

// errRedirect: a component that was told by its address has no business to send us elsewhere.
var errRedirect = errors.New("it redirects to another address, which is not followed")

// errNoAnswer says that the whole answer didn't come in time.
var errNoAnswer = errors.New("it didn't answer whole")

// errTooLarge is the beginning of a sentence.
var errTooLarge = errors.New("its answer is larger")

// statusError is an answer other than 200.
type statusError struct {
	status int
	body   string // its beginning
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("it answers %d %s", e.status, http.StatusText(e.status))
	if e.body != "" {
		text += ": " + strconv.Quote(e.body)
	}
	return text
}

// isUnreachable reports whether an error says that asking for something else is of no use now: no connection comes about, or
// the peer hangs.
func isUnreachable(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "dial" || errors.Is(err, errNoAnswer)
}

// isNotThere reports whether a peer answered that it has no such path.
func isNotThere(err error) bool {
	status, ok := errors.AsType[*statusError](err)
	return ok && (status.status == http.StatusNotFound || status.status == http.StatusMethodNotAllowed || status.status == http.StatusNotImplemented)
}

// get reads the JSON that a peer answers to GET path?query into a value, with the tolerance of decodeAnswer. Its errors
// name the path.
func (p *peer) get(ctx context.Context, path string, query url.Values, maxBytes int64, into any) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	began := p.now()
	body, err := p.fetch(ctx, path, query, maxBytes)
	if err == nil {
		if err = decodeAnswer(body, into); err == nil && path == healthPath {
			p.health.answered(p.now().Sub(began))
		}
	}
	if err == nil {
		return nil
	}
	if late, ok := errors.AsType[net.Error](err); errors.Is(ctx.Err(), context.DeadlineExceeded) || ok && late.Timeout() {
		return fmt.Errorf("GET %s: %w within %v", path, errNoAnswer, p.timeout)
	}
	if reason, ok := errors.AsType[*url.Error](err); ok {
		err = reason.Err // its text repeats the address, with the whole query
	}
	if reason, ok := errors.AsType[*net.OpError](err); ok {
		same := *reason
		same.Source = nil // our port, which is another one each time, and so would be the text
		err = &same
	}
	return fmt.Errorf("GET %s: %w", path, err)
}

// page gets so many elements of a list, or fewer where the answer would be too large: it returns how many were asked for.
func (p *peer) page(ctx context.Context, path string, query url.Values, limit int, into any) (asked int, err error) {
	for {
		query.Set("limit", strconv.Itoa(limit))
		if err = p.get(ctx, path, query, maxLargeAnswerBytes, into); limit <= 1 || !errors.Is(err, errTooLarge) {
			return limit, err
		}
		limit = max(1, limit/20)
	}
}

// fetch returns the body of a good answer.
func (p *peer) fetch(ctx context.Context, path string, query url.Values, maxBytes int64) ([]byte, error) {
	address := *p.base
	address.Path += path
	address.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "collector")
	response, err := p.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBytes)) // it explains, if it can be read
		return nil, &statusError{response.StatusCode, strings.ToValidUTF8(strings.TrimSpace(string(text)), "?")}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBytes+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > maxBytes {
		return nil, fmt.Errorf("%w than %d bytes, which is not read", errTooLarge, maxBytes)
	}
	return body, nil
}

// healthPath is asked first in each round of a peer's main poller: its time is what the peer's response time is.
const healthPath = "/health"

// check asks a peer whether it is well. One that has no such path, as stock Ryu, is taken for well; what else is asked of
// it will show.
func (p *peer) check(ctx context.Context) error {
	var answer json.RawMessage
	err := p.get(ctx, healthPath, nil, maxAnswerBytes, &answer)
	if isNotThere(err) {
		return nil
	}
	return err
}

// close drops the idle connections.
func (p *peer) close() { p.http.CloseIdleConnections() }

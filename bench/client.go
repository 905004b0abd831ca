package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/valyala/fasthttp"
)

// requestTimeout bounds one request; the slowest are merges and a peer's percentiles.
const requestTimeout = 10 * time.Minute

// client is a keep-alive connection to a system. It is not safe for concurrent use.
type client struct {
	host fasthttp.HostClient
}

func newClient(address string) *client {
	return &client{fasthttp.HostClient{
		Addr: address, MaxConns: 1, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout,
		MaxResponseBodySize: 1 << 30, NoDefaultUserAgentHeader: true, DisablePathNormalizing: true,
		// A request that is sent again unasked would be counted once and stored twice.
		MaxIdemponentCallAttempts: 1, RetryIfErr: func(*fasthttp.Request, int, error) (bool, bool) { return false, false },
	}}
}

func (c *client) close() { c.host.CloseIdleConnections() }

// post is a request that writes: where to and as what.
type post struct {
	path            string
	contentType     string
	contentEncoding string
	headers         [][2]string
}

// send posts a body and returns an error unless the status is 2xx. It keeps nothing of the body.
func (c *client) send(to post, body []byte) error {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.Header.SetMethod(fasthttp.MethodPost)
	request.SetRequestURI("http://" + c.host.Addr + to.path)
	request.Header.SetContentType(to.contentType)
	if to.contentEncoding != "" {
		request.Header.SetContentEncoding(to.contentEncoding)
	}
	for _, header := range to.headers {
		request.Header.Set(header[0], header[1])
	}
	request.SetBodyRaw(body)
	if err := c.host.Do(request, response); err != nil {
		return err
	}
	return refused(response)
}

// get returns the body of an answer, which is valid until the next one.
func (c *client) get(pathAndQuery string, response *fasthttp.Response) ([]byte, error) {
	request := fasthttp.AcquireRequest()
	defer fasthttp.ReleaseRequest(request)
	request.SetRequestURI("http://" + c.host.Addr + pathAndQuery)
	response.Reset()
	if err := c.host.Do(request, response); err != nil {
		return nil, err
	}
	return response.Body(), refused(response)
}

// stream copies the body of an answer to a writer as it comes.
func (c *client) stream(pathAndQuery string, out io.Writer) error {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.SetRequestURI("http://" + c.host.Addr + pathAndQuery)
	response.StreamBody = true
	if err := c.host.Do(request, response); err != nil {
		return err
	}
	if response.StatusCode()/100 != 2 {
		text, err := io.ReadAll(io.LimitReader(response.BodyStream(), 2000))
		return errors.Join(&statusError{response.StatusCode(), string(text)}, err, response.CloseBodyStream())
	}
	_, err := io.Copy(out, response.BodyStream())
	return errors.Join(err, response.CloseBodyStream())
}

// statusError is an answer that isn't 2xx.
type statusError struct {
	status int
	body   string
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.body) }

func refused(response *fasthttp.Response) error {
	if response.StatusCode()/100 == 2 {
		return nil
	}
	body := response.Body()
	return &statusError{response.StatusCode(), string(bytes.TrimSpace(body[:min(len(body), 500)]))}
}

// pathOf joins a path and parameters, which come as name and value in turn.
func pathOf(path string, parameters ...string) string {
	values := url.Values{}
	for i := 0; i < len(parameters); i += 2 {
		values.Add(parameters[i], parameters[i+1])
	}
	return path + "?" + values.Encode()
}

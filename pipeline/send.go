package pipeline

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"time"
)

// Headers of a webhook.
const (
	headerDelivery  = "X-Collector-Delivery"
	headerTimestamp = "X-Collector-Timestamp"
	headerSignature = "X-Collector-Signature"
)

const (
	maxAnswerBytes       = 64 << 10 // that are read of an answer, and thrown away
	maxAnswerHeaderBytes = 64 << 10
	maxRetryAfter        = time.Hour // that a receiver may ask for
)

// newTransport returns what webhooks are sent by. It asks the guard at each dial, knows no proxy, since that would
// dial on its own, and keeps no connection. There is no http.Client around it: it follows redirects, and looks at
// where they lead even when it is told not to.
func (m *Manager) newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            m.opts.Guard.dial,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxAnswerHeaderBytes,
	}
}

// send makes one attempt. It returns the status of the answer and how long its sender asks to wait, or the error
// if there was none.
func (m *Manager) send(output *Output, id string, body []byte) (status int, retryAfter time.Duration, err error) {
	ctx, cancel := m.opts.Deadline(m.ctx, attemptTimeout)
	defer cancel()
	connected := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, output.URL, bytes.NewReader(body))
	if err != nil {
		return 0, 0, attemptError(err, connected)
	}
	timestamp := strconv.FormatInt(m.opts.Now().Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", m.opts.Agent)
	request.Header.Set(headerDelivery, id)
	request.Header.Set(headerTimestamp, timestamp)
	if output.Secret != "" {
		request.Header.Set(headerSignature, sign(output.Secret, timestamp, body))
	}
	response, err := m.transport.RoundTrip(request)
	if err != nil {
		return 0, 0, attemptError(err, connected)
	}
	// The status says it all; the body is read so that its sender isn't cut off in the middle.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswerBytes))
	_ = response.Body.Close()
	seconds, parseErr := strconv.Atoi(response.Header.Get("Retry-After"))
	if parseErr == nil && seconds > 0 {
		retryAfter = min(time.Duration(min(seconds, 1<<20))*time.Second, maxRetryAfter)
	}
	return response.StatusCode, retryAfter, nil
}

// sign returns the signature of a body: the HMAC-SHA256 of the timestamp, a point and the body.
func sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// attemptError makes the error of an attempt one that can be shown: without the address, which may be a secret of its
// own, and without what a receiver said that doesn't speak HTTP, which who reads runs may have no right to see.
func attemptError(err error, connected bool) error {
	if failure, ok := errors.AsType[*url.Error](err); ok {
		err = failure.Err
	}
	_, ofNetwork := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("there was no answer within " + attemptTimeout.String())
	case !connected || ofNetwork || errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the receiver closed the connection without an answer")
	}
	return errors.New("the receiver's answer is not one of HTTP")
}

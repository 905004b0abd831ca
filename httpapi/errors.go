package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"syscall"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// apiError is an error with the answer it gets. Its status decides its code.
type apiError struct {
	status     int
	message    string
	details    []detail
	retryAfter int          // seconds; 0: no header
	badQuery   bool         // of a 400: the parameters are at fault, not the body
	rate       *rateLimiter // of a 429 about requests: whose limit is exceeded
}

// detail is an entry of an error's details, which keep their order. The value is marshalled as JSON.
type detail struct {
	key   string
	value any
}

func (e *apiError) Error() string {
	text := e.message
	for _, d := range e.details {
		text += fmt.Sprintf("; %s: %v", d.key, d.value)
	}
	return text
}

// internalMessage is all that a client learns of an error nobody foresaw; the log has the rest.
const internalMessage = "Something went wrong inside the collector; its log has the cause under this request id"

// newError makes an error of any status but 400.
func newError(status int, message string, details ...detail) *apiError {
	return &apiError{status: status, message: message, details: details}
}

// invalidRequest says that the body is at fault.
func invalidRequest(message string, details ...detail) *apiError {
	return &apiError{status: fasthttp.StatusBadRequest, message: message, details: details}
}

// invalidQuery says that the parameters are at fault.
func invalidQuery(message string, details ...detail) *apiError {
	return &apiError{status: fasthttp.StatusBadRequest, message: message, details: details, badQuery: true}
}

// invalidParameter says what is wrong with one parameter, what was given and what is valid.
func invalidParameter(name, given, issue string) *apiError {
	return invalidQuery("Invalid parameter "+name,
		detail{"parameter", name}, detail{"given", clip(given)}, detail{"issue", issue})
}

// missingParameter names a parameter that has to be given, and what with.
func missingParameter(name, issue string) *apiError {
	return invalidQuery("Missing parameter "+name, detail{"parameter", name}, detail{"issue", issue})
}

// invalidTimeRange is the answer to from >= to.
func invalidTimeRange(from, to int64) *apiError {
	return invalidQuery("Invalid time range", detail{"issue", "Start time must be before end time"},
		detail{"from", formatTime(from)}, detail{"to", formatTime(to)})
}

// limitExceeded names the limit, what was asked for and what to do.
func limitExceeded(message, limit string, most, given int64, advice string) *apiError {
	return newError(fasthttp.StatusUnprocessableEntity, message, detail{"limit", limit},
		detail{"max", most}, detail{"given", given}, detail{"issue", advice})
}

// code returns the error's code for its status.
func (e *apiError) code() string {
	switch e.status {
	case fasthttp.StatusBadRequest:
		if e.badQuery {
			return "INVALID_QUERY"
		}
		return "INVALID_REQUEST"
	case fasthttp.StatusRequestTimeout, fasthttp.StatusNotImplemented, fasthttp.StatusRequestedRangeNotSatisfiable:
		return "INVALID_REQUEST"
	case fasthttp.StatusUnauthorized:
		return "UNAUTHORIZED"
	case fasthttp.StatusForbidden:
		return "FORBIDDEN"
	case fasthttp.StatusNotFound:
		return "RESOURCE_NOT_FOUND"
	case fasthttp.StatusMethodNotAllowed:
		return "METHOD_NOT_ALLOWED"
	case fasthttp.StatusConflict:
		return "CONFLICT"
	case fasthttp.StatusGone:
		return "GONE"
	case fasthttp.StatusRequestEntityTooLarge, fasthttp.StatusRequestHeaderFieldsTooLarge:
		return "PAYLOAD_TOO_LARGE"
	case fasthttp.StatusUnsupportedMediaType:
		return "UNSUPPORTED_MEDIA_TYPE"
	case fasthttp.StatusUnprocessableEntity:
		return "LIMIT_EXCEEDED"
	case fasthttp.StatusTooManyRequests:
		return "RATE_LIMIT_EXCEEDED"
	case fasthttp.StatusServiceUnavailable:
		return "SERVICE_UNAVAILABLE"
	case fasthttp.StatusGatewayTimeout:
		return "QUERY_TIMEOUT"
	default:
		return "INTERNAL_ERROR"
	}
}

// unavailable lists the engine's refusals and after how many seconds it is worth to try again.
var unavailable = []struct {
	err        error
	retryAfter int
}{
	{engine.ErrBusy, 1},
	{engine.ErrBehind, 5},
	{engine.ErrStaleSeries, 1},
	{engine.ErrClosed, 10},
	{engine.ErrDiskFull, 30},
	{engine.ErrFailed, 60},
	{errNoMemory, 2},
	{errTooManyLive, 5},
	{errStopping, 10},
	{engine.ErrQueriesFull, 2},
	{context.Canceled, 10}, // the client is gone, or the server is stopping
}

// classify is the one table from errors to answers.
func classify(err error) *apiError {
	if known, ok := errors.AsType[*apiError](err); ok {
		return known
	}
	if limit, ok := errors.AsType[*engine.LimitError](err); ok {
		return newError(fasthttp.StatusUnprocessableEntity, "A limit is exceeded", detail{"limit", limit.Limit},
			detail{"max", limit.Max}, detail{"issue", limit.Advice})
	}
	if limit, ok := errors.AsType[*model.LimitError](err); ok {
		return limitExceeded("A limit is exceeded", limit.What+" in "+limit.Unit, int64(limit.Limit), int64(limit.Got), limit.Error())
	}
	if text, ok := errors.AsType[*model.TextError](err); ok {
		return invalidRequest("Invalid text", detail{"issue", text.Error()})
	}
	if refused, ok := errors.AsType[*engine.TimeError](err); ok {
		return invalidRequest("Invalid timestamp", detail{"issue", refused.Error()})
	}
	for _, refusal := range unavailable {
		if errors.Is(err, refusal.err) {
			issue := refusal.err.Error()
			if errors.Is(err, syscall.ENOSPC) {
				issue += "; its disk is full: free some space first"
			}
			failure := newError(fasthttp.StatusServiceUnavailable, "Service unavailable", detail{"issue", issue})
			failure.retryAfter = refusal.retryAfter
			return failure
		}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return newError(fasthttp.StatusGatewayTimeout, "The query took too long",
			detail{"issue", "ask for a shorter range, fewer series or a coarser granularity"})
	case errors.Is(err, engine.ErrCorrupt):
		return newError(fasthttp.StatusInternalServerError, "Stored data is damaged, so there is no answer that can be trusted",
			detail{"issue", err.Error()})
	}
	return newError(fasthttp.StatusInternalServerError, internalMessage)
}

// malformed is the answer to what fasthttp could not read.
func malformed(cause error) *apiError {
	var tooSmall *fasthttp.ErrSmallBuffer
	var netError net.Error
	switch {
	case errors.As(cause, &tooSmall):
		return newError(fasthttp.StatusRequestHeaderFieldsTooLarge, "The request line and headers are too long",
			detail{"limit", "header bytes"}, detail{"max", maxHeaderBytes})
	case errors.As(cause, &netError) && netError.Timeout():
		return newError(fasthttp.StatusRequestTimeout, "The request did not arrive in time")
	case errors.Is(cause, io.ErrUnexpectedEOF):
		return bodyCutShort()
	default:
		return invalidRequest("The request is not valid HTTP/1.1")
	}
}

// appendEnvelope appends the error as the API shows it.
func (e *apiError) appendEnvelope(dst []byte, requestID string, now int64) []byte {
	dst = append(dst, `{"error":`...)
	return append(e.append(dst, requestID, now), "}\n"...)
}

// append appends what the envelope holds.
func (e *apiError) append(dst []byte, requestID string, now int64) []byte {
	dst = append(dst, `{"code":`...)
	dst = appendJSONString(dst, e.code())
	dst = append(dst, `,"message":`...)
	dst = appendJSONString(dst, e.message)
	dst = append(dst, `,"timestamp":"`...)
	dst = timefmt.AppendTime(dst, now)
	dst = append(dst, `","request_id":`...)
	dst = appendJSONString(dst, requestID)
	if e.rate != nil {
		dst = append(dst, `,"retry_after":`...)
		dst = strconv.AppendInt(dst, int64(e.retryAfter), 10)
		dst = append(dst, `,"limit":`...)
		dst = strconv.AppendInt(dst, int64(e.rate.limit), 10)
		dst = append(dst, `,"window":`...)
		dst = appendJSONString(dst, formatWindow(e.rate.window))
	}
	if len(e.details) > 0 {
		dst = append(dst, `,"details":`...)
		dst = appendDetails(dst, e.details)
	}
	return append(dst, '}')
}

func appendDetails(dst []byte, details []detail) []byte {
	dst = append(dst, '{')
	for i, d := range details {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendJSONString(dst, d.key), ':')
		value, err := json.Marshal(d.value)
		if err != nil {
			panic(fmt.Sprintf("detail %s: %v", d.key, err)) // details are our own values
		}
		dst = append(dst, value...)
	}
	return append(dst, '}')
}

func formatTime(ns int64) string { return string(timefmt.AppendTime(nil, ns)) }

// clip shortens what a client gave for an error message.
func clip(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	return text[:most] + "..."
}

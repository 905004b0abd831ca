package httpapi

import (
	"strings"

	"github.com/valyala/fasthttp"
)

// headerInfluxError has the message of a failure, as InfluxDB sends it too.
const headerInfluxError = "X-Influxdb-Error"

// influxFailure1 is the envelope of failures for clients of InfluxDB 1, who read the text "error": what the envelope
// of others has in the object of that name stands beside it.
func influxFailure1(r *request, failure *apiError) []byte {
	text := failure.influxText()
	r.http.Response.Header.Set(headerInfluxError, headerText(text))
	body := appendJSONString([]byte(`{"error":`), text)
	common := failure.append(nil, r.id, r.received.UnixNano())
	return append(append(append(body, ','), common[1:]...), '\n')
}

// influxFailure2 is that for clients of InfluxDB 2, who read "code", one of its words, and "message". Beside them
// stands the common envelope.
func influxFailure2(r *request, failure *apiError) []byte {
	text := failure.influxText()
	r.http.Response.Header.Set(headerInfluxError, headerText(text))
	body := appendJSONString([]byte(`{"code":`), failure.influxCode())
	body = appendJSONString(append(body, `,"message":`...), text)
	body = append(body, `,"error":`...)
	return append(failure.append(body, r.id, r.received.UnixNano()), "}\n"...)
}

// influxText says all that a person needs, since that is what InfluxDB's clients show.
func (e *apiError) influxText() string {
	text := e.message
	for _, d := range e.details {
		value, isText := d.value.(string)
		switch {
		case !isText:
		case d.key == "issue", d.key == "given" && value != "", d.key == "parameter" && !strings.Contains(text, value):
			text += "; " + d.key + ": " + value
		}
	}
	return text
}

// headerText is what of a text can stand in a header.
func headerText(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, text)
}

// influxCode returns InfluxDB's word for the failure.
func (e *apiError) influxCode() string {
	switch e.status {
	case fasthttp.StatusUnauthorized:
		return "unauthorized"
	case fasthttp.StatusForbidden:
		return "forbidden"
	case fasthttp.StatusConflict:
		return "conflict"
	case fasthttp.StatusRequestEntityTooLarge:
		return "request too large"
	case fasthttp.StatusUnprocessableEntity:
		return "unprocessable entity"
	case fasthttp.StatusTooManyRequests:
		return "too many requests"
	case fasthttp.StatusInternalServerError:
		return "internal error"
	case fasthttp.StatusServiceUnavailable:
		return "unavailable"
	}
	return "invalid"
}

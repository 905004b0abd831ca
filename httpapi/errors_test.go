package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

func TestClassify(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		code   string
		retry  bool
	}{
		{invalidQuery("x"), 400, "INVALID_QUERY", false},
		{invalidRequest("x"), 400, "INVALID_REQUEST", false},
		{newError(401, "x"), 401, "UNAUTHORIZED", false},
		{newError(403, "x"), 403, "FORBIDDEN", false},
		{newError(404, "x"), 404, "RESOURCE_NOT_FOUND", false},
		{newError(405, "x"), 405, "METHOD_NOT_ALLOWED", false},
		{newError(409, "x"), 409, "CONFLICT", false},
		{newError(410, "x"), 410, "GONE", false},
		{newError(413, "x"), 413, "PAYLOAD_TOO_LARGE", false},
		{newError(415, "x"), 415, "UNSUPPORTED_MEDIA_TYPE", false},
		{newError(429, "x"), 429, "RATE_LIMIT_EXCEEDED", false},
		{fmt.Errorf("wrapped: %w", invalidQuery("x")), 400, "INVALID_QUERY", false},
		{&engine.LimitError{Limit: "samples", Max: 5}, 422, "LIMIT_EXCEEDED", false},
		{&model.LimitError{What: "name", Got: 300, Limit: 256, Unit: "bytes"}, 422, "LIMIT_EXCEEDED", false},
		{&model.TextError{What: "name", Reason: "is empty"}, 400, "INVALID_REQUEST", false},
		{&engine.TimeError{Reason: "is too old"}, 400, "INVALID_REQUEST", false},
		{fmt.Errorf("write: %w", engine.ErrBusy), 503, "SERVICE_UNAVAILABLE", true},
		{engine.ErrDiskFull, 503, "SERVICE_UNAVAILABLE", true},
		{engine.ErrBehind, 503, "SERVICE_UNAVAILABLE", true},
		{engine.ErrFailed, 503, "SERVICE_UNAVAILABLE", true},
		{engine.ErrClosed, 503, "SERVICE_UNAVAILABLE", true},
		{errNoMemory, 503, "SERVICE_UNAVAILABLE", true},
		{context.Canceled, 503, "SERVICE_UNAVAILABLE", true},
		{fmt.Errorf("read: %w", context.DeadlineExceeded), 504, "QUERY_TIMEOUT", false},
		{fmt.Errorf("chunk 5: %w", engine.ErrCorrupt), 500, "INTERNAL_ERROR", false},
		{errors.New("disk on fire at /dev/sda"), 500, "INTERNAL_ERROR", false},
	} {
		got := classify(test.err)
		if got.status != test.status || got.code() != test.code || (got.retryAfter > 0) != test.retry || got.message == "" {
			t.Errorf("%v: %d %s, retry after %d, want %d %s", test.err, got.status, got.code(), got.retryAfter, test.status, test.code)
		}
	}
	if got := classify(errors.New("secret")); len(got.details) != 0 || got.message != internalMessage {
		t.Errorf("an unknown error shows %+v", got)
	}
}

func TestEnvelope(t *testing.T) {
	got := invalidTimeRange(1705316400e9, 1705312800e9).appendEnvelope(nil, "req-1", 1705312800e9)
	want := `{"error":{"code":"INVALID_QUERY","message":"Invalid time range","timestamp":"2024-01-15T10:00:00Z","request_id":"req-1",` +
		`"details":{"issue":"Start time must be before end time","from":"2024-01-15T11:00:00Z","to":"2024-01-15T10:00:00Z"}}}` + "\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("envelope (-want +got):\n%s", diff)
	}
	odd := newError(404, "quote \" and \xff", detail{"list", []int{1, 2}}, detail{"given", "\xff<>"}).appendEnvelope(nil, "", 0)
	if !json.Valid(odd) {
		t.Errorf("not JSON: %s", odd)
	}
}

package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/export"
)

const seedJob = "/export/metrics?start_date=2024-01-15T10:00:00Z&end_date=2024-01-15T11:00:00Z"

// wantExport gets a path that must answer with a job.
func (ts *testServer) wantExport(path string, status int, state string) map[string]any {
	ts.t.Helper()
	answer := ts.get(path)
	got := decodeJSON(ts.t, answer.body)
	if answer.status != status || got["status"] != state {
		ts.t.Fatalf("%s: %d %s", path, answer.status, answer.body)
	}
	return got
}

func TestExportJob(t *testing.T) {
	ts := startServer(t, Options{ExportPatience: time.Minute})
	writeSeedExport(ts)
	for _, base := range []string{"", "/api/v1"} {
		job := ts.wantExport(base+seedJob, http.StatusOK, "completed")
		url := job["download_url"].(string)
		file := ts.get(base + url)
		if job["records_count"] != 2.0 || job["file_size_bytes"] != float64(len(file.body)) || job["progress"] != 1.0 || job["generated_at"] == nil {
			t.Errorf("%v, %d bytes", job, len(file.body))
		}
		if want := fmt.Sprintf("/download/%s.json", job["export_id"]); url != want {
			t.Errorf("%s, want %s", url, want)
		}
		want := `[{"timestamp":"2024-01-15T10:00:00Z","metric":"cpu_usage","value":42.5,"source":"fl_server","tags":{"experiment_id":"exp_001","host":"fl-server-01"}},` + "\n" +
			`{"timestamp":"2024-01-15T10:05:00Z","metric":"cpu_usage","value":45.2,"source":"fl_server","tags":{"experiment_id":"exp_001","host":"fl-server-01"}}]` + "\n"
		if file.status != http.StatusOK || string(file.body) != want {
			t.Errorf("%d %s", file.status, file.body)
		}
		status := ts.getJSON(base + "/export/" + job["export_id"].(string) + "/status")
		if fmt.Sprint(status) != fmt.Sprint(job) {
			t.Errorf("status %v, want %v", status, job)
		}
	}
	csv := ts.wantExport(seedJob+"&format=csv&metrics=cpu_usage,other", http.StatusOK, "completed")
	if got := ts.get(csv["download_url"].(string)); !bytes.HasPrefix(got.body, []byte("timestamp,metric,value,source,experiment_id,host\n")) {
		t.Errorf("%s", got.body)
	}
	one := ts.wantExport(seedJob+"&format=csv&metrics=cpu_usage", http.StatusOK, "completed")
	if got := ts.get(one["download_url"].(string)); string(got.body) != seedCSV {
		t.Errorf("%s", got.body)
	}
	before := len(exportFiles(t, ts))
	if head := ts.do(http.MethodHead, seedJob, nil); head.status != http.StatusOK || len(exportFiles(t, ts)) != before {
		t.Errorf("HEAD: %d, and %d files", head.status, len(exportFiles(t, ts)))
	}
}

func exportFiles(t *testing.T, ts *testServer) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(ts.db.Dir(), "exports"))
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestExportJobRefuses(t *testing.T) {
	ts := startServer(t, Options{})
	for _, c := range []struct{ query, parameter string }{
		{"end_date=now", "from"}, {"start_date=now-1h", "to"}, {"start_date=now-1h&end_date=now&format=xml", "format"},
		{"start_date=now-1h&end_date=now&metrics=a,,b", "metrics"}, {"start_date=now-1h&end_date=now&metric=a", "metric"},
	} {
		if got := ts.get("/export/metrics?"+c.query).wantError(t, http.StatusBadRequest, "INVALID_QUERY"); got.Details["parameter"] != c.parameter {
			t.Errorf("%s: %v", c.query, got.Details)
		}
	}
	// A web page elsewhere must not make files here, though the method is GET.
	ts.get(seedJob, "Sec-Fetch-Site", "cross-site").wantError(t, http.StatusForbidden, "FORBIDDEN")
	ts.get(seedJob, "Origin", "https://example.org").wantError(t, http.StatusForbidden, "FORBIDDEN")
	if files := exportFiles(t, ts); len(files) > 0 {
		t.Errorf("files %v", files)
	}
	for _, path := range []string{"/export/exp_1/status", "/download/exp_1.json", "/download/..%2FVERSION", "/download/%2e%2e", "/download/..%2f..%2fetc%2fpasswd"} {
		ts.get(path).wantError(t, http.StatusNotFound, "RESOURCE_NOT_FOUND")
	}
}

// TestExportJobProcessing asks for an answer sooner than a large job can be done.
func TestExportJobProcessing(t *testing.T) {
	ts := startServer(t, Options{ExportPatience: time.Nanosecond})
	writeMany(ts, 40, 20_000)
	job := ts.wantExport("/export/metrics?start_date=2024-01-15&end_date=2024-02-15", http.StatusAccepted, "processing")
	if job["generated_at"] != nil || job["expires_at"] != nil || job["progress"].(float64) >= 1 {
		t.Errorf("%v", job)
	}
	if answer := ts.get(job["download_url"].(string)); answer.status == http.StatusConflict { // unless it is done by now
		answer.wantError(t, http.StatusConflict, "CONFLICT")
	}
	status, err := ts.server.options.Exports.Wait(t.Context(), job["export_id"].(string))
	if err != nil || status.Rows != 800_000 {
		t.Fatalf("%+v, %v", status, err)
	}
	answer := ts.get(job["download_url"].(string))
	if answer.status != http.StatusOK || int64(len(answer.body)) != status.Bytes || bytes.Count(answer.body, []byte("\n")) != 800_000 {
		t.Errorf("%d, %d bytes, want %d", answer.status, len(answer.body), status.Bytes)
	}
}

func TestExportJobsAtOnce(t *testing.T) {
	db, err := engine.Open(t.TempDir(), engine.Options{MinFreeBytes: -1, MaintainInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	jobs, err := export.OpenJobs(db, export.JobOptions{MaxBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	ts := startServer(t, Options{Exports: jobs, ExportPatience: time.Minute})
	if job := ts.wantExport(seedJob, http.StatusOK, "failed"); !strings.Contains(job["failure"].(string), "exports.max_bytes") || job["file_size_bytes"] != 0.0 {
		t.Errorf("%v", job)
	}
	id := ts.wantExport(seedJob, http.StatusOK, "failed")["export_id"].(string)
	ts.get("/download/"+id+".json").wantError(t, http.StatusConflict, "CONFLICT")
	jobs.Close()
	if answer := ts.get(seedJob); answer.wantError(t, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE").Code == "" || answer.header.Get("Retry-After") == "" {
		t.Errorf("%v", answer.header)
	}
	for _, refused := range []error{export.ErrTooMany, export.ErrKept} {
		if failure, _ := errors.AsType[*apiError](jobError(refused)); failure == nil || failure.status != http.StatusTooManyRequests || failure.retryAfter == 0 {
			t.Errorf("%v: %+v", refused, failure)
		}
	}
}

// TestExportJobExpires asks for a file when it has expired, and for one that somebody removed.
func TestExportJobExpires(t *testing.T) {
	var clock atomic.Int64
	clock.Store(time.Date(2025, 6, 16, 10, 30, 0, 0, time.UTC).UnixNano())
	ts := startEngine(t, engine.Options{Now: func() time.Time { return time.Unix(0, clock.Load()) }}, Options{ExportPatience: time.Minute})
	job := ts.wantExport(seedJob, http.StatusOK, "completed")
	if !strings.HasPrefix(job["export_id"].(string), "exp_20250616_103000_") || job["generated_at"] != "2025-06-16T10:30:00Z" || job["expires_at"] != "2025-06-17T10:30:00Z" {
		t.Errorf("%v", job)
	}
	url := job["download_url"].(string)
	if err := os.Remove(filepath.Join(ts.db.Dir(), "exports", filepath.Base(url))); err != nil {
		t.Fatal(err)
	}
	ts.get(url).wantError(t, http.StatusGone, "GONE")
	job = ts.wantExport(seedJob, http.StatusOK, "completed")
	ts.server.options.Exports.Close()
	clock.Add(int64(24 * time.Hour))
	ts.get(job["download_url"].(string)).wantError(t, http.StatusGone, "GONE")
	ts.get("/export/"+job["export_id"].(string)+"/status").wantError(t, http.StatusGone, "GONE")
}

func TestDownloadRanges(t *testing.T) {
	ts := startServer(t, Options{ExportPatience: time.Minute})
	writeSeedExport(ts)
	job := ts.wantExport(seedJob+"&format=csv&metrics=cpu_usage", http.StatusOK, "completed")
	url := job["download_url"].(string)
	whole := ts.get(url)
	etag, modified := whole.header.Get("ETag"), whole.header.Get("Last-Modified")
	if etag == "" || modified == "" || whole.header.Get("Accept-Ranges") != "bytes" || whole.header.Get("Content-Type") != "application/octet-stream" ||
		whole.header.Get("Content-Disposition") != `attachment; filename="`+filepath.Base(url)+`"` {
		t.Errorf("%v", whole.header)
	}
	size := len(seedCSV)
	for _, c := range []struct {
		headers []string
		status  int
		content string
		span    string
	}{
		{[]string{"Range", "bytes=0-8"}, 206, "timestamp", "0-8"},
		{[]string{"Range", "bytes=10-14"}, 206, "value", "10-14"},
		{[]string{"Range", "bytes=-3"}, 206, seedCSV[size-3:], fmt.Sprintf("%d-%d", size-3, size-1)},
		{[]string{"Range", fmt.Sprintf("bytes=%d-", size-1)}, 206, "\n", fmt.Sprintf("%d-%d", size-1, size-1)},
		{[]string{"Range", "bytes=0-99999"}, 206, seedCSV, fmt.Sprintf("0-%d", size-1)},
		{[]string{"Range", "bytes=-99999"}, 206, seedCSV, fmt.Sprintf("0-%d", size-1)},
		{[]string{"Range", "bytes=0-1,3-4"}, 200, seedCSV, ""},
		{[]string{"Range", "bytes=5-2"}, 200, seedCSV, ""},
		{[]string{"Range", "lines=0-1"}, 200, seedCSV, ""},
		{[]string{"Range", "bytes=0-8", "If-Range", etag}, 206, "timestamp", "0-8"},
		{[]string{"Range", "bytes=0-8", "If-Range", modified}, 206, "timestamp", "0-8"},
		{[]string{"Range", "bytes=0-8", "If-Range", `"another"`}, 200, seedCSV, ""},
		{[]string{"If-None-Match", etag}, 304, "", ""},
		{[]string{"If-None-Match", `"a", W/` + etag}, 304, "", ""},
		{[]string{"If-None-Match", "*"}, 304, "", ""},
		{[]string{"If-None-Match", `"another"`}, 200, seedCSV, ""},
	} {
		got := ts.get(url, c.headers...)
		span := ""
		if c.span != "" {
			span = fmt.Sprintf("bytes %s/%d", c.span, size)
		}
		if got.status != c.status || string(got.body) != c.content || got.header.Get("Content-Range") != span {
			t.Errorf("%v: %d %q %q", c.headers, got.status, got.body, got.header.Get("Content-Range"))
		}
	}
	for _, text := range []string{fmt.Sprintf("bytes=%d-", size), "bytes=-0", "bytes=5000-6000"} {
		got := ts.get(url, "Range", text)
		got.wantError(t, http.StatusRequestedRangeNotSatisfiable, "INVALID_REQUEST")
		if got.header.Get("Content-Range") != fmt.Sprintf("bytes */%d", size) {
			t.Errorf("%s: %v", text, got.header)
		}
	}
	head := ts.do(http.MethodHead, url, nil)
	if head.status != http.StatusOK || head.header.Get("Content-Length") != fmt.Sprint(size) || len(head.body) > 0 || head.header.Get("ETag") != etag {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
}

func FuzzParseRange(f *testing.F) {
	for _, text := range []string{"bytes=0-1", "bytes=-5", "bytes=5-", "bytes=-", "bytes=1-0", "bytes=9223372036854775807-9223372036854775807"} {
		f.Add(text, int64(10))
	}
	f.Fuzz(func(t *testing.T, text string, size int64) {
		if size < 0 {
			return
		}
		span, satisfiable, ok := parseRange(text, size)
		if ok && satisfiable && (span.begin < 0 || span.begin >= span.end || span.end > size) {
			t.Errorf("%q of %d bytes is %v", text, size, span)
		}
	})
}

package httpapi

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/internal/export"
)

// getDownload answers GET /download/{file}: whole, or a range of bytes of it.
func (s *Server) getDownload(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	jobs, err := s.exportJobs()
	if err != nil {
		return err
	}
	file, status, err := jobs.Open(r.pathValue("file"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newError(fasthttp.StatusGone, "The file is gone", detail{"issue", "somebody removed it; export the range again: GET /export/metrics"})
	case err != nil:
		return jobError(err)
	case status.State != export.Completed:
		failure := newError(fasthttp.StatusConflict, "The export is not completed", detail{"status", string(status.State)},
			detail{"issue", "see GET /export/" + status.ID + "/status"})
		if status.State == export.Processing {
			failure.retryAfter = 5
		}
		return failure
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	etag := `"` + status.ID + `"` // a file doesn't change once it has its name
	header := &r.http.Response.Header
	header.Set(fasthttp.HeaderETag, etag)
	header.Set(fasthttp.HeaderLastModified, status.Finished.UTC().Format(httpTime))
	header.Set(fasthttp.HeaderAcceptRanges, "bytes")
	given := &r.http.Request.Header
	if list := string(given.Peek(fasthttp.HeaderIfNoneMatch)); list != "" && matchesETag(list, etag) {
		r.http.SetStatusCode(fasthttp.StatusNotModified)
		return file.Close()
	}
	span := byteSpan{0, info.Size()}
	code := fasthttp.StatusOK
	if text := string(given.Peek(fasthttp.HeaderRange)); text != "" && unchanged(string(given.Peek(fasthttp.HeaderIfRange)), etag, status.Finished) {
		found, satisfiable, ok := parseRange(text, info.Size())
		if ok && !satisfiable {
			header.Set(fasthttp.HeaderContentRange, fmt.Sprintf("bytes */%d", info.Size()))
			return errors.Join(newError(fasthttp.StatusRequestedRangeNotSatisfiable, "The range is outside the file",
				detail{"given", clip(text)}, detail{"size", info.Size()}), file.Close())
		}
		if ok {
			span, code = found, fasthttp.StatusPartialContent
			header.Set(fasthttp.HeaderContentRange, fmt.Sprintf("bytes %d-%d/%d", span.begin, span.end-1, info.Size()))
		}
	}
	return r.respondFile(code, file, span, status.File())
}

// httpTime is how HTTP spells times, which are in UTC.
const httpTime = "Mon, 02 Jan 2006 15:04:05 GMT"

// byteSpan is the bytes [begin, end) of a file.
type byteSpan struct{ begin, end int64 }

// respondFile answers with a part of a file, and closes that.
func (r *request) respondFile(code int, file *os.File, span byteSpan, name string) error {
	if _, err := file.Seek(span.begin, io.SeekStart); err != nil {
		return errors.Join(err, file.Close())
	}
	r.offerFile(name)
	r.http.SetStatusCode(code)
	r.http.SetContentType(typeFile)
	size := span.end - span.begin
	r.http.SetBodyStream(&filePart{Reader: io.LimitReader(file, size), file: file}, int(size))
	return r.http.SetWriteDeadline(deadlineIn(bodyGrace + time.Duration(size/minBytesPerSecond)*time.Second))
}

// filePart is closed when it was sent.
type filePart struct {
	io.Reader
	file *os.File
}

// WriteTo sends it in larger pieces than fasthttp would.
func (f *filePart) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(w, f.Reader, make([]byte, firstBytes))
}

func (f *filePart) Close() error { return f.file.Close() }

// matchesETag reports whether a list of the header If-None-Match has the tag.
func matchesETag(list, etag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == etag {
			return true
		}
	}
	return false
}

// unchanged reports whether the file is what the header If-Range says the client has a part of. A client
// that says nothing knows what it does.
func unchanged(ifRange, etag string, modified time.Time) bool {
	if ifRange == "" || ifRange == etag {
		return true
	}
	at, err := time.Parse(httpTime, ifRange)
	return err == nil && at.Equal(modified.Truncate(time.Second))
}

// parseRange reads the header Range. Several ranges, other units and what can't be read are to be ignored: then
// ok is false. satisfiable says that the range has at least one byte of the file.
func parseRange(text string, size int64) (span byteSpan, satisfiable, ok bool) {
	text, ok = strings.CutPrefix(text, "bytes=")
	first, last, dash := strings.Cut(strings.TrimSpace(text), "-")
	if !ok || !dash || strings.Contains(text, ",") {
		return span, false, false
	}
	if first == "" { // the last so many bytes
		n, err := strconv.ParseUint(last, 10, 63)
		if err != nil {
			return span, false, false
		}
		return byteSpan{max(0, size-int64(n)), size}, n > 0 && size > 0, true
	}
	begin, err := strconv.ParseUint(first, 10, 63)
	if err != nil {
		return span, false, false
	}
	end := size
	if last != "" {
		n, err := strconv.ParseUint(last, 10, 63)
		if err != nil || n < begin {
			return span, false, false
		}
		if int64(n) < size {
			end = int64(n) + 1
		}
	}
	return byteSpan{int64(begin), end}, int64(begin) < size, true
}

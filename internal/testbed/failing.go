package testbed

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}
func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

// answer is what the component would answer if it were well.
func (c *component) answer(r *http.Request) *recorder {
	rec := &recorder{header: http.Header{}}
	c.handler.ServeHTTP(rec, r)
	rec.WriteHeader(http.StatusOK)
	return rec
}

// answerIll answers as the failure says. It may panic with http.ErrAbortHandler, which cuts the connection.
func (c *component) answerIll(w http.ResponseWriter, r *http.Request, f Failure, turn int, healed <-chan struct{}) {
	switch f.Mode {
	case Hang:
		select {
		case <-healed:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
		}
	case Drip:
		drip(w, r, c.answer(r), f.DripEvery, healed)
	case Huge, HugeGarbage:
		c.pour(w, r, f, healed)
	case Garbage:
		garble(w, turn)
	case Status500:
		http.Error(w, "<!doctype html>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>", http.StatusInternalServerError)
	case Status503, Status429:
		status, _ := strconv.Atoi(string(f.Mode))
		w.Header().Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
		writeJSON(w, status, object{"error": http.StatusText(status)})
	case Truncated:
		rec := c.answer(r)
		w.Header().Set("Content-Type", rec.header.Get("Content-Type"))
		w.Header().Set("Content-Length", strconv.Itoa(rec.body.Len()))
		_, _ = w.Write(rec.body.Bytes()[:rec.body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case WrongShape:
		shape := f.Shape
		if shape == "" {
			shape = shapes[turn%len(shapes)]
		}
		body := bend(c.answer(r).body.Bytes(), shape)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	case Redirect:
		w.Header().Set("Location", r.URL.RequestURI())
		w.WriteHeader(http.StatusFound)
	case RedirectAway:
		w.Header().Set("Location", "http://"+c.bed.strays.address+r.URL.RequestURI())
		w.WriteHeader(http.StatusFound)
	case Down: // a request that came in just before
		panic(http.ErrAbortHandler)
	}
}

// drip writes an answer byte by byte.
func drip(w http.ResponseWriter, r *http.Request, answer *recorder, every time.Duration, healed <-chan struct{}) {
	w.Header().Set("Content-Type", answer.header.Get("Content-Type"))
	w.Header().Set("Content-Length", strconv.Itoa(answer.body.Len()))
	w.WriteHeader(answer.status)
	flusher := http.NewResponseController(w)
	tick := time.NewTicker(every)
	defer tick.Stop()
	body := answer.body.Bytes()
	for i := range body {
		if _, err := w.Write(body[i : i+1]); err != nil || flusher.Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-healed:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		}
	}
}

// pour writes a huge answer. It holds no more of it than one piece.
func (c *component) pour(w http.ResponseWriter, r *http.Request, f Failure, healed <-chan struct{}) {
	begin, piece, end := hugePieces(r.URL.Path, f.Mode == HugeGarbage)
	w.Header().Set("Content-Type", "application/json")
	left := f.Bytes - int64(len(begin)+len(end))
	if _, err := w.Write(begin); err != nil {
		return
	}
	for ; left > 0; left -= int64(len(piece)) {
		select {
		case <-healed:
			panic(http.ErrAbortHandler)
		default:
		}
		if _, err := w.Write(piece); err != nil {
			return // the peer has had enough
		}
	}
	_, _ = w.Write(end)
}

// hugePieces are the begin, the middle, to be repeated, and the end of a huge answer.
func hugePieces(path string, garbage bool) (begin, piece, end []byte) {
	const atLeast = 64 << 10
	list := ""
	switch {
	case strings.HasPrefix(path, "/rounds"):
		list = "rounds"
	case strings.HasPrefix(path, "/events"):
		list = "events"
	case strings.HasPrefix(path, "/api/v1/"), strings.HasPrefix(path, "/v1.0/"), strings.HasPrefix(path, "/stats/switches"):
	default:
		list = "data"
	}
	begin, end = []byte(`[{}`), []byte("]\n")
	if list != "" {
		begin, end = fmt.Appendf(nil, `{%q:[{}`, list), []byte("]}\n")
	}
	if garbage {
		noise := make([]byte, atLeast)
		_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
		return begin, noise, nil
	}
	var buffer bytes.Buffer
	for i := 0; buffer.Len() < atLeast; i++ {
		id := uuid(0, "huge", i)
		fmt.Fprintf(&buffer, `,{"event_id":%q,"id":%q,"round":%d,"timestamp":"2024-01-15T10:30:00","event_type":"ROUND_COMPLETED",`+
			`"type":"POLICY_EVAL_RESULT","dpid":"%016x","details":{"accuracy":0.5}}`, id, id, i+1, i+1)
	}
	return begin, buffer.Bytes(), end
}

// garble answers with what isn't JSON.
func garble(w http.ResponseWriter, turn int) {
	if turn%2 == 0 {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<!doctype html>\n<html><head><title>Welcome to nginx!</title></head>\n<body>{\"events\": [</body></html>\n"))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	noise := make([]byte, 4096)
	_, _ = rand.NewChaCha8([32]byte{byte(turn)}).Read(noise)
	_, _ = w.Write(noise)
}

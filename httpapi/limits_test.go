package httpapi

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"
)

// echo answers with the body as it was read.
var echo = route{role: roleNone, method: http.MethodPost, path: "/echo", handler: func(_ *Server, r *request) error {
	if err := r.checkJSON(); err != nil {
		return err
	}
	b, err := r.readBody()
	if err != nil {
		return err
	}
	defer b.release()
	r.respond(fasthttp.StatusOK, typeJSON, b.bytes)
	return nil
}}

func encode(t testing.TB, encoding string, body []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var writer io.WriteCloser
	switch encoding {
	case "gzip":
		writer = gzip.NewWriter(&out)
	case "zstd":
		encoder, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		writer = encoder
	case "snappy framed":
		writer = snappy.NewBufferedWriter(&out)
	case "snappy":
		return snappy.Encode(nil, body)
	default:
		return body
	}
	if _, err := writer.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// text returns n bytes that compress somewhat.
func text(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	out := make([]byte, n)
	for i := range out {
		out[i] = "abcdefgh"[random.IntN(8)]
	}
	return out
}

func TestBodies(t *testing.T) {
	ts := startServer(t, Options{MaxBodyBytes: 3 << 20, MaxDecodedBytes: 4 << 20}, echo)
	for _, encoding := range []string{"", "gzip", "zstd", "snappy", "snappy framed"} {
		header, _, _ := strings.Cut(encoding, " ")
		for _, size := range []int{0, 1, 8 << 10, 8<<10 + 1, 100_000, 1<<20 - 1, 1 << 20, 1<<20 + 1, 5 << 19, 3 << 20} {
			if size == 0 && encoding == "snappy framed" {
				continue // the framing of nothing is nothing, which is no block either
			}
			body := text(size)
			sent := encode(t, encoding, body)
			answer := ts.do(http.MethodPost, "/echo", sent, "Content-Encoding", header, "Content-Type", "application/json")
			if answer.status != http.StatusOK || !bytes.Equal(answer.body, body) {
				t.Errorf("%s, %d bytes: %d, %d bytes", encoding, size, answer.status, len(answer.body))
			}
			chunked := ts.chunked(sent, header)
			if !strings.HasPrefix(chunked, "HTTP/1.1 200") || !strings.HasSuffix(chunked, "\r\n\r\n"+string(body)) {
				t.Errorf("%s, %d bytes in chunks: %.100s", encoding, size, chunked)
			}
		}
		if encoding == "" {
			continue
		}
		for name, broken := range map[string][]byte{
			"cut short": encode(t, encoding, text(100_000))[:5000], "noise": text(1000),
			"flipped": func() []byte { b := encode(t, encoding, text(100_000)); b[len(b)/2] ^= 0x55; return b[:len(b)-1] }(),
		} {
			answer := ts.do(http.MethodPost, "/echo", broken, "Content-Encoding", header)
			got := answer.wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
			if !strings.Contains(got.Message, header) {
				t.Errorf("%s, %s: %s", encoding, name, answer.body)
			}
		}
	}
	ts.wantNoMemoryUsed()
}

func (ts *testServer) wantNoMemoryUsed() {
	ts.t.Helper()
	ts.server.memory.mu.Lock()
	defer ts.server.memory.mu.Unlock()
	if used := ts.server.memory.mu.used; used != 0 {
		ts.t.Errorf("%d bytes of the budget are still in use", used)
	}
}

// chunked posts a body in chunks and returns the whole answer.
func (ts *testServer) chunked(body []byte, encoding string) string {
	ts.t.Helper()
	var request bytes.Buffer
	fmt.Fprintf(&request, "POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nContent-Encoding: %s\r\n\r\n", encoding)
	for len(body) > 0 {
		part := body[:min(len(body), 10_007)]
		fmt.Fprintf(&request, "%x\r\n%s\r\n", len(part), part)
		body = body[len(part):]
	}
	request.WriteString("0\r\n\r\n")
	return ts.rawExchange(request.String())
}

func TestBodyLimits(t *testing.T) {
	ts := startServer(t, Options{MaxBodyBytes: 1 << 20, MaxDecodedBytes: 2 << 20}, echo)
	zeros := make([]byte, 64<<20)
	for name, test := range map[string]struct {
		encoding string
		body     []byte
	}{
		"too long":                     {"", zeros[:1<<20+1]},
		"twice too long":               {"", zeros[:2<<20]},
		"gzip bomb":                    {"gzip", encode(t, "gzip", zeros)},
		"zstd bomb":                    {"zstd", encode(t, "zstd", zeros)},
		"snappy bomb":                  {"snappy", encode(t, "snappy", zeros[:3<<20])},
		"framed snappy bomb":           {"snappy", encode(t, "snappy framed", zeros[:3<<20])},
		"one byte too long, unpacked":  {"gzip", encode(t, "gzip", zeros[:2<<20+1])},
		"too long as sent, compressed": {"snappy", encode(t, "snappy framed", text(3<<20))},
	} {
		answer := ts.do(http.MethodPost, "/echo", test.body, "Content-Encoding", test.encoding)
		answer.wantError(t, http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE")
		if chunked := ts.chunked(test.body[:min(len(test.body), 3<<20)], test.encoding); !strings.HasPrefix(chunked, "HTTP/1.1 413") {
			t.Errorf("%s, in chunks: %.200s", name, chunked)
		}
	}
	exact := ts.do(http.MethodPost, "/echo", encode(t, "gzip", zeros[:2<<20]), "Content-Encoding", "gzip")
	if exact.status != http.StatusOK || len(exact.body) != 2<<20 {
		t.Errorf("exactly the limit: %d, %d bytes", exact.status, len(exact.body))
	}
	lie := binary.AppendUvarint(nil, 2<<20) // a block of 4 bytes that claims to be 2 MiB
	ts.do(http.MethodPost, "/echo", append(lie, 0), "Content-Encoding", "snappy").wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
	ts.wantNoMemoryUsed()
}

// A client that sends all of its body before it reads, as most do, hears that the body is too large.
func TestTooLongBodyIsReadToItsEnd(t *testing.T) {
	ts := startServer(t, Options{MaxBodyBytes: 18 << 20}, echo)
	const length = 34 << 20 // much more above the limit than sockets hold
	answer := ts.rawExchange(fmt.Sprintf("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", length) + strings.Repeat("x", length))
	if !strings.HasPrefix(answer, "HTTP/1.1 413") {
		t.Errorf("%.200s", answer)
	}
}

func TestBodyCutShort(t *testing.T) {
	ts := startServer(t, Options{}, echo)
	for _, sent := range []int{0, 5, 20_000} {
		for _, encoding := range []string{"identity", "zstd"} {
			conn, err := net.Dial("tcp", ts.addr)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: %s\r\nContent-Length: 30000\r\n\r\n%s",
				encoding, encode(t, encoding, text(100_000))[:sent])
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400") || !strings.Contains(string(answer), "body was cut short") {
				t.Errorf("%s, %d bytes: %s, %v", encoding, sent, answer, err)
			}
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestZstdWindow(t *testing.T) {
	ts := startServer(t, Options{}, echo)
	for _, single := range []bool{false, true} {
		for window, accepted := range map[int]bool{maxZstdWindow: true, 2 * maxZstdWindow: false} {
			var sent bytes.Buffer
			encoder, err := zstd.NewWriter(&sent, zstd.WithWindowSize(window), zstd.WithSingleSegment(single))
			if err != nil {
				t.Fatal(err)
			}
			encoded := encoder.EncodeAll(make([]byte, window), nil)
			if !single {
				if _, err := encoder.Write(make([]byte, window)); err != nil {
					t.Fatal(err)
				}
				if err := encoder.Close(); err != nil {
					t.Fatal(err)
				}
				encoded = sent.Bytes()
			}
			answer := ts.do(http.MethodPost, "/echo", encoded, "Content-Encoding", "zstd")
			if accepted {
				if answer.status != http.StatusOK {
					t.Errorf("window %d, single segment %v: %d %s", window, single, answer.status, answer.body)
				}
				continue
			}
			got := answer.wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
			if got.Details["max"] != float64(maxZstdWindow) || !strings.Contains(fmt.Sprint(got.Details["issue"]), "level 19") {
				t.Errorf("window %d, single segment %v: %s", window, single, answer.body)
			}
		}
	}
}

func TestMediaTypes(t *testing.T) {
	ts := startServer(t, Options{}, echo)
	for kind, accepted := range map[string]bool{
		"": true, "application/json": true, "application/json; charset=utf-8": true, "Application/JSON;charset=UTF-8": true,
		"text/plain": true, "application/x-www-form-urlencoded": true,
		"application/xml": false, "application/json; charset=latin1": false, "multipart/form-data; boundary=x": false, "json": false, ";": false,
	} {
		answer := ts.do(http.MethodPost, "/echo", []byte("{}"), "Content-Type", kind)
		if accepted && answer.status != http.StatusOK {
			t.Errorf("%q: %d", kind, answer.status)
		}
		if !accepted {
			answer.wantError(t, http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE")
		}
	}
	for encoding, accepted := range map[string]bool{"identity": true, "GZIP": true, "x-gzip": true, "br": false, "deflate": false, "gzip, gzip": false} {
		body := []byte("{}")
		if strings.Contains(strings.ToLower(encoding), "gzip") {
			body = encode(t, "gzip", body)
		}
		answer := ts.do(http.MethodPost, "/echo", body, "Content-Encoding", encoding)
		if accepted && answer.status != http.StatusOK {
			t.Errorf("%q: %d %s", encoding, answer.status, answer.body)
		}
		if !accepted {
			answer.wantError(t, http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE")
		}
	}
}

func TestExpectContinue(t *testing.T) {
	ts := startServer(t, Options{MaxBodyBytes: 1 << 20}, echo)
	conn, err := net.Dial("tcp", ts.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	send := func(text string) {
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	send("POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	line, err := reader.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := reader.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	send("hello")
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "hello" {
		t.Fatalf("%q, %v", body, err)
	}
}

// A connection is kept when the body of a refused request was small, and closed gently when it was not.
func TestRefusedBodies(t *testing.T) {
	ts := startServer(t, Options{MaxBodyBytes: 8 << 20}, echo)
	small := ts.do(http.MethodPost, "/nothing", text(4000))
	if small.header.Get("Connection") == "close" {
		t.Error("a small body closes the connection")
	}
	large := ts.do(http.MethodPost, "/nothing", text(5<<20))
	large.wantError(t, http.StatusNotFound, "RESOURCE_NOT_FOUND")
	if ts.getJSON("/livez")["status"] != "alive" {
		t.Error("the next request fails")
	}
}

func TestMemoryBudget(t *testing.T) {
	budget := newMemoryBudget(100)
	budget.wait = time.Millisecond
	if !budget.acquire(60) || !budget.acquire(40) {
		t.Fatal("what fits is refused")
	}
	if budget.acquire(1) {
		t.Fatal("more than the limit is granted")
	}
	budget.wait = time.Minute
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			if !budget.acquire(50) {
				t.Error("a waiting request is refused")
			}
			budget.release(50)
		})
	}
	budget.release(60)
	wait.Wait()
	budget.release(40)
	if budget.mu.used != 0 {
		t.Errorf("%d in use at the end", budget.mu.used)
	}
}

func BenchmarkReadBody(b *testing.B) {
	ts := startServer(b, Options{}, route{role: roleNone, method: http.MethodPost, path: "/count", handler: func(_ *Server, r *request) error {
		body, err := r.readBody()
		if err != nil {
			return err
		}
		defer body.release()
		r.respond(fasthttp.StatusOK, typeJSON, fmt.Append(nil, len(body.bytes)))
		return nil
	}})
	plain := text(1 << 20)
	for _, encoding := range []string{"identity", "gzip", "zstd", "snappy"} {
		b.Run(encoding, func(b *testing.B) {
			sent := encode(b, encoding, plain)
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				answer := ts.do(http.MethodPost, "/count", sent, "Content-Encoding", encoding)
				if string(answer.body) != fmt.Sprint(len(plain)) {
					b.Fatalf("%d %s", answer.status, answer.body)
				}
			}
		})
	}
}

package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
)

const (
	headerIdempotencyKey = "Idempotency-Key"
	headerReplayed       = "Idempotency-Replayed"
)

// maxIdempotencyKey is how many characters a key may have; it is that of a batch_id.
const maxIdempotencyKey = 255

// underway knows the keys of the requests that are being answered, so that of two with one key the second
// finds the answer of the first.
type underway struct {
	mu   sync.Mutex
	keys map[[32]byte]chan struct{} // closed when the request has its answer
}

// begin waits until no request with the key is being answered, and takes it.
func (u *underway) begin(key [32]byte) {
	for {
		u.mu.Lock()
		other, taken := u.keys[key]
		if !taken {
			if u.keys == nil {
				u.keys = make(map[[32]byte]chan struct{})
			}
			u.keys[key] = make(chan struct{})
			u.mu.Unlock()
			return
		}
		u.mu.Unlock()
		<-other // it ends when its write does, whatever comes of it
	}
}

func (u *underway) end(key [32]byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	close(u.keys[key])
	delete(u.keys, key)
}

// once is the claim of a request that must not be done twice.
type once struct {
	server       *Server
	key, request [32]byte
	received     int64
	replayed     bool // it was done before, and is answered
}

// idempotencyKey returns the key in the request's header, nil if there is none.
func (r *request) idempotencyKey() ([]byte, error) {
	key := bytes.TrimSpace(r.http.Request.Header.Peek(headerIdempotencyKey))
	if len(key) == 0 {
		return nil, nil
	}
	if !utf8.Valid(key) || utf8.RuneCount(key) > maxIdempotencyKey {
		return nil, invalidRequest("Invalid header "+headerIdempotencyKey, detail{"header", headerIdempotencyKey},
			detail{"given", clip(string(bytes.ToValidUTF8(key, []byte("\ufffd"))))},
			detail{"issue", "use a text in UTF-8 of 1 to 255 characters, such as a random UUID"})
	}
	return key, nil
}

// beginOnce claims a request under a key that its client chose, which holds for one route and the API key's name.
// If it was answered before, it is answered so again and the claim says so. The caller must end the claim.
func (r *request) beginOnce(path string, key, body []byte) (*once, error) {
	claim := &once{server: r.server, request: sha256.Sum256(body), received: r.received.UnixNano()}
	var scope []byte
	for _, part := range [...]string{r.keyName(), path} {
		scope = append(binary.AppendUvarint(scope, uint64(len(part))), part...)
	}
	claim.key = sha256.Sum256(append(scope, key...))
	r.server.underway.begin(claim.key)
	answer, err := r.server.db.Answer(claim.key)
	switch {
	case err != nil:
		claim.end()
		return nil, err
	case answer == nil:
		return claim, nil
	case answer.Request != claim.request:
		claim.end()
		return nil, newError(fasthttp.StatusConflict, "The request's key was used with another body",
			detail{"key", clip(string(key))}, detail{"issue", "send the body that was sent first under this key, or use another " +
				headerIdempotencyKey + " (or batch_id)"}, detail{"first_sent", formatTime(answer.Time)})
	}
	r.http.Response.Header.Set(headerReplayed, "true")
	r.respond(answer.Status, answer.ContentType, answer.Body)
	claim.replayed = true
	return claim, nil
}

// end lets others have the key. It may be called on a claim that there is not.
func (o *once) end() {
	if o != nil {
		o.server.underway.end(o.key)
	}
}

// answer returns what has to be kept with what the request writes. It copies the body.
func (o *once) answer(status int, contentType string, body []byte) *engine.Answer {
	return &engine.Answer{Key: o.key, Request: o.request, Time: o.received, Status: status, ContentType: contentType,
		Body: bytes.Clone(body)}
}

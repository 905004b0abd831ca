package httpapi

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// String returns the role as the API spells it.
func (r role) String() string { return roleNames[r] }

var roleNames = [...]string{roleUndeclared: "undeclared", roleNone: "none", roleRead: "read", roleWrite: "write", roleAdmin: "admin"}

// roleNamed is the inverse of String; roleUndeclared if there is no such role.
func roleNamed(name string) role { return role(max(0, slices.Index(roleNames[:], name))) }

// keyParameter is the parameter for a key where a browser can't set a header.
const keyParameter = "api_key"

// userParameter and passwordParameter are those by which clients of InfluxDB give a user, or a key as its password.
const (
	userParameter     = "u"
	passwordParameter = "p"
)

// keyProtocol and keyProtocolPrefix are the subprotocols of a WebSocket by which a browser sends a key.
const (
	keyProtocol       = "collector"
	keyProtocolPrefix = "key."
)

// authenticate finds out whose key the request has. It sets r.key, or leaves it nil if there is none that
// is valid; r.keyGiven then says whether one was tried. Without any keys, whatever is given is ignored.
func (s *Server) authenticate(r *request, endpoint *route) {
	if r.locked = s.keys.Any(); r.locked {
		if sum, given := r.credentials(endpoint); given {
			r.keyGiven, r.key = true, s.keys.find(sum, r.received)
		}
	}
	args := r.http.QueryArgs() // nobody needs to see a key in them any more
	if endpoint.live {
		args.Del(keyParameter)
	}
	if endpoint.login {
		args.Del(userParameter)
		args.Del(passwordParameter)
	}
}

// credentials returns the digest of what the client shows.
func (r *request) credentials(endpoint *route) (sum digest, given bool) {
	if header := r.http.Request.Header.Peek(fasthttp.HeaderAuthorization); len(header) > 0 {
		return r.authorization(string(header))
	}
	if password := r.http.QueryArgs().Peek(passwordParameter); endpoint.login && len(password) > 0 {
		return r.login(string(r.http.QueryArgs().Peek(userParameter)), string(password)), true
	}
	if !endpoint.live {
		return digest{}, false
	}
	for protocol := range bytes.SplitSeq(r.http.Request.Header.Peek(fasthttp.HeaderSecWebSocketProtocol), []byte(",")) {
		if secret, ok := bytes.CutPrefix(bytes.TrimSpace(protocol), []byte(keyProtocolPrefix)); ok {
			return digestOf(string(secret)), true
		}
	}
	if secret := r.http.QueryArgs().Peek(keyParameter); len(secret) > 0 {
		return digestOf(string(secret)), true
	}
	return digest{}, false
}

// authorization reads the header of that name. One that can't be read is a key that there is not.
func (r *request) authorization(header string) (sum digest, given bool) {
	scheme, value, _ := strings.Cut(header, " ")
	value = strings.TrimSpace(value)
	switch strings.ToLower(scheme) {
	case "bearer":
		return digestOf(value), true
	case "token":
		// Clients that know InfluxDB 2 spell a user of InfluxDB 1 as user:password.
		if user, password, ok := strings.Cut(value, ":"); ok && r.server.keys.find(digestOf(value), r.received) == nil {
			return r.login(user, password), true
		}
		return digestOf(value), true
	case "basic":
		pair, err := base64.StdEncoding.DecodeString(value)
		user, password, ok := strings.Cut(string(pair), ":")
		if err != nil || !ok {
			return digest{}, true
		}
		return r.login(user, password), true
	}
	return digest{}, true
}

// login returns the digest of a user's name with the password if there is such a pair; else that of a key which was
// given as the password.
func (r *request) login(user, password string) digest {
	if sum := digestOfPair(user, password); r.server.keys.find(sum, r.received) != nil {
		return sum
	}
	return digestOf(password)
}

// keyName returns the name of the key that the request was made with; "" if the server has no keys, or if
// the route needs none and none was given.
func (r *request) keyName() string {
	if r.key == nil {
		return ""
	}
	return r.key.name
}

// requireRole refuses the request unless its key allows the role. wrap has done so for the role of the
// route; this is for handlers that need more for some of what they do.
func (r *request) requireRole(needed role) error {
	switch {
	case !r.locked || needed <= roleNone:
		return nil
	case r.key == nil:
		return r.unauthorized()
	case r.key.role < needed:
		return newError(fasthttp.StatusForbidden, "The key doesn't allow this",
			detail{"key", r.key.name}, detail{"role", r.key.role.String()}, detail{"required", needed.String()})
	}
	return nil
}

func (r *request) unauthorized() error {
	issue := "send a key in the header Authorization, after the word Bearer"
	if r.keyGiven {
		issue = "the key is not known, or it has expired or been deleted"
	}
	return newError(fasthttp.StatusUnauthorized, "A valid key is needed", detail{"issue", issue})
}

// challenge says how to give a key. A script in a browser isn't told of Basic, for which the browser would ask
// the user itself before the script learns of anything.
func (r *request) challenge() {
	challenges := `Bearer realm="collector"`
	if mode := string(r.http.Request.Header.Peek("Sec-Fetch-Mode")); mode == "" || mode == "navigate" {
		challenges += `, Basic realm="collector", charset="UTF-8"`
	}
	r.http.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, challenges)
}

// mayWriteAs reports whether the request's key lets it write as the source. For events, the source is their
// component.
func (r *request) mayWriteAs(source string) bool {
	return !r.boundToSources() || r.key.sources[source]
}

// boundToSources reports whether mayWriteAs may say no.
func (r *request) boundToSources() bool { return r.key != nil && len(r.key.sources) > 0 }

// stillAllowed returns a function that reports whether the request's key is still valid, for connections
// that outlive the handler. It may be called then, and from any goroutine.
func (r *request) stillAllowed() func() bool {
	k, now := r.key, r.server.options.Now
	if k == nil {
		locked, keys := r.locked, r.server.keys
		return func() bool { return locked || !keys.Any() } // what was open stays open only while there are no keys
	}
	return func() bool { return k.valid(now()) }
}

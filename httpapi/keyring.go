package httpapi

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/engine"
)

// stateKeys is the kind of small state that keys made through the API are.
const stateKeys = "key"

// maxStoredKeys bounds the keys made through the API.
const maxStoredKeys = 10_000

// key is a key's record. Only its revoked flag changes.
type key struct {
	name    string
	role    role
	digest  digest
	sources map[string]bool // empty: all
	created time.Time       // zero: given by the configuration
	expires time.Time       // zero: never
	revoked atomic.Bool
}

// digest is all that is kept of a secret. A plain hash is enough, see docs/decisions/0016-keys.md.
type digest [sha256.Size]byte

// digestOf returns the digest of a key as clients send it.
func digestOf(secret string) digest { return sha256.Sum256([]byte("key\x00" + secret)) }

// digestOfPair returns the digest of a user name with its password, which no key has.
func digestOfPair(user, password string) digest {
	return sha256.Sum256([]byte("pair\x00" + user + "\x00" + password))
}

// valid reports whether the key may still be used.
func (k *key) valid(now time.Time) bool {
	return !k.revoked.Load() && (k.expires.IsZero() || now.Before(k.expires))
}

// lasting reports whether the key is one by which everything can always be managed.
func (k *key) lasting() bool { return k.role == roleAdmin && k.expires.IsZero() }

// Keyring holds the keys: those of the configuration, and those made through the API, which the store keeps.
type Keyring struct {
	db       *engine.DB
	required bool

	change sync.Mutex // held while keys are made or removed; found is then replaced
	found  atomic.Pointer[keySet]
}

// keySet is what requests look keys up in. It doesn't change.
type keySet struct {
	byDigest map[digest]*key
	byName   map[string]*key
}

// KeyOptions configures a Keyring.
type KeyOptions struct {
	Auth config.Auth // valid

	// Required says that there must be a key, since other machines can reach the server: without any,
	// OpenKeys fails, and the last one can't be deleted.
	Required bool

	Logger *slog.Logger // nil: nothing is logged
}

// ErrNoKey says that there is no key, though one is required.
var ErrNoKey = errors.New("there is no key")

// OpenKeys returns the keys of the configuration and those that the store has.
func OpenKeys(db *engine.DB, options KeyOptions) (*Keyring, error) {
	ring := newKeyring(db, options)
	set := ring.found.Load().clone()
	err := db.EachState(stateKeys, func(name string, value []byte) error {
		stored, err := parseKey(name, value)
		if err != nil {
			return err
		}
		if set.byName[name] != nil || set.byDigest[stored.digest] != nil {
			if options.Logger != nil {
				options.Logger.Warn("a key of the configuration has the name or the secret of one that was made through the API, which is not used meanwhile", "key", name)
			}
			return nil
		}
		set.add(stored)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	if ring.found.Store(set); options.Required && len(set.byName) == 0 {
		return nil, ErrNoKey
	}
	return ring, nil
}

// newKeyring returns the keys of the configuration.
func newKeyring(db *engine.DB, options KeyOptions) *Keyring {
	set := &keySet{byDigest: map[digest]*key{}, byName: map[string]*key{}}
	for _, given := range options.Auth.Keys {
		set.add(&key{
			name: given.Name, role: roleNamed(given.Role), digest: digestOf(string(given.Secret)), sources: sourceSet(given.Sources),
		})
	}
	if user, password := options.Auth.Username, string(options.Auth.Password); password != "" {
		// Its name can't be that of another key, which has no colon in it.
		set.add(&key{name: "user:" + user, role: roleAdmin, digest: digestOfPair(user, password)})
	}
	ring := &Keyring{db: db, required: options.Required}
	ring.found.Store(set)
	return ring
}

func (set *keySet) clone() *keySet {
	return &keySet{byDigest: maps.Clone(set.byDigest), byName: maps.Clone(set.byName)}
}

func (set *keySet) add(k *key) { set.byDigest[k.digest], set.byName[k.name] = k, k }

// Any reports whether there are keys, valid or expired: if so, requests need one.
func (ring *Keyring) Any() bool { return len(ring.found.Load().byName) > 0 }

// find returns the key with the digest, or nil if there is none that is valid.
//
// The map finds a candidate and takes a time that depends on the digest alone, of which a client can't choose
// a single bit; the comparison that decides takes the same time for all.
func (ring *Keyring) find(sum digest, now time.Time) *key {
	candidate := ring.found.Load().byDigest[sum]
	if candidate == nil || subtle.ConstantTimeCompare(candidate.digest[:], sum[:]) != 1 || !candidate.valid(now) {
		return nil
	}
	return candidate
}

// list returns all keys by name.
func (ring *Keyring) list() []*key {
	return slices.SortedFunc(maps.Values(ring.found.Load().byName), func(a, b *key) int { return strings.Compare(a.name, b.name) })
}

// make adds a key that has everything but its digest, and returns its secret once it is durable.
func (ring *Keyring) make(k *key) (secret string, err error) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // it never fails
	secret = "col_" + base64.RawURLEncoding.EncodeToString(random[:])
	k.digest = digestOf(secret)

	ring.change.Lock()
	defer ring.change.Unlock()
	set := ring.found.Load().clone()
	switch {
	case set.byName[k.name] != nil:
		return "", newError(409, "There is a key of this name already", detail{"name", k.name}, detail{"issue", "delete it first, or choose another name"})
	case len(set.byName) == 0 && !k.lasting():
		return "", newError(409, "The first key must be one of role admin that doesn't expire",
			detail{"issue", "from the first key on every request needs one, and without such a key nobody could make or delete any"})
	case len(set.byName) >= maxStoredKeys:
		return "", limitExceeded("There are too many keys", "keys", maxStoredKeys, int64(len(set.byName))+1, "delete those that have expired")
	}
	if shadowed, err := ring.db.State(stateKeys, k.name); err != nil || shadowed != nil {
		if err == nil {
			err = newError(409, "There is a key of this name already", detail{"name", k.name},
				detail{"issue", "it isn't used, since a key of the configuration has its secret"})
		}
		return "", err
	}
	if err := ring.db.ChangeState(engine.StateChange{Kind: stateKeys, Name: k.name, Value: appendKey(k)}); err != nil {
		return "", err
	}
	set.add(k)
	ring.found.Store(set)
	return secret, nil
}

// remove deletes a key made through the API. When it returns, the key is of no use any more, and stays so. When that
// can't be made durable, it is an error and the key is of no use until a restart, unless it is the last by which
// keys can be managed; it is still listed, as expired, and can be deleted again.
func (ring *Keyring) remove(name string) error {
	ring.change.Lock()
	defer ring.change.Unlock()
	set := ring.found.Load().clone()
	k := set.byName[name]
	if k == nil {
		return newError(404, "There is no such key", detail{"name", clip(name)})
	}
	delete(set.byName, name)
	delete(set.byDigest, k.digest)
	lasting := 0
	for _, left := range set.byName {
		if left.lasting() && !left.revoked.Load() {
			lasting++
		}
	}
	switch {
	case k.created.IsZero():
		return newError(409, "The key is given by the configuration", detail{"name", name}, detail{"issue", "take it out there and restart"})
	case len(set.byName) == 0 && ring.required:
		return newError(409, "The last key can't be deleted", detail{"name", name},
			detail{"issue", "other machines can reach this server, and without a key everybody there could do everything; make another key first"})
	case len(set.byName) > 0 && lasting == 0 && k.lasting():
		return newError(409, "The last key of role admin that doesn't expire can't be deleted before the others", detail{"name", name},
			detail{"issue", "nobody could make or delete keys any more; make another one first"})
	}
	if err := ring.db.ChangeState(engine.StateChange{Kind: stateKeys, Name: name}); err != nil {
		if lasting == 0 {
			return err // nobody could delete it again
		}
		k.revoked.Store(true) // a full disk doesn't keep a leaked key in use
		return fmt.Errorf("the key %q is of no use until the next start, and has to be deleted again: %w", name, err)
	}
	k.revoked.Store(true)
	ring.found.Store(set)
	return nil
}

// storedKey is a key as the store has it.
type storedKey struct {
	Role    string     `json:"role"`
	SHA256  string     `json:"sha256"` // of digestOf, in hex
	Sources []string   `json:"sources,omitempty"`
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"`
}

func appendKey(k *key) []byte {
	stored := storedKey{Role: k.role.String(), SHA256: hex.EncodeToString(k.digest[:]), Sources: sourceList(k.sources), Created: k.created}
	if !k.expires.IsZero() {
		stored.Expires = &k.expires
	}
	return appendJSON(nil, stored)
}

func parseKey(name string, value []byte) (*key, error) {
	var stored storedKey
	if err := json.Unmarshal(value, &stored); err != nil {
		return nil, fmt.Errorf("the key %q: %w", name, err)
	}
	k := &key{name: name, role: roleNamed(stored.Role), sources: sourceSet(stored.Sources), created: stored.Created}
	if stored.Expires != nil {
		k.expires = *stored.Expires
	}
	sum, err := hex.DecodeString(stored.SHA256)
	if len(sum) != len(k.digest) || err != nil || k.role < roleRead || k.created.IsZero() {
		return nil, fmt.Errorf("the key %q is not as it was written", name)
	}
	copy(k.digest[:], sum)
	return k, nil
}

func sourceSet(sources []string) map[string]bool {
	set := map[string]bool{}
	for _, source := range sources {
		set[source] = true
	}
	return set
}

func sourceList(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

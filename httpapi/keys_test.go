package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/engine"
)

// makeKey makes a key that must be granted, and returns its secret.
func (ts *testServer) makeKey(body string, headers ...string) string {
	ts.t.Helper()
	answer := ts.do(http.MethodPost, "/admin/keys", []byte(body), append(headers, "Content-Type", "application/json")...)
	secret, _ := decodeJSON(ts.t, answer.body)["key"].(string)
	if answer.status != http.StatusCreated || len(secret) < 40 || answer.header.Get("Cache-Control") != "no-store" {
		ts.t.Fatalf("POST /admin/keys %s: %d %s", body, answer.status, answer.body)
	}
	return secret
}

func (ts *testServer) allowed(secret string) bool {
	ts.t.Helper()
	return ts.get("/metrics/query?metric=a", bearer(secret)...).status == http.StatusOK
}

// TestKeysOverTheAPI goes the whole way, from the open server to the locked one and back.
func TestKeysOverTheAPI(t *testing.T) {
	ts := startServer(t, Options{})
	post := func(body string, headers ...string) reply {
		return ts.do(http.MethodPost, "/admin/keys", []byte(body), append(headers, "Content-Type", "application/json")...)
	}
	// Nobody locks themselves out with the first key.
	post(`{"name":"dash","role":"read"}`).wantError(t, http.StatusConflict, "CONFLICT")
	post(`{"name":"boss","role":"admin","expires":"now+1h"}`).wantError(t, http.StatusConflict, "CONFLICT")
	post(`{"name":"boss","role":"admin","expires":"2200-01-01"}`).wantError(t, http.StatusConflict, "CONFLICT")
	boss := bearer(ts.makeKey(`{"name":"boss","role":"admin"}`))
	ts.get("/metrics/query?metric=a").wantError(t, http.StatusUnauthorized, "UNAUTHORIZED")

	dash := ts.makeKey(`{"name":"dash","role":"read"}`, boss...)
	device := ts.makeKey(`{"name":"edge","role":"write","sources":["edge-8","edge-7"],"expires":"2200-01-01"}`, boss...)
	if !ts.allowed(dash) || !ts.allowed(device) || dash == device {
		t.Fatal("the new keys don't work")
	}
	list := ts.get("/admin/keys", boss...)
	if strings.Contains(string(list.body), dash) || strings.Contains(string(list.body), digestHex(dash)) {
		t.Errorf("the list shows a secret or its hash: %s", list.body)
	}
	var got struct{ Keys []keyView }
	if err := json.Unmarshal(list.body, &got); err != nil || len(got.Keys) != 3 || got.Keys[2].Name != "edge" || fmt.Sprint(got.Keys[2].Sources) != "[edge-7 edge-8]" ||
		*got.Keys[2].Expires != "2200-01-01T00:00:00Z" || got.Keys[0].Expires != nil || got.Keys[0].Origin != "api" || got.Keys[0].Created == nil {
		t.Errorf("%v in %s", err, list.body)
	}

	post(`{"name":"dash","role":"read"}`, boss...).wantError(t, http.StatusConflict, "CONFLICT")
	post(`{"name":"x","role":"read"}`, bearer(dash)...).wantError(t, http.StatusForbidden, "FORBIDDEN")
	del := func(name string) reply { return ts.do(http.MethodDelete, "/admin/keys/"+name, nil, boss...) }
	del("nobody").wantError(t, http.StatusNotFound, "RESOURCE_NOT_FOUND")
	del("boss").wantError(t, http.StatusConflict, "CONFLICT") // the others could not be managed any more
	if answer := del("dash"); answer.status != http.StatusOK {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	if ts.allowed(dash) || !ts.allowed(device) {
		t.Error("the deleted key still works, or the other one doesn't")
	}
	del("edge")
	if answer := del("boss"); answer.status != http.StatusOK {
		t.Errorf("the last of all keys: %d %s", answer.status, answer.body)
	}
	ts.getJSON("/admin/keys") // open again
}

func digestHex(secret string) string { return fmt.Sprintf("%x", digestOf(secret)) }

func TestBadKeys(t *testing.T) {
	ts := startLocked(t, KeyOptions{Auth: testAuth}, Options{})
	for body, field := range map[string]string{
		`{"role":"read"}`:                                                             "name",
		`{"name":"a/b","role":"read"}`:                                                "name",
		`{"name":"a"}`:                                                                "role",
		`{"name":"a","role":"root"}`:                                                  "role",
		`{"name":"a","role":"read","sources":["s"]}`:                                  "sources",
		`{"name":"a","role":"write","sources":[""]}`:                                  "sources",
		`{"name":"a","role":"write","sources":[]}`:                                    "sources",
		`{"name":"a","role":"write","sources":["a\u0007"]}`:                           "sources",
		`{"name":"a","role":"write","sources":["` + strings.Repeat("s", 1025) + `"]}`: "sources",
		`{"name":"a","role":"write","sources":"s"}`:                                   "sources",
		`{"name":"a","role":"read","expires":"2020-01-01"}`:                           "expires",
		`{"name":"a","role":"read","expires":"soon"}`:                                 "expires",
		`{"name":"a","role":"read","secret":"of my own"}`:                             "secret",
		`{"name":"a","role":"read","expires":"2030-01-01","x":1}`:                     "x",
	} {
		answer := ts.do(http.MethodPost, "/admin/keys", []byte(body), append(bearer("admin-key"), "Content-Type", "application/json")...)
		if got := answer.wantError(t, http.StatusBadRequest, "INVALID_REQUEST"); got.Details["field"] != field {
			t.Errorf("%s: %v", body, got.Details)
		}
	}
	ts.do(http.MethodDelete, "/admin/keys/reader", nil, bearer("admin-key")...).wantError(t, http.StatusConflict, "CONFLICT")
	ts.do(http.MethodDelete, "/admin/keys/user:floppy", nil, bearer("admin-key")...).wantError(t, http.StatusConflict, "CONFLICT")
}

// TestNeverOpenByAccident: where a key is required, neither deleting nor the passing of time takes the last
// one away.
func TestNeverOpenByAccident(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Date(2025, 6, 16, 10, 0, 0, 0, time.UTC).UnixNano())
	auth := config.Auth{Keys: []config.APIKey{{Name: "dash", Role: "read", Secret: "dash-key"}}}
	ts := startLocked(t, KeyOptions{Auth: auth, Required: true}, Options{Now: func() time.Time { return time.Unix(0, now.Load()) }})

	// Of the key's two kinds, only those of the API can go; to test their last one, the configuration's goes.
	boss := make(map[string]string)
	for _, name := range []string{"boss", "deputy"} {
		secret, err := ts.server.keys.make(&key{name: name, role: roleAdmin, created: time.Unix(0, now.Load())})
		if err != nil {
			t.Fatal(err)
		}
		boss[name] = secret
	}
	ts.openKeys(KeyOptions{Required: true})
	short := ts.makeKey(`{"name":"short","role":"read","expires":"2025-06-16T11:00:00Z"}`, bearer(boss["boss"])...)
	if !ts.allowed(short) {
		t.Error("the key doesn't work before it expires")
	}
	now.Add(int64(time.Hour))
	if ts.allowed(short) {
		t.Error("the key works after it has expired")
	}
	del := func(name string, secret string) reply {
		return ts.do(http.MethodDelete, "/admin/keys/"+name, nil, bearer(secret)...)
	}
	for _, name := range []string{"deputy", "short"} {
		if answer := del(name, boss["boss"]); answer.status != http.StatusOK {
			t.Fatalf("%s: %d %s", name, answer.status, answer.body)
		}
	}
	del("boss", boss["boss"]).wantError(t, http.StatusConflict, "CONFLICT")
	ts.get("/metrics/query?metric=a").wantError(t, http.StatusUnauthorized, "UNAUTHORIZED")
	if !ts.allowed(boss["boss"]) {
		t.Error("the key that could not be deleted is gone")
	}
}

// TestOnlyExpiredKeysKeepItLocked: they let nobody in, and don't open the server either.
func TestOnlyExpiredKeysKeepItLocked(t *testing.T) {
	ts := startServer(t, Options{})
	past := &key{name: "past", role: roleAdmin, created: time.Unix(1, 0).UTC(), expires: time.Unix(2, 0).UTC()}
	past.digest = digestOf("past-key")
	if err := ts.db.ChangeState(engine.StateChange{Kind: stateKeys, Name: "past", Value: appendKey(past)}); err != nil {
		t.Fatal(err)
	}
	ts.openKeys(KeyOptions{Required: true})
	ts.get("/metrics/query?metric=a").wantError(t, http.StatusUnauthorized, "UNAUTHORIZED")
	ts.get("/metrics/query?metric=a", bearer("past-key")...).wantError(t, http.StatusUnauthorized, "UNAUTHORIZED")
}

// TestRevokedOnAFullDisk: a key that can't be deleted durably is of no use all the same, and can be deleted again; but
// not the last one that could do so.
func TestRevokedOnAFullDisk(t *testing.T) {
	ts := startServer(t, Options{})
	boss := bearer(ts.makeKey(`{"name":"boss","role":"admin"}`))
	leaked := ts.makeKey(`{"name":"leaked","role":"write"}`, boss...)
	spare := bearer(ts.makeKey(`{"name":"spare","role":"admin"}`, boss...))
	tuning := ts.db.Tuning()
	full := func(free int64) {
		tuning.MinFreeBytes = free
		if err := ts.db.Reconfigure(tuning); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(name string, key []string) reply {
		return ts.do(http.MethodDelete, "/admin/keys/"+name, nil, key...)
	}
	full(1 << 60)
	for _, name := range []string{"leaked", "boss"} {
		remove(name, spare).wantError(t, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
	}
	if ts.allowed(leaked) || ts.get("/admin/keys", boss...).status != http.StatusUnauthorized {
		t.Error("a key that was deleted is in use")
	}
	remove("spare", spare).wantError(t, http.StatusConflict, "CONFLICT")
	full(-1)
	for _, name := range []string{"leaked", "boss"} {
		if answer := remove(name, spare); answer.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, answer.status, answer.body)
		}
	}
}

func TestKeysSurviveARestart(t *testing.T) {
	directory := t.TempDir()
	open := func() *engine.DB {
		db, err := engine.Open(directory, engine.Options{MinFreeBytes: -1, MaintainInterval: -1})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := open()
	if _, err := OpenKeys(db, KeyOptions{Required: true}); !errors.Is(err, ErrNoKey) {
		t.Fatalf("without keys, which are required: %v", err)
	}
	ring, err := OpenKeys(db, KeyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	created := time.Unix(1_750_000_000, 5).UTC()
	secrets := map[string]string{}
	for _, k := range []*key{
		{name: "boss", role: roleAdmin, created: created},
		{name: "edge", role: roleWrite, created: created, sources: sourceSet([]string{"b", "a"}), expires: created.Add(time.Hour)},
		{name: "gone", role: roleRead, created: created},
	} {
		if secrets[k.name], err = ring.make(k); err != nil {
			t.Fatal(err)
		}
	}
	if err := ring.remove("gone"); err != nil {
		t.Fatal(err)
	}
	if err := db.EachState(stateKeys, func(name string, value []byte) error {
		if strings.Contains(string(value), secrets[name]) {
			t.Errorf("the secret of %s is stored: %s", name, value)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	db = open()
	defer func() { _ = db.Close() }()
	if ring, err = OpenKeys(db, KeyOptions{Required: true}); err != nil {
		t.Fatal(err)
	}
	find := func(name string, now time.Time) *key { return ring.find(digestOf(secrets[name]), now) }
	if k := find("boss", created); k == nil || k.role != roleAdmin || !k.created.Equal(created) {
		t.Errorf("boss: %+v", k)
	}
	if k := find("edge", created); k == nil || k.role != roleWrite || len(k.sources) != 2 || !k.sources["a"] || find("edge", created.Add(time.Hour)) != nil {
		t.Errorf("edge: %+v", k)
	}
	if find("gone", created) != nil || len(ring.list()) != 2 {
		t.Errorf("a deleted key is back: %v", ring.list())
	}

	// The configuration's keys come first, and what they hide is not deleted with them.
	auth := config.Auth{Keys: []config.APIKey{{Name: "boss", Role: "read", Secret: "new-secret"}}}
	if ring, err = OpenKeys(db, KeyOptions{Auth: auth}); err != nil {
		t.Fatal(err)
	}
	if find("boss", created) != nil || ring.find(digestOf("new-secret"), created).role != roleRead {
		t.Error("the stored key is used beside the configuration's of the same name")
	}
}

// TestDamagedKeyIsAnError: a server that can't read a key must not take that for there being none.
func TestDamagedKeyIsAnError(t *testing.T) {
	for _, value := range []string{`{`, `{"role":"root","sha256":"` + digestHex("a") + `","created":"2025-01-01T00:00:00Z"}`, `{"role":"read","sha256":"00","created":"2025-01-01T00:00:00Z"}`} {
		ts := startServer(t, Options{})
		if err := ts.db.ChangeState(engine.StateChange{Kind: stateKeys, Name: "a", Value: []byte(value)}); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeys(ts.db, KeyOptions{}); err == nil || !strings.Contains(err.Error(), `"a"`) {
			t.Errorf("%s: error %v", value, err)
		}
	}
}

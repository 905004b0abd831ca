package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func TestShortFormOfKeys(t *testing.T) {
	var got APIKey
	if err := got.UnmarshalText([]byte("dash:read:a:b=")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(APIKey{Name: "dash", Role: "read", Secret: "a:b="}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := got.UnmarshalText([]byte("read:hunter2")); err != nil || got.Name != "" || got.Role != "" {
		t.Errorf("a text that is no key: %v, %+v", err, got)
	}
}

// TestSecretsAreHidden prints settings in every way there is.
func TestSecretsAreHidden(t *testing.T) {
	settings := Default()
	settings.Auth = Auth{Keys: []APIKey{{Name: "dash", Role: "read", Secret: "hunter2"}}, Username: "u", Password: "hunter2"}
	asJSON, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(settings), fmt.Sprintf("%v", settings), fmt.Sprintf("%+v", settings), fmt.Sprintf("%#v", settings), fmt.Sprintf("%q", settings.Auth.Password), string(asJSON), string(asYAML),
	} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "hidden") {
			t.Errorf("got %s", text)
		}
	}
}

func TestValidateAuth(t *testing.T) {
	key := func(name, role, secret string, sources ...string) APIKey {
		return APIKey{Name: name, Role: role, Secret: Secret(secret), Sources: sources}
	}
	for name, test := range map[string]struct {
		keys []APIKey
		want string // a part of the error; empty: valid
	}{
		"one of each role":  {[]APIKey{key("a", "read", "1"), key("b", "write", "2", "s"), key("c", "admin", "3")}, ""},
		"no key at all":     {[]APIKey{key("", "", "read:hunter2")}, "auth.keys[0] is not of the form name:role:secret"},
		"no name":           {[]APIKey{key("", "read", "1")}, `auth.keys[0].name is ""; valid are 1 to 64`},
		"name with a colon": {[]APIKey{key("a:b", "read", "1")}, `auth.keys[0].name is "a:b"`},
		"unknown role":      {[]APIKey{key("a", "root", "1")}, `auth.keys[0].role is "root"; valid are read, write, admin`},
		"no secret":         {[]APIKey{key("a", "read", "")}, "auth.keys[0].secret is empty"},
		"unsendable secret": {[]APIKey{key("a", "read", "hunter 2")}, "auth.keys[0].secret has characters"},
		"sources to read":   {[]APIKey{key("a", "read", "1", "s")}, "auth.keys[0].sources is \"s\"; only a key of role write"},
		"no source":         {[]APIKey{{Name: "a", Role: "write", Secret: "1", Sources: []string{}}}, "auth.keys[0].sources is \"[]\"; name at least one source"},
		"impossible source": {[]APIKey{key("a", "write", "1", "s\n")}, "auth.keys[0].sources"},
		"empty source":      {[]APIKey{key("a", "write", "1", "")}, "auth.keys[0].sources"},
		"same name":         {[]APIKey{key("a", "read", "hunter2"), key("a", "read", "hunter3")}, `auth.keys[1].name is "a", which another key has`},
		"same secret":       {[]APIKey{key("a", "read", "hunter2"), key("b", "read", "hunter2")}, "auth.keys[1].secret is that of another key"},
	} {
		settings := Default()
		settings.Auth.Keys = test.keys
		err := settings.Validate()
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: refused: %v", name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: error %v, want one with %q", name, err, test.want)
		case err != nil && strings.Contains(err.Error(), "hunter"):
			t.Errorf("%s: a secret is shown: %v", name, err)
		}
	}
}

func TestReachable(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:1": false, "[::1]:1": false, "localhost:1": false, "127.9.9.9:0": false,
		":8000": true, "0.0.0.0:8000": true, "[::]:8000": true, "example.org:8000": true, "192.168.1.1:1": true,
	} {
		if got := len((Config{Listen: []string{address}}).Reachable()) == 1; got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

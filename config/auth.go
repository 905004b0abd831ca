package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/flopynet/collector/model"
)

// Auth says who may do what. Without any key, neither here nor made through the API, whoever reaches the
// server may do everything.
type Auth struct {
	Keys []APIKey `yaml:"keys"`

	// Username and Password are a pair for HTTP Basic, of role admin, as FLOPY-NET's deployments have it.
	// Without a password there is no such pair.
	Username string `yaml:"username"`
	Password Secret `yaml:"password"`
}

// APIKey is a key by which clients show who they are.
type APIKey struct {
	Name    string   `yaml:"name"`
	Role    string   `yaml:"role"`    // read, write or admin; each may do what those before it may
	Secret  Secret   `yaml:"secret"`  // what the client sends
	Sources []string `yaml:"sources"` // for write: the only sources it may write; not given: all
}

// The values of APIKey.Role.
const (
	RoleRead  = "read"
	RoleWrite = "write"
	RoleAdmin = "admin"
)

// Roles are the values of APIKey.Role, each including those before it.
var Roles = []string{RoleRead, RoleWrite, RoleAdmin}

// Secret is a text that is not to be shown: printed, logged or marshalled it is hidden. Convert it to a
// string to use it.
type Secret string

const hiddenSecret = "(hidden)"

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hiddenSecret
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads an APIKey's short form, name:role:secret. It takes any text, and Validate refuses what is
// not of the form: the command line's parser would show a text that it can't read, and this one has a secret in it.
func (k *APIKey) UnmarshalText(text []byte) error {
	parts := strings.SplitN(string(text), ":", 3)
	if len(parts) != 3 {
		*k = APIKey{Secret: Secret(text)}
		return nil
	}
	*k = APIKey{Name: parts[0], Role: parts[1], Secret: Secret(parts[2])}
	return nil
}

// KeyName is what the name of a key must match.
var KeyName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// MaxKeySources bounds the sources of one key.
const MaxKeySources = 1000

// CheckKey reports what is wrong with a key's name, role and sources: the field, what was given and what is
// valid. field is "" if nothing is.
func CheckKey(name, role string, sources []string) (field, given, issue string) {
	switch {
	case !KeyName.MatchString(name):
		return "name", name, "valid are 1 to 64 of the characters A-Z, a-z, 0-9, dot, _ and -"
	case !slices.Contains(Roles, role):
		return "role", role, "valid are " + strings.Join(Roles, ", ")
	case len(sources) > 0 && role != RoleWrite:
		return "sources", strings.Join(sources, ", "), "only a key of role write can be bound to sources"
	case len(sources) > MaxKeySources:
		return "sources", strconv.Itoa(len(sources)), fmt.Sprintf("at most %d are allowed", MaxKeySources)
	case sources != nil && len(sources) == 0: // whoever made the list may not have wanted a key for all
		return "sources", "[]", "name at least one source, or leave it out for a key that may write all"
	}
	for _, source := range sources {
		if err := model.CheckSeries("source", model.Tags{{Key: model.SourceKey, Value: source}}); err != nil || source == "" {
			return "sources", source, fmt.Sprintf("a source has 1 to %d bytes and no control characters", model.MaxTagValueBytes)
		}
	}
	return "", "", ""
}

func (c Config) validateAuth() error {
	var problems []error
	names := map[string]bool{}
	secrets := map[Secret]bool{}
	for i, key := range c.Auth.Keys {
		at := fmt.Sprintf("auth.keys[%d]", i)
		if key.Name == "" && key.Role == "" {
			problems = append(problems, fmt.Errorf("%s is not of the form name:role:secret (it isn't shown here, since it may be a secret)", at))
			continue
		}
		if field, given, issue := CheckKey(key.Name, key.Role, key.Sources); field != "" {
			problems = append(problems, fmt.Errorf("%s.%s is %q; %s", at, field, given, issue))
			continue
		}
		switch {
		case key.Secret == "":
			problems = append(problems, fmt.Errorf("%s.secret is empty; give the text that clients send", at))
		case strings.ContainsFunc(string(key.Secret), func(r rune) bool { return r <= ' ' || r > '~' }):
			problems = append(problems, fmt.Errorf("%s.secret has characters that can't be sent in a header; valid are printable ASCII without spaces", at))
		case names[key.Name]:
			problems = append(problems, fmt.Errorf("%s.name is %q, which another key has", at, key.Name))
		case secrets[key.Secret]:
			problems = append(problems, fmt.Errorf("%s.secret is that of another key", at))
		}
		names[key.Name], secrets[key.Secret] = true, true
	}
	if user := c.Auth.Username; strings.Contains(user, ":") {
		problems = append(problems, fmt.Errorf("auth.username is %q; HTTP Basic doesn't allow a colon in it", user))
	}
	return errors.Join(problems...)
}

// Reachable returns the addresses among Listen that other machines can reach.
func (c Config) Reachable() []string {
	var reachable []string
	for _, address := range c.Listen {
		if !isLoopback(hostOf(address)) {
			reachable = append(reachable, address)
		}
	}
	return reachable
}

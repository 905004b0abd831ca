package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFlopynetOverrides(t *testing.T) {
	for name, test := range map[string]struct {
		environment string // NAME=value, separated by spaces
		want        func(*Config)
		wantError   string
	}{
		"nothing":                  {"", func(*Config) {}, ""},
		"pair":                     {"API_AUTH_ENABLED=true API_USERNAME=floppy API_PASSWORD=secret", func(c *Config) { c.Auth = Auth{Username: "floppy", Password: "secret"} }, ""},
		"password alone":           {"API_PASSWORD=secret", func(c *Config) { c.Auth = Auth{Username: "admin", Password: "secret"} }, ""},
		"switched off":             {"API_AUTH_ENABLED=False API_USERNAME=floppy API_PASSWORD=secret", func(*Config) {}, ""},
		"name alone":               {"API_USERNAME=floppy", func(*Config) {}, ""},
		"without password":         {"API_AUTH_ENABLED=1 API_USERNAME=floppy", nil, "API_PASSWORD is empty"},
		"neither on nor off":       {"API_AUTH_ENABLED=perhaps", nil, `API_AUTH_ENABLED is "perhaps"; valid are true and false`},
		"CORS":                     {"ENABLE_CORS=true", func(c *Config) { c.CORS.AllowedOrigins = []string{"*"} }, ""},
		"CORS with origins":        {"ENABLE_CORS=on API_ALLOWED_ORIGINS=http://a,,http://b/", func(c *Config) { c.CORS.AllowedOrigins = []string{"http://a", "http://b"} }, ""},
		"origins alone":            {"API_ALLOWED_ORIGINS=http://a", func(c *Config) { c.CORS.AllowedOrigins = []string{"http://a"} }, ""},
		"CORS off, though origins": {"ENABLE_CORS=0 API_ALLOWED_ORIGINS=http://a", func(c *Config) { c.CORS.AllowedOrigins = []string{} }, ""},
		"CORS neither on nor off":  {"ENABLE_CORS=x", nil, "ENABLE_CORS"},
	} {
		environment := map[string]string{}
		for entry := range strings.FieldsSeq(test.environment) {
			key, value, _ := strings.Cut(entry, "=")
			environment[key] = value
		}
		overrides, err := FlopynetOverrides(func(name string) string { return environment[name] })
		if test.wantError != "" {
			if err == nil || !strings.Contains(err.Error(), test.wantError) {
				t.Errorf("%s: error %v, want one with %q", name, err, test.wantError)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, want := Default(), Default()
		overrides.Apply(&got)
		test.want(&want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, -want +got:\n%s", name, diff)
		}
	}
}

// TestOwnVariablesWin: what is given under our own names stands above FLOPY-NET's.
func TestOwnVariablesWin(t *testing.T) {
	foreign, own := Secret("foreign"), Secret("own")
	got, err := Load("", Overrides{Password: &foreign, AllowedOrigins: []string{"*"}}, Overrides{Password: &own})
	if err != nil || got.Auth.Password != own || len(got.CORS.AllowedOrigins) != 1 {
		t.Errorf("%v, %+v", err, got.Auth.Password == own)
	}
}

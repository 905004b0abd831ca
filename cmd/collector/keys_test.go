package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// statusWith asks for a path with a key and returns the status of the answer.
func statusWith(t *testing.T, url, key string) int {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// TestKeysLetItListenToTheNetwork: with a key it needs no --insecure and warns of nothing; the keys come from
// each place where settings come from.
func TestKeysLetItListenToTheNetwork(t *testing.T) {
	file := filepath.Join(t.TempDir(), "collector.yaml")
	if err := os.WriteFile(file, []byte("auth: {keys: [{name: dash, role: read, secret: 0123456789abcdef}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		environment []string
		argument    string
	}{
		"flag":        {nil, "--api-key=dash:read:0123456789abcdef"},
		"environment": {[]string{"COLLECTOR_API_KEYS=other:write:0123456789abcdeg,dash:read:0123456789abcdef"}, "--self-metrics"},
		"file":        {nil, "--config=" + file},
	} {
		p := startCommand(t, command(t, c.environment, "serve", "--listen=0.0.0.0:0", "--data-dir="+t.TempDir(), c.argument))
		url := strings.Replace(strings.Replace(p.url, "[::]", "127.0.0.1", 1), "0.0.0.0", "127.0.0.1", 1) + "/metrics/query?metric=a"
		if got := statusWith(t, url, "0123456789abcdef"); got != http.StatusOK {
			t.Errorf("%s: with the key: %d", name, got)
		}
		if got := statusWith(t, url, "0123456789abcdefg"); got != http.StatusUnauthorized {
			t.Errorf("%s: with another: %d", name, got)
		}
		p.terminate(t)
		if log := p.stderr.String(); strings.Contains(log, "level=WARN") || strings.Contains(log, "0123456789abcdef") {
			t.Errorf("%s: a warning or a secret in:\n%s", name, log)
		}
	}
}

// TestShortSecretsAreWarnedOf: of keys and of the password.
func TestShortSecretsAreWarnedOf(t *testing.T) {
	p := start(t, t.TempDir(), "--self-metrics=false", "--api-key=dash:read:hunter2", "--auth-password=hunter3")
	p.terminate(t)
	log := p.stderr.String()
	if !strings.Contains(log, "the secret of a key is short") || !strings.Contains(log, "auth.password is short") || strings.Contains(log, "hunter") {
		t.Errorf("the log says: %s", log)
	}
}

// TestBadKeyIsNotShown: what is wrong with a key must be said without saying the key.
func TestBadKeyIsNotShown(t *testing.T) {
	for _, environment := range [][]string{{"COLLECTOR_API_KEYS=hunter2"}, {"COLLECTOR_API_KEYS=a:read:hunter2,hunter3"}, {"COLLECTOR_API_KEYS=a:read:hunter2,a:read:hunter3"}} {
		_, stderr, code := runToEnd(t, environment, "serve", "--data-dir="+t.TempDir())
		if code == exitOK || strings.Contains(stderr, "hunter") || !strings.Contains(strings.ToLower(stderr), "key") {
			t.Errorf("exit code %d, said: %s", code, stderr)
		}
	}
	_, stderr, code := runToEnd(t, nil, "serve", "--data-dir="+t.TempDir(), "--api-key=hunter2")
	if code != exitFailed || strings.Contains(stderr, "hunter") || !strings.Contains(stderr, "name:role:secret") {
		t.Errorf("exit code %d, said: %s", code, stderr)
	}
}

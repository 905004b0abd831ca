package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/httpapi"
)

// TestServerOptions sets every setting that is the HTTP server's.
func TestServerOptions(t *testing.T) {
	settings := config.Config{
		AllowedHosts: []string{"h"}, TrustedProxies: []string{"10.1.2.3/8", "::1"}, CORS: config.CORS{AllowedOrigins: []string{"o"}},
		RateLimit: config.RateLimit{Reads: 1, Writes: 2, Window: 3}, Log: config.Log{Access: true, SlowQuery: 4},
	}
	keys := new(httpapi.Keyring)
	want := httpapi.Options{
		Version: versionNumber(), AllowedHosts: []string{"h"}, AllowedOrigins: []string{"o"},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		RateLimit:      httpapi.RateLimit{Reads: 1, Writes: 2, Window: 3}, LogAccess: true, SlowQuery: 4,
	}
	got := serverOptions(settings, slog.New(slog.DiscardHandler), keys, new(config.Live))
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(httpapi.Options{}, "Logger", "Now", "Keys", "Config"), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" || got.Keys != keys || got.Config == nil {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestServesTLS asks the program over HTTPS, with FLOPY-NET's pair of user name and password.
func TestServesTLS(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	certFile, keyFile := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	if err := errors.Join(os.WriteFile(certFile, certPEM, 0o600), os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600)); err != nil {
		t.Fatal(err)
	}
	environment := []string{"API_AUTH_ENABLED=true", "API_USERNAME=floppy", "API_PASSWORD=net-work-password"}
	p := startCommand(t, command(t, environment, "serve", "--listen=127.0.0.1:0", "--data-dir="+t.TempDir(), "--tls-cert="+certFile, "--tls-key="+keyFile))
	if !strings.HasPrefix(p.url, "https://127.0.0.1:") || !strings.Contains(p.banner, "with a key") {
		t.Errorf("banner: %s", p.banner)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	for password, want := range map[string]int{"net-work-password": http.StatusOK, "guess": http.StatusUnauthorized} {
		request, err := http.NewRequest(http.MethodGet, p.url+"/admin/keys", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth("floppy", password)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("with the password %s: %d", password, response.StatusCode)
		}
	}
}

func TestAccessSettingsThatCannotBe(t *testing.T) {
	for _, test := range []struct {
		environment []string
		argument    string
		want        string
	}{
		{[]string{"API_AUTH_ENABLED=true"}, "--log-access", "API_PASSWORD is empty"},
		{[]string{"COLLECTOR_TLS_CERT=no-such-file.pem"}, "--tls-key=neither.pem", "no-such-file.pem"},
		{nil, "--tls-cert=a.pem", "give both, or none"},
	} {
		_, stderr, code := runToEnd(t, test.environment, "serve", "--listen=127.0.0.1:0", "--data-dir="+t.TempDir(), test.argument)
		if code != exitFailed || !strings.Contains(stderr, test.want) {
			t.Errorf("exit code %d, said: %s", code, stderr)
		}
	}
}

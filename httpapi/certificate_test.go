package httpapi

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// pair is a certificate of its own authority, and its key, as PEM.
func pair(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "collector"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
}

// tlsServer is a testServer that listens with TLS too.
type tlsServer struct {
	*testServer
	certFile, keyFile string
	addr              string
	now               atomic.Int64 // of the certificate's clock, which stands still
	log               *logBuffer
}

func startTLS(t *testing.T, options Options, extra ...route) *tlsServer {
	t.Helper()
	directory := t.TempDir()
	s := &tlsServer{testServer: startServer(t, options, extra...), certFile: filepath.Join(directory, "cert.pem"), keyFile: filepath.Join(directory, "key.pem")}
	s.replace(pair(t, 1))
	logger, log := newLog(slog.LevelInfo)
	s.log = log
	certificate, err := LoadCertificate(CertificateOptions{CertFile: s.certFile, KeyFile: s.keyFile, Logger: logger, Now: func() time.Time { return time.Unix(0, s.now.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(tls.NewListener(listener, certificate.TLS())) }()
	t.Cleanup(func() {
		if err := s.server.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

func (s *tlsServer) replace(cert, key []byte) {
	s.t.Helper()
	if err := errors.Join(os.WriteFile(s.certFile, cert, 0o600), os.WriteFile(s.keyFile, key, 0o600)); err != nil {
		s.t.Fatal(err)
	}
}

// dial connects and returns the connection and its certificate's serial number.
func (s *tlsServer) dial() (*tls.Conn, int64) {
	s.t.Helper()
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // which certificate it is is what is tested
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	return conn, conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// ask sends a request on a connection and returns the first bytes of the answer.
func ask(t *testing.T, conn net.Conn, request string) string {
	t.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer[:n])
}

const askLive = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"

func TestTLSFollowsItsFiles(t *testing.T) {
	s := startTLS(t, Options{})
	first, serial := s.dial()
	if answer := ask(t, first, askLive); serial != 1 || !strings.HasPrefix(answer, "HTTP/1.1 200") {
		t.Fatalf("serial %d, answer %s", serial, answer)
	}
	want := func(serial int64, when string) {
		t.Helper()
		s.now.Add(int64(certificateCheck))
		conn, got := s.dial()
		if answer := ask(t, conn, askLive); got != serial || !strings.HasPrefix(answer, "HTTP/1.1 200") {
			t.Errorf("%s: serial %d, want %d; answer %s", when, got, serial, answer)
		}
		if answer := ask(t, first, askLive); !strings.HasPrefix(answer, "HTTP/1.1 200") {
			t.Errorf("%s: the first connection is cut: %s", when, answer)
		}
	}
	cert, key := pair(t, 2)
	s.replace(cert, key)
	want(2, "after both files were replaced")
	s.log.wait(t, "was read again")

	newCert, newKey := pair(t, 3)
	s.replace(newCert, key)
	want(2, "after only the certificate was replaced")
	if line := s.log.wait(t, "the old one stays"); !strings.Contains(line, "level=ERROR") || !strings.Contains(line, "cert.pem") {
		t.Errorf("logged %s", line)
	}
	s.replace(newCert, newKey)
	want(3, "after the key was replaced too")
	s.replace([]byte("nonsense"), nil)
	want(3, "with files of nonsense")
	if err := os.Remove(s.keyFile); err != nil {
		t.Fatal(err)
	}
	want(3, "without a key")
	s.replace(cert, key)
	want(2, "with the second pair again")
}

func TestTLSVersions(t *testing.T) {
	s := startTLS(t, Options{})
	for version, allowed := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}) //nolint:gosec // old versions are what is tested
		if (err == nil) != allowed {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

func TestBadCertificateIsRefused(t *testing.T) {
	directory := t.TempDir()
	certFile, keyFile := filepath.Join(directory, "cert.pem"), filepath.Join(directory, "key.pem")
	load := func() error {
		_, err := LoadCertificate(CertificateOptions{CertFile: certFile, KeyFile: keyFile})
		return err
	}
	if err := load(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "cert.pem") {
		t.Errorf("no files: %v", err)
	}
	cert, _ := pair(t, 1)
	_, key := pair(t, 2)
	if err := errors.Join(os.WriteFile(certFile, cert, 0o600), os.WriteFile(keyFile, key, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := load(); err == nil || !strings.Contains(err.Error(), "cert.pem") || !strings.Contains(err.Error(), "key.pem") {
		t.Errorf("files that don't belong together: %v", err)
	}
}

// TestTLSClientGone: with TLS, a client says goodbye before it closes, which must not hide that it has.
func TestTLSClientGone(t *testing.T) {
	ended, entered := make(chan error, 1), make(chan struct{})
	s := startTLS(t, Options{}, route{role: roleNone, method: "GET", path: "/wait", handler: func(_ *Server, r *request) error {
		ctx, cancel := r.context(time.Minute)
		defer cancel()
		close(entered)
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}})
	conn, _ := s.dial()
	if _, err := io.WriteString(conn, "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; fmt.Sprint(err) != "context canceled" {
		t.Errorf("the query ended with %v", err)
	}
}

// TestTLSRefusesGently sends a body that is refused before it is read; the answer must arrive all the same.
func TestTLSRefusesGently(t *testing.T) {
	s := startTLS(t, Options{MaxBodyBytes: 1 << 20})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}} //nolint:gosec // of the test's own making
	for range 5 {
		response, err := client.Post("https://"+s.addr+"/metrics", "application/json", bytes.NewReader(text(3<<19)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusRequestEntityTooLarge || !bytes.Contains(body, []byte("PAYLOAD_TOO_LARGE")) {
			t.Fatalf("%v, %d %s", err, response.StatusCode, body)
		}
	}
}

// TestTLSCutStream: a streamed answer that fails on its way must not end as if it were whole.
func TestTLSCutStream(t *testing.T) {
	s := startTLS(t, Options{}, route{role: roleNone, method: "GET", path: "/broken", handler: func(_ *Server, r *request) error {
		return r.respondStream("text/plain", func(_ context.Context, w io.Writer) error {
			if _, err := w.Write(text(2 * firstBytes)); err != nil {
				return err
			}
			return errors.New("on its way")
		})
	}})
	conn, _ := s.dial()
	if _, err := io.WriteString(conn, "GET /broken HTTP/1.0\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err == nil || !bytes.HasPrefix(answer, []byte("HTTP/1.")) {
		t.Errorf("an orderly end after %d bytes, %v", len(answer), err)
	}
}

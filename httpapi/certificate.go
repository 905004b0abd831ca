package httpapi

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateCheck is how often, at most, new connections make the files of a certificate be looked at.
const certificateCheck = time.Second

// Certificate is a certificate for TLS that follows its files. Connections keep the one they began with.
type Certificate struct {
	certFile, keyFile string
	logger            *slog.Logger
	now               func() time.Time

	mu struct {
		sync.Mutex
		checked   time.Time
		cert, key []byte // of the files when they were last tried
		failure   string // the last that was logged
		loaded    *tls.Certificate
	}
}

// CertificateOptions configures a Certificate.
type CertificateOptions struct {
	CertFile, KeyFile string           // PEM; the first with the intermediate certificates
	Logger            *slog.Logger     // nil: nothing is logged
	Now               func() time.Time // nil: time.Now
}

// LoadCertificate reads a certificate and its key.
func LoadCertificate(options CertificateOptions) (*Certificate, error) {
	defaults := Options{Logger: options.Logger, Now: options.Now}.withDefaults()
	c := &Certificate{certFile: options.CertFile, keyFile: options.KeyFile, logger: defaults.Logger, now: defaults.Now}
	if _, err := c.reload(); err != nil {
		return nil, err
	}
	c.mu.checked = c.now()
	return c, nil
}

// TLS returns the configuration for listeners with the certificate.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil },
	}
}

// current returns the certificate, read again if its files have changed. A pair that can't be used, such as
// one of which only the first file has been replaced yet, leaves the old one in use.
func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.mu.checked) >= certificateCheck {
		c.mu.checked = now
		changed, err := c.reload()
		switch {
		case err != nil && err.Error() != c.mu.failure:
			c.mu.failure = err.Error()
			c.logger.Error("the new certificate can't be used; the old one stays", "error", err)
		case changed:
			c.mu.failure = ""
			c.logger.Info("the certificate was read again", "file", c.certFile, "not_after", c.mu.loaded.Leaf.NotAfter)
		}
	}
	return c.mu.loaded
}

// reload reads the files, and replaces the certificate if they have changed and can be used.
func (c *Certificate) reload() (changed bool, err error) {
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return false, fmt.Errorf("reading the certificate: %w", err)
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return false, fmt.Errorf("reading the certificate's key: %w", err)
	}
	if bytes.Equal(cert, c.mu.cert) && bytes.Equal(key, c.mu.key) {
		return false, nil
	}
	c.mu.cert, c.mu.key = cert, key
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, fmt.Errorf("the certificate %s and the key %s: %w", c.certFile, c.keyFile, err)
	}
	c.mu.loaded = &pair
	return true, nil
}

package main

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/httpapi"
)

// serverOptions are the settings that are the HTTP server's.
func serverOptions(settings config.Config, logger *slog.Logger, keys *httpapi.Keyring, live *config.Live) httpapi.Options {
	var proxies []netip.Prefix
	for _, text := range settings.TrustedProxies {
		if proxy, err := config.ParseProxy(text); err == nil { // the settings are valid
			proxies = append(proxies, proxy)
		}
	}
	return httpapi.Options{
		Version:        versionNumber(),
		Logger:         logger,
		AllowedHosts:   settings.AllowedHosts,
		QueryTimeout:   settings.Query.Timeout,
		Keys:           keys,
		Config:         live,
		AllowedOrigins: settings.CORS.AllowedOrigins,
		TrustedProxies: proxies,
		RateLimit:      httpapi.RateLimit{Reads: settings.RateLimit.Reads, Writes: settings.RateLimit.Writes, Window: settings.RateLimit.Window},
		LogAccess:      settings.Log.Access,
		SlowQuery:      settings.Log.SlowQuery,
	}
}

// encrypt makes the listeners speak TLS if there is a certificate.
func encrypt(listeners []net.Listener, settings config.Config, logger *slog.Logger) ([]net.Listener, error) {
	if !settings.TLS.On() {
		return listeners, nil
	}
	certificate, err := httpapi.LoadCertificate(httpapi.CertificateOptions{CertFile: settings.TLS.Cert, KeyFile: settings.TLS.Key, Logger: logger})
	if err != nil {
		return nil, err
	}
	encrypted := make([]net.Listener, len(listeners))
	for i, listener := range listeners {
		encrypted[i] = tls.NewListener(listener, certificate.TLS())
	}
	return encrypted, nil
}

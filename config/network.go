package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// CORS says which web pages may read answers, and, if they are named, change something.
type CORS struct {
	AllowedOrigins []string `yaml:"allowed_origins" api:"fixed"` // such as https://dash.lab:3000; * lets every page read, and none change anything
}

// TLS names the files of a certificate; both or none.
type TLS struct {
	Cert string `yaml:"cert" api:"fixed"` // PEM, with the intermediate certificates
	Key  string `yaml:"key" api:"fixed"`  // PEM
}

// RateLimit bounds the requests of each key, or of each address without one.
type RateLimit struct {
	Reads  int           `yaml:"reads" api:"restart"`  // requests that read, in a window; 0: no limit
	Writes int           `yaml:"writes" api:"restart"` // requests that write, delete or manage, in a window; 0: no limit
	Window time.Duration `yaml:"window" api:"restart"`
}

// Limits of RateLimit.
const (
	maxRate       = 1_000_000_000
	minRateWindow = time.Second
)

// AnyOrigin in CORS.AllowedOrigins stands for every web page.
const AnyOrigin = "*"

// On reports whether there is a certificate.
func (t TLS) On() bool { return t.Cert != "" }

func (c Config) validateNetwork() error {
	var problems []error
	for _, origin := range c.CORS.AllowedOrigins {
		if origin != AnyOrigin && !isOrigin(origin) {
			problems = append(problems, fmt.Errorf("cors.allowed_origins is %q; valid are * and origins such as https://dash.lab:3000, without a path", origin))
		}
	}
	for _, proxy := range c.TrustedProxies {
		if _, err := ParseProxy(proxy); err != nil {
			problems = append(problems, fmt.Errorf("trusted_proxies is %q; valid are IP addresses and ranges such as 10.0.0.0/8", proxy))
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		problems = append(problems, fmt.Errorf("tls.cert is %q and tls.key is %q; give both, or none", c.TLS.Cert, c.TLS.Key))
	}
	problems = append(problems,
		within("rate_limit.reads", c.RateLimit.Reads, 0, maxRate),
		within("rate_limit.writes", c.RateLimit.Writes, 0, maxRate),
		within("rate_limit.window", c.RateLimit.Window, minRateWindow, maxInterval))
	return errors.Join(problems...)
}

// isOrigin reports whether the text is scheme://host or scheme://host:port, as browsers send it.
func isOrigin(text string) bool {
	parsed, err := url.Parse(text)
	return err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host != "" &&
		text == parsed.Scheme+"://"+parsed.Host && text == strings.ToLower(text)
}

// ParseProxy reads an element of TrustedProxies.
func ParseProxy(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix.Masked(), err
}

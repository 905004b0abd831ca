package httpapi

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"
)

// checkHost refuses requests that were sent to a name which is not ours. A web page may make its own
// name resolve to this machine and so talk to the collector as if it were of the same origin; it cannot
// hide that name.
func (s *Server) checkHost(ctx *fasthttp.RequestCtx) error {
	given := string(ctx.Host())
	if given == "" {
		return nil // HTTP/1.0: not a browser
	}
	host := strings.ToLower(strings.TrimSuffix(hostName(given), "."))
	if _, err := netip.ParseAddr(host); err == nil || s.hosts[host] {
		return nil
	}
	return newError(fasthttp.StatusForbidden, "The Host is not one the collector answers to",
		detail{"given", clip(given)},
		detail{"issue", "use localhost or an IP address, or configure the name as an allowed host"})
}

// hostName strips the port and the brackets of an IPv6 address.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// checkOrigin refuses requests that a web page of another origin made the browser send, unless the origin is
// allowed by its name. That every page may read doesn't count: a form can be sent from anywhere, and with it
// go the passwords that the browser keeps.
func (s *Server) checkOrigin(ctx *fasthttp.RequestCtx) error {
	given := string(ctx.Request.Header.Peek(fasthttp.HeaderOrigin))
	if s.origins.named[given] {
		return nil
	}
	if string(ctx.Request.Header.Peek("Sec-Fetch-Site")) == "cross-site" {
		return newError(fasthttp.StatusForbidden, "Requests from other web sites are refused",
			detail{"issue", "the browser says Sec-Fetch-Site: cross-site; name the site's origin in cors.allowed_origins if it may do this"})
	}
	if given == "" {
		return nil
	}
	// The scheme is left out: behind a proxy that ends TLS, we don't know ours.
	origin, err := url.Parse(given)
	if err == nil && origin.Host != "" && sameHost(origin.Host, string(ctx.Host())) {
		return nil
	}
	return newError(fasthttp.StatusForbidden, "Requests from other web sites are refused",
		detail{"given", clip(given)}, detail{"issue", "the Origin is not that of the collector; name it in cors.allowed_origins if it may do this"})
}

// sameHost compares hosts with their ports, where a default port may be left out.
func sameHost(a, b string) bool {
	return strings.EqualFold(trimDefaultPort(a), trimDefaultPort(b))
}

func trimDefaultPort(host string) string {
	name, port, err := net.SplitHostPort(host)
	if err == nil && (port == "80" || port == "443") {
		if strings.Contains(name, ":") {
			return "[" + name + "]"
		}
		return name
	}
	return host
}

package httpapi

import (
	"net"
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"
)

// client returns the address of the client: that of the connection, unless it is a trusted proxy's. Then it is
// the last address in X-Forwarded-For that isn't a trusted proxy's either: what stands before it, anybody can
// have written.
func (r *request) client() netip.Addr {
	if !r.clientAddr.IsValid() {
		r.clientAddr = r.server.clientOf(r.http)
	}
	return r.clientAddr
}

func (s *Server) clientOf(ctx *fasthttp.RequestCtx) netip.Addr {
	var client netip.Addr
	if tcp, ok := ctx.RemoteAddr().(*net.TCPAddr); ok {
		client = tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	if !s.isProxy(client) {
		return client
	}
	given := ctx.Request.Header.PeekAll(fasthttp.HeaderXForwardedFor)
	for i := len(given) - 1; i >= 0; i-- {
		hops := strings.Split(string(given[i]), ",")
		for j := len(hops) - 1; j >= 0; j-- {
			hop, ok := parseHop(strings.TrimSpace(hops[j]))
			if !ok {
				return client // as far as can be told
			}
			if client = hop; !s.isProxy(client) {
				return client
			}
		}
	}
	return client
}

func (s *Server) isProxy(address netip.Addr) bool {
	for _, proxy := range s.options.TrustedProxies {
		if proxy.Contains(address) {
			return true
		}
	}
	return false
}

// parseHop reads an address with or without a port.
func parseHop(text string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return address.Unmap().WithZone(""), err == nil
}

// neighbourhood is whom an address stands for where requests are counted: of IPv6, the network of 64 bits,
// since a client has all the addresses of one.
func neighbourhood(address netip.Addr) string {
	if address.Is6() {
		prefix, _ := address.Prefix(64) // an IPv6 address has that many bits
		return prefix.String()
	}
	return address.String()
}

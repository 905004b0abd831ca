package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// Guard decides which addresses webhooks may be sent to. Those of the public internet may; private ones and
// those of special purpose only if they, or the host's name, are allowed by configuration.
type Guard struct {
	hosts    map[string]bool
	prefixes []netip.Prefix
	resolver *net.Resolver // nil: the system's; tests have their own
}

// refusedPrefixes are the addresses of special purpose: those of the IANA registries that are not globally
// reachable, those that other addresses are embedded in, and a cloud's metadata address outside of these.
var refusedPrefixes = mustPrefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32", // Azure's
	"2001::/23",        // IETF protocols, Teredo among them
	"2001:db8::/32", "2002::/16", "3fff::/20",
)

// globalIPv6 is the only range of IPv6 that public addresses are given from. Outside of it are loopback,
// link-local, unique local and multicast addresses, and those that translate to IPv4 (64:ff9b::/96).
var globalIPv6 = netip.MustParsePrefix("2000::/3")

func mustPrefixes(texts ...string) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		prefixes[i] = netip.MustParsePrefix(text)
	}
	return prefixes
}

// NewGuard returns a Guard that allows, beside public addresses, these hosts' names, addresses and networks
// (10.1.2.0/24).
func NewGuard(allowed []string) (*Guard, error) {
	g := &Guard{hosts: make(map[string]bool)}
	for _, text := range allowed {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			g.prefixes = append(g.prefixes, prefix.Masked())
		} else if address, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
			address = address.Unmap()
			g.prefixes = append(g.prefixes, netip.PrefixFrom(address, address.BitLen()))
		} else if text == "" || strings.ContainsAny(text, "/: *[]") {
			return nil, fmt.Errorf("%q is neither a host's name nor an address nor a network such as 10.1.2.0/24", text)
		} else {
			g.hosts[hostKey(text)] = true
		}
	}
	return g, nil
}

func hostKey(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// errRefused is returned for addresses that webhooks may not be sent to.
var errRefused = errors.New("the address is private or of special purpose; the setting webhooks.allowed may allow it")

// checkAddress returns errRefused unless webhooks may be sent to the address.
func (g *Guard) checkAddress(address netip.Addr) error {
	address = address.Unmap().WithZone("")
	for _, prefix := range g.prefixes {
		if prefix.Contains(address) {
			return nil
		}
	}
	if !address.IsValid() || address.Is6() && !globalIPv6.Contains(address) {
		return fmt.Errorf("%s: %w", address, errRefused)
	}
	for _, prefix := range refusedPrefixes {
		if prefix.Contains(address) {
			return fmt.Errorf("%s: %w", address, errRefused)
		}
	}
	return nil
}

// checkHost returns errRefused for hosts that are known to be refused without asking for their address.
func (g *Guard) checkHost(host string) error {
	key := hostKey(host)
	if g.hosts[key] {
		return nil
	}
	if address, err := netip.ParseAddr(key); err == nil {
		return g.checkAddress(address)
	}
	if key == "localhost" || strings.HasSuffix(key, ".localhost") {
		loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		return g.checkAddress(loopback)
	}
	return nil
}

// dial is how the transport of webhooks dials. The host's name is resolved in it, and each address is checked as
// the socket is about to be connected to it: what a name resolved to before doesn't matter.
func (g *Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Resolver: g.resolver}
	if !g.hosts[hostKey(host)] {
		dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			endpoint, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%s: %w", address, errRefused)
			}
			return g.checkAddress(endpoint.Addr())
		}
	}
	return dialer.DialContext(ctx, network, address)
}

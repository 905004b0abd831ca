package pipeline

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func TestGuard(t *testing.T) {
	public := &Guard{}
	allowing, err := NewGuard([]string{"10.1.2.0/24", "192.168.1.7", "fd00::/8", "::1", "Receiver.Internal.", "::ffff:172.16.0.9"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		address          string
		public, allowing bool
	}{
		{"8.8.8.8", true, true}, {"1.1.1.1", true, true}, {"2606:4700:4700::1111", true, true}, {"::ffff:8.8.8.8", true, true},
		{"10.1.2.3", false, true}, {"10.1.3.3", false, false}, {"::ffff:10.1.2.3", false, true}, {"::ffff:10.1.3.3", false, false},
		{"192.168.1.7", false, true}, {"192.168.1.8", false, false}, {"172.16.0.9", false, true}, {"172.31.255.255", false, false}, {"172.32.0.1", true, true},
		{"127.0.0.1", false, false}, {"127.255.255.254", false, false}, {"0.0.0.0", false, false}, {"0.1.2.3", false, false},
		{"169.254.169.254", false, false}, {"100.64.0.1", false, false}, {"100.127.255.255", false, false}, {"100.128.0.1", true, true},
		{"192.0.0.192", false, false}, {"168.63.129.16", false, false}, {"198.18.0.1", false, false},
		{"224.0.0.1", false, false}, {"239.255.255.255", false, false}, {"240.0.0.1", false, false}, {"255.255.255.255", false, false},
		{"::", false, false}, {"::1", false, true}, {"::127.0.0.1", false, false}, {"::ffff:127.0.0.1", false, false},
		{"fe80::1", false, false}, {"fe80::1%eth0", false, false}, {"fec0::1", false, false}, {"fc00::1", false, false}, {"fd00:ec2::254", false, true},
		{"ff02::1", false, false}, {"64:ff9b::7f00:1", false, false}, {"64:ff9b:1::1", false, false}, {"2002:7f00:1::", false, false},
		{"2001::1", false, false}, {"2001:db8::1", false, false}, {"3fff::1", false, false}, {"100::1", false, false}, {"4000::1", false, false},
	} {
		address := netip.MustParseAddr(c.address)
		for _, guard := range []struct {
			name string
			*Guard
			want bool
		}{{"public", public, c.public}, {"allowing", allowing, c.allowing}} {
			if err := guard.checkAddress(address); (err == nil) != guard.want || err != nil && !errors.Is(err, errRefused) {
				t.Errorf("%s: %s: %v, want allowed = %v", guard.name, c.address, err, guard.want)
			}
		}
	}
	if err := public.checkAddress(netip.Addr{}); err == nil {
		t.Error("no address at all is allowed")
	}
	for host, want := range map[string]bool{"example.com": true, "localhost": false, "LOCALHOST.": false, "a.localhost": false,
		"127.0.0.1": false, "receiver.internal": true, "10.1.2.9": true} {
		if err := allowing.checkHost(host); (err == nil) != want {
			t.Errorf("host %s: %v", host, err)
		}
	}
	for _, bad := range []string{"", "http://a", "10.0.0.0/33", "a b", "*.example.com", "a:80"} {
		if _, err := NewGuard([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestRebinding lets a name be a public address when it is first asked for, and a private one when it is dialled.
func TestRebinding(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	guard := &Guard{resolver: fakeDNS(t, "8.8.8.8", "127.0.0.1")}
	first, err := guard.resolver.LookupNetIP(t.Context(), "ip4", "rebinding.example")
	if err != nil || len(first) != 1 || guard.checkAddress(first[0]) != nil {
		t.Fatalf("first asked for: %v, %v", first, err)
	}
	if conn, err := guard.dial(t.Context(), "tcp4", net.JoinHostPort("rebinding.example", port)); !errors.Is(err, errRefused) {
		t.Errorf("dialled: %v, %v", conn, err)
	}
	guard.prefixes = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	conn, err := guard.dial(t.Context(), "tcp4", net.JoinHostPort("rebinding.example", port))
	if err != nil {
		t.Fatalf("allowed, and %v", err)
	}
	_ = conn.Close()
}

// fakeDNS returns a resolver that asks a server on a socket of its own, which answers questions for IPv4 addresses
// with one of the list after the other, and then the last.
func fakeDNS(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		packet := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return
			}
			var message dnsmessage.Message
			if err := message.Unpack(packet[:n]); err != nil {
				t.Error(err)
				return
			}
			message.Response, message.Additionals = true, nil
			if question := message.Questions[0]; question.Type == dnsmessage.TypeA {
				message.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(addresses[0]).As4()},
				}}
				addresses = addresses[min(1, len(addresses)-1):]
			}
			answer, err := message.Pack()
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := server.WriteTo(answer, from); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

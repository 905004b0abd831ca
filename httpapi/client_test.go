package httpapi

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestClientAddress(t *testing.T) {
	who := route{role: roleNone, method: "GET", path: "/who", handler: func(_ *Server, r *request) error {
		r.respond(fasthttp.StatusOK, "text/plain", []byte(r.client().String()))
		return nil
	}}
	direct := startServer(t, Options{}, who)
	behind := startServer(t, Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/16")}}, who)
	for _, test := range []struct {
		ts        *testServer
		forwarded []string
		want      string
	}{
		{direct, nil, "127.0.0.1"},
		{direct, []string{"203.0.113.9"}, "127.0.0.1"},
		{behind, nil, "127.0.0.1"},
		{behind, []string{"203.0.113.9"}, "203.0.113.9"},
		{behind, []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"},
		{behind, []string{"198.51.100.1, 203.0.113.9,10.1.1.1 ,10.2.2.2"}, "203.0.113.9"},
		{behind, []string{"198.51.100.1", "203.0.113.9, 10.1.1.1"}, "203.0.113.9"},
		{behind, []string{"10.3.3.3, 10.1.1.1"}, "10.3.3.3"},
		{behind, []string{"203.0.113.9:1234"}, "203.0.113.9"},
		{behind, []string{"[2001:db8::1]:1234"}, "2001:db8::1"},
		{behind, []string{"[2001:db8::1], fd00::1"}, "2001:db8::1"},
		{behind, []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{behind, []string{"203.0.113.9, unknown, 10.1.1.1"}, "10.1.1.1"},
		{behind, []string{"nonsense"}, "127.0.0.1"},
		{behind, []string{""}, "127.0.0.1"},
	} {
		request, err := http.NewRequest(http.MethodGet, test.ts.url+"/who", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header["X-Forwarded-For"] = test.forwarded
		if got := string(test.ts.send(request, nil).body); got != test.want {
			t.Errorf("%q: %s, want %s", test.forwarded, got, test.want)
		}
	}
}

func TestNeighbourhood(t *testing.T) {
	for address, want := range map[string]string{"203.0.113.9": "203.0.113.9", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64"} {
		if got := neighbourhood(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

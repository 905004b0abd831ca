package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/internal/testbed"
)

// service is what /health tells of a component that is polled.
type service struct {
	Status   string  `json:"status"`
	URL      string  `json:"url"`
	Failures int     `json:"failures"`
	Error    *string `json:"error"`
}

// services waits until /health says of a component what is wanted, and returns all that it says.
func (p *process) services(t *testing.T, name string, wanted func(service) bool) map[string]service {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		var health struct {
			Services map[string]service `json:"services"`
		}
		get(t, p.url+"/health", &health)
		if wanted(health.Services[name]) {
			return health.Services
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v /health has %+v; log:\n%s", patience, health.Services, p.stderr)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestAStopDoesNotWaitForAHangingPeer stops the collector while a component keeps it waiting: at once, not after the
// timeout of the request, which outlives the test. Somebody who asks for the topology as it is now waits for it, too.
func TestAStopDoesNotWaitForAHangingPeer(t *testing.T) {
	asked, release := make(chan struct{}, 100), make(chan struct{})
	peer := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1.0/topology/switches" {
			asked <- struct{}{}
		}
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}))
	defer peer.Close()
	defer close(release)
	p := start(t, t.TempDir(), "--flopynet-fl-server-url="+peer.URL, "--flopynet-policy-engine-url="+peer.URL, "--flopynet-sdn-controller-url="+peer.URL,
		"--flopynet-fl-server-timeout=10m", "--flopynet-policy-engine-timeout=10m", "--flopynet-sdn-controller-timeout=10m", "--flopynet-check-policy=false")
	live := make(chan error, 1)
	go func() {
		response, err := client.Get(p.url + "/api/network/topology/live")
		if err == nil {
			err = response.Body.Close()
		}
		live <- err
	}()
	for range 2 { // by the poll, and for the answer
		select {
		case <-asked:
		case <-time.After(patience):
			t.Fatalf("the controller was not asked; log:\n%s", p.stderr)
		}
	}
	p.terminate(t)
	if err := <-live; err != nil || strings.Contains(p.stderr.String(), "cut off") {
		t.Errorf("who waited for the topology got %v; log:\n%s", err, p.stderr)
	}
}

// TestNothingIsPolledBeforeTheServerAnswers has a component that asks the collector back before it answers.
func TestNothingIsPolledBeforeTheServerAnswers(t *testing.T) {
	var collector string // set before the component is let in
	known := make(chan struct{})
	var once sync.Once
	first := make(chan error, 1)
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-known
		once.Do(func() {
			response, err := client.Get(collector + "/readyz")
			if err == nil {
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK {
					err = fmt.Errorf("/readyz answered %s", response.Status)
				}
			}
			first <- err
		})
		fmt.Fprint(w, "{}")
	}))
	defer peer.Close()
	p := start(t, t.TempDir(), "--flopynet-fl-server-url="+peer.URL)
	collector = p.url
	close(known)
	select {
	case err := <-first:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatalf("the component was not asked; log:\n%s", p.stderr)
	}
}

// TestTestbedIsAnnounced reads of each component in the banner and in the log, and of none that isn't polled.
func TestTestbedIsAnnounced(t *testing.T) {
	peer := httptest.NewServer(http.NotFoundHandler())
	defer peer.Close()
	p := start(t, t.TempDir(), "--flopynet-fl-server-url="+peer.URL, "--flopynet-fl-server-interval=1s", "--flopynet-policy-engine-url="+peer.URL, "--flopynet-policy-engine-enabled=false",
		"--flopynet-check-policy=false", "--flopynet-sdn-controller-url="+peer.URL, "--flopynet-sdn-controller-enabled=false")
	for _, line := range []string{
		"polls         fl_server at " + peer.URL + ", every 1s, its events every 5s\n",
		"polls         policy_engine at " + peer.URL + ", its events alone, every 5s\n",
	} {
		if !strings.Contains(p.banner, line) {
			t.Errorf("%q is not in the banner:\n%s", line, p.banner)
		}
	}
	if strings.Contains(p.banner, flopynet.SDNController) {
		t.Errorf("the banner tells of what isn't polled:\n%s", p.banner)
	}
	p.terminate(t) // all of its log has come now
	if log := p.stderr.String(); strings.Count(log, "polling a component of the testbed") != 2 || !strings.Contains(log, "peer=fl_server url="+peer.URL+" interval=1s") {
		t.Errorf("the log is:\n%s", log)
	}
}

func TestTestbedOptions(t *testing.T) {
	settings := config.Default().Flopynet
	settings.FLServer = config.Peer{URL: "http://fl:8081", Enabled: true, Interval: time.Second, Timeout: 2 * time.Second}
	settings.PolicyEngine = config.Peer{URL: "http://policy:5000", Interval: 3 * time.Second, Timeout: 4 * time.Second}
	settings.Events.Interval = 7 * time.Second
	want := flopynet.Options{
		FLServer:      flopynet.PeerOptions{URL: "http://fl:8081", Interval: time.Second, Timeout: 2 * time.Second},
		PolicyEngine:  flopynet.PeerOptions{URL: "http://policy:5000", Interval: -1, Timeout: 4 * time.Second},
		SDNController: flopynet.PeerOptions{Interval: 5 * time.Second, Timeout: 5 * time.Second},
		EventInterval: 7 * time.Second, CheckPolicy: true,
		NodeIPs: map[string]netip.Addr{}, SwitchNames: map[uint64]string{},
	}
	if diff := cmp.Diff(want, testbedOptions(settings)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	settings.Events.Enabled = false
	if got := testbedOptions(settings).EventInterval; got != -1 {
		t.Errorf("events that are off are asked for every %v", got)
	}
	if got := polled(settings); len(got) != 1 || got[0].name != flopynet.FLServer {
		t.Errorf("%+v is polled", got)
	}
}

// TestVariablesAloneMakeItPoll gives nothing but the variables that FLOPY-NET's deployments set.
func TestVariablesAloneMakeItPoll(t *testing.T) {
	simulated, err := testbed.New(testbed.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer simulated.Close()
	host, port, _ := strings.Cut(strings.TrimPrefix(simulated.FL.URL(), "http://"), ":")
	p := startCommand(t, command(t, []string{
		"FL_SERVER_HOST=" + host, "FL_SERVER_PORT=" + port, "POLICY_ENGINE_URL=" + simulated.Policy.URL(), "SDN_CONTROLLER_URL=" + simulated.SDN.URL(),
		"FL_INTERVAL_SEC=1", "POLICY_INTERVAL_SEC=1", "NETWORK_INTERVAL_SEC=1", "EVENT_INTERVAL_SEC=1", "NODE_IP_FL_CLIENT_1=192.168.100.101",
	}, "serve", "--listen=127.0.0.1:0", "--data-dir="+t.TempDir()))
	urls := map[string]string{flopynet.FLServer: simulated.FL.URL(), flopynet.PolicyEngine: simulated.Policy.URL(), flopynet.SDNController: simulated.SDN.URL()}
	for name, url := range urls {
		all := p.services(t, name, func(s service) bool { return s.Status == flopynet.StatusHealthy })
		if got := all[name]; len(all) != len(urls) || got.URL != url || got.Failures != 0 || got.Error != nil {
			t.Errorf("of %s at %s, /health tells %+v", name, url, all)
		}
		for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			var up rows
			get(t, p.url+"/metrics/query?metric=up&source="+name+"&from=now-5m&epoch=ns", &up)
			if len(up.DataPoints) > 0 && up.DataPoints[0].Value == 1 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("after %v, up of %s is %+v", patience, name, up)
			}
		}
	}
	if err := simulated.FL.Fail(testbed.Failure{Mode: testbed.Down}); err != nil {
		t.Fatal(err)
	}
	p.services(t, flopynet.FLServer, func(s service) bool { return s.Status == flopynet.StatusUnhealthy && s.Error != nil })
	if all := p.services(t, flopynet.SDNController, func(s service) bool { return s.Status == flopynet.StatusHealthy }); all[flopynet.PolicyEngine].Status != flopynet.StatusHealthy {
		t.Errorf("one component that is down leaves %+v", all)
	}
}

package testbed

import (
	"fmt"
	"strconv"
	"testing"
	"time"
)

type portAnswer struct {
	Port      any      `json:"port_no"`
	RxPackets int64    `json:"rx_packets"`
	TxPackets int64    `json:"tx_packets"`
	RxBytes   int64    `json:"rx_bytes"`
	TxBytes   int64    `json:"tx_bytes"`
	RxDropped *int64   `json:"rx_dropped"`
	TxErrors  *int64   `json:"tx_errors"`
	Seconds   int64    `json:"duration_sec"`
	RxBps     *float64 `json:"rx_bps"`
	TxBps     *float64 `json:"tx_bps"`
}

// TestFlopyController: numbers here, text there, as FLOPY-NET's controller has it.
func TestFlopyController(t *testing.T) {
	bed, clock := open(t, Options{Seed: 1})
	clock.advance(61 * time.Second)
	url := bed.SDN.URL()
	type end struct {
		DPID any `json:"dpid"`
		Port any `json:"port_no"`
	}
	switches := getJSON[[]struct {
		DPID  string `json:"dpid"`
		Ports []struct {
			Number int    `json:"port_no"`
			MAC    string `json:"hw_addr"`
			Name   string `json:"name"`
		} `json:"ports"`
	}](t, url+"/v1.0/topology/switches")
	if len(switches) != 3 || switches[1].DPID != "0000000000000002" || switches[0].Ports[0].Number != 1 {
		t.Errorf("switches: %+v", switches)
	}
	for _, link := range getJSON[[]struct{ Src, Dst end }](t, url+"/v1.0/topology/links") {
		if _, isNumber := link.Src.DPID.(float64); !isNumber || link.Src == link.Dst {
			t.Errorf("link: %+v", link)
		}
	}
	for _, host := range getJSON[[]struct {
		MAC  string   `json:"mac"`
		IPv4 []string `json:"ipv4"`
		Port end      `json:"port"`
	}](t, url+"/v1.0/topology/hosts") {
		dpid, isText := host.Port.DPID.(string)
		if _, isNumber := host.Port.Port.(float64); !isText || len(dpid) != 16 || !isNumber || len(host.IPv4) != 1 {
			t.Errorf("host: %+v", host)
		}
	}
	for _, dpid := range []string{"1", "0000000000000002", "0x3"} { // the key is as it was asked for
		answer := getJSON[map[string][]portAnswer](t, url+"/stats/port/"+dpid)
		ports := answer[dpid]
		number, _ := readDPID(dpid)
		if len(answer) != 1 || len(ports) < 3 || ports[0].RxBps == nil || ports[0].RxDropped == nil || ports[0].Seconds != 61 {
			t.Errorf("/stats/port/%s: %+v", dpid, answer)
		}
		for _, truth := range bed.Ports() {
			if truth.Switch != number || truth.Number == LocalPort {
				continue
			}
			if got := ports[truth.Number-1]; got.RxBytes != truth.RxBytes || got.TxPackets != truth.TxPackets || got.Port != float64(truth.Number) {
				t.Errorf("%+v isn't %+v", got, truth)
			}
		}
	}
	flows := getJSON[map[string]map[string]any](t, url+"/stats/flows")
	perSwitch := map[float64]int{}
	for key, flow := range flows {
		perSwitch[flow["datapath_id"].(float64)]++
		if flow["match"].(map[string]any)["OFPMatch"] == nil || flow["priority"] == nil {
			t.Errorf("%s: %v", key, flow)
		}
	}
	for dpid, n := range perSwitch { // hexadecimal in the question, decimal in the answer
		text := fmt.Sprintf("%016x", int(dpid))
		if got := getJSON[map[string][]any](t, url+"/stats/flowentry/"+text)[strconv.Itoa(int(dpid))]; len(got) != n {
			t.Errorf("/stats/flowentry/%s: %d flows, want %d", text, len(got), n)
		}
	}
	for path, want := range map[string]int{
		"/stats/port/99": 404, "/stats/port/zz": 400, "/stats/flowentry/zz": 400, "/stats/flow/1": 404, "/nothing": 404,
	} {
		if status, _ := get(t, url+path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}

// TestHexadecimalFirst: FLOPY-NET's controller takes 10 for switch 16.
func TestHexadecimalFirst(t *testing.T) {
	bed, clock := open(t, Options{Seed: 1, Switches: 17})
	clock.advance(time.Minute)
	sixteen := getJSON[map[string][]portAnswer](t, bed.SDN.URL()+"/stats/port/10")["10"]
	again := getJSON[map[string][]portAnswer](t, bed.SDN.URL()+"/stats/port/0000000000000010")["0000000000000010"]
	if fmt.Sprint(sixteen[0].RxBytes) != fmt.Sprint(again[0].RxBytes) || sixteen[0].RxBytes == 0 {
		t.Errorf("%+v, %+v", sixteen, again)
	}
	if status, _ := get(t, bed.SDN.URL()+"/stats/port/18"); status != 404 {
		t.Errorf("switch 18, which is none in either way: %d", status)
	}
}

// TestRates: a port's rate is what passed it in the last two seconds.
func TestRates(t *testing.T) {
	bed, clock := open(t, Options{Seed: 2})
	clock.advance(20 * time.Second)
	for range 30 {
		before := bed.Ports()
		clock.advance(rateSpan)
		ports := getJSON[map[string][]portAnswer](t, bed.SDN.URL()+"/stats/port/1")["1"]
		var sum float64
		for i, p := range bed.Ports() {
			if p.Switch != 1 || p.Number == LocalPort {
				continue
			}
			got := ports[p.Number-1]
			if want := float64((p.RxBytes - before[i].RxBytes) * 4); *got.RxBps != want {
				t.Errorf("port %d received %g bit/s, want %g", p.Number, *got.RxBps, want)
			}
			sum += *got.RxBps + *got.TxBps
		}
		performance := getJSON[struct {
			Bandwidth struct {
				Total float64 `json:"current_total_bps"`
				Peak  float64 `json:"peak_bandwidth_bps"`
			} `json:"bandwidth"`
			Health int `json:"health_score"`
		}](t, bed.SDN.URL()+"/api/performance/metrics")
		if performance.Bandwidth.Total < sum || performance.Bandwidth.Peak == 0 || performance.Health > 100 {
			t.Errorf("%+v, the first switch's ports have %g bit/s", performance, sum)
		}
	}
}

// TestPortStatsGaps: for two seconds of every ten all counters are zero.
func TestPortStatsGaps(t *testing.T) {
	bed, clock := open(t, Options{Seed: 3, PortStatsGaps: true})
	clock.advance(30 * time.Second)
	received := func() (sum int64) {
		for _, p := range getJSON[map[string][]portAnswer](t, bed.SDN.URL()+"/stats/port/1")["1"] {
			sum += p.RxBytes + p.TxBytes + p.RxPackets + p.TxPackets
		}
		return sum
	}
	if got := received(); got != 0 {
		t.Errorf("after 30s: %d", got)
	}
	if clock.advance(2 * time.Second); received() == 0 {
		t.Error("after 32s: 0")
	}
}

// TestYoungFlowsHaveNoCounts, as long as the switch wasn't asked for them.
func TestYoungFlowsHaveNoCounts(t *testing.T) {
	bed, clock := open(t, Options{Seed: 4})
	clock.advance(time.Second)
	with, without := 0, 0
	count := func() {
		with, without = 0, 0
		for _, f := range getJSON[map[string]map[string]any](t, bed.SDN.URL()+"/stats/flows") {
			if f["byte_count"] == nil {
				without++
			} else {
				with++
			}
		}
	}
	if count(); with != 0 || without == 0 {
		t.Errorf("after a second %d flows have counts, %d have none", with, without)
	}
	clock.advance(1100 * time.Millisecond)
	if count(); with == 0 {
		t.Errorf("after two seconds %d flows have counts, %d have none", with, without)
	}
}

// TestStockRyu: Ryu's own applications answer otherwise, about the same network.
func TestStockRyu(t *testing.T) {
	bed, clock := open(t, Options{Seed: 5, StockRyu: true})
	clock.advance(time.Minute)
	url := bed.SDN.URL()
	if dpids := getJSON[[]int](t, url+"/stats/switches"); fmt.Sprint(dpids) != "[1 2 3]" {
		t.Errorf("/stats/switches: %v", dpids)
	}
	ports := getJSON[map[string][]portAnswer](t, url+"/stats/port/1")["1"]
	if local := ports[len(ports)-1]; local.Port != "LOCAL" || local.TxBytes == 0 || ports[0].Port != 1.0 || ports[0].RxBps != nil {
		t.Errorf("/stats/port/1: %+v", ports)
	}
	type flow struct {
		Priority *int           `json:"priority"`
		Table    *int           `json:"table_id"`
		Packets  int64          `json:"packet_count"`
		Bytes    int64          `json:"byte_count"`
		Match    map[string]any `json:"match"`
		Actions  []string       `json:"actions"`
	}
	var got, want int64
	for _, f := range getJSON[map[string][]flow](t, url+"/stats/flow/1")["1"] {
		if f.Priority == nil || f.Table == nil || f.Actions == nil || f.Match == nil {
			t.Errorf("/stats/flow/1: %+v", f)
		}
		got += f.Bytes
	}
	for _, f := range bed.Flows() {
		if f.Switch == 1 && f.Removed.IsZero() {
			want += f.Bytes
		}
	}
	if got != want || got == 0 {
		t.Errorf("the flows have %d bytes, want %d", got, want)
	}
	links := getJSON[[]struct {
		Src struct {
			DPID string `json:"dpid"`
			Port string `json:"port_no"`
		} `json:"src"`
	}](t, url+"/v1.0/topology/links")
	if len(links) != 4 || links[0].Src.DPID != "0000000000000001" || links[0].Src.Port != "00000001" {
		t.Errorf("links: %+v", links)
	}
	for path, want := range map[string]int{
		"/stats/flows": 404, "/api/performance/metrics": 404, "/status": 404, "/health": 404, "/stats/port/9": 404, "/stats/flow/x": 400,
		"/v1.0/topology/hosts": 200, "/v1.0/topology/switches": 200, "/stats/port/0x2": 200,
	} {
		if status, _ := get(t, url+path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}

// TestTotalsOnlyGrow, also when the flows that they are of are forgotten.
func TestTotalsOnlyGrow(t *testing.T) {
	bed, clock := open(t, Options{Seed: 6, Rounds: 6, Rest: 20 * time.Second, Forget: true})
	var last float64
	for range 300 {
		clock.advance(2 * time.Second)
		totals := getJSON[map[string]any](t, bed.SDN.URL()+"/api/performance/metrics")["totals"].(map[string]any)
		if bytes := totals["bytes_transferred"].(float64); bytes < last {
			t.Fatalf("%.0f bytes in all, after %.0f", bytes, last)
		} else {
			last = bytes
		}
	}
	if training := bed.Rounds()[0].Training; training < 5 {
		t.Errorf("it has come to training %d only", training)
	}
}

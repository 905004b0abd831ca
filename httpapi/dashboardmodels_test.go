package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/internal/testbed"
)

// modelled is an endpoint and what FLOPY-NET's dashboard makes of its answer: what its models require, and what its code
// calculates with, compares, or passes on as text.
type modelled struct {
	method, path string // method "": GET
	queries      []string
	body         string
	answer       shape
}

// Shapes that several answers have.
var (
	componentRow = object{"timestamp": isText, "type": isOneOf("fl_server", "policy_engine", "network", "system"), "metric_type": isText, "data": isObject}
	chartRow     = object{"timestamp": isText, "type": isOneOf("policy_count", "decision_count"), "metric_type": isText,
		"data": object{"timestamp": isNumber, "metric_value": isNumber}.shape}
	rowPage   = object{"status": isOneOf("success"), "count": isWhole, "offset": isWhole, "limit": isWhole, "total": isWhole}
	listed    = object{"nodes": listOf(isObject), "links": listOf(isObject), "hosts": listOf(isObject), "switches": listOf(object{"dpid": isText}.shape)}
	roundItem = object{"round": isWhole, "accuracy": isNumber, "loss": isNumber, "model_size_mb": isNumber, "clients_connected": isWhole,
		"clients_total": isWhole, "training_complete": isBool, "data_state": isText, "status": isText, "timestamp": isText}
	dashboardEvent = object{"id": isWhole, "event_id": isText, "timestamp": isText, "source_component": isText, "component": isText, "event_type": isText,
		"level": isText, "event_level": isText, "message": isText, "details": nullOr(isObject)}
	latencyFigures = object{"average": isNumber, "minimum": isNumber, "maximum": isNumber, "average_ms": isNumber}
)

// dashboardModels are all endpoints below /api that aren't our own. TestDashboardModels fails for one that isn't among them.
func dashboardModels() []modelled {
	return slices.Concat(generalModels(), trainingModels(), eventModels(), networkModels())
}

func generalModels() []modelled {
	return []modelled{
		{path: "/api", answer: object{"api": isText, "version": isText, "endpoints": mapOf(isText)}.shape},
		{path: "/api/status", answer: object{"collector_running": isBool, "api_port": isWhole, "storage_dir": isText, "training_mode": isText,
			"intervals": mapOf(nullOr(isNumber)), "urls": mapOf(nullOr(isText))}.shape},
		{path: "/api/monitoring/status", answer: object{"status": isText, "timestamp": isText, "services": mapOf(isText), "last_collection": mapOf(isText)}.shape},
		{path: "/api/metrics", queries: []string{"", "limit=5", "type=fl_server&limit=2", "type=policy_engine", "type=network&sort_desc=true", "metric_type=network&source_component=sdn_controller",
			"start_time=2024-01-15T10:00:00.123456&end_time=2030-01-01T00:00:00"}, answer: rowPage.and(object{"metrics": listOf(componentRow.shape)}).shape},
		{path: "/api/metrics", queries: []string{"type=policy_count&limit=1000", "type=decision_count&limit=1000"}, answer: rowPage.and(object{"metrics": listOf(chartRow.shape)}).shape},
		{path: "/api/metrics/latest", queries: []string{"", "type=policy_engine", "type=nothing"}, answer: object{"status": isOneOf("success"), "timestamp": isText, "metrics": isObject}.shape},
		{path: "/api/metrics/latest", queries: []string{"type=fl_server"}, answer: object{"status": isText, "timestamp": isText, "round": isWhole, "accuracy": isNumber, "loss": isNumber,
			"clients_connected": isWhole, "clients_total": isWhole}.shape},
		{method: http.MethodPost, path: "/api/metrics/query", body: `{"metric_types": ["fl_server", "network"], "start_time": "2024-01-15T10:00:00", "end_time": "2030-01-01T00:00:00",
			"components": null, "aggregation": "avg", "interval": "1d"}`,
			answer: object{"metrics": listOf(object{"timestamp": isText, "metric_type": isText, "component": isText, "value": nullOr(isNumber)}.shape), "total": isWhole}.shape},
	}
}

func trainingModels() []modelled {
	return []modelled{
		{path: "/api/metrics/fl", queries: []string{"limit=100", "limit=1500&optimize=true&use_cache=true&consolidate_rounds=true&include_raw=false", "min_round=1&max_round=3"},
			answer: object{"metrics": listOf(roundItem.shape), "count": isWhole, "status": isText}.shape},
		{path: "/api/metrics/fl/rounds", queries: []string{"limit=5000", "limit=1&sort_order=desc", "format=summary", "format=chart", "since_round=1"},
			answer: object{"rounds": listOf(object{"round": isWhole, "accuracy": isNumber, "loss": isNumber}.shape), "total_rounds": isWhole, "returned_rounds": isWhole, "latest_round": isWhole,
				"pagination": object{"limit": isWhole, "offset": isWhole, "has_more": isBool}.shape, "filters": isObject, "metadata": isObject}.shape},
		{path: "/api/metrics/fl/status", answer: object{"timestamp": isText, "training_active": isBool, "current_round": isWhole, "latest_accuracy": isNumber, "latest_loss": isNumber,
			"connected_clients": isWhole, "training_complete": isBool, "data_source": isText, "fl_server_available": isBool, "collector_monitoring": isBool, "max_rounds": nullOr(isWhole),
			"stopped_by_policy": isBool}.shape},
		{path: "/api/metrics/fl/config", answer: object{"fl_server": isObject, "policy_engine": isObject, "training_parameters": isObject, "model_config": isObject,
			"federation_config": isObject, "data_sources": listOf(isText), "status": isText, "metadata": isObject}.shape},
		{path: "/api/metrics/fl/summary", queries: []string{"include_summary=true&limit=1000"}, answer: object{"latest_accuracy": isNumber, "latest_loss": isNumber, "total_rounds": isWhole, "status": isText}.shape},
		{path: "/api/metrics/fl/chart-data", queries: []string{"limit=500&include_details=false", "include_details=true"},
			answer: object{"rounds": listOf(object{"round": isWhole}.shape), "total": isWhole}.shape},
	}
}

func eventModels() []modelled {
	return []modelled{
		{path: "/api/events", queries: []string{"limit=20&offset=0", "event_level=error&source_component=FL_SERVER&event_type=ROUND_COMPLETED", "limit=50&since_id=0", "start=2024-01-15T10:00:00&limit=1000"},
			answer: object{"events": listOf(dashboardEvent.shape), "total": isWhole, "limit": isWhole, "offset": isWhole}.shape},
		{path: "/api/events/summary", queries: []string{"", "source_component=FL_SERVER"}, answer: object{"by_component": mapOf(isWhole), "by_source_component": mapOf(isWhole),
			"by_level": mapOf(isWhole), "by_event_level": mapOf(isWhole), "total": isWhole}.shape},
		{path: "/api/events/data", queries: []string{"limit=100"}, answer: listOf(dashboardEvent.shape)},
		{path: "/api/policy/decisions", queries: []string{"limit=100"}, answer: listOf(object{"timestamp": isNumber, "component": isText}.shape)},
	}
}

func networkModels() []modelled {
	statistics := object{"total_nodes": isWhole, "total_links": isWhole, "total_switches": isWhole, "total_hosts": isWhole}
	return []modelled{
		{path: "/api/network/topology", queries: []string{"source=all&include_metrics=true&format=detailed"}, answer: listed.and(object{"statistics": statistics.shape}).shape},
		{path: "/api/network/topology", queries: []string{"format=summary"}, answer: object{"summary": statistics.shape, "status": isObject}.shape},
		{path: "/api/network/topology/live", answer: object{"topology": listed.shape, "statistics": statistics.shape, "source": isText}.shape},
		{path: "/api/network/flows", answer: object{"flows": listOf(object{"switch_dpid": isText, "priority": isNumber}.shape),
			"summary": object{"total_flows": isWhole, "switches_with_flows": isWhole, "priority_stats": isObject, "table_stats": isObject}.shape}.shape},
		{path: "/api/performance/metrics", answer: object{"network_health": object{"score": isNumber, "status": isText}.shape, "latency": latencyFigures.shape, "port_statistics": isObject,
			"bandwidth": object{"current_total_bps?": isNumber, "current_average_bps?": isNumber, "peak_bandwidth_bps?": isNumber, "average?": isNumber, "maximum?": isNumber}.shape,
			"flows":     object{"total": isNumber, "active": isNumber}.shape, "totals": object{"packets_transferred": isNumber, "total_errors": isNumber}.shape}.shape},
		{path: "/api/flows/statistics", answer: object{"flow_statistics": object{"total_flows": isNumber, "active_flows": isNumber, "flows_per_switch": isObject,
			"priority_distribution": isObject, "table_distribution": isObject}.shape,
			"utilization_metrics": object{"efficiency_percentage": isNumber, "efficiency_rating": isText}.shape}.shape},
		{path: "/api/metrics/latest", queries: []string{"type=network"}, answer: object{"status": isOneOf("success"), "timestamp": isText, "metrics": object{"data": object{
			"topology": listed.shape, "switches_count": isWhole, "hosts_count": isWhole, "links_count": isWhole, "sdn_status": isText, "packet_loss_percent": isNumber,
			"performance_metrics": object{"latency": object{"average_ms": isNumber}.shape, "bandwidth": object{"total_mbps": isNumber, "active_ports": isNumber}.shape,
				"flows": object{"total": isNumber}.shape}.shape}.shape}.shape}.shape},
	}
}

// TestDashboardModels holds every answer below /api against what FLOPY-NET's dashboard makes of it: while the testbed runs, with
// each of its components down, and without any.
func TestDashboardModels(t *testing.T) {
	isModelled := map[string]bool{}
	for _, m := range dashboardModels() {
		isModelled[m.verb()+" "+m.path] = true
	}
	for _, endpoint := range allRoutes() {
		if endpoint.flopynet && !isModelled[endpoint.method+" "+endpoint.path] {
			t.Errorf("%s %s has no row in dashboardModels", endpoint.method, endpoint.path)
		}
	}
	t.Run("nothing configured", func(t *testing.T) { startServer(t, Options{}).checkModels() })
	simulated := startSimulator(t, testbed.Options{Seed: 1, Start: time.Now().Add(-10 * time.Minute), Rounds: 1000})
	peer := func(url string) flopynet.PeerOptions {
		return flopynet.PeerOptions{URL: url, Interval: 50 * time.Millisecond}
	}
	ts := startTestbed(t, flopynet.Options{
		FLServer: peer(simulated.FL.URL()), PolicyEngine: peer(simulated.Policy.URL()), SDNController: peer(simulated.SDN.URL()), EventInterval: 50 * time.Millisecond,
	}, Options{})
	ts.untilServices("healthy", flopynet.Components()...)
	ts.until("/api/metrics/latest?type=fl_server", func(latest map[string]any) bool {
		return latest["round"].(float64) > 0 && latest["accuracy"].(float64) > 0
	})
	t.Run("running", func(t *testing.T) { ts.as(t).checkModels() })
	for name, component := range map[string]interface {
		Fail(testbed.Failure) error
		Heal() error
	}{flopynet.FLServer: simulated.FL, flopynet.PolicyEngine: simulated.Policy, flopynet.SDNController: simulated.SDN} {
		for _, mode := range []testbed.Mode{testbed.Down, testbed.Garbage} {
			if err := component.Fail(testbed.Failure{Mode: mode}); err != nil {
				t.Fatal(err)
			}
			ts.untilServices("unhealthy", name)
			t.Run(fmt.Sprintf("%s %s", name, mode), func(t *testing.T) { ts.as(t).checkModels() })
			if err := component.Heal(); err != nil {
				t.Fatal(err)
			}
		}
		ts.untilServices("healthy", name)
	}
}

// as is the server, in a subtest.
func (ts *testServer) as(t *testing.T) *testServer {
	other := *ts
	other.t = t
	return &other
}

// untilServices waits until /health says that of components.
func (ts *testServer) untilServices(status string, names ...string) {
	ts.t.Helper()
	for _, name := range names {
		ts.until("/health", func(health map[string]any) bool { return at(health, "services", name, "status") == status })
	}
}

// checkModels asks every endpoint of the table as the dashboard does.
func (ts *testServer) checkModels() {
	ts.t.Helper()
	for _, m := range dashboardModels() {
		if len(m.queries) == 0 {
			m.queries = []string{""}
		}
		for _, query := range m.queries {
			path := strings.TrimSuffix(m.path+"?"+query, "?")
			answer := ts.do(m.verb(), path, []byte(m.body), append(basic("admin", "securepassword"), "Content-Type", "application/json")...)
			var value any
			if err := json.Unmarshal(answer.body, &value); err != nil || answer.status != http.StatusOK {
				ts.t.Errorf("%s: %d, %v in %.500s", path, answer.status, err, answer.body)
				continue
			}
			if failure := at(value, "error"); failure != nil {
				ts.t.Errorf("%s: has a top-level error, which the dashboard takes for a failure: %v", path, failure)
			}
			for _, fault := range m.answer("", value) {
				ts.t.Errorf("%s: %s", path, fault)
			}
		}
	}
}

func (m *modelled) verb() string {
	if m.method == "" {
		return http.MethodGet
	}
	return m.method
}

"""What each route of the dashboard's application that asks the collector must answer: (method, path, query, body, verdict of the answer)."""

from dashboard_shapes import NOTHING, NUMBER, has, hours_ago, need, some, topology

# Routes that ask the policy engine, GNS3, a file or nobody: what ends in a slash stands for all below it.
NOT_THE_COLLECTORS = {
    "/openapi.json", "/docs", "/docs/", "/redoc", "/api/health", "/api/version", "/api/scenarios", "/api/scenarios/",
    "/api/log/client-error", "/ws/client-error", "/ws/logs/", "/api/log/logs/", "/api/config/service-urls", "/api/config/system-info",
    "/api/fl-monitoring/debug", "/api/network/nodes/", "/api/network/projects", "/api/network/projects/", "/api/network/templates",
    "/api/network/topology", "/api/network/topology/active/links/", "/api/overview/policy-status",
    "/api/policy-engine/analytics/", "/api/policy-engine/cache-check", "/api/policy-engine/decisions", "/api/policy-engine/decisions/",
    "/api/policy-engine/history", "/api/policy-engine/metrics", "/api/policy-engine/policies", "/api/policy-engine/policies/",
    "/api/policy-engine/status", "/api/policy-engine/validate", "/api/policy-engine/version",
    "/api/network/metrics/summary",  # would ask it, but calls its client with an argument that the client doesn't have
}
CHECKS = []
SOCKETS = []


async def start(main):
    """What it does at its start and twice a minute, without a password."""
    url = main.settings.COLLECTOR_URL
    connected = await main.test_connection_with_retry(url, "collector", 5, 1)
    need(connected, f"HEAD {url}/api/metrics/latest: {main.connection_status['collector']['error']}")


def route(path, query=None, method="GET", body=None):
    def register(verdict):
        CHECKS.append((method, path, query, body, verdict))
        return verdict
    return register


def socket(path):
    def register(verdict):
        SOCKETS.append((path, verdict))
        return verdict
    return register


def no_fallback(what, answer):
    need(isinstance(answer, dict) and "error" not in answer, f"{what} is a fallback: {answer!r:.200}")
    need(answer.get("status") not in ("error", "disconnected"), f"{what} is a fallback: {answer!r:.200}")
    return answer


# Overview.

@route("/api/overview/fl-status")
def fl_status(answer):
    has("fl status", no_fallback("fl status", answer), round=int, clients_connected=int, accuracy=NUMBER, loss=NUMBER, status=str, max_rounds=(int, NOTHING))
    need(answer["round"] > 0 and answer["accuracy"] > 1, f"round {answer['round']}, accuracy in percent {answer['accuracy']}")


@route("/api/overview/network-status")
def network_status(answer):
    has("network status", no_fallback("network status", answer), avg_latency=NUMBER, bandwidth_utilization=NUMBER, packet_loss_percent=NUMBER)
    for name in ("nodes_count", "switches_count", "hosts_count", "links_count", "total_flows"):
        need(answer[name] > 0, f"{name} is {answer[name]}")
    need(answer["status"] == "active" and answer["sdn_status"] == "connected", f"{answer}")


@route("/api/overview/events-summary")
def events_summary(answer):
    need(no_fallback("events summary", answer)["total_count"] > 0, "no events")


@route("/api/overview/summary")
def _(answer):
    fl_status(answer["fl_status"])
    network_status(answer["network_status"])
    events_summary(answer["events"])


@socket("/api/overview/ws/overview")
async def _(message):
    data = (await message())["data"]
    fl_status(data["fl"])
    network_status(data["network"])
    events_summary(data["events"])


# Monitoring of federated learning.

def rounds(what, metrics):
    for each in some(what, metrics):
        has(what, each, timestamp=str, round=int, accuracy=NUMBER, loss=NUMBER, clients_connected=int, model_size_mb=NUMBER)
    need(any(each["clients_connected"] > 0 for each in metrics), f"{what}: never a client")


@route("/api/fl-monitoring/metrics")
@route("/api/fl-monitoring/metrics", {"start_time": hours_ago(24), "end_time": hours_ago(-1), "limit": 500})
def _(answer):
    rounds("metrics", answer)


@route("/api/fl-monitoring/metrics/window", {"start_round": 1, "end_round": 300})
@route("/api/fl-monitoring/metrics/around", {"target_round": 1, "window_size": 500})
@route("/api/fl-monitoring/metrics/paginated")
def _(answer):
    rounds("metrics", answer["metrics"])
    need(max(each["accuracy"] for each in answer["metrics"]) > 1, "accuracies aren't in percent")


@route("/api/fl-monitoring/metrics/summary")
def _(answer):
    need(answer["total_rounds"] > 0 and answer["max_accuracy"] > 1 and answer["max_loss"] > 0, f"{answer}")


@route("/api/fl-monitoring/latest")
def _(answer):
    has("latest", answer, current_round=int, latest_accuracy=NUMBER, latest_loss=NUMBER, connected_clients=int, max_rounds=(int, NOTHING), model_size_mb=NUMBER)
    need(answer["current_round"] > 0 and answer["fl_server_available"], f"{answer}")


@route("/api/fl-monitoring/metrics/fl/status")
def _(answer):
    need(answer["data_source"] != "mock", "mock data")
    need(answer["current_round"] > 0 and answer["fl_server_available"], f"{answer}")


@route("/api/fl-monitoring/metrics/fl/rounds")
@route("/api/fl-monitoring/metrics/fl/rounds", {"limit": 5000, "sort_order": "desc", "format": "summary", "source": "collector"})
def _(answer):
    rounds("rounds", no_fallback("rounds", answer)["rounds"])
    need(answer["latest_round"] == max(each["round"] for each in answer["rounds"]), f"latest_round {answer['latest_round']}")


@route("/api/fl-monitoring/debug/collector")
def _(answer):
    need(answer["collector_connection"] == "success" and answer["fl_status_has_max_rounds"], f"{answer!r:.300}")


@route("/api/fl-monitoring/debug/raw-status")
def _(answer):
    no_fallback("raw status", answer["raw_collector_response"])


@route("/api/fl-monitoring/config")
def _(answer):
    need(no_fallback("config", answer)["metadata"].get("config_completeness") != "unknown", "no metadata of the collector's own")


# Events.

def event_list(what, events):
    for event in some(what, events):
        has(what, event, id=int, timestamp=str, component=str, message=(str, NOTHING), event_type=str)


@route("/api/events/log")
@route("/api/events/log", {"limit": 5, "offset": 2, "component": "FL_SERVER"})
def _(answer):
    event_list("events", no_fallback("events", answer)["events"])
    need(answer["total"] > 0, "total is 0")


@route("/api/events/summary")
@route("/api/events/summary", {"component": "FL_SERVER"})
def _(answer):
    need(answer["total"] > 0 and answer["by_component"] and answer["by_level"], f"{answer}")


@socket("/ws/events")
@socket("/api/log/events")
async def _(message):
    need((await message())["type"] == "connection", "doesn't begin with its connection")
    first = await message()
    need(first["type"] == "initial_events", f"{first!r:.200}")
    event_list("initial events", first["events"])


# The network.

@route("/api/network/metrics")
def _(answer):
    has("performance", no_fallback("performance", answer), network_health=dict, latency=dict, bandwidth=dict)


@route("/api/network/topology/active")
@route("/api/network/topology/live")
def _(answer):
    topology("topology", answer)
    need(answer["statistics"].get("total_switches", 0) > 0, f"statistics {answer['statistics']}")


@route("/api/network/topology/active", {"format": "summary", "include_metrics": "false"})
def _(answer):
    has("the summary", no_fallback("the summary", answer), summary=dict, status=dict)


@route("/api/network/hosts")
def _(answer):
    some("hosts", answer["hosts"])


@route("/api/network/switches")
def _(answer):
    need(any(switch["port_stats"] for switch in some("switches", answer["switches"])), "no switch has a port")


@route("/api/network/links")
def _(answer):
    some("links", answer["links"])


@route("/api/network/statistics")
def _(answer):
    need(answer["topology"]["total_switches"] > 0 and answer["topology"]["total_ports"] > 0, f"{answer['topology']}")


@route("/api/network/flows")
def _(answer):
    some("flows", answer["flows"])
    need(all(flow.get("switch_name") for flow in answer["flows"]), "a flow without its switch's name")


@route("/api/network/performance/metrics")
def _(answer):
    need(answer["ports"]["total_ports"] > 0 and answer["flows"]["total"] > 0, f"ports {answer['ports']}, flows {answer['flows']}")
    has("bandwidth", answer["bandwidth"], total_mbps=NUMBER, average_mbps=NUMBER, max_mbps=NUMBER)
    has("network_health", answer["network_health"], score=NUMBER, status=str)


@route("/api/network/flows/statistics")
def _(answer):
    need(answer["summary"]["total_flows"] > 0 and answer["summary"]["switches_count"] > 0, f"{answer['summary']}")


@socket("/ws/topology/live")
async def _(message):
    update = await message()
    need(update["type"] == "topology_update", f"{update!r:.200}")
    topology("topology", update["data"]["topology"])


@route("/ws/topology/broadcast", method="POST")
def _(answer):
    no_fallback("broadcast", answer)


@route("/api/network/status")
def _(answer):
    """It takes its client's model for a dictionary and says that there are no metrics: the exchange with the collector counts alone."""


# Metrics and the rest.

@route("/api/metrics/test")
def _(answer):
    need(answer["metrics_count"] > 0 and answer["fl_metrics_count"] > 0 and answer["latest_metrics"].get("round", 0) > 0, f"{answer!r:.300}")


@route("/api/metrics/types")
@route("/api/metrics/components")
def _(answer):
    some("answer", answer)


@route("/api/metrics/query", method="POST",
       body={"metric_types": ["network"], "start_time": hours_ago(24), "end_time": hours_ago(-1), "aggregation": "avg", "interval": "1m"})
def _(answer):
    for metric in some("metrics", answer["metrics"]):
        need(metric["metric_type"] == "network" and metric["raw_data"], f"{metric!r:.200}")


@route("/api/policy-engine/metrics/timeseries")
@route("/api/policy-engine/metrics/timeseries", {"start_time": hours_ago(24), "end_time": hours_ago(-1)})
def _(answer):
    kinds = {metric["metric_type"] for metric in some("timeseries", answer)}
    need({"policy_count", "decision_count"} <= kinds, f"only {kinds}")


@route("/api/config/ping-services")
def _(answer):
    services = answer if isinstance(answer, list) else next((value for value in answer.values() if isinstance(value, list)), [])
    need(any(each["service"] == "Collector" and each.get("code") == 200 for each in services), f"{answer!r:.300}")


@route("/api/test/collector")
def _(answer):
    need(answer["status"] == "success" and answer["events_count"] > 0, f"{answer!r:.300}")


@route("/api/test/metrics")
def _(answer):
    need(answer["status"] == "success" and answer["metrics_count"] > 0 and answer["fl_metrics_count"] > 0, f"{answer!r:.300}")


def not_the_collectors(path):
    return path in NOT_THE_COLLECTORS or any(path.startswith(each) for each in NOT_THE_COLLECTORS if each.endswith("/"))

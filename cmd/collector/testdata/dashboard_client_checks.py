"""What each method of the dashboard's client must bring back: (method, label, async question that raises AssertionError)."""

import asyncio

from dashboard_shapes import NOTHING, NUMBER, has, hours_ago, need, some, statistics, time_of, topology

NOT_QUESTIONS = {"close", "aclose"}
CHECKS = []


def question(method, label=""):
    def register(ask):
        CHECKS.append((method, label, ask))
        return ask
    return register


def models():
    from app.models import collector_models
    return collector_models


# Health and index.

@question("get_health")
async def _(client):
    has("health", await client.get_health(), status=str)


@question("test_connection")
async def _(client):
    need(await client.test_connection() is True, "says there is no connection")


@question("get_api_docs")
async def _(client):
    has("the index", await client.get_api_docs())


@question("get_monitoring_status")
async def _(client):
    raw = await client._make_request("GET", "/api/monitoring/status")
    for name in ("services", "last_collection"):
        need(has("monitoring status", raw, **{name: dict})[name], f"{name} is empty")
        for key, value in raw[name].items():
            need(isinstance(value, str), f"{name}.{key} is {value!r}, not a string")
    time_of((await client.get_monitoring_status()).timestamp)


# Metrics.

def metrics_of(response, kind=None, limit=None):
    need(response.status == "success", f"status is {response.status}")
    need(response.count == len(response.metrics), f"count {response.count} of {len(response.metrics)} metrics")
    need(limit is None or response.count <= limit, f"{response.count} metrics for a limit of {limit}")
    need(isinstance(response.total, int) and response.total >= response.count, f"total is {response.total}")
    for metric in some("metrics", response.metrics):
        need(kind in (None, metric.type), f"a metric of type {metric.type} for {kind}")
        need(metric.data, f"a metric of type {metric.type} without data")
        time_of(metric.timestamp)
    return response.metrics


@question("get_all_metrics")
async def _(client):
    newest = metrics_of(await client.get_all_metrics(limit=5), limit=5)
    times = [time_of(metric.timestamp) for metric in newest]
    need(times == sorted(times, reverse=True), f"not newest first: {times}")
    oldest = metrics_of(await client.get_all_metrics(limit=5, sort_desc=False), limit=5)
    times = [time_of(metric.timestamp) for metric in oldest]
    need(times == sorted(times), f"not oldest first: {times}")


@question("get_all_metrics", "of each type")
async def _(client):
    for kind in models().MetricType:
        metrics_of(await client.get_all_metrics(type_filter=kind.value, start_time=hours_ago(24), end_time=hours_ago(-1)), kind.value)


@question("get_all_metrics", "by pages")
async def _(client):
    end = hours_ago(0)
    pages = [metrics_of(await client.get_all_metrics(limit=2, offset=offset, end_time=end)) for offset in (0, 2)]
    pages = [[metric.json() for metric in page] for page in pages]
    need(not set(pages[0]) & set(pages[1]), "the second page repeats the first")


@question("get_metrics")
async def _(client):
    answer = await client.get_metrics(limit=20)
    for metric in some("metrics", has("metrics", answer, metrics=list)["metrics"]):
        has("a metric", metric, timestamp=str, type=str, metric_type=str, data=dict)
        need(metric["type"] == metric["metric_type"], f"type {metric['type']}, metric_type {metric['metric_type']}")


@question("get_metrics", "as its pages ask")
async def _(client):
    for kind in ("policy_count", "decision_count"):
        answer = await client.get_metrics(params={"type": kind}, limit=1000, start_time=hours_ago(24), end_time=hours_ago(-1))
        for metric in some(f"metrics of type {kind}", answer["metrics"]):
            need(metric["metric_type"] == kind, f"a metric of type {metric['metric_type']} for {kind}")
            has(f"data of {kind}", metric["data"], timestamp=NUMBER + (str,))
    answer = await client.get_metrics(params={"metric_type": "network"}, start_time=hours_ago(24), end_time=hours_ago(-1))
    need({metric["metric_type"] for metric in some("metrics", answer["metrics"])} == {"network"}, "metric_type=network brings others too")
    answer = await client.get_metrics(start_time="2001-01-01T00:00:00Z", end_time="2001-01-02T00:00:00Z")
    need(answer["metrics"] == [], f"start_time and end_time long ago bring {len(answer['metrics'])} metrics")


@question("get_policy_metrics")
async def _(client):
    metrics_of(await client.get_policy_metrics(limit=3), "policy_engine", 3)


@question("get_network_metrics")
async def _(client):
    metrics_of(await client.get_network_metrics(limit=3), "network", 3)


@question("get_metrics_time_range")
async def _(client):
    start, end = hours_ago(1), hours_ago(0)
    for metric in metrics_of(await client.get_metrics_time_range(start, end)):
        need(time_of(start) <= time_of(metric.timestamp) <= time_of(end), f"{metric.timestamp} is not within {start} and {end}")


@question("get_latest_metrics")
async def _(client):
    latest = await client.get_latest_metrics()
    need(latest.status == "success" and latest.metrics and latest.timestamp, f"{latest!r:.200}")


@question("get_latest_metrics", "fl_server")
async def _(client):
    latest = has("latest", await client.get_latest_metrics("fl_server"), status=str, round=int, accuracy=NUMBER, loss=NUMBER,
                 clients_connected=int, clients_total=int, timestamp=str)
    need(latest["round"] > 0 and latest["clients_connected"] > 0, f"round {latest['round']}, {latest['clients_connected']} clients")


@question("get_latest_metrics", "network")
async def _(client):
    latest = await client.get_latest_metrics("network")
    need(latest.status == "success", f"status is {latest.status}")
    data = has("metrics.data", has("metrics", latest.metrics, data=dict)["data"], topology=dict, switches_count=int, hosts_count=int,
               links_count=int, performance_metrics=dict, sdn_status=str)
    need(data["switches_count"] > 0 and data["sdn_status"] == "connected", f"{data['switches_count']} switches, {data['sdn_status']}")
    has("performance_metrics", data["performance_metrics"], latency=dict, bandwidth=dict, flows=dict)
    topology("metrics.data.topology", data["topology"])


@question("get_latest_metrics", "policy_engine")
async def _(client):
    latest = await client.get_latest_metrics("policy_engine")
    need(latest.status == "success" and latest.metrics.get("data"), f"{latest!r:.200}")


@question("query_metrics_complex")
async def _(client):
    for aggregation in ("avg", "min", "max", "sum", "count"):
        query = models().FrontendMetricQuery(metric_types=["fl_server"], start_time=hours_ago(1), end_time=hours_ago(0),
                                             components=["FL_SERVER"], aggregation=aggregation, interval="1m")
        has(f"the answer for {aggregation}", await client.query_metrics_complex(query.dict(exclude_none=True)))
    query = models().FrontendMetricQuery(metric_types=["fl_server", "network"], start_time=hours_ago(1), end_time=hours_ago(0),
                                         aggregation="avg", interval="5m")
    answer = await client.query_metrics_complex(query.dict())  # components: null
    some("metrics", has("the answer", answer, metrics=list)["metrics"])


# Federated learning.

def fl_metrics(what, metrics):
    for metric in some(what, metrics):
        has(what, metric, timestamp=str, round=int, accuracy=NUMBER, loss=NUMBER, model_size_mb=NUMBER)
        models().FLMetric(**metric)
        time_of(metric["timestamp"])
    return metrics


@question("get_fl_metrics")
async def _(client):
    for params in (None, {"limit": 5, "include_raw": "false"}, {"limit": 1500, "include_raw": "false"},
                   {"limit": 100, "optimize": "true", "use_cache": "true", "consolidate_rounds": "true"}):
        answer = await client.get_fl_metrics(params)
        models().FLMetricsResponse(**answer)
        need(answer["status"] == "success" and answer["count"] == len(answer["metrics"]), f"status {answer['status']}, count {answer['count']}")
        for metric in fl_metrics("metrics", answer["metrics"]):
            has("a metric", metric, clients_connected=int, clients_total=int, training_complete=bool, data_state=str, status=str)
    rounds = [metric["round"] for metric in answer["metrics"] if metric["round"] > 0]
    need(rounds and len(rounds) == len(set(rounds)), f"rounds {sorted(rounds)[:20]}")


@question("get_fl_rounds")
async def _(client):
    answer = has("rounds", await client.get_fl_rounds(), rounds=list, total_rounds=int, returned_rounds=int, latest_round=int,
                 pagination=dict, filters=dict, metadata=dict)
    for each in fl_metrics("rounds", answer["rounds"]):
        has("a round", each, training_duration=NUMBER)
        need(each.get("clients", each.get("clients_connected")), f"round {each['round']} without clients")
    need(answer["returned_rounds"] == len(answer["rounds"]), f"returned_rounds {answer['returned_rounds']} of {len(answer['rounds'])}")
    need(answer["latest_round"] == max(each["round"] for each in answer["rounds"]), f"latest_round {answer['latest_round']}")


@question("get_fl_rounds", "limited")
async def _(client):
    need(len((await client.get_fl_rounds(limit=1))["rounds"]) == 1, "limit=1 brings another number")
    fl_metrics("rounds", (await client.get_fl_rounds(limit=5000))["rounds"])


@question("get_fl_status")
async def _(client):
    status = has("status", await client.get_fl_status(), timestamp=str, training_active=bool, current_round=int, latest_accuracy=NUMBER,
                 latest_loss=NUMBER, connected_clients=int, training_complete=bool, data_source=str, fl_server_available=bool,
                 collector_monitoring=bool, max_rounds=(int, NOTHING), stopped_by_policy=bool)
    need(status["fl_server_available"] and status["current_round"] > 0 and status["latest_accuracy"] > 0, f"{status}")


@question("get_fl_summary_fast")
async def _(client):
    for limit in (None, 5000):
        summary = has("summary", await client.get_fl_summary_fast(limit), latest_accuracy=NUMBER, latest_loss=NUMBER, total_rounds=int, status=str)
        need(summary["total_rounds"] > 0 and summary["latest_accuracy"] > 0, f"{summary!r:.200}")
        for each in summary.get("rounds", []):
            has("a round of the summary", each, clients_count=int)


@question("get_fl_chart_data")
async def _(client):
    for limit, details in ((None, False), (3, True), (5000, False)):
        answer = has("chart data", await client.get_fl_chart_data(limit, details), rounds=list, total=int)
        for each in some("rounds", answer["rounds"]):
            has("a round", each, round=int, accuracy=NUMBER, loss=NUMBER)
        need(limit is None or len(answer["rounds"]) <= limit, f"{len(answer['rounds'])} rounds for a limit of {limit}")


@question("get_fl_configuration")
async def _(client):
    answer = has("config", await client.get_fl_configuration(), fl_server=dict, policy_engine=dict, training_parameters=dict, model_config=dict,
                 federation_config=dict, data_sources=list, status=str, metadata=dict)
    need(answer["data_sources"], "no data sources")


# Events and decisions.

def events_of(what, events):
    for event in some(what, events):
        has(what, event, id=int, event_id=str, timestamp=str, source_component=str, component=str, event_type=str, level=str, message=(str, NOTHING))
        models().Event(**event)
        time_of(event["timestamp"])
    return events


@question("get_events")
async def _(client):
    answer = await client.get_events(limit=20)
    models().EventsResponse(**answer)
    events = events_of("events", answer["events"])
    need(answer["total"] >= len(events) and answer["limit"] == 20 and answer["offset"] == 0, f"total, limit, offset of {answer!r:.100}")
    need(len({event["id"] for event in events}) == len(events), "ids repeat")


@question("get_events", "filtered")
async def _(client):
    event = (await client.get_events(limit=1))["events"][0]
    for name, value in (("source_component", event["source_component"]), ("component", event["component"]), ("event_type", event["event_type"]),
                        ("event_level", event["level"]), ("level", event["level"])):
        answer = await client.get_events({name: value, "limit": 5})
        for each in events_of(f"events with {name}={value}", answer["events"]):
            need(each.get(name, each["level"]) == value, f"{name}={value} brings {each.get(name)}")
    answer = await client.get_events({"source_component": "no such component"})
    need(answer["events"] == [] and answer["total"] == 0, "an unknown component has events")


@question("get_events", "by pages and since an id")
async def _(client):
    end = hours_ago(0)
    pages = [events_of("events", (await client.get_events({"limit": 3, "offset": offset, "end_time": end}))["events"]) for offset in (0, 3)]
    ids = [[event["id"] for event in page] for page in pages]
    need(not set(ids[0]) & set(ids[1]), f"the second page repeats the first: {ids}")
    known = min(ids[1])  # as the stream of the events page asks
    newer = events_of("events", (await client.get_events({"since_id": known, "limit": 50}))["events"])
    need(all(event["id"] > known for event in newer), f"since_id={known} brings {min(event['id'] for event in newer)}")


@question("get_events_data")
async def _(client):
    events_of("events data", await client.get_events_data(limit=5))


@question("get_system_events")
async def _(client):
    answer = await client.get_system_events(start_time=hours_ago(24), end_time=hours_ago(-1), source_component="FL_SERVER", limit=5)
    models().EventsResponse(**answer)
    need({event["source_component"] for event in events_of("events", answer["events"])} == {"FL_SERVER"}, "events of others than FL_SERVER")


@question("get_events_summary")
async def _(client):
    summary = has("summary", await client.get_events_summary(), by_component=dict, by_source_component=dict, by_level=dict, by_event_level=dict, total=int)
    need(summary["total"] > 0, "no events")
    for name in ("by_component", "by_level"):
        need(sum(summary[name].values()) == summary["total"], f"{name} {summary[name]} of {summary['total']}")


@question("get_policy_decisions")
async def _(client):
    for params in (None, {"limit": 3}, {"component": "fl-server", "limit": 3}, {"result": "true", "limit": 3}):
        decisions = some(f"decisions for {params}", await client.get_policy_decisions(params))
        for each in decisions:
            has("a decision", each, id=str, policy_id=str, policy_name=str, component=str, timestamp=NUMBER + (str,), decision=str, result=bool,
                reason=str, context=dict)
            models().PolicyDecision(decision_id=each["id"], timestamp=str(each["timestamp"]), component=each["component"], action=each["decision"],
                                    allowed=each["result"], reason=each["reason"])
        need(len({each["id"] for each in decisions}) == len(decisions), "ids repeat")
        need(len(decisions) <= (params or {}).get("limit", 1000), f"{len(decisions)} decisions for {params}")
        need(not params or "component" not in params or all(each["component"] == "fl-server" for each in decisions), "decisions of other components")


# The network.

@question("get_network_topology")
async def _(client):
    for source in ("all", "sdn"):
        answer = await client.get_network_topology(source=source)
        topology(f"the topology of {source}", {"nodes": [{}], **answer} if source == "sdn" else answer)
        statistics(answer.get("statistics"))


@question("get_network_topology", "summary, and of GNS3")
async def _(client):
    has("the summary", await client.get_network_topology(format_type="summary"), summary=dict, status=dict)
    has("the topology of gns3", await client.get_network_topology(source="gns3", include_metrics=False), nodes=list, links=list, statistics=dict)


@question("get_live_network_topology")
async def _(client):
    answer = has("live topology", await client.get_live_network_topology(), topology=dict, statistics=dict, timestamp=NUMBER + (str,), source=str)
    topology("topology", answer["topology"])
    statistics(answer["statistics"])


@question("get_network_flows")
async def _(client):
    answer = has("flows", await client.get_network_flows(), flows=list, summary=dict)
    has("summary", answer["summary"], total_flows=int, switches_with_flows=int, priority_stats=dict, table_stats=dict)
    for flow in some("flows", answer["flows"]):
        has("a flow", flow, switch_dpid=str, priority=int)
    dpids = {switch["dpid"] for switch in (await client.get_live_network_topology())["topology"]["switches"]}
    need({flow["switch_dpid"] for flow in answer["flows"]} <= dpids, f"flows of switches that aren't in the topology {dpids}")


@question("get_performance_metrics")
async def _(client):
    answer = has("performance", await client.get_performance_metrics(), network_health=dict, latency=dict, bandwidth=dict, port_statistics=dict)
    has("network_health", answer["network_health"], score=NUMBER, status=str)
    has("latency", answer["latency"], average=NUMBER, minimum=NUMBER, maximum=NUMBER)


@question("get_flow_statistics")
async def _(client):
    answer = has("flow statistics", await client.get_flow_statistics(), flow_statistics=dict, utilization_metrics=dict)
    flows = has("flow_statistics", answer["flow_statistics"], total_flows=int, active_flows=int, flows_per_switch=dict, priority_distribution=dict,
                table_distribution=dict)
    need(flows["total_flows"] > 0 and flows["flows_per_switch"], f"{flows!r:.200}")
    has("utilization_metrics", answer["utilization_metrics"], efficiency_percentage=NUMBER, efficiency_rating=str)


@question("set_base_url", "to the same place, and many at once")
async def _(client):
    place = client.base_url
    client.set_base_url("http://127.0.0.1:9")
    client.set_base_url(place)
    answers = await asyncio.gather(*(client.get_fl_status() for _ in range(8)))
    need(len(answers) == 8, "answers are missing")

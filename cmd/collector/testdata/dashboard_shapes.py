"""What the checks of the dashboard say of an answer's shape; each raises AssertionError."""

import datetime

NUMBER = (int, float)
NOTHING = type(None)


def need(holds, otherwise):
    if not holds:
        raise AssertionError(otherwise)


def has(what, value, **types):
    """Needs an object with these fields of these types; true and false are no numbers."""
    need(isinstance(value, dict), f"{what} is {type(value).__name__}, not an object")
    for name, wanted in types.items():
        need(name in value, f"{what} has no {name}; it has {sorted(value)}")
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        right = isinstance(value[name], wanted) and (bool in wanted or not isinstance(value[name], bool))
        need(right, f"{what}.{name} is {value[name]!r:.80}, not {' or '.join(t.__name__ for t in wanted)}")
    return value


def some(what, values):
    need(isinstance(values, list), f"{what} is {type(values).__name__}, not a list")
    need(values, f"{what} is empty")
    return values


def hours_ago(hours):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def time_of(text):
    """When an answer's time is; the dashboard's browser reads it by Date, which takes a time without a zone for local."""
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as failure:
        raise AssertionError(f"{text!r} isn't a time: {failure}") from failure


def topology(what, value):
    has(what, value, nodes=list, links=list, switches=list, hosts=list)
    for switch in some(f"{what}.switches", value["switches"]):
        has("a switch", switch, dpid=str, ports=list)
        for port in switch["ports"]:
            has("a port", port)
    for name in ("nodes", "links", "hosts"):
        for each in some(f"{what}.{name}", value[name]):
            has(f"one of {what}.{name}", each)


def statistics(value):
    has("statistics", value, total_nodes=int, total_links=int, total_switches=int, total_hosts=int)
    need(value["total_switches"] > 0 and value["total_nodes"] >= value["total_switches"], f"statistics {value}")

"""Has FLOPY-NET's own dashboard judge a running collector.

usage: dashboard_check.py --flopynet CHECKOUT --collector URL [--json FILE]

Imports the dashboard's backend out of a checkout of FLOPY-NET, calls every method of its client for the collector and every
route of its application that asks the collector, and validates each answer with the dashboard's own models and for what its
code reads. The dashboard hides a collector that fails behind zeros, empty lists and mock values: here an exchange that failed
fails its check, whatever the dashboard made of it. A method or a route that no check knows of fails too, so that a newer
dashboard isn't judged by half.

The collector must have something to show: let it poll a testbed that trains (a few rounds, decisions, switches, flows).
Beyond 500 rounds two routes fail by themselves: the dashboard looks for the first rounds among so many of the newest ones.
Exits with 1 if a check failed. Run it by: make check-dashboard
"""

import argparse
import asyncio
import contextlib
import inspect
import io
import json
import logging
import os
import shutil
import sys
import tempfile
import traceback

import dashboard_client_checks as client_checks
import dashboard_route_checks as route_checks
import httpx
from dashboard_shapes import need


class Exchanges:
    """What the dashboard asked the collector, and what went wrong there even if the dashboard swallowed it."""

    def __init__(self, collector):
        self.collector = httpx.URL(collector)
        self.asked = []
        self.problems = []

    def watch(self):
        """Puts itself between every asynchronous client of httpx and its transport."""
        send = httpx.AsyncClient.send

        async def watched(client, request, **options):
            if (request.url.host, request.url.port) != (self.collector.host, self.collector.port):
                return await send(client, request, **options)
            what = f"{request.method} {request.url.raw_path.decode()}"
            self.asked.append(what)
            try:
                response = await send(client, request, **options)
            except Exception as failure:
                self.problems.append(f"{what}: {failure!r}")
                raise
            self.look_at(what, response)
            return response

        httpx.AsyncClient.send = watched

    def look_at(self, what, response):
        if response.status_code != 200:
            self.problems.append(f"{what}: {response.status_code} {response.text[:200]}")
            return
        try:
            body = json.loads(response.text, parse_constant=lambda word: self.problems.append(f"{what}: {word} isn't JSON"))
        except ValueError as failure:
            self.problems.append(f"{what}: {failure}")
            return
        if isinstance(body, dict) and "error" in body:  # the dashboard takes that for a failure
            self.problems.append(f"{what}: has the key error: {str(body['error'])[:200]}")

    def reset(self):
        self.asked.clear()
        self.problems.clear()


class Results:
    def __init__(self, exchanges):
        self.exchanges = exchanges
        self.rows = []

    async def run(self, name, check, asks=True):
        """Awaits one check. Its problems are the exchanges' and what it raises; asks says that it must have asked the collector."""
        self.exchanges.reset()
        problems = []
        try:
            await asyncio.wait_for(check, 60)
        except AssertionError as failure:
            problems.append(str(failure))
        except Exception as failure:
            where = traceback.extract_tb(failure.__traceback__)[-1]
            problems.append(f"{type(failure).__name__}: {failure} (at {os.path.basename(where.filename)}:{where.lineno})")
        if asks and not self.exchanges.asked:
            problems.append("asked the collector nothing")
        self.rows.append({"check": name, "asked": list(self.exchanges.asked), "problems": self.exchanges.problems + problems})

    def print(self):
        for row in self.rows:
            asked = ", ".join(dict.fromkeys(what.split("?")[0] for what in row["asked"]))
            print(f"{'FAIL' if row['problems'] else 'ok  '}  {row['check']:70.70}  {asked}")
            for problem in dict.fromkeys(row["problems"]):
                print("      " + " ".join(problem.split())[:300])
        failed = sum(1 for row in self.rows if row["problems"])
        print(f"{len(self.rows)} checks, {failed} failed")
        return failed


def import_dashboard(checkout, collector, scratch):
    """Imports a copy of the backend: it writes a log beside itself, and without FLOPY-NET's src its optional parts stay out."""
    backend = os.path.join(checkout, "dashboard", "backend")
    if not os.path.isfile(os.path.join(backend, "app", "services", "collector_client.py")):
        sys.exit(f"{checkout} isn't a checkout of FLOPY-NET: no dashboard/backend/app/services/collector_client.py in it")
    copy = os.path.join(scratch, "dashboard", "backend")
    shutil.copytree(os.path.join(backend, "app"), os.path.join(copy, "app"))
    nobody = "http://127.0.0.1:9"  # the discard port: what isn't the collector isn't there
    os.environ.update(COLLECTOR_URL=collector, GNS3_URL=nobody, POLICY_ENGINE_URL=nobody, LOG_LEVEL="CRITICAL",
                      HEALTH_CHECK_INTERVAL="3600", CONNECTION_RETRIES="1", CLIENT_ERROR_LOGS_DIR=os.path.join(scratch, "logs"))
    os.chdir(scratch)
    sys.path.insert(0, copy)
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(io.StringIO()):  # it says where its log is
        import app.main
    return app.main


async def check_client(main, results):
    async def with_client(ask):
        client = main.CollectorApiClient()
        try:
            await ask(client)
        finally:
            await client.close()

    known = set(client_checks.NOT_QUESTIONS)
    for method, label, ask in client_checks.CHECKS:
        known.add(method)
        await results.run(f"client {method} {label}".rstrip(), with_client(ask))
    methods = {name for name, _ in inspect.getmembers(main.CollectorApiClient, inspect.isfunction) if not name.startswith("_")}
    await results.run("client: every method has a check", nothing_in(methods - known), asks=False)


async def nothing_in(unknown):
    need(not unknown, f"no check for {sorted(unknown)}")


async def check_routes(main, results):
    from fastapi_cache import FastAPICache

    async def answer_of(browser, method, path, query, body, verdict):
        answer = await browser.request(method, path, params=query, json=body)
        need(answer.status_code == 200, f"the dashboard answers {answer.status_code} {answer.text[:200]}")
        verdict(answer.json())

    await results.run("its connection check, a HEAD", route_checks.start(main), asks=False)  # by aiohttp, which nothing watches
    transport = httpx.ASGITransport(main.app, raise_app_exceptions=False)
    async with main.app.router.lifespan_context(main.app), httpx.AsyncClient(transport=transport, base_url="http://dashboard") as browser:
        for method, path, query, body, verdict in route_checks.CHECKS:
            await FastAPICache.clear()
            await results.run(f"route {method} {httpx.URL(path, params=query)}", answer_of(browser, method, path, query, body, verdict))
        for path, verdict in route_checks.SOCKETS:
            await FastAPICache.clear()
            await results.run(f"socket {path}", first_messages(main.app, path, verdict))
    known = {path for _, path, *_ in route_checks.CHECKS} | {path for path, _ in route_checks.SOCKETS}
    paths = {route.path.rstrip("/") for route in main.app.routes}
    await results.run("routes: every one has a check", nothing_in({path for path in paths - known if not route_checks.not_the_collectors(path)}), asks=False)


async def first_messages(app, path, verdict):
    """Opens a WebSocket of the application and gives verdict an awaitable of the next message; these streams never end by themselves."""
    received, sent = asyncio.Queue(), asyncio.Queue()
    received.put_nowait({"type": "websocket.connect"})
    scope = {"type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [], "subprotocols": [], "scheme": "ws"}
    stream = asyncio.create_task(app(scope, received.get, sent.put))

    async def next_message():
        while True:
            message = await sent.get()
            if message["type"] == "websocket.send":
                return json.loads(message["text"])
            need(message["type"] == "websocket.accept", f"the stream ends: {message}")

    try:
        await verdict(next_message)
    finally:
        stream.cancel()
        await asyncio.gather(stream, return_exceptions=True)


async def judge(main, collector):
    exchanges = Exchanges(collector)
    exchanges.watch()
    results = Results(exchanges)
    await check_client(main, results)
    await check_routes(main, results)
    return results


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--flopynet", required=True, metavar="CHECKOUT", help="a checkout of FLOPY-NET")
    options.add_argument("--collector", required=True, metavar="URL", help="the running collector, such as http://127.0.0.1:8000")
    options.add_argument("--json", metavar="FILE", help="write the results there too")
    given = options.parse_args()
    collector = given.collector.rstrip("/")
    report = given.json and os.path.abspath(given.json)
    checkout = os.path.abspath(given.flopynet)
    with tempfile.TemporaryDirectory() as scratch:
        dashboard = import_dashboard(checkout, collector, scratch)
        results = asyncio.run(judge(dashboard, collector))
        os.chdir("/")  # out of what is removed now
    if report:
        with open(report, "w", encoding="utf-8") as file:
            json.dump(results.rows, file, indent=1)
    sys.exit(1 if results.print() else 0)


if __name__ == "__main__":
    main()

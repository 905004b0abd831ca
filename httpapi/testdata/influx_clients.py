"""Writes by InfluxDB's own clients for Python, of InfluxDB 1 and 2. The arguments are a host, a port and a key."""

import sys

from influxdb import InfluxDBClient as Client1
from influxdb.exceptions import InfluxDBClientError
from influxdb_client import InfluxDBClient as Client2, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

host, port, key = sys.argv[1], int(sys.argv[2]), sys.argv[3]
START = 1705314600

one = Client1(host=host, port=port, username="any", password=key, database="lab", gzip=True)
assert one.ping() == "1.8.10", one.ping()
one.write_points(
    [{"measurement": "one", "tags": {"host": "a b,c=d"}, "time": START + i, "fields": {"load": i / 4, "n": i, "up": i % 2 == 0}} for i in range(100)],
    time_precision="s", batch_size=30)
try:
    one.write_points([{"measurement": "one", "fields": {"state": "on", "kept": 1.5}, "time": START}], time_precision="s")
    sys.exit("a string was taken")
except InfluxDBClientError as e:
    assert e.code == 400 and "partial write: 1 sample stored" in str(e) and "state" in str(e), e

with Client2(url=f"http://{host}:{port}", token=key, org="o") as two:
    assert two.ping()
    with two.write_api(write_options=SYNCHRONOUS) as api:
        api.write("bucket", record=[
            Point("two").tag("host", "ü=\\").field("load", i / 4).field("n", i).time(START * 1000 + i, WritePrecision.MS) for i in range(100)],
            write_precision=WritePrecision.MS)
        try:
            api.write("bucket", record=Point("two").field("state", "on").field("kept", 2.5).time(START, WritePrecision.S), write_precision=WritePrecision.S)
            sys.exit("a string was taken")
        except ApiException as e:
            assert e.status == 400 and "partial write: 1 sample stored" in e.message and "state" in e.message, (e.message, e)
    with two.write_api() as batching:  # as most programs use it: in the background
        for i in range(1000):
            batching.write("bucket", record=Point("batched").field("n", i).time(START + i, WritePrecision.S), write_precision=WritePrecision.S)
print("done")

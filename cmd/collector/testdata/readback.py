"""Reads exports back with pyarrow and DuckDB, and compares every row and every bit with what was stored.

usage: readback.py FOLDER

FOLDER has source.ndjson, a row a line {metric, t, bits, tags}, and the exports of it by a collector:
one.* of the metric "cpu usage" alone, several.* of all. Run it by: make check-export
"""

import calendar
import json
import math
import os
import struct
import sys
import time

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq

ONE = "cpu usage"
RENAMED = {"exported_timestamp": "timestamp", "exported_value": "value", "exported_metric": "metric", "exported_unit": "unit"}
folder = sys.argv[1]
failures = 0


def bits(value):
    if math.isnan(value):  # text has one NaN alone
        return "nan"
    return struct.pack(">d", value).hex()


def exact(value):
    return struct.pack(">d", value).hex()


def load_source():
    rows = []
    with open(os.path.join(folder, "source.ndjson"), encoding="utf-8") as file:
        for line in file:
            rows.append(json.loads(line))
    return rows


SOURCE = load_source()


def expected(several, spell):
    return sorted(
        (row["metric"], row["t"], spell(struct.unpack(">d", bytes.fromhex(row["bits"]))[0]), tuple(sorted(row["tags"].items())))
        for row in SOURCE if several or row["metric"] == ONE)


def check(what, several, rows, spell, plain=False):
    """Compares rows of (metric, ns, value, tags)."""
    global failures
    got = sorted((metric, ns, spell(value), tuple(sorted((k if plain else RENAMED.get(k, k), v) for k, v in tags.items() if v)))
                 for metric, ns, value, tags in rows)
    want = expected(several, spell)
    if got == want:
        print(f"{what}: all {len(want)} rows as they were stored")
        return
    failures += 1
    print(f"{what}: FAILED: {len(got)} rows, {len(want)} were stored")
    for a, b in zip(got, want):
        if a != b:
            print(f"  got  {a}\n  want {b}")
            break


def require(what, holds, given):
    global failures
    if not holds:
        failures += 1
        print(f"{what}: FAILED: {given}")


def table_rows(table):
    """Rows of an Arrow table with nanoseconds."""
    names = table.column_names
    times = table.column("timestamp").cast(pa.int64()).to_pylist()
    values = table.column("value").to_pylist()
    texts = {n: table.column(n).to_pylist() for n in names if n not in ("timestamp", "value")}
    for i, (ns, value) in enumerate(zip(times, values)):
        tags = {n: column[i] for n, column in texts.items() if n != "metric" and column[i] is not None}
        yield (texts["metric"][i] if "metric" in texts else ONE, ns, value, tags)


def check_types(what, schema, dictionary):
    require(what + " type of timestamp", schema.field("timestamp").type == pa.timestamp("ns", tz="UTC"), schema.field("timestamp").type)
    require(what + " type of value", schema.field("value").type == pa.float64(), schema.field("value").type)
    for field in schema:
        if field.name in ("timestamp", "value"):
            continue
        # A column of few texts has small numbers.
        texts = [pa.dictionary(number, pa.string()) for number in (pa.int8(), pa.int32())] if dictionary else [pa.string()]
        require(what + " type of " + field.name, field.type in texts, field.type)


def duck_rows(connection, relation):
    """Rows of a query, with the times in nanoseconds."""
    names = [n for n in connection.sql(f"select * from {relation}").columns if n not in ("timestamp", "value")]
    columns = ", ".join('"' + n.replace('"', '""') + '"' for n in names)
    for row in connection.sql(f'select epoch_ns("timestamp"), "value", {columns} from {relation}').fetchall():
        texts = dict(zip(names, row[2:]))
        metric = texts.pop("metric", ONE)
        yield (metric, row[0], row[1], {k: v for k, v in texts.items() if v is not None})


def check_parquet(name, several):
    path = os.path.join(folder, name + ".parquet")
    table = pq.read_table(path)
    check_types(f"pyarrow {name}.parquet", table.schema, dictionary=False)
    check(f"pyarrow {name}.parquet", several, table_rows(table), exact)
    metadata = pq.ParquetFile(path).metadata
    for group in range(metadata.num_row_groups):
        for i in range(metadata.num_columns):
            column = metadata.row_group(group).column(i)
            require(f"{name}.parquet {column.path_in_schema}", column.compression == "ZSTD" and column.is_stats_set, column)
            if column.path_in_schema not in ("timestamp", "value"):
                require(f"{name}.parquet {column.path_in_schema}", "RLE_DICTIONARY" in column.encodings, column.encodings)
    connection = duckdb.connect()
    connection.sql("set timezone = 'UTC'")
    relation = f"read_parquet('{path}')"
    kinds = dict(zip(connection.sql(f"select * from {relation}").columns, connection.sql(f"select * from {relation}").types))
    print(f"duckdb {name}.parquet: timestamp is {kinds['timestamp']}, value {kinds['value']}")
    require(f"duckdb {name}.parquet value", str(kinds["value"]) == "DOUBLE", kinds["value"])
    check(f"duckdb {name}.parquet", several, duck_rows(connection, relation), exact)
    # Statistics must not hide what a filter asks for.
    wanted = [r for r in SOURCE if several or r["metric"] == ONE]
    numbers = [struct.unpack(">d", bytes.fromhex(r["bits"]))[0] for r in wanted]
    for condition, count in (
        ("isnan(value)", sum(math.isnan(v) for v in numbers)),
        ("value = 'inf'::double", sum(v == math.inf for v in numbers)),
        ("value = '-inf'::double", sum(v == -math.inf for v in numbers)),
        ("value = 0", sum(v == 0 for v in numbers)),
        ("host = 'fl-server-01'", sum(r["tags"].get("host") == "fl-server-01" for r in wanted)),
        ("host is null", sum("host" not in r["tags"] for r in wanted)),
    ):
        got = connection.sql(f"select count(*) from {relation} where {condition}").fetchall()[0][0]
        require(f"duckdb {name}.parquet where {condition}", got == count, f"{got} rows, {count} were stored")


def check_arrow(name, several):
    with pa.OSFile(os.path.join(folder, name + ".arrow"), "rb") as file:
        reader = pa.ipc.open_stream(file)
        schema = reader.schema
        batches = list(reader)
    table = pa.Table.from_batches(batches, schema)
    print(f"pyarrow {name}.arrow: {len(batches)} record batches")
    check_types(f"pyarrow {name}.arrow", table.schema, dictionary=True)
    table.unify_dictionaries().validate(full=True)  # as pandas has it done: small numbers must suffice
    for batch in batches:
        batch.validate(full=True)
    check(f"pyarrow {name}.arrow", several, table_rows(table), exact)
    connection = duckdb.connect()
    connection.register("exported", table)
    check(f"duckdb {name}.arrow", several, duck_rows(connection, "exported"), exact)


def parse_ns(text):
    text = text.removesuffix("Z")
    whole, _, fraction = text.partition(".")
    seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return seconds * 10**9 + int((fraction + "000000000")[:9])


def check_csv(name, several):
    path = os.path.join(folder, name + ".csv")
    with open(path, encoding="utf-8") as file:
        names = file.readline().rstrip("\n").split(",")
    table = pyarrow.csv.read_csv(path, convert_options=pyarrow.csv.ConvertOptions(column_types={n: pa.string() for n in names}))
    rows = table.to_pylist()
    check(f"pyarrow {name}.csv", several,
          ((r.pop("metric", ONE), parse_ns(r.pop("timestamp")), float(r.pop("value")), r) for r in rows), bits)
    connection = duckdb.connect()
    relation = f"read_csv('{path}', header = true, all_varchar = true)"
    names = connection.sql(f"select * from {relation}").columns
    rows = (dict(zip(names, row)) for row in connection.sql(f'select * replace (cast("value" as double) as "value") from {relation}').fetchall())
    check(f"duckdb {name}.csv", several,
          ((r.pop("metric", ONE), parse_ns(r.pop("timestamp")), r.pop("value"), {k: v for k, v in r.items() if v is not None}) for r in rows), bits)


def check_json(name, several):
    with open(os.path.join(folder, name + ".json"), encoding="utf-8") as file:
        whole = json.load(file, parse_int=float)  # an int has no -0
    with open(os.path.join(folder, name + ".ndjson"), encoding="utf-8") as file:
        lines = [json.loads(line, parse_int=float) for line in file]
    for kind, rows in (("json", whole), ("ndjson", lines)):
        out = []
        for r in rows:
            tags = dict(r["tags"])
            if r["source"] is not None:
                tags["source"] = r["source"]
            out.append((r.get("metric", ONE), parse_ns(r["timestamp"]), float(r["value"]), tags))
        check(f"python {name}.{kind}", several, out, bits, plain=True)


print(f"pyarrow {pa.__version__}, duckdb {duckdb.__version__}, {len(SOURCE)} rows")
for name, several in (("one", False), ("several", True)):
    check_parquet(name, several)
    check_arrow(name, several)
    check_csv(name, several)
    check_json(name, several)
sys.exit(1 if failures else 0)

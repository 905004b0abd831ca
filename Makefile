# Everything here needs Go and nothing else, unless it says so.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Packages in which goroutines meet: tested under the race detector where a C compiler is there for it. The engine is
# tested once more without it, with all cases of its random tests: engine/race_test.go.
CONCURRENT := ./analysis/... ./cmd/... ./engine/... ./flopynet/... ./httpapi/... ./index/... ./internal/alert/... ./internal/export/... ./internal/head/... ./internal/ingest/... ./internal/lineproto/... ./internal/rawcache/... ./internal/remotewrite/... ./internal/telemetry/... ./internal/testbed/... ./pipeline/... ./wal/...

# The assertions of the engine's invariants are compiled into tests only.
TESTFLAGS := -count=1 -timeout 40m -tags invariants

FUZZTIME ?= 20s

# The linter is built by Go itself at this version; the first run takes a minute or two.
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.DEFAULT_GOAL := build
.PHONY: build run demo test lint bench bench-peers bench-smoke bench-tsdb bench-time check-dashboard check-export check-influx check-remote-write fuzz clean

# A static binary.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/collector ./cmd/collector

# The server on 127.0.0.1:8000 with its data in ./data; make run ARGS='--log-level=debug' adds flags.
run: build
	./bin/collector serve $(ARGS)

# The server with a simulated testbed, its data in ./demo-data; make demo ARGS='--rounds=20 --round-every=1s' adds flags.
demo: build
	./bin/collector demo $(ARGS)

test:
	CGO_ENABLED=0 $(GO) vet -tags invariants ./...
	@set -u; failed=0; \
	try() { echo "$$@"; env "$$@" || failed=1; }; \
	concurrent=$$($(GO) list $(CONCURRENT)); \
	others=$$($(GO) list ./... | grep -vxF "$$concurrent"); \
	try CGO_ENABLED=0 $(GO) test $(TESTFLAGS) $$others; \
	if printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | $$($(GO) env CC) -x c -o /dev/null - 2>/dev/null; then \
		try CGO_ENABLED=1 $(GO) test -race $(TESTFLAGS) $$concurrent; \
		try CGO_ENABLED=0 $(GO) test $(TESTFLAGS) ./engine; \
	else \
		echo 'No working C compiler: the concurrent packages are tested without the race detector.'; \
		try CGO_ENABLED=0 $(GO) test $(TESTFLAGS) $$concurrent; \
	fi; \
	exit $$failed

lint:
	$(GO) run $(GOLANGCI) run ./...

bench:
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m $$($(GO) list ./... | grep -v /bench/time)

# Has a change cost us our lead over prometheus/tsdb, or bytes, or allocations? Ratios of CPU time, and counts; see docs/decisions/0024.
bench-smoke:
	cd bench/tsdb && CGO_ENABLED=0 $(GO) test -count=1 -v -timeout 10m .

# Beside prometheus/tsdb, in one process and one run. A module of its own, with some 90 dependencies.
bench-tsdb:
	cd bench/tsdb && $(GO) test -run '^$$' -bench . -benchtime 2s -count 3 -timeout 60m

# The sender that is in Prometheus 3 writes to a collector by remote write 2.0. A module of its own; minutes to build.
check-remote-write:
	cd bench/remotewrite && CHECK_REMOTE_WRITE=1 $(GO) test -count=1 -v -timeout 10m .

# Beside VictoriaMetrics, Prometheus and InfluxDB, as far as bench/setup.sh has installed them: a quarter of an hour.
# make bench-peers ARGS='--quick --peers=none' adds flags.
bench-peers: build
	./bin/collector bench --out=bench $(ARGS)

# A year of 100 series, and ten days of 100,000 new series each: some ten minutes and 3 GB of disk. Settings are in bench/time/doc.go.
bench-time:
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 60m ./bench/time

# Exports read by pyarrow and DuckDB, which are fetched, and compared with what was stored; then the memory that 10 million rows take.
check-export:
	python3 -m venv bench/out/readback
	bench/out/readback/bin/pip install --quiet --disable-pip-version-check -r cmd/collector/testdata/requirements.txt
	COLLECTOR_READBACK_PYTHON=$(CURDIR)/bench/out/readback/bin/python COLLECTOR_EXPORT_ROWS=10000000 \
		$(GO) test -count=1 -run 'TestExportReadBack|TestExportMemory' -v -timeout 30m ./cmd/collector

# Writes by InfluxDB's own clients for Python, which are fetched.
check-influx:
	python3 -m venv bench/out/influx
	bench/out/influx/bin/pip install --quiet --disable-pip-version-check -r httpapi/testdata/influx-clients.txt
	COLLECTOR_INFLUX_PYTHON=$(CURDIR)/bench/out/influx/bin/python $(GO) test -count=1 -run TestInfluxPythonClients -v ./httpapi

# The backend of FLOPY-NET's own dashboard judges the collector's answers. FLOPYNET is a checkout of FLOPY-NET; what the backend
# needs is fetched.
check-dashboard:
	@test -f "$(FLOPYNET)/dashboard/backend/app/main.py" || { echo 'make check-dashboard FLOPYNET=folder: a checkout of https://github.com/abdulmeLINK/flopy-net'; exit 2; }
	python3 -m venv bench/out/dashboard
	bench/out/dashboard/bin/pip install --quiet --disable-pip-version-check -r cmd/collector/testdata/dashboard-requirements.txt
	COLLECTOR_DASHBOARD_PYTHON=$(CURDIR)/bench/out/dashboard/bin/python COLLECTOR_FLOPYNET=$(abspath $(FLOPYNET)) \
		$(GO) test -count=1 -run TestDashboard -v ./cmd/collector

# Each fuzz target for FUZZTIME.
fuzz:
	@set -eu; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

# The data directory stays.
clean:
	rm -rf bin bench/out

#!/bin/sh
# Installs the peers that collector bench compares with, from Debian or what derives from it. Whatever can't be
# installed is named, and the comparison leaves it out.
set -u

if ! command -v apt-get >/dev/null 2>&1; then
	echo "There is no apt-get here. Install VictoriaMetrics, Prometheus and InfluxDB 1.x in another way, so that" >&2
	echo "victoria-metrics, prometheus and influxd are found in PATH; those that aren't are left out." >&2
	exit 1
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
	as_root=sudo
fi

missing=0
for pair in victoria-metrics:victoria-metrics prometheus:prometheus influxdb:influxd; do
	package=${pair%%:*}
	program=${pair##*:}
	if command -v "$program" >/dev/null 2>&1 || [ -x "/usr/sbin/$program" ]; then
		echo "$program is there"
		continue
	fi
	# The services needn't run: the comparison starts programs of its own. policy-rc.d would keep them from starting;
	# stopping them afterwards does without changing the machine's policy.
	if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$package"; then
		echo "missing: $program; apt-get could not install $package (apt-get update may help)" >&2
		missing=1
		continue
	fi
	if command -v systemctl >/dev/null 2>&1; then
		$as_root systemctl disable --now "$package" >/dev/null 2>&1 || true
	fi
done
exit $missing

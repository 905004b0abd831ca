# Makes nab.csv.gz of some series of the Numenta Anomaly Benchmark (MIT licence, see nab.LICENSE), which is at
# https://github.com/numenta/NAB; the commit used is ea702d75cc2258d9d7dd35ca8e5e2539d71f3140.
#
#   python nab.py path/to/NAB
#
# Times are seconds since the series' start; label is 1 inside one of the benchmark's windows.

import csv
import gzip
import json
import os
import sys
from datetime import datetime

HERE = os.path.dirname(os.path.abspath(__file__))
SERIES = [
    "artificialNoAnomaly/art_daily_small_noise",
    "artificialNoAnomaly/art_flatline",
    "artificialNoAnomaly/art_noisy",
    "artificialWithAnomaly/art_daily_flatmiddle",
    "artificialWithAnomaly/art_daily_jumpsup",
    "artificialWithAnomaly/art_daily_nojump",
    "artificialWithAnomaly/art_load_balancer_spikes",
    "realAWSCloudwatch/ec2_cpu_utilization_825cc2",
    "realAWSCloudwatch/ec2_cpu_utilization_fe7f93",
    "realAWSCloudwatch/ec2_network_in_257a54",
    "realAWSCloudwatch/rds_cpu_utilization_cc0c53",
    "realKnownCause/ec2_request_latency_system_failure",
    "realKnownCause/nyc_taxi",
    "realTraffic/occupancy_6005",
    "realTraffic/speed_7578",
]


def time_of(text):
    return datetime.fromisoformat(text.split(".")[0])


def main(root):
    with open(os.path.join(root, "labels", "combined_windows.json")) as file:
        all_windows = json.load(file)
    raw = open(os.path.join(HERE, "nab.csv.gz"), "wb")
    with gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(b"series,value,label,time\n")
        for name in SERIES:
            windows = [(time_of(a), time_of(b)) for a, b in all_windows[name + ".csv"]]
            with open(os.path.join(root, "data", name + ".csv")) as file:
                rows = [(time_of(t), float(v)) for t, v in list(csv.reader(file))[1:]]
            for when, value in rows:
                label = int(any(a <= when <= b for a, b in windows))
                seconds = int((when - rows[0][0]).total_seconds())
                packed.write(b"%s,%.6g,%d,%d\n" % (os.path.basename(name).encode(), value, label, seconds))
    raw.close()


main(sys.argv[1])

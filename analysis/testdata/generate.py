# Makes the data that the isolation forest is compared on, and scikit-learn's figures for it.
#
#   python -m venv venv && venv/bin/pip install numpy==2.4.6 scikit-learn==1.9.1
#   venv/bin/python generate.py plant                          writes planted.csv.gz
#   COLLECTOR_SIGNALS=/tmp/signals.csv go test -run TestWriteSignals ./analysis
#   venv/bin/python generate.py compare /tmp/signals.csv       writes scikit.json
#
# The forests get the same features: those that the Go code computes. scikit.json holds the sums of the
# features that it was made from, by which the test knows that it still computes the same.

import csv
import gzip
import json
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
POINTS = 1500
FORESTS = 10  # scikit-learn's seeds 0..9


def noise(rng):
    return 50 + rng.normal(0, 1, POINTS), 1.0


def cycle(rng):
    return 50 + 10 * np.sin(2 * np.pi * np.arange(POINTS) / 144) + rng.normal(0, 0.5, POINTS), 0.5


def working_day(rng):
    phase = 2 * np.pi * np.arange(POINTS) / 96
    shape = 8 * np.sin(phase) + 4 * np.cos(2 * phase)
    return 40 + shape + 0.004 * np.arange(POINTS) + rng.normal(0, 0.6, POINTS), 0.6


def wandering(rng):
    x = np.zeros(POINTS)
    for i in range(1, POINTS):
        x[i] = 0.97 * x[i - 1] + rng.normal(0, 0.3)
    return 60 + x + rng.normal(0, 0.5, POINTS), 0.6


def spikes(rng, x, sigma, labels):
    for i in rng.choice(np.arange(20, POINTS - 20), 12, replace=False):
        x[i] += rng.choice([-1, 1]) * sigma * rng.uniform(4, 12)
        labels[i] = 1


def shifts(rng, x, sigma, labels):
    for i in rng.choice(np.arange(150, POINTS - 60, 80), 2, replace=False):
        i += rng.integers(0, 30)
        length = rng.integers(15, 35)
        x[i:i + length] += rng.choice([-1, 1]) * sigma * rng.uniform(4, 9)
        labels[i:i + length] = 1


def moments(rng, x, sigma, labels):
    """Values that the series has elsewhere, where they are wrong."""
    low, high = np.quantile(x, [0.02, 0.98])
    planted = 0
    while planted < 12:
        i = rng.integers(20, POINTS - 20)
        value = rng.uniform(low, high)
        if abs(value - x[i]) > 5 * sigma and not labels[i - 3:i + 4].any():
            x[i] = value
            labels[i] = 1
            planted += 1


def step(rng, x, sigma, labels):
    """A level that stays; what is wrong is its beginning."""
    i = rng.integers(POINTS // 3, 2 * POINTS // 3)
    x[i:] += rng.choice([-1, 1]) * sigma * rng.uniform(6, 10)
    labels[i:i + 25] = 1


# Noise has no moments at which a usual value is wrong.
PLANTED = [
    ("noise", noise, [spikes]),
    ("noise", noise, [shifts]),
    ("noise", noise, [spikes, shifts]),
    ("cycle", cycle, [spikes]),
    ("cycle", cycle, [shifts]),
    ("cycle", cycle, [moments]),
    ("cycle", cycle, [spikes, shifts, moments]),
    ("working_day", working_day, [shifts]),
    ("working_day", working_day, [moments]),
    ("working_day", working_day, [spikes, shifts, moments]),
    ("wandering", wandering, [spikes, shifts]),
    ("wandering", wandering, [spikes, shifts]),
    ("noise", noise, [step]),
    ("cycle", cycle, [spikes, step]),
]


def plant():
    rng = np.random.default_rng(2008)
    raw = open(os.path.join(HERE, "planted.csv.gz"), "wb")
    with gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(b"series,value,label\n")
        for number, (name, base, planters) in enumerate(PLANTED):
            x, sigma = base(rng)
            labels = np.zeros(POINTS, int)
            for planter in planters:
                planter(rng, x, sigma, labels)
            title = "%d_%s_%s" % (number, name, "_".join(p.__name__ for p in planters))
            for value, label in zip(x, labels):
                packed.write(b"%s,%.3f,%d\n" % (title.encode(), value, label))
    raw.close()


def compare(path):
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import roc_auc_score

    series = {}
    with open(path) as file:
        for row in csv.reader(file):
            series.setdefault(row[0], []).append([float(x) for x in row[1:]])
    out = {}
    for name, rows in series.items():
        table = np.array(rows)
        features, labels = table[:, :-1], table[:, -1]
        auc = []
        for seed in range(FORESTS):
            forest = IsolationForest(n_estimators=100, max_samples=256, random_state=seed).fit(features)
            auc.append(roc_auc_score(labels, -forest.score_samples(features)))
        out[name] = {
            "auc": [round(a, 6) for a in auc],
            "sums": [float(s) for s in features.sum(0)],
            "squares": [float(s) for s in (features**2).sum(0)],
        }
        print("%-40s mean %.4f best %.4f" % (name, np.mean(auc), np.max(auc)))
    with open(os.path.join(HERE, "scikit.json"), "w") as file:
        json.dump(out, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    {"plant": plant, "compare": compare}[sys.argv[1]](*sys.argv[2:])

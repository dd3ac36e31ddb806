"""Does choosing what to measure help? Compares agents with random choice on five tables.

    python benchmarks/suggesting.py --data_folder ../datasets --out suggesting.csv

Starts with 100 labelled rows and a pool of 1,500. In each of five rounds an agent chooses 20 rows, with the
model that `suggest.py` picks. After each round two models that you might use, extremely randomised trees and
a Gaussian process, are fitted to the labelled rows. Their MAE on 1,000 new rows is in standard deviations of
the target (of its logarithm on the heavy-tailed table). `coverage` is the share of the new rows inside the
90 % intervals of the first round. The summary, with 95 % intervals over seeds, and `--picture` use everything
in the output table.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from measure import digits, make_parser, write_table
from scipy import stats
from sklearn.ensemble import ExtraTreesRegressor

from agents import AGENTS
from core import Seeds
from core.cli import at_least, run_script, set_threads
from core.data.frames import read_frame
from core.dataset import RangeScaler
from core.models.gp import GaussianProcess
from core.suggestion.model import choose, fit, quantiles, variations
from core.suggestion.tables import Problem, make_problem
from datasets import DATASETS

LABELLED, POOL, FRESH = 100, 1500, 1000
ROUNDS, COUNT = 5, 20
USUAL = ("random", "gsx", "igs", "lcmd", "coreset", "typiclust", "qbc", "balsa_kl_pairs")
COLUMNS = ("table", "seed", "agent", "labels", "forest", "gp", "coverage")


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, "suggesting.csv")
    parser.add("data_folder", Path("../datasets"), "where diamonds and pakinsons lie", type=Path)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--agents", nargs="+", choices=AGENTS.classes, default=list(USUAL))
    parser.add("seeds", 10, "seeds, from 1 on", type=at_least(1))
    parser.add("picture", None, "draw what is in the table", type=Path)
    return parser.parse_args()


def real(name: str) -> Callable[[np.random.Generator, Path], pd.DataFrame]:
    def table(rng: np.random.Generator, data_folder: Path) -> pd.DataFrame:
        loaded = _loaded(name, data_folder)
        return loaded.iloc[rng.permutation(len(loaded))[: LABELLED + POOL + FRESH]].reset_index(drop=True)

    return table


@cache
def _loaded(name: str, data_folder: Path) -> pd.DataFrame:
    table = DATASETS[name].load(data_folder)
    return pd.DataFrame(table.x, columns=DATASETS[name].feature_names()).assign(y=table.y)


def airfoil(rng: np.random.Generator, _: Path) -> pd.DataFrame:
    """Sound level of an airfoil, much simplified: few settings, each repeated, and one free variable."""
    n = LABELLED + POOL + FRESH
    frame = pd.DataFrame(
        {
            "frequency": rng.choice([200, 400, 800, 1600, 3150, 6300], n),
            "angle": rng.choice(np.linspace(0, 22, 12), n),
            "chord": rng.choice([0.03, 0.05, 0.1, 0.2, 0.3], n),
            "velocity": rng.choice([31.7, 39.6, 55.5, 71.3], n),
            "thickness": np.abs(rng.normal(0.011, 0.013, n)),
        }
    )
    peak = np.log(frame["frequency"] * frame["chord"] / frame["velocity"])
    level = 126 - 4 * (peak + 1) ** 2 - 0.3 * frame["angle"] * np.tanh(peak) - 120 * frame["thickness"]
    return frame.assign(y=level + 50 * np.log10(frame["velocity"] / 71) + rng.normal(0, 2, n))


def categorical(rng: np.random.Generator, _: Path) -> pd.DataFrame:
    """Four categories of 3 to 12 levels whose effects interact, and two numbers."""
    n, levels = LABELLED + POOL + FRESH, (8, 5, 12, 3)
    drawn = [rng.integers(0, count, n) for count in levels]
    a, b, c, d = (np.random.default_rng(7 + i).normal(size=count)[drawn[i]] for i, count in enumerate(levels))
    u, v = rng.uniform(0, 1, (2, n))
    y = a + b * (1 + u) + 0.5 * c * d + np.sin(4 * v) + rng.normal(0, 0.3, n)
    names = {f"kind_{i}": [f"level {level}" for level in column] for i, column in enumerate(drawn)}
    return pd.DataFrame({**names, "u": u, "v": v, "y": y})


def heavy(rng: np.random.Generator, _: Path) -> pd.DataFrame:
    """A positive target over four orders of magnitude, with noise that depends on a feature."""
    x = rng.uniform(0, 1, (LABELLED + POOL + FRESH, 6))
    noise = 0.5 * rng.normal(size=len(x)) * (0.5 + x[:, 3])
    y = np.exp(1 + 2 * np.sin(3 * x[:, 0]) + 1.5 * x[:, 1] * x[:, 2] + noise)
    return pd.DataFrame(x, columns=list("abcdef")).assign(y=y)


TABLES = {
    "diamonds": real("diamonds"),
    "pakinsons": real("pakinsons"),
    "airfoil-like": airfoil,
    "categorical": categorical,
    "heavy-tailed": heavy,
}


@cache
def prepared(table: str, seed: int, data_folder: Path) -> tuple[Problem, np.ndarray, np.ndarray]:
    """As suggest.py reads it, with fresh rows in the pool: features [rows, d], targets [rows]."""
    frame = TABLES[table](np.random.default_rng(seed), data_folder)
    with tempfile.TemporaryDirectory() as folder:
        parts = Path(folder, "labelled.csv"), Path(folder, "others.csv")
        frame[:LABELLED].to_csv(parts[0], index=False)
        frame[LABELLED:].drop(columns="y").to_csv(parts[1], index=False)
        problem = make_problem(*map(read_frame, parts), "y")
    kept = np.concatenate([np.arange(LABELLED), LABELLED + problem.rows])
    return problem, np.concatenate([problem.x, problem.pool]), frame["y"].to_numpy()[kept]


def errors(table: str, x: np.ndarray, y: np.ndarray, labelled: list[int]) -> list[float]:
    """MAE on the fresh rows of trees and of a Gaussian process that know the labelled ones."""
    y = np.log(y) if table == "heavy-tailed" else y
    y = (y - y.mean()) / y.std()
    x, fresh = x.astype(np.float64), slice(LABELLED + POOL, None)
    trees = ExtraTreesRegressor(200, random_state=1).fit(x[labelled], y[labelled])
    process = GaussianProcess(1)
    process.fit(x[labelled], y[labelled])
    means = trees.predict(x[fresh]), process(torch.from_numpy(x[fresh])).mean.numpy()
    return [float(np.abs(mean - y[fresh]).mean()) for mean in means]


def rounds(table: str, seed: int, agent: str, data_folder: Path) -> Iterator[list[object]]:
    """A line of the table before each round, and after the last one."""
    begun, x, y = prepared(table, seed, data_folder)
    labelled, pool = list(range(LABELLED)), np.arange(LABELLED, LABELLED + POOL)
    seeds, tried = Seeds(1, seed, seed, seed), variations(agent, "auto", LABELLED)
    for added in range(0, ROUNDS * COUNT + 1, COUNT):
        coverage, y_labelled = "", y[labelled]
        if added < ROUNDS * COUNT:
            scaler = RangeScaler(y_labelled)
            scaled = scaler.transform(y_labelled).astype(np.float32)
            problem = replace(begun, x=x[labelled], y=scaled, pool=x[pool], rows=pool, scaler=scaler)
            if agent == "random" and added:
                chosen = np.random.default_rng([seed, added]).permutation(len(pool))[:COUNT]
            else:
                fitted = fit(problem, tried, seeds, torch.device("cpu"), agent)
                tried = [fitted.variation]  # later rounds keep the model of the first
                chosen, _ = choose(fitted, agent, COUNT, seeds)
            if not added:
                predicted = quantiles(fitted, x[LABELLED + POOL :])
                fresh = y[LABELLED + POOL :]
                held = predicted["low_90"].le(fresh) & predicted["high_90"].ge(fresh)
                coverage = digits(held.mean())
        yield [table, seed, agent, len(labelled), *map(digits, errors(table, x, y, labelled)), coverage]
        if added < ROUNDS * COUNT:
            labelled, pool = labelled + pool[chosen].tolist(), np.delete(pool, chosen)


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """Of each table and model the change of an agent's mean error to that of random rows, in per cent.

    Of the rounds after the first choice, over the seeds that both have; low and high: 95 %, Student.
    """
    after = found[found["labels"] > LABELLED].melt(
        ["table", "seed", "agent", "labels"], ["forest", "gp"], "model", "error"
    )
    means = after.groupby(["table", "model", "seed", "agent"])["error"].mean().unstack("agent")
    change = 100 * (means.div(means["random"], axis=0) - 1).drop(columns="random")
    groups = change.stack().groupby(["table", "model", "agent"])
    table = groups.agg(["mean", "sem", "count"])
    half = table["sem"] * stats.t.ppf(0.975, table["count"] - 1)
    return table.assign(low=table["mean"] - half, high=table["mean"] + half).drop(columns="sem")


def saved(found: pd.DataFrame) -> pd.Series:
    """Share of random's measurements that an agent saves: labels at which its mean error is random's last."""
    means = found.melt(["table", "seed", "agent", "labels"], ["forest", "gp"], "model", "error")
    means = means.groupby(["table", "model", "agent", "labels"])["error"].mean()
    last = LABELLED + ROUNDS * COUNT
    shares = {}
    for (table, model, agent), curve in means.groupby(["table", "model", "agent"]):
        curve = curve.droplevel([0, 1, 2]).cummin()
        wanted = means[table, model, "random", last]
        if agent != "random":
            needed = np.interp(-wanted, -curve.to_numpy(), curve.index, right=last)
            shares[table, model, agent] = (last - needed) / (last - LABELLED)
    return pd.Series(shares).rename_axis(["table", "model", "agent"])


def draw(table: pd.DataFrame, path: Path) -> None:
    """A panel for each table: the change of each agent's error, for both models."""
    import matplotlib.pyplot as plt

    names = list(table.index.unique("table"))
    agents = table["mean"].groupby("agent").mean().sort_values(ascending=False).index
    figure, axes = plt.subplots(1, len(names), figsize=(2.4 * len(names), 3.2), sharey=True)
    for axis, name in zip(np.atleast_1d(axes), names, strict=True):
        axis.axvline(0, color="0.4", linewidth=1)
        for model, colour, marker, shift in (("forest", "C0", "o", 0.12), ("gp", "C1", "s", -0.12)):
            part = table.loc[name, model].reindex(agents)
            place = np.arange(len(agents)) + shift
            span = [part["mean"] - part["low"], part["high"] - part["mean"]]
            axis.errorbar(part["mean"], place, xerr=span, fmt=marker, color=colour, markersize=4, label=model)
        axis.set_title(name, fontsize=10)
        axis.set_yticks(range(len(agents)), agents)
    figure.supxlabel(
        "change of the mean absolute error to random rows, per cent (left of 0: better)", fontsize=9
    )
    figure.legend(*axis.get_legend_handles_labels(), loc="upper right", ncols=2, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    figure.savefig(path, dpi=150)


def main() -> None:
    args = parse_arguments()
    set_threads(1)

    def measure(table: str, seed: str, agent: str) -> Iterator[list[object]]:
        return rounds(table, int(seed), agent, args.data_folder)

    cases = product(args.tables, map(str, range(1, args.seeds + 1)), args.agents)
    write_table(args.out, COLUMNS, cases, measure)
    found = pd.read_csv(args.out)
    if "random" not in found["agent"].array:
        return
    print(summary(found).round(1).to_string())
    print(saved(found).unstack("agent").round(2).to_string())
    print(found.groupby("table")["coverage"].agg(["mean", "count"]).round(3).to_string())
    if args.picture is not None:
        draw(summary(found), args.picture)


if __name__ == "__main__":
    run_script(main)

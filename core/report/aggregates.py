"""Agents over several tasks: runs averaged first, interquartile mean, probability of improvement.

Agarwal et al., *Deep Reinforcement Learning at the Edge of the Statistical Precipice*, 2021, arXiv
2108.13264. Intervals are of the percentile bootstrap, stratified: runs are drawn within each task. Their
package, rliable 1.2.0, does not run here: it wants arch < 8, which cannot be imported beside pandas 3; with
arch 8 its bootstrap raises a TypeError; and it draws from numpy's global generator, whatever it is given.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from .analysis import INTERVAL_RUNS, Blocks, blocks, paired, together
from .reader import EXPERIMENT, TASK

__all__ = [
    "Estimate",
    "common_runs",
    "estimate",
    "improvability",
    "interquartile_mean",
    "mean_difference",
    "paired_differences",
    "probability_of_improvement",
    "task_blocks",
]

RESAMPLES = 2_000
_CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A number and its 95 % interval; without one (NaN) if a task has fewer than `INTERVAL_RUNS` runs."""

    value: float
    low: float
    high: float


def task_blocks(areas: pd.DataFrame, metric: str) -> Blocks:
    """As `blocks`, but one block a task: of each agent the mean over the runs that all agents have there.

    Runs of one task share its test set, and are no independent blocks; tasks are.
    """
    found = blocks(areas, metric)
    return found._replace(table=found.table.groupby(level=TASK, observed=True).mean())


def common_runs(areas: pd.DataFrame) -> pd.DataFrame:
    """The rows of those runs that every agent of their task has: nobody's are of easier seeds.

    Agents without a run that the others have are left out (`together`).
    """
    parts = [areas.iloc[:0]]
    for _, of_task in areas.groupby([*TASK, "metric"], observed=True):
        there = of_task.groupby(["run", "agent"], observed=True).size().unstack("agent").notna()
        agents = together(there, np.zeros(len(there), int))
        runs = there.index[there[agents].all(axis=1)]
        parts.append(of_task[of_task["agent"].isin(agents) & of_task["run"].isin(runs)])
    return pd.concat(parts)


def paired_differences(
    areas: pd.DataFrame, metric: str, reference: str = "random", *, share: bool
) -> pd.DataFrame:
    """Areas less that of the reference's run of the same id, which has the same data and seed set.

    Args:
        share: divided by the mean of these runs of the reference in their task; of one that has diverged
            there are no shares.

    Returns:
        As `areas`, of this metric, without the reference and without runs that it lacks.
    """
    pairs = paired(areas, metric, reference)
    difference = pairs["area"] - pairs["reference"]
    if share:
        means = pairs.groupby(EXPERIMENT, observed=True)["reference"].transform("mean")
        difference /= means.where(np.isfinite(means))
    return pairs.drop(columns="reference").assign(metric=metric, area=difference).dropna()


def interquartile_mean(scores: pd.DataFrame) -> Estimate:
    """Mean of the middle half of all runs of an agent, of all tasks together; a task counts by its runs.

    Args:
        scores: of one agent and metric, as of `paired_differences`.
    """
    rng = np.random.default_rng(1)
    tasks = [of_task.to_numpy() for _, of_task in scores.groupby(TASK, observed=True)["area"]]
    drawn = [of_task[rng.integers(len(of_task), size=(RESAMPLES, len(of_task)))] for of_task in tasks]
    value = float(stats.trim_mean(np.concatenate(tasks), 0.25))
    return estimate(value, stats.trim_mean(np.concatenate(drawn, axis=1), 0.25, axis=1), min(map(len, tasks)))


def mean_difference(differences: pd.DataFrame) -> Estimate:
    """Mean of one agent's differences to random, each task counting alike, with Student's 95 % interval.

    Of few runs the bootstrap's interval is too narrow (`INTERVAL_RUNS`); this one is right where the
    differences of a task are about Normal. Several tasks: Welch, *The generalization of 'Student's' problem
    when several different population variances are involved*, 1947.

    Args:
        differences: the rows of `paired_differences` for one agent and metric.
    """
    tasks = [of_task.to_numpy() for _, of_task in differences.groupby(TASK, observed=True)["area"]]
    value = float(np.mean([of_task.mean() for of_task in tasks]))
    if min(map(len, tasks)) < INTERVAL_RUNS:
        return Estimate(value, np.nan, np.nan)
    parts = np.array([of_task.var(ddof=1) / len(of_task) for of_task in tasks])
    if not parts.any():
        return Estimate(value, value, value)
    freedom = parts.sum() ** 2 / sum(part**2 / (len(of) - 1) for part, of in zip(parts, tasks, strict=True))
    half = stats.t.ppf((1 + _CONFIDENCE) / 2, freedom) * np.sqrt(parts.sum()) / len(tasks)
    return Estimate(value, float(value - half), float(value + half))


def probability_of_improvement(areas: pd.DataFrame, agent: str, other: str) -> Estimate:
    """How probably a run of one agent has a lower area than a run of the other: mean over the tasks of both.

    P(X < Y) + P(X = Y) / 2 in each task, of all pairs of runs (Mann and Whitney's U): runs of the same id are
    not paired, as in the source, but only ids that both have count. NaN without any.

    Args:
        areas: of one metric.
    """
    rng = np.random.default_rng(1)
    values, drawn, runs = [], [], []
    pair = common_runs(areas[areas["agent"].isin([agent, other])])
    for _, of_task in pair.groupby(TASK, observed=True):
        if of_task["agent"].nunique() < 2:
            continue
        x, y = (of_task.loc[of_task["agent"] == name, "area"].to_numpy() for name in (agent, other))
        better = (x[:, None] < y) + 0.5 * (x[:, None] == y)
        values.append(better.mean())
        # How often each run is drawn says as much as the draws themselves.
        of_x, of_y = (rng.multinomial(len(z), np.full(len(z), 1 / len(z)), RESAMPLES) for z in (x, y))
        drawn.append(np.einsum("rx,xy,ry->r", of_x, better, of_y, optimize=True) / better.size)
        runs += [x, y]
    if not values:
        return Estimate(np.nan, np.nan, np.nan)
    return estimate(float(np.mean(values)), np.mean(drawn, axis=0), min(map(len, runs)))


def estimate(value: float, resampled: np.ndarray, runs: int) -> Estimate:
    """A number with the interval of its resamples; `runs` are those of the task with the fewest."""
    if runs < INTERVAL_RUNS:
        return Estimate(value, np.nan, np.nan)
    # Without interpolation, as a resampled value may be infinite where a run has diverged.
    low, high = np.quantile(resampled, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2], method="nearest")
    return Estimate(value, float(low), float(high))


def improvability(table: pd.DataFrame) -> pd.Series:
    """1 - best / own, mean over the tasks: by how much the best agent's area is below one's own.

    For metrics with a zero, MAE and CRPS, not for the NLL.

    Args:
        table: a row a task, as of `task_blocks`.
    """
    return (1 - (1 / table).mul(table.min(axis=1), axis=0)).mean()

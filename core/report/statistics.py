"""What the results say: means, ranks and tests, differences to `random`, labels needed.

`curves` and `areas` are tables of `load.Results`; lower is better. An interval is a 95 % confidence interval,
Student's or Welch's.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from ..metrics import METRICS
from .store import EXPERIMENT, TASK

#: Of fewer runs no interval is given or drawn: it would be too wide to say anything.
INTERVAL_RUNS = 5


def mean_curves(curves: pd.DataFrame, apart: Sequence[str] = ()) -> pd.DataFrame:
    """The mean over the runs of each agent, with Student's interval.

    Args:
        curves: of one task, and of one metric unless that is in `apart`.
        apart: columns; measurements that differ in them are not averaged.

    Returns:
        `mean`, `half` (the interval's half width, NaN for fewer than `INTERVAL_RUNS` runs) and `runs` by
        `apart`, `agent` and `labelled`.
    """
    named = curves.astype({"agent": str})  # pandas does not find all agents in an index of categories
    return _means(named.groupby([*apart, "agent", "labelled"], observed=True)["value"])


def last_rounds(curves: pd.DataFrame) -> pd.DataFrame:
    """Whether labelling still helps: the change over the last five rounds, or over all where there are fewer,
    run by run, with Student's interval.

    Args:
        curves: of one metric.

    Returns:
        A row an experiment: number of `runs`, mean change `mean`, `low`, `high` (NaN for fewer than
        `INTERVAL_RUNS` runs), and `seen`: 'gain', 'loss', 'no change seen', or nothing without an interval.
    """
    by = [*EXPERIMENT, "run"]
    last_six = curves.sort_values("labelled").groupby(by, observed=True).tail(6)
    runs = last_six.groupby(by, observed=True)["value"]
    table = _means((runs.last() - runs.first()).groupby(EXPERIMENT, observed=True))
    low, high = table["mean"] - table["half"], table["mean"] + table["half"]
    words = {"better": "gain", "worse": "loss", "same": "no change seen", "few": ""}
    return table[["runs", "mean"]].assign(low=low, high=high, seen=verdicts(low, high).map(words))


def verdicts(low: pd.Series, high: pd.Series, level: float = 0.0) -> pd.Series:
    """Of intervals: 'better' below a level, 'worse' above it, 'same' around it, 'few' where there is none."""
    cases = {"few": low.isna(), "better": high < level, "worse": low > level}
    return pd.Series(np.select([*cases.values()], [*cases], "same"), low.index)


def _student(freedom: Any) -> Any:
    """Half the 95 % interval's width in standard errors."""
    return stdtrit(freedom, 0.975)  # scipy.stats.t.ppf, without the second to import that


def _means(values: Any) -> pd.DataFrame:
    """Of grouped values `mean`, `half` of Student's interval and the number of `runs`."""
    table = values.agg(["mean", "sem", "count"]).rename(columns={"count": "runs"})
    factor = _student((table["runs"] - 1).clip(lower=1))
    return table.assign(half=(factor * table.pop("sem")).where(table["runs"] >= INTERVAL_RUNS))


class Blocks(NamedTuple):
    """Areas of one metric that can be ranked.

    Attributes:
        table: a row for each block (`TASK`, `run`), a column for each agent, no gaps.
        left_out: agents without a run in a task in which several others have some, or without one that these
            have too.
        incomplete: blocks left out because an agent lacks that run.
    """

    table: pd.DataFrame
    left_out: list[str]
    incomplete: int


def blocks(areas: pd.DataFrame, metric: str) -> Blocks:
    """The blocks in which every agent has a run, but for those left out (docs/METHOD.md, section 4).

    Agents are taken greedily, those with the most shared runs first, as long as they have a run in common in
    every task: one with other run ids than all the others leaves out itself, not everybody. Of two whose runs
    as many others have, `random` comes first, then that with more runs.
    """
    of_metric = areas[areas["metric"] == metric]
    tried_by = of_metric.groupby(TASK, observed=True)["agent"].transform("nunique")  # one alone has no rank
    table = of_metric[tried_by > 1].set_index([*TASK, "run", "agent"])["area"].unstack("agent")
    there = table.notna()
    there = there.loc[:, there.groupby(level=TASK, observed=True).any().all()]
    runs = there.sum()
    shared = there.sum(axis=1) @ there / runs.clip(lower=1)
    kept: list[str] = []
    common = np.ones(len(there), bool)
    tasks = there.index.droplevel("run").factorize()[0]
    for agent in sorted(there, key=lambda one: (shared[one], one == "random", runs[one]), reverse=True):
        both = common & there[agent].to_numpy()
        if set(tasks[both]) == set(tasks):
            kept, common = [*kept, agent], both
    ranked = [agent for agent in table if agent in kept]
    complete = table.loc[common, ranked] if len(kept) > 1 else table.iloc[:0, :0]
    left_out = [str(agent) for agent in table if agent not in complete]
    return Blocks(complete, left_out, len(table) - len(complete))


def p_values(table: pd.DataFrame) -> pd.DataFrame:
    """Of each pair of agents, Wilcoxon's signed-rank test (zero_method `pratt`) with Holm's correction.

    Demšar, *Statistical Comparisons of Classifiers over Multiple Data Sets*, 2006; Benavoli,
    Corani, Mangili, *Should We Really Use Post-Hoc Tests Based on Mean-Ranks?*, 2016.

    Args:
        table: of `Blocks`, with at least two agents and one block.

    Returns:
        A row and a column an agent; 1 on the diagonal.
    """
    from scikit_posthocs import posthoc_wilcoxon  # importing it takes two seconds

    if len(table) < 2:  # with one block nothing differs, and scipy refuses a tie
        return pd.DataFrame(1.0, list(table), list(table))
    long = table.melt(var_name="agent", value_name="area")
    with np.errstate(invalid="ignore"):
        found = posthoc_wilcoxon(long, "area", "agent", zero_method="pratt", p_adjust="holm")
    # Two agents that always choose alike: scipy divides zero by zero, which Holm counts as the highest p.
    areas = table.to_numpy()
    return found.mask((areas[:, :, None] == areas[:, None, :]).all(axis=0), 1.0)


def versus(
    areas: pd.DataFrame, apart: Sequence[str] = (), reference: str = "random", *, share: bool = False
) -> pd.DataFrame:
    """How far each agent's areas are from those of the reference's runs of the same ids, which have the same
    data and seed set: means over tasks, which count alike, with Student's interval.

    Of few runs the bootstrap's interval would be too narrow (`INTERVAL_RUNS`); Student's is right where the
    differences of a task are about Normal. Several tasks: Welch, *The generalization of 'Student's' problem
    when several different population variances are involved*, 1947.

    Args:
        apart: columns of `TASK`; tasks that differ in them are not averaged.
        share: in shares of the reference's mean area in the task; metrics that may be negative have none.

    Returns:
        Best first, of each agent with runs in common with the reference in all tasks in which any has some:
        `apart`, `metric`, `agent`, mean difference `value`, `low`, `high` (NaN if a task has fewer than
        `INTERVAL_RUNS` runs), the number of runs `won`, `tied` and `lost`, and the `verdict`: better, worse,
        same, few or diverged.
    """
    counts: dict[str, Any] = {name: (name, "sum") for name in ("won", "tied", "lost")}
    parts = _pairs(areas, reference, share).groupby([*TASK, "metric", "agent"], observed=True, as_index=False)
    parts = parts.agg(mean=("less", "mean"), var=("less", "var"), runs=("less", "size"), **counts)
    parts["error"] = parts["var"] / parts["runs"]  # squared, of the mean
    parts["freedom"] = parts["error"] ** 2 / (parts["runs"] - 1)
    parts["task"] = parts.groupby(TASK, observed=True).ngroup()
    parts["tasks"] = parts.groupby([*apart, "metric"], observed=True)["task"].transform("nunique")
    found = parts.groupby([*apart, "metric", "agent"], observed=True).agg(
        value=("mean", "mean"), runs=("runs", "min"), error=("error", "sum"), freedom=("freedom", "sum"),
        here=("task", "size"), tasks=("tasks", "first"), **counts,
    )  # fmt: skip
    found = found[found.pop("here") == found["tasks"]]
    freedom = found["error"] ** 2 / found.pop("freedom")
    half = _student(freedom) * found["error"] ** 0.5 / found.pop("tasks")
    finite = np.isfinite(found["value"])
    half = half.mask(found.pop("error") == 0, 0.0).where(finite & (found.pop("runs") >= INTERVAL_RUNS))
    low, high = found["value"] - half, found["value"] + half
    found = found.assign(low=low, high=high, verdict=verdicts(low, high).where(finite, "diverged"))
    return found.sort_values("value", kind="stable").reset_index()


def _pairs(areas: pd.DataFrame, reference: str, share: bool) -> pd.DataFrame:
    """The other agents' areas `less` those of the reference's runs of the same ids, and which are lower."""
    others = areas[areas["agent"] == reference].drop(columns="agent").rename(columns={"area": "other"})
    pairs = areas[areas["agent"] != reference].merge(others, on=[*TASK, "run", "metric"])
    pairs = pairs.astype({"agent": str, "metric": str, "area": float, "other": float})
    less = pairs["area"] - pairs["other"]
    pairs = pairs.assign(won=less < 0, tied=less == 0, lost=less > 0, less=less)
    if share:
        means = pairs.groupby([*EXPERIMENT, "metric"], observed=True)["other"].transform("mean")
        signed = pairs["metric"].isin([name for name, metric in METRICS.items() if metric.signed])
        pairs["less"] /= means.where(np.isfinite(means)).mask(signed, 1.0)
    return pairs.dropna(subset="less")  # both have diverged


def labels_needed(curves: pd.DataFrame, apart: Sequence[str] = ()) -> pd.DataFrame:
    """The share of all labels with which each agent is as good as `random` is with all of them.

    The mean curve, over the runs that both have, is interpolated linearly. Seed sets count as labels.

    Args:
        apart: columns of `TASK`; tasks that differ in them are not averaged.

    Returns:
        Fewest first, of each agent that has runs in common with `random` in all these tasks: `apart`,
        `metric`, `agent`, the mean over the tasks `value`, its interval `low`, `high`, and `labels`,
        all there are. inf where it is never enough; NaN for the interval of fewer than `INTERVAL_RUNS` runs,
        and where `random` ends no better than it began.

        The interval of one task holds the numbers of labels at which Student's interval of the difference to
        what the run of `random` of the same id ends with holds 0; it begins and ends where one of the ends of
        Student's interval first reaches 0. Over several tasks the intervals are combined as those of
        independent estimates (Zou & Donner, *Construction of confidence limits about effect measures*, 2008).
    """
    tasks: Counter[tuple[Any, ...]] = Counter()
    found: dict[tuple[Any, ...], list[tuple[np.ndarray, int, float]]] = {}
    for key, of_task in curves.groupby([*TASK, "metric"], observed=True):
        group = (*(key[TASK.index(name)] for name in apart), key[-1])
        tasks[group] += 1
        wide = of_task.pivot(index=["agent", "run"], columns="labelled", values="value")
        if "random" in wide.index.unique("agent"):
            random, labelled = wide.loc["random"], wide.columns.to_numpy(float)
            both = wide[wide.index.isin(random.index, level="run")]
            values, others = both.to_numpy(), random.loc[both.index.get_level_values("run")].to_numpy()
            for agent, rows in both.groupby(level="agent", observed=True).indices.items():
                shares = _shares_needed(values[rows], others[rows], labelled)
                line = (shares, int(labelled[-1]), float(values[rows].mean()))
                found.setdefault((*group, agent), []).append(line)
    lines = []
    for key, parts in found.items():
        if len(parts) == tasks[key[:-1]]:
            shares, labels, area = zip(*parts, strict=True)
            values, lows, highs = np.transpose(shares)
            value, low, high = values.mean(), lows.mean(), highs.mean()
            if np.isfinite(value):  # else the mean of the lower ends is low enough
                low = value - np.linalg.norm(values - lows) / len(parts)
                high = value + np.linalg.norm(highs - values) / len(parts)
            lines.append((*key, value, low, high, max(labels), np.mean(area)))
    names = [*apart, "metric", "agent", "value", "low", "high", "labels", "area"]
    return pd.DataFrame(lines, columns=names).sort_values(["value", "area"]).drop(columns="area")


def _shares_needed(agent: np.ndarray, random: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """The share of labels needed in one task, and both ends of its interval [3].

    Args:
        agent, random: the values of their B common runs after each number of labels, [B, L].
        labelled: these numbers [L].
    """
    # The last measurement is that with all labels, which both have.
    if not random[:, -1].mean() < random[:, 0].mean():
        return np.full(3, np.nan)
    runs, half = len(agent), np.zeros(len(labelled))
    with np.errstate(divide="ignore", invalid="ignore"):  # where a run has diverged
        less = agent - random[:, -1:]
        if runs >= INTERVAL_RUNS:
            half = _student(runs - 1) * less.std(0, ddof=1) / runs**0.5
        curves = less.mean(0) + np.stack([0 * half, -half, half])
        # Where these three first are as low as 0; inf where never.
        there = curves <= 0
        row, first = np.arange(3), there.argmax(axis=1)
        before = np.maximum(first - 1, 0)
        fall = curves[row, before] - curves[row, first]
        beyond = np.where(first > 0, -curves[row, first] / fall, 0)
    reached = labelled[first] - beyond * (labelled[first] - labelled[before])
    shares = np.where(there.any(axis=1), reached, np.inf) / labelled[-1]
    shares[1:] = np.where(runs >= INTERVAL_RUNS, shares[1:], np.nan)
    return shares

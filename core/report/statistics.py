"""What the results say: ranks and tests, differences to `random`, agents over several tasks, labels needed.

`areas` are tables of `load.areas`, `curves` those of `load.Results`; lower is better. An interval is a 95 %
confidence interval; bootstraps draw from a fixed seed.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import scikit_posthocs
from scipy import stats

from .load import EXPERIMENT, TASK, groups

#: Of fewer runs no interval is given or drawn: it would be far too narrow. Of three Normal values the
#: bootstrap's 95 % interval holds the mean in 76 of 100 cases, of five in 82, of ten in 90, of thirty in 94.
INTERVAL_RUNS = 5
CONFIDENCE = 0.95
_RESAMPLES = 1_000


def mean_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """The mean over the runs of each agent, and half the width of Student's interval.

    Args:
        curves: of one task and metric.

    Returns:
        `mean` and `half` (NaN for fewer than `INTERVAL_RUNS` runs) by `agent` and `labelled`.
    """
    names = curves["agent"].astype(str)  # pandas does not find all agents in an index of categories
    table = curves.groupby([names, "labelled"])["value"].agg(["mean", "sem", "count"])
    factor = stats.t.ppf((1 + CONFIDENCE) / 2, (table["count"] - 1).clip(lower=1))
    half = (factor * table["sem"]).where(table["count"] >= INTERVAL_RUNS)
    return table[["mean"]].assign(half=half)


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
    """The blocks in which every agent has a run, but for those left out (docs/METHOD.md, section 4)."""
    of_metric = areas[areas["metric"] == metric]
    tried_by = of_metric.groupby(TASK, observed=True)["agent"].transform("nunique")  # one alone has no rank
    table = of_metric[tried_by > 1].set_index([*TASK, "run", "agent"])["area"].unstack("agent")
    there = table.notna()
    everywhere = there.groupby(level=TASK, observed=True).any().all()
    tasks = there.index.droplevel("run").factorize()[0]
    kept = with_common_runs(there.loc[:, everywhere], tasks)
    complete = table.loc[:, kept].dropna() if kept else table.iloc[:0, :0]
    left_out = [str(agent) for agent in table.columns if agent not in kept]
    return Blocks(complete, left_out, len(table) - len(complete))


def task_blocks(areas: pd.DataFrame, metric: str) -> Blocks:
    """The same, but a block is a task: of each agent the mean over the runs that all agents have there.

    Runs of one task share its test set, and are no independent blocks; tasks are.
    """
    found = blocks(areas, metric)
    return found._replace(table=found.table.groupby(level=TASK, observed=True).mean())


def with_common_runs(there: pd.DataFrame, tasks: np.ndarray) -> list[str]:
    """Agents that have a run in common in every task: as many as can be found greedily from each of them.

    One with other run ids than all the others leaves out itself, not everybody. Of sets of one size it is
    that with `random`, then that with most runs in common.

    Args:
        there: a row a run, a column an agent: has it this run?
        tasks: of each row the number of its task, from 0.

    Returns:
        Names in the order of the columns; none if no two agents have a run in common.
    """
    has, names = there.to_numpy(dtype=bool).T, list(there.columns)
    count = tasks.max(initial=-1) + 1

    def fits(common: np.ndarray) -> bool:
        return bool((np.bincount(tasks[common], minlength=count) > 0).all())

    if fits(has.all(axis=0)):
        return names if len(names) > 1 else []
    found: list[tuple[int, bool, int, list[str]]] = []
    for first in range(len(names)):
        kept, common = [], np.ones(len(there), bool)
        for agent in (first, *np.argsort(-(has & has[first]).sum(axis=1), kind="stable")):
            if agent not in kept and fits(common & has[agent]):
                kept.append(agent)
                common &= has[agent]
        chosen = [names[agent] for agent in sorted(kept)]
        found.append((len(kept), "random" in chosen, int(common.sum()), chosen))
    most = max(found, key=lambda one: one[:3])[-1]
    return most if len(most) > 1 else []


def common_runs(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of areas or curves whose run every agent of their task has: nobody's are of easier seeds.

    Agents without a run that the others have are left out.
    """
    parts = [table.iloc[:0]]
    for _, of_task in groups(table, [*TASK, "metric"]):
        there = of_task.groupby(["run", "agent"], observed=True).size().unstack("agent").notna()
        agents = with_common_runs(there, np.zeros(len(there), int))
        runs = there.index[there[agents].all(axis=1)]
        parts.append(of_task[of_task["agent"].isin(agents) & of_task["run"].isin(runs)])
    return pd.concat(parts)


class Comparison(NamedTuple):
    """Which agents differ.

    Attributes:
        mean_ranks: of each agent, best first; ties share the mean.
        friedman: p-value of Friedman's test that all are alike; NaN for fewer than three agents, or
            where all are tied everywhere.
        p_values: of each pair, Wilcoxon's signed-rank test with Holm's correction; 1 on the diagonal.
    """

    mean_ranks: pd.Series
    friedman: float
    p_values: pd.DataFrame


def compare(table: pd.DataFrame) -> Comparison:
    """Friedman's test, and Wilcoxon's (zero_method `pratt`) with Holm's correction for all pairs.

    Demšar, *Statistical Comparisons of Classifiers over Multiple Data Sets*, 2006; Benavoli,
    Corani, Mangili, *Should We Really Use Post-Hoc Tests Based on Mean-Ranks?*, 2016.

    Args:
        table: of `blocks`, with at least two agents and one block.
    """
    table = table.rename(columns=str)
    areas = table.to_numpy()
    friedman = np.nan
    if table.shape[1] > 2 and table.nunique(axis=1).max() > 1:
        friedman = float(stats.friedmanchisquare(*areas.T).pvalue)
    p_values = pd.DataFrame(1.0, list(table), list(table))
    if len(table) > 1:  # with one block nothing differs, and scipy refuses a tie
        with np.errstate(invalid="ignore"):
            p_values = scikit_posthocs.posthoc_wilcoxon(
                table.melt(var_name="agent", value_name="area"),
                val_col="area",
                group_col="agent",
                zero_method="pratt",
                p_adjust="holm",
            )
    # Two agents that always choose alike: scipy divides zero by zero, which Holm counts as the highest p.
    alike = (areas[:, :, None] == areas[:, None, :]).all(axis=0)
    return Comparison(table.rank(axis=1).mean().sort_values(), friedman, p_values.mask(alike, 1.0))


def paired(areas: pd.DataFrame, metric: str, reference: str = "random") -> pd.DataFrame:
    """The other agents' areas, with the reference's of the same task and run beside them as `reference`."""
    of_metric = areas[areas["metric"] == metric].drop(columns="metric")
    of_reference = of_metric[of_metric["agent"] == reference].drop(columns="agent")
    others = of_metric[of_metric["agent"] != reference]
    return others.merge(of_reference.rename(columns={"area": "reference"}), on=[*TASK, "run"])


def wins(areas: pd.DataFrame, metric: str, reference: str = "random") -> pd.DataFrame:
    """In how many runs each agent's area is lower than, equal to and higher than that of the reference's run
    of the same id: columns `won`, `tied`, `lost`.
    """
    pairs = paired(areas, metric, reference)
    difference = pairs["area"] - pairs["reference"]
    signs = {"won": difference < 0, "tied": difference == 0, "lost": difference > 0}
    return pd.DataFrame(signs).groupby(pairs["agent"].astype(str)).sum()


def paired_differences(
    areas: pd.DataFrame, metric: str, reference: str = "random", *, share: bool
) -> pd.DataFrame:
    """Areas less that of the reference's run of the same id, which has the same data and seed set.

    Args:
        share: divided by the mean of these runs of the reference in their task; there are no shares of a
            reference that has diverged.

    Returns:
        A table like `areas`, of this metric, without the reference and without runs that it lacks.
    """
    pairs = paired(areas, metric, reference)
    difference = pairs["area"] - pairs["reference"]
    if share:
        means = pairs.groupby(EXPERIMENT, observed=True)["reference"].transform("mean")
        difference /= means.where(np.isfinite(means))
    return pairs.drop(columns="reference").assign(metric=metric, area=difference).dropna()


class Estimate(NamedTuple):
    """A number and its interval; without one (NaN) if a task has fewer than `INTERVAL_RUNS` runs."""

    value: float
    low: float
    high: float


def _estimate(value: float, resampled: np.ndarray, runs: int) -> Estimate:
    """A number with the interval of its resamples [B]; `runs` are those of the task with the fewest."""
    if runs < INTERVAL_RUNS:
        return Estimate(value, np.nan, np.nan)
    # Without interpolation, as a resampled value may be infinite where a run has diverged.
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], method="nearest")
    return Estimate(value, float(low), float(high))


def beside(
    areas: pd.DataFrame, metric: str, reference: str = "random", *, share: bool = False
) -> pd.DataFrame:
    """How far each agent's areas are from the reference's, best first: means over tasks, which count alike.

    Of few runs the bootstrap's interval would be too narrow (`INTERVAL_RUNS`); Student's is right where the
    differences of a task are about Normal. Several tasks: Welch, *The generalization of 'Student's' problem
    when several different population variances are involved*, 1947.

    Args:
        areas: of the tasks.
        share: in shares of the reference's area.

    Returns:
        `value`, `low`, `high` and `verdict` (better, worse, same, few, diverged) of each agent that has
        runs in common with the reference in each task in which any has.
    """
    pairs = paired_differences(areas, metric, reference, share=share).astype({"agent": str})
    parts = pairs.groupby([*TASK, "agent"], observed=True)["area"].agg(["mean", "var", "count"]).reset_index()
    lines: dict[str, tuple[float, float, float, str]] = {}
    tasks = len(parts[TASK].drop_duplicates())
    for agent, of_agent in parts.groupby("agent"):
        if len(of_agent) == tasks:
            mean, var, count = of_agent[["mean", "var", "count"]].to_numpy(float).T
            half = _half_width(var, count)
            value = float(mean.mean())
            low, high = value - half, value + half
            if not np.isfinite(value):
                verdict = "diverged"
            elif np.isnan(half):
                verdict = "few"
            else:
                verdict = "better" if high < 0 else "worse" if low > 0 else "same"
            lines[str(agent)] = (value, low, high, verdict)
    columns = [*Estimate._fields, "verdict"]
    return pd.DataFrame.from_dict(lines, orient="index", columns=columns).sort_values("value", kind="stable")


def _half_width(var: np.ndarray, count: np.ndarray) -> float:
    """Half of Student's and Welch's interval of a mean over tasks; NaN if one of them has few runs."""
    if count.min() < INTERVAL_RUNS or not np.isfinite(var).all():
        return np.nan
    parts = var / count
    if not parts.any():
        return 0.0
    freedom = parts.sum() ** 2 / (parts**2 / (count - 1)).sum()
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(parts.sum()) / len(parts))


def probability_of_improvement(areas: pd.DataFrame, agent: str, other: str) -> Estimate:
    """How probably a run of one agent has a lower area than a run of the other: mean over the tasks of both.

    P(X < Y) + P(X = Y) / 2 in each task, of all pairs of runs (Mann and Whitney's U): runs of the same id are
    not paired, as in the source, but only ids that both have count. NaN without any.

    Args:
        areas: of one metric.
    """
    rng = np.random.default_rng(1)
    values, drawn, runs = [], [], []
    for _, of_task in groups(common_runs(areas[areas["agent"].isin([agent, other])]), TASK):
        x, y = (of_task.loc[of_task["agent"] == name, "area"].to_numpy() for name in (agent, other))
        if not (len(x) and len(y)):
            continue
        better = (x[:, None] < y) + 0.5 * (x[:, None] == y)
        values.append(better.mean())
        # How often each run is drawn says as much as the draws themselves.
        of_x, of_y = (rng.multinomial(len(z), np.full(len(z), 1 / len(z)), _RESAMPLES) for z in (x, y))
        drawn.append(np.einsum("rx,xy,ry->r", of_x, better, of_y, optimize=True) / better.size)
        runs += [len(x), len(y)]
    if not values:
        return Estimate(np.nan, np.nan, np.nan)
    return _estimate(float(np.mean(values)), np.mean(drawn, axis=0), min(runs))


def labels_needed(curves: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The share of all labels with which each agent is as good as `random` is with all of them.

    The mean curve, over the runs that both have, is taken for straight between two measurements. Seed sets
    count as labels.

    Args:
        curves: of one task or of several.

    Returns:
        `value`, `low`, `high` of each agent that is in all the tasks: mean over the tasks, with the interval
        of a percentile bootstrap, in which the runs of each task are drawn anew, with those of `random` of
        the same ids. inf where it is never enough; NaN for the interval of fewer than `INTERVAL_RUNS` runs,
        and where `random` ends no better than it began. Empty without `random`.
    """
    tasks = list(groups(curves[curves["metric"] == metric], TASK))
    found: dict[str, list[tuple[np.ndarray, int]]] = {}
    for _, of_task in tasks:
        wide = of_task.set_index(["agent", "run", "labelled"])["value"].unstack()
        tables = {str(agent): wide.loc[agent] for agent in wide.index.unique("agent")}
        for agent, table in tables.items() if "random" in tables else ():
            runs = table.index.intersection(tables["random"].index)
            if len(runs):
                shares = _shares_needed(table.loc[runs], tables["random"].loc[runs])
                found.setdefault(agent, []).append((shares, len(runs)))
    lines = {}
    for agent, parts in found.items():
        if len(parts) == len(tasks):
            shares = np.mean([shares for shares, _ in parts], axis=0)
            lines[agent] = _estimate(float(shares[0]), shares[1:], min(runs for _, runs in parts))._asdict()
    return pd.DataFrame.from_dict(lines, orient="index", columns=list(Estimate._fields))


def _shares_needed(agent: pd.DataFrame, random: pd.DataFrame) -> np.ndarray:
    """The share of labels needed in one task [1 + B]: that of all runs, and of each resample of them.

    Args:
        agent, random: a row for each of their common runs, a column for each number of labels.
    """
    runs, rng = len(agent), np.random.default_rng(1)
    drawn = rng.multinomial(runs, np.full(runs, 1 / runs), _RESAMPLES)
    weights = np.concatenate([np.ones((1, runs), int), drawn]) / runs
    labelled = agent.columns.to_numpy(float)
    # The last measurement is that with all labels, which both have.
    shares = _first_reached(weights @ agent.to_numpy(), labelled, weights @ random.iloc[:, -1].to_numpy())
    shares /= labelled[-1]
    if not random.iloc[:, -1].mean() < random.iloc[:, 0].mean():
        shares[:] = np.nan
    return shares


def _first_reached(curves: np.ndarray, labelled: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Where curves [B, L] over `labelled` [L] first are as low as targets [B]; inf where never."""
    there = curves <= targets[:, None]
    first = there.argmax(axis=1)
    at = labelled[first]
    row, before = np.arange(len(curves)), np.maximum(first - 1, 0)
    fall = curves[row, before] - curves[row, first]
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = np.where(first > 0, (targets - curves[row, first]) / fall, 0)
    return np.where(there.any(axis=1), at - beyond * (at - labelled[before]), np.inf)

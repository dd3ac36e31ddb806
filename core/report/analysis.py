"""What the results say: areas under the curves, ranks and tests.

The tables are those of `core.report.reader`; each function takes what the one before it gives.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scikit_posthocs
from scipy import stats

from .reader import EXPERIMENT, TASK, areas

__all__ = [
    "INTERVAL_RUNS",
    "Blocks",
    "Comparison",
    "areas",
    "blocks",
    "compare",
    "interval",
    "paired",
    "ranks",
    "relative_areas",
    "select",
    "summary",
    "together",
    "wins",
]

#: Of fewer runs no interval is given or drawn: it would be far too narrow. Of three Normal values the
#: bootstrap's 95 % interval holds the mean in 76 of 100 cases, of five in 82, of ten in 90, of thirty in 94.
INTERVAL_RUNS = 5


def select(table: pd.DataFrame, wanted: dict[str, Any]) -> pd.DataFrame:
    """The rows that have these values in the columns of these names."""
    for name, value in wanted.items():
        table = table[table[name] == value]
    return table


def summary(areas: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Mean, standard deviation and bootstrap confidence interval of the areas of each experiment.

    The interval is the percentile bootstrap's for the mean (Efron, *Bootstrap Methods: Another Look
    at the Jackknife*, 1979) with 9,999 resamples of a fixed seed; NaN for fewer than `INTERVAL_RUNS` runs.

    Returns:
        One row an experiment and metric: `EXPERIMENT`, `metric`, `runs`, `mean`, `std`, `low`, `high`.
    """
    lines = []
    for keys, group in areas.groupby([*EXPERIMENT, "metric"], observed=True)["area"]:
        lines.append((*keys, len(group), group.mean(), group.std(), *interval(group, confidence)))
    return pd.DataFrame(lines, columns=[*EXPERIMENT, "metric", "runs", "mean", "std", "low", "high"])


def interval(values: pd.Series, confidence: float = 0.95) -> tuple[float, float]:
    """The percentile bootstrap's confidence interval of a mean; NaN for fewer than `INTERVAL_RUNS` values."""
    if len(values) < INTERVAL_RUNS:
        return np.nan, np.nan
    bootstrap = stats.bootstrap(
        (values.to_numpy(),),
        np.mean,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(1),
    )
    return tuple(bootstrap.confidence_interval)


class Blocks(NamedTuple):
    """Areas of one metric, fit to be ranked.

    Attributes:
        table: a row for each block (`TASK`, `run`), a column for each agent, no gaps.
        left_out: agents that have no run in a task in which several others have some, or none that these
            have, too.
        incomplete: blocks left out because an agent lacks that run.
    """

    table: pd.DataFrame
    left_out: list[str]
    incomplete: int


def blocks(areas: pd.DataFrame, metric: str) -> Blocks:
    """The blocks in which every agent has a run, but for those left out (docs/METHOD.md, section 4).

    Tasks that a single agent has tried do not count.
    """
    of_metric = areas[areas["metric"] == metric]
    tried_by = of_metric.groupby(TASK, observed=True)["agent"].transform("nunique")
    table = of_metric[tried_by > 1].set_index([*TASK, "run", "agent"])["area"].unstack("agent")
    there = table.notna()
    everywhere = there.groupby(level=TASK, observed=True).any().all()
    tasks = there.index.droplevel("run").factorize()[0]
    kept = together(there.loc[:, everywhere], tasks)
    complete = table.loc[:, kept].dropna() if kept else table.iloc[:0, :0]
    left_out = [str(agent) for agent in table.columns if agent not in kept]
    return Blocks(complete, left_out, len(table) - len(complete))


def together(there: pd.DataFrame, tasks: np.ndarray, reference: str = "random") -> list[str]:
    """Agents that have a run in common in every task: as many as can be found greedily from each of them.

    One with other run ids than all the others leaves out itself, not everybody. Of sets of one size it is
    that with the reference, then that with most runs in common.

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
        found.append((len(kept), reference in chosen, int(common.sum()), chosen))
    most = max(found, key=lambda one: one[:3])[-1]
    return most if len(most) > 1 else []


def ranks(table: pd.DataFrame) -> pd.DataFrame:
    """The agents' ranks in each block of `Blocks.table`; 1 is the lowest area, ties share the mean."""
    return table.rank(axis=1)


class Comparison(NamedTuple):
    """Which agents differ.

    Attributes:
        mean_ranks: of each agent, best first.
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
        table: as `Blocks.table`, with at least two agents and one block.
    """
    agents = [str(agent) for agent in table.columns]
    friedman = np.nan
    if len(agents) > 2 and table.nunique(axis=1).max() > 1:
        friedman = float(stats.friedmanchisquare(*table.to_numpy().T).pvalue)
    return Comparison(ranks(table).mean().sort_values(), friedman, _pairs(table.set_axis(agents, axis=1)))


def _pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Holm-corrected p-values of Wilcoxon's test for all pairs of columns."""
    areas = table.to_numpy()
    p_values = pd.DataFrame(1.0, table.columns, table.columns)
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
    return p_values.mask(alike, 1.0)


def wins(areas: pd.DataFrame, metric: str, reference: str = "random") -> pd.DataFrame:
    """How often each agent's area is lower than, equal to and higher than the reference's.

    Returns:
        One row an experiment: `EXPERIMENT`, `win`, `tie`, `loss`: numbers of runs with the same id.
    """
    pairs = paired(areas, metric, reference)
    difference = np.sign(pairs["area"] - pairs["reference"])
    for name, sign in (("win", -1), ("tie", 0), ("loss", 1)):
        pairs[name] = difference == sign
    return pairs.groupby(EXPERIMENT, observed=True)[["win", "tie", "loss"]].sum().reset_index()


def relative_areas(areas: pd.DataFrame, metric: str, reference: str = "random") -> pd.DataFrame:
    """Each agent's mean area beside the reference's, over the runs that both have.

    Returns:
        One row an experiment: `EXPERIMENT`, `area`, `reference`, `difference`, `ratio`.
    """
    pairs = paired(areas, metric, reference)
    means = pairs.groupby(EXPERIMENT, observed=True)[["area", "reference"]].mean().reset_index()
    difference, ratio = means["area"] - means["reference"], means["area"] / means["reference"]
    return means.assign(difference=difference, ratio=ratio)


def paired(areas: pd.DataFrame, metric: str, reference: str) -> pd.DataFrame:
    """The other agents' areas, with the reference's of the same task and run beside them."""
    of_metric = areas[areas["metric"] == metric].drop(columns="metric")
    of_reference = of_metric[of_metric["agent"] == reference].drop(columns="agent")
    others = of_metric[of_metric["agent"] != reference]
    return others.merge(of_reference.rename(columns={"area": "reference"}), on=[*TASK, "run"])

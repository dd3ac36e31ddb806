"""What the runs say: one tidy table of all results, areas under the curves, ranks and tests.

An experiment is one (dataset, variation, protocol, query size, agent); its runs are repetitions.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from . import results
from .agent import AGENTS
from .config import VARIATIONS
from .errors import UserError
from .protocol import PROTOCOLS

__all__ = [
    "EXPERIMENT",
    "TASK",
    "Blocks",
    "Comparison",
    "Results",
    "areas",
    "blocks",
    "compare",
    "find_missing_runs",
    "load_results",
    "ranks",
    "relative_areas",
    "select",
    "summary",
    "wins",
]

#: What all runs of different agents must share to be compared.
TASK = ["dataset", "variation", "protocol", "query_size"]
EXPERIMENT = [*TASK, "agent"]


class Results(NamedTuple):
    """All that lies in a runs folder and its sisters, as tidy tables.

    Attributes:
        curves: one row a measurement: the columns of `EXPERIMENT`, `run`, `labelled` (seed set and
            points added), `metric` (as in `core.results.FILES`), `value`.
        pit: one row a bin of a PIT histogram: `EXPERIMENT`, `run`, `labelled`, `bin` (where it
            begins), `count`.
        runs: one row a run: `EXPERIMENT`, `run`, `status` (finished, unfinished, or what is wrong
            with it), `rounds`, `seconds_choosing`, `seconds_in_step`.
        upper_bounds: one row an epoch: `dataset`, `variation`, `protocol`, `run`, `epoch`, `metric`,
            `value`.
    """

    curves: pd.DataFrame
    pit: pd.DataFrame
    runs: pd.DataFrame
    upper_bounds: pd.DataFrame


def load_results(runs_folder: str | Path = "runs") -> Results:
    """Reads all runs in a folder and its sisters (`runs_gauss`, `runs_corrected`, ...).

    Runs that are unfinished or damaged are listed in `Results.runs` and left out elsewhere.
    """
    curves: dict[tuple[Any, ...], pd.DataFrame] = {}
    pit: dict[tuple[Any, ...], pd.DataFrame] = {}
    upper: dict[tuple[Any, ...], pd.DataFrame] = {}
    runs = []
    for variation, protocol in product(VARIATIONS, PROTOCOLS):
        root = results.runs_root(Path(runs_folder), variation, protocol)
        for experiment in sorted(root.glob("*/*/*")):
            keys = _keys(experiment, EXPERIMENT)
            for folder in results.run_folders(experiment) if keys else []:
                run = (*keys, results.id_of(folder))
                runs.append(run + _read_run(folder, run, curves, pit))
        for experiment in sorted(root.glob("*/UpperBound")):
            keys = _keys(experiment, TASK[:3])
            for folder in results.finished_runs(experiment) if keys else []:
                run = (*keys, results.id_of(folder))
                upper[run] = _read_metrics(folder)
    numbers = ["rounds", "seconds_choosing", "seconds_in_step"]
    of_run = [*EXPERIMENT, "run", "labelled"]
    return Results(
        _tidy(curves, of_run, "metric", "value"),
        _tidy(pit, of_run, "bin", "count"),
        pd.DataFrame(runs, columns=[*EXPERIMENT, "run", "status", *numbers]),
        _tidy(upper, [*TASK[:3], "run", "epoch"], "metric", "value"),
    )


def _keys(experiment: Path, names: Sequence[str]) -> tuple[Any, ...]:
    """What the settings of an experiment say; nothing if it has none, or they are damaged."""
    files = [experiment / "settings.txt", *(run / "meta.txt" for run in results.finished_runs(experiment))]
    for settings in map(results.read_meta, filter(Path.is_file, files)):
        if set(names) <= set(settings):
            return tuple(int(settings[name]) if name == "query_size" else settings[name] for name in names)
    return ()


def _read_run(folder: Path, run: tuple[Any, ...], curves: dict, pit: dict) -> tuple[Any, ...]:
    """Adds the tables of a finished run; its status, rounds and seconds."""
    if not results.is_finished(folder):
        return "unfinished", np.nan, np.nan, np.nan
    try:
        measured = _read_metrics(folder)
        histograms = results.read_curves(folder / results.PIT_FILE).dropna()
        meta = results.read_meta(folder / "meta.txt")
        seed_set = int(meta["seed_set"])
        seconds = float(meta["seconds_choosing"]), float(meta["seconds_in_step"])
    except UserError as error:
        return f"damaged: {error}", np.nan, np.nan, np.nan
    except (KeyError, ValueError) as error:
        return f"damaged: {folder / 'meta.txt'}: {error}", np.nan, np.nan, np.nan
    curves[run] = measured.set_index(measured.index + seed_set)
    pit[run] = histograms.set_index(histograms.index + seed_set)
    return ("finished", len(measured) - 1, *seconds)


def _read_metrics(folder: Path) -> pd.DataFrame:
    """The curves of a run: a column for each metric, a row for each measurement."""
    files = {metric: results.read_curves(folder / file).iloc[:, 0] for file, metric in results.FILES.items()}
    return pd.DataFrame(files).dropna(how="all")


def _tidy(
    tables: dict[tuple[Any, ...], pd.DataFrame], names: list[str], column: str, value: str
) -> pd.DataFrame:
    """One table of many, their columns below each other; texts as categories, or it would not fit."""
    if not tables:
        return pd.DataFrame(columns=[*names, column, value])
    table = pd.concat(tables, names=names).reset_index()
    texts = table.columns.intersection(["dataset", "variation", "protocol", "agent"])
    table = table.astype(dict.fromkeys(texts, "category"))
    table = table.melt(names, var_name=column, value_name=value).dropna()
    return table.astype({column: "category"} if column == "metric" else {column: "float64", value: "int64"})


def find_missing_runs(
    found: Results,
    run_ids: Iterable[int] | None = None,
    *,
    datasets: Sequence[str] | None = None,
    variations: Sequence[str] | None = None,
    protocols: Sequence[str] | None = None,
    query_sizes: Sequence[int] | None = None,
    agents: Sequence[str] | None = None,
) -> pd.DataFrame:
    """What is not there of all combinations; of what is not named, all that occurs is wanted.

    An agent is not missed where it cannot score the variation's model.

    Returns:
        One row an experiment that lacks runs: `EXPERIMENT`, `missing`, `unfinished`, `damaged`, run
        ids such as `2, 5-30`.
    """
    runs = found.runs
    names = (datasets, variations, protocols, query_sizes, agents)
    axes = [
        list(dict.fromkeys(runs[key])) if given is None else list(given)
        for key, given in zip(EXPERIMENT, names, strict=True)
    ]
    wanted = set(runs["run"] if run_ids is None else run_ids)
    state = runs["status"].where(runs["status"].isin(["finished", "unfinished"]), "damaged")
    status = dict(zip(runs[[*EXPERIMENT, "run"]].itertuples(index=False, name=None), state, strict=True))
    lines = []
    for keys in pd.MultiIndex.from_product(axes):
        _, variation, _, _, agent = keys
        if agent in AGENTS.classes and variation not in AGENTS[agent].variations:
            continue
        of = {run: status.get((*keys, run), "missing") for run in wanted}
        lacking = [
            spans([run for run in of if of[run] == name]) for name in ("missing", "unfinished", "damaged")
        ]
        if any(lacking):
            lines.append((*keys, *lacking))
    return pd.DataFrame(lines, columns=[*EXPERIMENT, "missing", "unfinished", "damaged"])


def spans(numbers: Iterable[int]) -> str:
    """Integers as a short text.

    Example:
        >>> spans([7, 3, 9, 8])
        '3, 7-9'
    """
    ordered = sorted(set(numbers))
    breaks = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(ordered)) if b > a + 1), len(ordered)]
    parts = [ordered[first:end] for first, end in pairwise(breaks)]
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts if part)


def select(table: pd.DataFrame, wanted: dict[str, Any]) -> pd.DataFrame:
    """The rows that have these values in the columns of these names."""
    for name, value in wanted.items():
        table = table[table[name] == value]
    return table


def areas(curves: pd.DataFrame) -> pd.DataFrame:
    """The area under each run's learning curve: the mean of its rows (SPEC.md section 4).

    Returns:
        One row a run and metric: `EXPERIMENT`, `run`, `metric`, `area`; lower is better.
    """
    by = [*EXPERIMENT, "run", "metric"]
    return curves.groupby(by, observed=True)["value"].mean().rename("area").reset_index()


def summary(areas: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Mean, standard deviation and bootstrap confidence interval of the areas of each experiment.

    The interval is the percentile bootstrap's for the mean (Efron, *Bootstrap Methods: Another Look
    at the Jackknife*, 1979) with 9,999 resamples of a fixed seed; empty for a single run.

    Returns:
        One row an experiment and metric: `EXPERIMENT`, `metric`, `runs`, `mean`, `std`, `low`, `high`.
    """
    lines = []
    for keys, group in areas.groupby([*EXPERIMENT, "metric"], observed=True)["area"]:
        lines.append((*keys, len(group), group.mean(), group.std(), *interval(group, confidence)))
    return pd.DataFrame(lines, columns=[*EXPERIMENT, "metric", "runs", "mean", "std", "low", "high"])


def interval(values: pd.Series, confidence: float = 0.95) -> tuple[float, float]:
    """The percentile bootstrap's confidence interval of a mean."""
    if len(values) < 2:
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
        left_out: agents that have no run in a task in which others have some.
        incomplete: blocks left out because an agent lacks that run.
    """

    table: pd.DataFrame
    left_out: list[str]
    incomplete: int


def blocks(areas: pd.DataFrame, metric: str) -> Blocks:
    """The blocks in which every agent has a run (SPEC.md section 4)."""
    of_metric = areas[areas["metric"] == metric]
    table = of_metric.set_index([*TASK, "run", "agent"])["area"].unstack("agent")
    everywhere = table.groupby(level=TASK, observed=True).count().gt(0).all()
    complete = table.loc[:, everywhere].dropna()
    left_out = [str(agent) for agent in everywhere.index[~everywhere]]
    return Blocks(complete, left_out, len(table) - len(complete) if everywhere.any() else len(table))


def ranks(table: pd.DataFrame) -> pd.DataFrame:
    """The agents' ranks in each block of `Blocks.table`; 1 is the lowest area, ties share the mean."""
    return table.rank(axis=1)


class Comparison(NamedTuple):
    """Which agents differ.

    Attributes:
        mean_ranks: of each agent, best first.
        friedman: p-value of Friedman's test that all are alike; NaN for fewer than three agents.
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
    agents = list(table.columns)
    friedman = np.nan
    if len(agents) > 2:
        friedman = float(stats.friedmanchisquare(*(table[agent] for agent in agents)).pvalue)
    pairs = list(combinations(agents, 2))
    raw = [_wilcoxon(table[a], table[b]) for a, b in pairs]
    p_values = pd.DataFrame(1.0, agents, agents)
    for (a, b), p in zip(pairs, multipletests(raw, method="holm")[1], strict=True):
        p_values.loc[a, b] = p_values.loc[b, a] = p
    return Comparison(ranks(table).mean().sort_values(), friedman, p_values)


def _wilcoxon(a: pd.Series, b: pd.Series) -> float:
    if (a == b).all():  # two agents that always choose alike: scipy divides by zero
        return 1.0
    return float(stats.wilcoxon(a, b, zero_method="pratt").pvalue)


def wins(areas: pd.DataFrame, metric: str, reference: str = "random") -> pd.DataFrame:
    """How often each agent's area is lower than, equal to and higher than the reference's.

    Returns:
        One row an experiment: `EXPERIMENT`, `win`, `tie`, `loss`: numbers of runs with the same id.
    """
    paired = _paired(areas, metric, reference)
    difference = np.sign(paired["area"] - paired["reference"])
    for name, sign in (("win", -1), ("tie", 0), ("loss", 1)):
        paired[name] = difference == sign
    return paired.groupby(EXPERIMENT, observed=True)[["win", "tie", "loss"]].sum().reset_index()


def relative_areas(areas: pd.DataFrame, metric: str, reference: str = "random") -> pd.DataFrame:
    """Each agent's mean area beside the reference's, over the runs that both have.

    Returns:
        One row an experiment: `EXPERIMENT`, `area`, `reference`, `difference`, `ratio`.
    """
    paired = _paired(areas, metric, reference)
    means = paired.groupby(EXPERIMENT, observed=True)[["area", "reference"]].mean().reset_index()
    difference, ratio = means["area"] - means["reference"], means["area"] / means["reference"]
    return means.assign(difference=difference, ratio=ratio)


def _paired(areas: pd.DataFrame, metric: str, reference: str) -> pd.DataFrame:
    """The other agents' areas, with the reference's of the same task and run beside them."""
    of_metric = areas[areas["metric"] == metric].drop(columns="metric")
    of_reference = of_metric[of_metric["agent"] == reference].drop(columns="agent")
    others = of_metric[of_metric["agent"] != reference]
    return others.merge(of_reference.rename(columns={"area": "reference"}), on=[*TASK, "run"])

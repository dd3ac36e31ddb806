"""Which figures and tables the study has: the sections of the notebook and of the report."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, TypeAlias

import pandas as pd
from matplotlib.figure import Figure

from . import plots
from .analysis import areas, blocks, compare, ranks, relative_areas, select, summary, wins
from .labels import METRICS, task_label
from .reader import EXPERIMENT, TASK, Results, find_missing_runs

__all__ = ["FIGURES", "TABLES"]

#: File names (without ending) and figures.
Figures: TypeAlias = Iterator[tuple[str, Figure]]


def _groups(table: pd.DataFrame, names: list[str]) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The parts of a table that have the same values in some columns, and these values."""
    for values, part in table.groupby(names, observed=True):
        yield dict(zip(names, values, strict=True)), part


def _name(kind: str, keys: dict[str, Any], *more: str) -> str:
    protocol = keys.get("protocol", "published")
    size = [f"q{keys['query_size']}"] if "query_size" in keys else []
    parts = [kind, *(keys[name] for name in ("dataset", "variation") if name in keys), *size, *more]
    return "_".join(parts + ([protocol] if protocol != "published" else []))


def learning_curves(found: Results) -> Figures:
    """MAE, NLL and CRPS of all agents on each task."""
    for task, curves in _groups(found.curves, TASK):
        bounds = select(found.upper_bounds, {name: task[name] for name in TASK[:3]})
        yield _name("curves", task), plots.learning_curves(curves, bounds, task_label(task))


def query_sizes(found: Results) -> Figures:
    """Areas over the query size, where there are several."""
    names = ["dataset", "variation", "protocol"]
    for keys, part in _groups(areas(found.curves), names):
        if part["query_size"].nunique() > 1:
            yield _name("query_sizes", keys), plots.query_sizes(part, task_label(keys))


def heat_maps(found: Results) -> Figures:
    """Areas beside those of `random`."""
    for keys, part in _groups(areas(found.curves), ["protocol"]):
        for metric in ("nll", "mae"):
            relative = relative_areas(part, metric)
            if len(relative):
                title = ", ".join(filter(None, ["area under the curve", task_label(keys)]))
                yield _name("heat_map", keys, metric), plots.heat_map(relative, metric, title)


def critical_differences(found: Results) -> Figures:
    """Mean ranks over all tasks, and over those of one variation where there are several."""
    for keys, part in _groups(areas(found.curves), ["protocol"]):
        variations = [{}, *({"variation": name} for name in part["variation"].unique())]
        for of, metric in product(variations if len(variations) > 2 else [{}], ("nll", "mae")):
            ranked = blocks(select(part, of), metric)
            if len(ranked.table) and ranked.table.shape[1] > 1:
                title = ", ".join(filter(None, [METRICS[metric], task_label(keys | of)]))
                figure = plots.critical_differences(ranked, compare(ranked.table), title)
                yield _name("critical_differences", keys | of, metric), figure


def dual_ablation(found: Results) -> Figures:
    """Agents whose dropout is raised for training too, beside those that raise it for scoring alone."""
    for task, curves in _groups(found.curves, TASK):
        duals = [agent for agent in curves["agent"].unique() if agent.endswith("_dual")]
        both = [*duals, *(agent.removesuffix("_dual") for agent in duals), "random"]
        if duals:
            chosen = curves[curves["agent"].isin(both)]
            yield _name("dual", task), plots.learning_curves(chosen, title=task_label(task))


def calibration(found: Results) -> Figures:
    """Calibration error and PIT histograms of each task."""
    for task, curves in _groups(found.curves, TASK):
        pit = select(found.pit, task)
        yield _name("calibration", task), plots.calibration(curves, pit, task_label(task))


def times(found: Results) -> Figures:
    """Seconds a round."""
    finished = found.runs[found.runs["status"] == "finished"]
    for task, runs in _groups(finished, TASK):
        yield _name("times", task), plots.times(runs, task_label(task))


def upper_bounds(found: Results) -> Figures:
    """Training on the whole train part."""
    for keys, part in _groups(found.upper_bounds, ["dataset", "variation", "protocol"]):
        yield _name("upper_bound", keys), plots.upper_bound_curves(part, task_label(keys))


#: Heading -> the figures under it; each function's docstring says what they show.
FIGURES: dict[str, Callable[[Results], Figures]] = {
    "Learning curves": learning_curves,
    "Query sizes": query_sizes,
    "Beside random": heat_maps,
    "Critical differences": critical_differences,
    "Dual ablation": dual_ablation,
    "Calibration": calibration,
    "Time": times,
    "Upper bounds": upper_bounds,
}


def area_table(found: Results) -> pd.DataFrame:
    """Mean area ± standard deviation over the runs, with the 95 % bootstrap interval of the mean."""
    lines = summary(areas(found.curves))
    table = lines.assign(shown=[_cell(line) for _, line in lines.iterrows()])
    wide = table.pivot(index=[*EXPERIMENT, "runs"], columns="metric", values="shown")
    return wide.reindex(columns=[name for name in METRICS if name in wide]).rename(columns=METRICS)


def _cell(line: pd.Series) -> str:
    text = f"{line['mean']:.4f}"
    return f"{text} ± {line['std']:.4f} [{line['low']:.4f}, {line['high']:.4f}]" if line["runs"] > 1 else text


def rank_table(found: Results) -> pd.DataFrame:
    """Mean rank of the area in each task, over the blocks in which every agent has a run."""
    columns = {}
    for task, part in _groups(areas(found.curves), TASK):
        for metric in ("nll", "mae"):
            table = blocks(part, metric).table
            of_task = ranks(table).mean().map("{:.2f}".format)
            of_task["(blocks)"] = str(len(table))
            columns[tuple([*task.values(), METRICS[metric]])] = of_task
    wide = pd.DataFrame(columns)
    return wide.rename_axis(columns=[*TASK, "metric"]) if columns else wide


def win_table(found: Results) -> pd.DataFrame:
    """Runs won / tied / lost against `random`, by the area of each run with the same id."""
    parts = []
    for metric in ("nll", "mae"):
        of = wins(areas(found.curves), metric)
        text = [f"{a} / {b} / {c}" for a, b, c in of[["win", "tie", "loss"]].itertuples(index=False)]
        parts.append(of[EXPERIMENT].assign(metric=METRICS[metric], wins=text))
    wide = pd.concat(parts).pivot(index="agent", columns=[*TASK, "metric"], values="wins")
    return wide.sort_index(axis=1)


def difference_table(found: Results) -> pd.DataFrame:
    """Holm-corrected p-values of all pairs of agents, by NLL, over all tasks of a protocol."""
    of_protocols = {}
    for keys, part in _groups(areas(found.curves), ["protocol"]):
        table = blocks(part, "nll").table
        if len(table) and table.shape[1] > 1:
            of_protocols[keys["protocol"]] = compare(table).p_values.map("{:.3g}".format)
    return pd.concat(of_protocols, names=["protocol", "agent"]) if of_protocols else pd.DataFrame()


def problem_table(found: Results) -> pd.DataFrame:
    """Folders that are damaged or do not fit, and were left out."""
    return found.problems


def upper_bound_table(found: Results) -> pd.DataFrame:
    """Metrics after the last epoch on the whole train part: mean over the restarts."""
    names = ["dataset", "variation", "protocol", "run", "metric"]
    last = found.upper_bounds.sort_values("epoch").groupby(names, observed=True)["value"].last().unstack()
    means = last.groupby(level=names[:3], observed=True).mean()
    means.insert(0, "restarts", last.groupby(level=names[:3], observed=True).size())
    return means.rename(columns=METRICS)


#: Heading -> the table under it.
TABLES: dict[str, Callable[[Results], pd.DataFrame]] = {
    "Areas under the curves": area_table,
    "Mean ranks": rank_table,
    "Wins against random": win_table,
    "Differences between agents": difference_table,
    "Upper bounds, last epoch": upper_bound_table,
    "What is missing": find_missing_runs,
    "Problems": problem_table,
}

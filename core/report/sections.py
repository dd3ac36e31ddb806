"""What a report consists of: the sections of the notebook and of the page, in the order they stand here.

One more figure or table is one function under `section`:

    @section("Best rounds")
    def best_rounds(found: Results) -> Figures:
        'This docstring stands under the heading.'
        for task, curves in groups(found.curves, TASK):
            yield file_name("best_rounds", task), plots.something(curves, task_label(task))
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import pandas as pd
from matplotlib.figure import Figure

from ..metrics import METRICS
from . import curves as curve_plots
from . import plots
from .labels import task_label
from .leaderboard import MAIN, NEEDED_NOTE, OVER_NOTE, rankings, wins_in_words
from .load import EXPERIMENT, TASK, Results, find_missing_runs, groups, own_agents, select
from .statistics import Blocks, blocks, compare, relative_areas, summary, task_blocks, wins
from .stopping import last_rounds
from .store import TRAINED

#: File names (without ending) and figures.
Figures: TypeAlias = Iterator[tuple[str, Figure]]
Make: TypeAlias = Callable[[Results], Figures | pd.DataFrame]

#: What runs of different query sizes share.
_SETTING = TASK[:3]
_LABELS = {name: metric.label for name, metric in METRICS.items()}


@dataclass(frozen=True)
class Section:
    """A heading, the text under it, and what makes its figures or its table; an empty table is left out."""

    heading: str
    text: str
    make: Make


#: All sections, by heading.
SECTIONS: dict[str, Section] = {}


def section(heading: str, text: str = "") -> Callable[[Make], Make]:
    """Decorator that makes a function a section, under `text` or else its docstring."""

    def add(make: Make) -> Make:
        if heading in SECTIONS:
            raise ValueError(f"section '{heading}' is there already")
        SECTIONS[heading] = Section(heading, " ".join((text or make.__doc__ or "").split()), make)
        return make

    return add


def file_name(kind: str, keys: dict[str, Any], *more: str) -> str:
    """A figure's name, fit for a file: `curves_diabetes_nf_q5`; `published` goes without saying."""
    protocol = keys.get("protocol", "published")
    size = [f"q{keys['query_size']}"] if "query_size" in keys else []
    parts = [kind, *(keys[name] for name in ("dataset", "variation") if name in keys), *size, *more]
    return re.sub(r"[^\w.-]", "-", "_".join(parts + ([protocol] if protocol != "published" else [])))


@section("Finished runs")
def run_table(found: Results) -> pd.DataFrame:
    """How many runs of each agent are finished, the base of all that follows."""
    finished = select(found.runs, {"status": "finished"})
    return finished.groupby(EXPERIMENT, observed=True).size().rename("runs").to_frame()


@section("Learning curves")
def learning_curves(found: Results) -> Figures:
    """MAE, NLL and CRPS of all agents on each task: the mean over an agent's runs, whose number is in
    brackets, in a band, the 95 % confidence interval of the mean, or, of fewer than five runs, beside a thin
    line for each run. Curves may pass below the line 'full data set': its training ends once the validation
    MAE has stalled for 25 epochs (after 112 to 216 in three runs on Parkinsons), while a run goes on from fit
    to fit: under the published protocol, which refits after every point, for thousands of epochs.
    """
    for task, curves in groups(found.curves, TASK):
        bounds = select(found.upper_bounds, {name: task[name] for name in _SETTING})
        own = own_agents(found, task)
        yield file_name("curves", task), curve_plots.learning_curves(curves, bounds, task_label(task), own)


TRAINED_NOTE = (
    "MAE on the test set of random's flow (corrected, query size 50) beside the constant median of the "
    "labels, extremely randomised trees and a Gaussian process on the same labels, means over the runs. "
    "Where 'flow / best', the flow's beside the better of the last two, is far above 1, curves say more "
    "about training than about labels."
)


def trained_means(found: Results) -> pd.DataFrame:
    """A row a task and number of labels; empty where the store says nothing."""
    if found.trained.empty:
        return pd.DataFrame()
    return found.trained.groupby(["dataset", "labels"])[list(TRAINED)].mean().map("{:.3g}".format)


section("Is it trained?", TRAINED_NOTE)(trained_means)


@section("Areas under the curves")
def area_table(found: Results) -> pd.DataFrame:
    """Mean area ± standard deviation over the runs, from five runs on with the 95 % bootstrap interval of the
    mean; lower is better.
    """
    lines = summary(found.areas)
    table = lines.assign(shown=[_area_in_words(line) for _, line in lines.iterrows()])
    return _metrics_named(table.pivot(index=[*EXPERIMENT, "runs"], columns="metric", values="shown"))


def _area_in_words(line: pd.Series) -> str:
    text = f"{line['mean']:.4f}"
    if line["runs"] > 1:
        text += f" ± {line['std']:.4f}"
    return text if pd.isna(line["low"]) else f"{text} [{line['low']:.4f}, {line['high']:.4f}]"


def _metrics_named(table: pd.DataFrame) -> pd.DataFrame:
    """With the columns that are metrics in the order of `METRICS`, under their labels."""
    others = [name for name in table if name not in METRICS]
    return table[[*others, *(name for name in METRICS if name in table)]].rename(columns=_LABELS)


@section("Query sizes")
def query_sizes(found: Results) -> Figures:
    """The area under the curve over the query size, of the agents that have several: the mean over the runs,
    with its 95 % bootstrap interval or, of fewer than five runs, a dot for each run.
    """
    for keys, part in groups(found.areas, _SETTING):
        several = part[part.groupby("agent", observed=True)["query_size"].transform("nunique") > 1]
        if len(several):
            yield file_name("query_sizes", keys), plots.query_sizes(several, task_label(keys))


@section("Beside random")
def heat_maps(found: Results) -> Figures:
    """Areas beside those of random: purple is better, brown is worse."""
    for keys, part in groups(found.areas, ["protocol"]):
        for metric in MAIN:
            relative = relative_areas(part, metric)
            if len(relative):
                title = ", ".join(filter(None, ["area under the curve", task_label(keys)]))
                yield file_name("heat_map", keys, metric), plots.heat_map(relative, metric, title)


@section("Labels needed", NEEDED_NOTE)
def labels(found: Results) -> Figures:
    """A bar for each agent, a panel for each task."""
    for keys, part in groups(found.curves, ["variation", "protocol"]):
        if part["agent"].nunique() > 1 and "random" in set(part["agent"]):
            yield file_name("labels", keys), plots.labels_saved(part, task_label(keys))


@section("Wins against random")
def win_table(found: Results) -> pd.DataFrame:
    """Runs won / tied / lost against random, by the area of each run with the same id."""
    parts = []
    for metric, label in _LABELS.items():
        won = wins(found.areas, metric)
        parts.append(won[EXPERIMENT].assign(metric=label, wins=wins_in_words(won)))
    wide = pd.concat(parts).pivot(index=["metric", "agent"], columns=TASK, values="wins")
    return wide.sort_index(axis=1).reindex(list(_LABELS.values()), level="metric")


@section("Critical differences")
def critical_differences(found: Results) -> Figures:
    """The published way: mean ranks over all blocks (dataset, query size, variation, run) in which every
    agent has a run, and over those of one variation where there are several. A bar joins the agents that have
    dots on it: between them Wilcoxon's signed-rank test with Holm's correction finds no difference at 5 %.
    """
    yield from _diagrams(found, blocks, "critical_differences", "", least=1)


@section("Critical differences, runs averaged first")
def critical_differences_of_tasks(found: Results) -> Figures:
    """The same, but a block is a task (dataset, query size, variation), where there are several: runs of one
    task share its test set, and are no independent blocks. Of few tasks the test finds no difference.
    """
    yield from _diagrams(found, task_blocks, "critical_differences_tasks", "runs averaged first", least=2)


def _diagrams(
    found: Results, make_blocks: Callable[[pd.DataFrame, str], Blocks], kind: str, how: str, least: int
) -> Figures:
    """Diagrams of each protocol, of all its variations and of each where there are several.

    Args:
        least: blocks without which there is no diagram.
    """
    for protocol, part in groups(found.areas, ["protocol"]):
        variations = [{}, *({"variation": name} for name in part["variation"].unique())]
        for variation, metric in product(variations if len(variations) > 2 else [{}], MAIN):
            ranked = make_blocks(select(part, variation), metric)
            keys = protocol | variation
            if len(ranked.table) >= least and ranked.table.shape[1] > 1:
                title = ", ".join(filter(None, [_LABELS[metric], task_label(keys), how]))
                figure = plots.critical_differences(ranked, compare(ranked.table), title)
                yield file_name(kind, keys, metric), figure


@section("Over several tasks", OVER_NOTE)
def task_table(found: Results) -> pd.DataFrame:
    """For each protocol with two agents: over the tasks of each query size, and over all."""
    tables = {
        (keys["protocol"], name): table
        for keys, part in groups(found.areas, ["protocol"])
        if part["agent"].nunique() > 1
        for name, table in rankings(part, found.curves)
    }
    return pd.concat(tables, names=["protocol", "over", "agent"]) if tables else pd.DataFrame()


@section("Mean ranks")
def rank_table(found: Results) -> pd.DataFrame:
    """Mean rank of the area in each task, over the runs that all agents have; lower is better. An agent
    without a run in common with the others has none.
    """
    columns = {}
    for task, part in groups(found.areas, TASK):
        by_metric = {}
        for metric, label in _LABELS.items():
            table = blocks(part, metric).table
            if len(table):
                by_metric[label] = table.rank(axis=1).mean().map("{:.2f}".format)
                by_metric[label]["(blocks)"] = str(len(table))
        if by_metric:
            columns[tuple(task.values())] = pd.concat(by_metric, names=["metric", "agent"])
    if not columns:
        return pd.DataFrame()
    return pd.DataFrame(columns).rename_axis(columns=TASK).reindex(list(_LABELS.values()), level="metric")


@section("Differences between agents")
def difference_table(found: Results) -> pd.DataFrame:
    """Holm-corrected p-values of all pairs of agents, over all tasks of a protocol."""
    tables = {}
    for keys, part in groups(found.areas, ["protocol"]):
        for metric, label in _LABELS.items():
            table = blocks(part, metric).table
            if len(table) and table.shape[1] > 1:
                tables[keys["protocol"], label] = compare(table).p_values.map("{:.3g}".format)
    return pd.concat(tables, names=["protocol", "metric", "agent"]) if tables else pd.DataFrame()


@section("Dual ablation")
def dual_ablation(found: Results) -> Figures:
    """Agents whose dropout is raised for training too, beside the duals, which raise it for scoring alone."""
    for task, curves in groups(found.curves, TASK):
        duals = [agent for agent in curves["agent"].unique() if agent.endswith("_dual")]
        both = [*duals, *(agent.removesuffix("_dual") for agent in duals), "random"]
        if duals:
            chosen = curves[curves["agent"].isin(both)]
            yield file_name("dual", task), curve_plots.learning_curves(chosen, title=task_label(task))


@section("Calibration")
def calibration(found: Results) -> Figures:
    """Calibration error of each task over the labelled points, and the PIT of the last round."""
    for task, curves in groups(found.curves, TASK):
        pit = select(found.pit, task)
        if len(pit):  # some stored runs are older than the histograms
            yield (
                file_name("calibration", task),
                curve_plots.calibration_curves(curves, pit, task_label(task)),
            )


@section("Did the last rounds help?")
def last_rounds_table(found: Results) -> pd.DataFrame:
    """What the last five rounds changed in the NLL on the test set: mean over the runs, and from five runs on
    its 95 % interval. Where no change is seen, more labels of this agent's choice may not pay.
    """
    table = last_rounds(select(found.curves, {"metric": "nll"}))
    return table.assign(**{name: table[name].map("{:+.3f}".format) for name in ("mean", "low", "high")})


@section("Sharpness")
def sharpness(found: Results) -> pd.DataFrame:
    """Mean width of the 90 % intervals after the last round, and the share of the test targets within them.

    Narrow intervals are good where that share is about 0.9.
    """
    by = [*EXPERIMENT, "run"]
    width = found.curves.query("metric == 'sharpness'").sort_values("labelled")
    total = found.pit.groupby(by, observed=True)["count"].sum()
    inside = found.pit[found.pit["bin"].between(0.04, 0.94)].groupby(by, observed=True)["count"].sum()
    columns = {"width": width.groupby(by, observed=True)["value"].last(), "coverage": inside / total}
    return pd.DataFrame(columns).groupby(EXPERIMENT, observed=True).mean().dropna()


@section("Time")
def times(found: Results) -> Figures:
    """Seconds a round; of runs trained side by side, training is a run's share. Stored runs were timed where
    they were made.
    """
    for task, runs in groups(select(found.runs, {"status": "finished"}), TASK):
        yield file_name("times", task), plots.times(runs, task_label(task))


@section("Upper bounds")
def upper_bounds(found: Results) -> Figures:
    """Training on the whole train part (compute_upper_bound.py), a line a run; a dot is its last epoch."""
    for keys, part in groups(found.upper_bounds, _SETTING):
        yield file_name("upper_bound", keys), curve_plots.upper_bound_curves(part, task_label(keys))


@section("Upper bounds, last epoch")
def upper_bound_table(found: Results) -> pd.DataFrame:
    """Metrics after the last epoch on the whole train part: mean over the restarts."""
    by = [*_SETTING, "run", "metric"]
    last = found.upper_bounds.sort_values("epoch").groupby(by, observed=True)["value"].last().unstack()
    means = last.groupby(level=_SETTING, observed=True).mean()
    means.insert(0, "restarts", last.groupby(level=_SETTING, observed=True).size())
    return _metrics_named(means)


@section("What is missing")
def missing_table(found: Results) -> pd.DataFrame:
    """Only what was begun is looked at: in each task (dataset, model, protocol, query size) that has a run,
    the agents and run ids that occur anywhere in these runs. What occurs nowhere is not missed here, nor
    what occurs in the store alone.
    """
    return find_missing_runs(found)


@section("Fewer runs than others")
def uneven_table(found: Results) -> pd.DataFrame:
    """Tasks in which an agent has fewer finished runs than another: ranks and tests use only the runs that
    all of them have, and leave out an agent that has none of these.
    """
    finished = (found.runs["status"] == "finished").groupby([found.runs[name] for name in EXPERIMENT])
    table = finished.sum().rename("finished").to_frame()
    table["most of an agent here"] = table["finished"].groupby(level=TASK).transform("max")
    return table[table["finished"] < table["most of an agent here"]]


@section("Problems")
def problem_table(found: Results) -> pd.DataFrame:
    """Folders that are damaged or do not fit, and were left out."""
    return found.problems

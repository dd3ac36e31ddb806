"""The sections of the notebook, in this order: the paper's figures and tables, and more.

One more figure or table is one function under `section`:

    @section("Best rounds")
    def best_rounds(found: Results) -> Figures:
        'This docstring is shown under the heading.'
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
from .leaderboard import BOARD_NOTE, MAIN, NEEDED_NOTE, comparisons, leaderboard, task_label
from .load import EXPERIMENT, TASK, Results, groups, own_agents, select
from .statistics import blocks, last_rounds
from .store import TRAINED

#: File names (without ending) and figures.
Figures: TypeAlias = Iterator[tuple[str, Figure]]
Make: TypeAlias = Callable[[Results], Figures | pd.DataFrame]

#: What runs of different query sizes share.
_SETTING = TASK[:3]


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
        SECTIONS[heading] = Section(heading, " ".join((text or make.__doc__ or "").split()), make)
        return make

    return add


def file_name(kind: str, keys: dict[str, Any], *more: str) -> str:
    """A figure's name, fit for a file: `curves_diabetes_nf_q5`; `published` goes without saying."""
    protocol = keys.get("protocol", "published")
    size = [f"q{keys['query_size']}"] if "query_size" in keys else []
    parts = [kind, *(keys[name] for name in ("dataset", "variation") if name in keys), *size, *more]
    return re.sub(r"[^\w.-]", "-", "_".join(parts + ([protocol] if protocol != "published" else [])))


@section("Learning curves")
def learning_curves(found: Results) -> Figures:
    """The paper's learning curves: NLL and MAE on the test set after n labels, and the difference to random's
    run of the same id. If there are many agents, your own, random and the best three are in colour, with the
    95 % interval of the mean from five runs on. 'All data' is the upper bound; curves may pass below it: its
    training ends once the validation MAE has stalled for 25 epochs, a run's continues from fit to fit.
    """
    for task, curves in groups(found.curves, TASK):
        own = own_agents(found, task)
        bounds = select(found.upper_bounds, {name: task[name] for name in _SETTING})
        for metric in MAIN:
            ordered = select(bounds, {"metric": metric}).sort_values("epoch")
            bound = ordered.groupby("run")["value"].last().mean()  # NaN without any
            figure = curve_plots.learning_curves(curves, metric, task_label(task), own, bound)
            yield file_name("curves", task, metric), figure


TRAINED_NOTE = (
    "MAE on the test set of random's flow (corrected, query size 50), and on the same labels of their "
    "constant median, extremely randomised trees and a Gaussian process; means over the runs. "
    "If 'flow / best', the flow's divided by the better of the last two, is far above 1, curves tell more "
    "about training than about labels."
)


def trained_means(found: Results) -> pd.DataFrame:
    """A row a task and number of labels; empty where the store says nothing."""
    if found.trained.empty:
        return pd.DataFrame()
    return found.trained.groupby(["dataset", "labels"])[list(TRAINED)].mean().map("{:.3g}".format)


section("Is it trained?", TRAINED_NOTE)(trained_means)


@section("Leaderboards", BOARD_NOTE)
def leaderboards(found: Results) -> pd.DataFrame:
    """The agents of each task, and of all tasks of one query size."""
    tables = {tuple(one.task.values()): leaderboard(one) for one in comparisons(found)}
    return pd.concat(tables, names=[*TASK, "agent"]) if tables else pd.DataFrame()


@section("Compared with random")
def beside_random(found: Results) -> Figures:
    """Areas under the curves minus those of random's run of the same id: mean and Student's 95 % interval. An
    arrow marks an interval that continues beyond the edge.
    """
    for keys, part in groups(found.areas, ["variation", "protocol"]):
        for metric in MAIN if _has_random(part) else ():
            yield (
                file_name("beside_random", keys, metric),
                plots.leaderboard(part, metric, task_label(keys)),
            )


@section("Labels needed", NEEDED_NOTE)
def labels(found: Results) -> Figures:
    """A bar for each agent, a panel for each task."""
    for keys, part in groups(found.areas, ["variation", "protocol"]):
        if _has_random(part):
            figure = plots.labels_saved(select(found.needed, keys), task_label(keys))
            yield file_name("labels", keys), figure


def _has_random(part: pd.DataFrame) -> bool:
    return part["agent"].nunique() > 1 and "random" in set(part["agent"])


@section("Critical differences")
def critical_differences(found: Results) -> Figures:
    """The paper's critical difference diagrams: mean ranks over all blocks (dataset, query size, variation,
    run) in which every agent has a run, and over those of one variation where there are several. A bar joins
    the agents that have dots on it: between them Wilcoxon's signed-rank test with Holm's correction finds no
    difference at 5 %.
    """
    for protocol, part in groups(found.areas, ["protocol"]):
        variations = [{}, *({"variation": name} for name in part["variation"].unique())]
        for variation, metric in product(variations if len(variations) > 2 else [{}], MAIN):
            ranked = blocks(select(part, variation), metric)
            if len(ranked.table) and ranked.table.shape[1] > 1:
                keys = protocol | variation
                title = f"Ranks by {METRICS[metric].label}: {task_label(keys)}"
                yield (
                    file_name("critical_differences", keys, metric),
                    plots.critical_differences(ranked, title),
                )


@section("Dual ablation")
def dual_ablation(found: Results) -> Figures:
    """The paper's ablation: agents whose dropout is raised for training too, and the duals, which raise it
    for scoring only.
    """
    for task, curves in groups(found.curves, TASK):
        duals = [agent for agent in curves["agent"].unique() if agent.endswith("_dual")]
        both = [*duals, *(agent.removesuffix("_dual") for agent in duals), "random"]
        if duals:
            chosen = curves[curves["agent"].isin(both)]
            figure = curve_plots.learning_curves(chosen, MAIN[0], task_label(task))
            yield file_name("dual", task, MAIN[0]), figure


@section("Calibration")
def calibration(found: Results) -> Figures:
    """Whether predicted quantiles are right, after the last round: 0 is calibrated."""
    for task, pit in groups(found.pit, TASK):
        yield (
            file_name("calibration", task),
            plots.calibration(pit, task_label(task), own_agents(found, task)),
        )


@section("Did the last rounds help?")
def last_rounds_table(found: Results) -> pd.DataFrame:
    """What the last five rounds changed in the NLL on the test set: mean over the runs, and from five runs on
    its 95 % interval. If no change is seen, more labels chosen by this agent may not be worth their cost.
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


@section("Seconds to choose")
def seconds(found: Results) -> pd.DataFrame:
    """Seconds an agent takes to choose the points of one round, means over the runs; stored runs were timed
    where they were made. Training is left out: of runs side by side it depends on how many they were.
    """
    runs = found.runs[found.runs["rounds"] > 0]
    each = (runs["seconds_choosing"] / runs["rounds"]).groupby([runs[name] for name in EXPERIMENT]).mean()
    return each.unstack(TASK).map("{:.3g}".format, na_action="ignore") if len(each) else pd.DataFrame()


@section("Upper bounds, last epoch")
def upper_bound_table(found: Results) -> pd.DataFrame:
    """Metrics after the last epoch on the whole train part (compute_upper_bound.py), means over the runs."""
    by = [*_SETTING, "run", "metric"]
    last = found.upper_bounds.sort_values("epoch").groupby(by, observed=True)["value"].last().unstack()
    table = last.groupby(level=_SETTING, observed=True).agg("mean")[
        [name for name in METRICS if name in last]
    ]
    table.insert(0, "restarts", last.groupby(level=_SETTING, observed=True).size())
    return table.rename(columns={name: metric.label for name, metric in METRICS.items()})


@section("Problems")
def problem_table(found: Results) -> pd.DataFrame:
    """Folders that are damaged or do not fit, and were left out."""
    return found.problems

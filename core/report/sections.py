"""What the notebook and the README of a store show: the paper's figures and tables, and more.

The notebook shows all sections, in this order; CONTRIBUTING.md says how to add one.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, product
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..agent import AGENTS
from ..metrics import METRICS
from . import leaderboard as boards
from . import plots
from .leaderboard import MAIN, agent_label, readable, task_label
from .load import EXPERIMENT, TASK, Results, groups, select, spans
from .statistics import blocks, last_rounds, versus
from .store import SCHEMA, SECONDS, SETTING, TRAINED

#: File names (without ending) and figures.
Figures: TypeAlias = Iterator[tuple[str, Figure]]
Make: TypeAlias = Callable[[Results], Figures | pd.DataFrame]
_MODEL = TASK[1:3]


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
        own = found.own_agents(task)
        bounds = select(found.upper_bounds, {name: task[name] for name in SETTING})
        for metric in MAIN:
            ordered = select(bounds, {"metric": metric}).sort_values("epoch")
            bound = ordered.groupby("run")["value"].last().mean()  # NaN without any
            figure = plots.learning_curves(curves, metric, task_label(task), own, bound)
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


@section("Leaderboards", boards.BOARD_NOTE)
def leaderboards(found: Results) -> pd.DataFrame:
    """The agents of each task, and of all tasks of one query size."""
    tables = {tuple(one.task.values()): boards.leaderboard(one) for one in boards.comparisons(found)}
    return pd.concat(tables, names=[*TASK, "agent"]) if tables else pd.DataFrame()


@section("Compared with random")
def beside_random(found: Results) -> Figures:
    """Areas under the curves minus those of random's run of the same id: mean and Student's 95 % interval. An
    arrow marks an interval that continues beyond the edge.
    """
    for keys, part in _with_random(found):
        for metric in MAIN:
            figure = plots.leaderboard(part, metric, task_label(keys))
            yield file_name("beside_random", keys, metric), figure


@section("Labels needed", boards.NEEDED_NOTE)
def labels(found: Results) -> Figures:
    """A bar for each agent, a panel for each task."""
    for keys, _ in _with_random(found):
        yield file_name("labels", keys), plots.labels_saved(select(found.needed, keys), task_label(keys))


def _with_random(found: Results) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The areas of each variation and protocol that has random and another agent."""
    for keys, part in groups(found.areas, _MODEL):
        if part["agent"].nunique() > 1 and "random" in set(part["agent"]):
            yield keys, part


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
            if len(ranked.table):
                keys = protocol | variation
                title = f"Ranks by {METRICS[metric].label}: {task_label(keys)}"
                figure = plots.critical_differences(ranked, title)
                yield file_name("critical_differences", keys, metric), figure


@section("Dual ablation")
def dual_ablation(found: Results) -> Figures:
    """The paper's ablation: agents whose dropout is raised for training too, and the duals, which raise it
    for scoring only.
    """
    for task, curves in groups(found.curves, TASK):
        duals = [agent for agent in curves["agent"].unique() if agent.endswith("_dual")]
        both = [*duals, *(agent.removesuffix("_dual") for agent in duals), "random"]
        if duals:
            figure = plots.learning_curves(curves[curves["agent"].isin(both)], MAIN[0], task_label(task))
            yield file_name("dual", task, MAIN[0]), figure


@section("Calibration")
def calibration(found: Results) -> Figures:
    """Whether predicted quantiles are right, after the last round: 0 is calibrated."""
    for task, pit in groups(found.pit, TASK):
        figure = plots.calibration(pit, task_label(task), found.own_agents(task))
        yield file_name("calibration", task), figure


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
    by = [*SETTING, "run", "metric"]
    last = found.upper_bounds.sort_values("epoch").groupby(by, observed=True)["value"].last().unstack()
    settings = last.groupby(level=SETTING, observed=True)
    table = settings.mean()[[name for name in METRICS if name in last]]
    table.insert(0, "restarts", settings.size())
    return table.rename(columns={name: metric.label for name, metric in METRICS.items()})


@section("Problems")
def problem_table(found: Results) -> pd.DataFrame:
    """Folders that are damaged or do not fit, and were left out."""
    return found.problems


_DROPPED = "random+dropout05"
#: Kinds of pictures, and what they show.
_PICTURES = {
    "leaderboard": "NLL compared with random",
    "labels": "labels needed for the NLL that random ends with",
}
_HEAD = f"""# Reference runs

`python store.py` writes this page; do not edit it. `python compare.py --runs_folder runs` ranks your own
agents among these (`docs/COMPARING.md`).

`<dataset>_<variation>_<protocol>.csv.gz` holds the curves: a row for each measurement of each run, a column
for each metric on the scaled target, with all digits of the run's own files. `.jsonl` holds the settings of
each experiment, and for each run its commit, versions, machine, seconds and (except for the oldest) the PIT
histogram of its last round (`core/report/store.py`, schema {SCHEMA}). `python store.py --runs_folder runs`
adds runs.
"""
_VERDICT_NOTE = """Better: Student's 95 % interval of the mean difference to the area of `random`'s run of
the same id is below zero; worse: above. Each task counts alike. There is no correction for the number of
agents: one in forty would be called better by chance alone. In brackets: the share of all labels with which
the agent reaches what `random` has with all of them."""
_DROPOUT_NOTE = f"""BALD, BALSA and NFlows-Out raise the model's dropout to 0.05 in training, too.
`{_DROPPED}` trains its model the same way: 'minus random' is what an agent is worth with its training, 'minus
{_DROPPED}' what its choices are worth. The duals train as `random` does. AUC of NLL, mean over the tasks
with Student's 95 % interval; negative is better."""


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table; texts to the left, numbers to the right."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            return "" if pd.isna(value) else f"{value:.2f}"
        return str(value).replace("|", "\\|")

    rule = ["--:" if pd.api.types.is_numeric_dtype(table[name]) else "---" for name in table]
    lines = [map(cell, line) for line in table.itertuples(index=False, name=None)]
    return "\n".join(f"| {' | '.join(line)} |" for line in ([*map(str, table)], rule, *lines))


def store_pictures(found: Results) -> dict[str, Figure]:
    """By file name, two for each variation and protocol that has random and another agent."""
    made = {}
    for keys, part in _with_random(found):
        name, title = "_".join(keys.values()), task_label(keys)
        made[f"leaderboard_{name}.png"] = plots.leaderboard(part, MAIN[0], title)
        made[f"labels_{name}.png"] = plots.labels_saved(select(found.needed, keys), title)
    return made


def store_readme(found: Results, pictures: Collection[str]) -> str:
    """The README of a store, Markdown.

    Args:
        pictures: the names of those that are next to it.
    """
    compared = [*boards.comparisons(found)]
    parts = [_HEAD, "## Which agents beat random", _VERDICT_NOTE, markdown(_verdicts(compared))]
    if len(dropped := _with_dropout(found)):
        parts += ["## Dropout in training", _DROPOUT_NOTE, markdown(dropped)]
    if len(trained := trained_means(found)):
        parts += ["## Is it trained?", TRAINED_NOTE, markdown(trained.reset_index())]
    parts += ["## What is there", markdown(_contents(found)), "## Leaderboards", boards.BOARD_NOTE]
    for keys, ones in groupby(compared, lambda one: {name: one.task[name] for name in _MODEL}):
        parts.append(f"## {task_label(keys)}")
        for kind, shows in _PICTURES.items():
            if (name := f"{kind}_{'_'.join(keys.values())}.png") in pictures:
                parts.append(f"![{task_label(keys)}: {shows}]({name})")
        for one in ones:
            parts.append(f"### {readable(one.task['dataset'])}, query size {one.task['query_size']}")
            board = boards.leaderboard(one).rename(index=agent_label).rename_axis("agent")
            parts.append(markdown(board.reset_index()))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _verdicts(compared: Iterable[boards.Comparison]) -> pd.DataFrame:
    """Which agents are better than random and which are worse: a row a comparison and main metric."""
    lines, verdicts = [], ["better", "worse", "same"]
    for (task, _, differences, needed), metric in product(compared, MAIN):
        less = select(differences, {"metric": metric})
        reached = select(needed, {"metric": metric}).assign(low=np.nan)  # without the interval
        share = boards.needed_in_words(reached, in_labels=False)
        line = {
            "setting": task_label({name: task[name] for name in TASK[1:]}),
            "task": readable(task["dataset"]),
            "by": METRICS[metric].label,
        }
        for verdict in verdicts:
            agents = [
                f"{agent_label(one)} ({share[one]})" for one in select(less, {"verdict": verdict})["agent"]
            ]
            line[plots.VERDICTS[verdict][0]] = ", ".join(agents) or "none"
        if less["verdict"].isin(verdicts).any():
            lines.append(line)
    return pd.DataFrame(lines)


def _with_dropout(found: Results) -> pd.DataFrame:
    """Agents that train with more dropout, and the duals, compared with those that train the same way."""
    lines = []
    for keys, part in groups(select(found.areas, {"metric": "nll"}), TASK[1:]):
        agents = sorted(map(str, part["agent"].unique()))
        less = {other: _less(part, other) for other in ("random", _DROPPED) if _DROPPED in agents}
        for agent in agents if less else ():
            name = agent.partition("+")[0]  # not all that is stored must be known
            trained = name in AGENTS.classes and AGENTS[agent].dropout is not None
            namesake = agent.removesuffix("_dual")
            if trained or namesake != agent:
                line = {"setting": task_label(keys), "agent": agent_label(agent)}
                line["minus random"] = less["random"].get(agent, "")
                line[f"minus {_DROPPED}"] = less[_DROPPED].get(agent, "") if trained else ""
                both = part[part["agent"].isin([agent, namesake])]
                dual = _less(both, namesake).get(agent, "") if namesake != agent else ""
                line["dual minus its namesake"] = dual
                lines.append(line)
    return pd.DataFrame(lines)


def _less(areas: pd.DataFrame, reference: str) -> pd.Series:
    """How far each agent is from another one, in words."""
    return boards.in_words(versus(areas, reference=reference).set_index("agent"), "{:+.3f}".format)


def _contents(found: Results) -> pd.DataFrame:
    """One row a task."""
    runs = found.runs.assign(hours=found.runs[SECONDS].sum(axis=1) / 3600).groupby(TASK, observed=True)
    columns = {
        "agents": runs["agent"].nunique(),
        "run ids": runs["run"].agg(spans),
        "runs": runs.size(),
        "core-hours": runs["hours"].sum().map("{:.1f}".format),
    }
    return pd.DataFrame(columns).reset_index().rename(columns={"query_size": "query size"})

"""An HTML page to explore results with: choose a task and a metric, see its learning curves and its table.

The page (`page.html`) holds plotly's script and all numbers, gzipped, and fetches nothing.
"""

import base64
import gzip
import html
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from plotly.offline import get_plotlyjs

from ..metrics import METRICS
from .leaderboard import agent_label, readable, task_label
from .load import TASK, Results, groups, own_agents, select
from .statistics import mean_curves

#: More points of a curve would not be seen.
_POINTS = 100
#: Of a test set, by name: their labels.
_MEASURED = {name: metric.label for name, metric in METRICS.items() if metric.function}


def report_page(found: Results, runs_folder: Path) -> str:
    """All tasks of a runs folder (and of a store, if one was read), and below them what was left out."""
    left_out = [f"{folder}: {problem}" for folder, problem in found.problems.itertuples(index=False)]
    return explorer_page(found, "Results", overview(found, runs_folder), notes=[("Left out", left_out)])


def overview(found: Results, runs_folder: Path) -> str:
    """How many runs there are, in a sentence."""
    stored, own = len(found.stored), len(found.own)
    finished = (found.own["status"] == "finished").sum()
    if stored and not own:
        return f"{stored} stored reference runs; compare.py ranks your own agents among them"
    if not finished and not stored:
        return f"No finished runs in {runs_folder} or its sibling folders: make some with evaluate.py"
    parts = [f"{finished} finished runs in {runs_folder} and its sibling folders"]
    parts += [f"plus {stored} stored ones"] if stored else []
    return ", ".join(parts) + (f"; {own - finished} unfinished or damaged" if own > finished else "")


def explorer_page(
    found: Results,
    title: str,
    introduction: str,
    remarks: Mapping[tuple[Any, ...], list[str]] | None = None,
    notes: Iterable[tuple[str, list[str]]] = (),
) -> str:
    """The page, HTML.

    Args:
        title, introduction: plain texts.
        remarks: of a task, by its values of `TASK`, the lines above its curves.
        notes: headings and lines at the end of the page.
    """
    data = {
        "title": title,
        "introduction": introduction,
        "metrics": _MEASURED,
        "tasks": task_data(found, remarks or {}),
        "notes": [note for note in notes if note[1]],
    }
    text = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    parts = {"%DATA%": _packed(json.dumps(data, separators=(",", ":"), allow_nan=False))}
    parts |= {"%PLOTLY%": _packed(get_plotlyjs()), "%TITLE%": html.escape(title)}
    for name, part in parts.items():
        text = text.replace(name, part)
    return text


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def task_data(found: Results, remarks: Mapping[tuple[Any, ...], list[str]]) -> list[dict[str, Any]]:
    """What the page shows of each task, the one to begin with first: that with your own agents, then one of
    the corrected protocol in which most agents are better than random by NLL.
    """
    tasks = []
    for task, curves in groups(found.curves, TASK):
        own = own_agents(found, task) if len(found.own) else []
        labelled = curves["labelled"]
        tasks.append(
            {name: str(value) for name, value in task.items()}
            | {
                "dataset_label": readable(task["dataset"]),
                "variation_label": task_label({"variation": task["variation"]}),
                "seed_set": int(labelled.min()),
                "labels": int(labelled.max()),
                "remarks": remarks.get(tuple(task.values()), []),
                "agents": agent_data(
                    curves, select(found.differences, task), select(found.needed, task), own
                ),
            }
        )

    def interest(task: dict[str, Any]) -> tuple[bool, bool, int]:
        verdicts = [agent["metrics"].get("nll", {}).get("verdict") for agent in task["agents"]]
        own = any(agent["own"] for agent in task["agents"])
        return own, task["protocol"] == "corrected", verdicts.count("better")

    return sorted(tasks, key=interest, reverse=True)


def agent_data(
    curves: pd.DataFrame, differences: pd.DataFrame, needed: pd.DataFrame, own: Collection[str]
) -> list[dict[str, Any]]:
    """The curves and the table's numbers of each agent of one task, for each metric.

    All numbers of an agent are of the same runs: those that `random` has too, if there are any.
    """
    shared = curves["run"].isin(set(curves.loc[curves["agent"] == "random", "run"]))
    curves = curves[shared | ~curves["agent"].isin(set(curves.loc[shared, "agent"]))]
    agents: dict[str, dict[str, Any]] = {
        agent: {"name": agent, "label": agent_label(agent), "own": agent in own, "metrics": {}}
        for agent in sorted(curves["agent"].unique(), key=lambda agent: (agent != "random", agent))
    }
    less, reached = (
        table.set_index(["metric", "agent"]).to_dict("index")
        for table in (differences, needed.dropna(subset="value"))
    )
    measured = curves[curves["metric"].isin(_MEASURED)]
    measured = measured.astype({"metric": pd.CategoricalDtype([*_MEASURED])})  # in this order
    means = mean_curves(measured, ["metric"]).reset_index()
    for (metric, agent), curve in means.groupby(["metric", "agent"], observed=True):
        numbers = _points(curve)
        numbers |= {"runs": int(curve["runs"].max()), "area": _short(curve["mean"].mean())}
        if line := less.get((metric, agent)):
            numbers["verdict"] = line["verdict"]
            numbers["difference"] = [_short(line[name]) for name in ("value", "low", "high")]
        if line := reached.get((metric, agent)):
            shares = [line["value"], *([] if np.isnan(line["low"]) else [line["low"], line["high"]])]
            numbers["labels"] = [_short(share * line["labels"]) for share in shares]
        agents[agent]["metrics"][metric] = numbers
    return list(agents.values())


def _points(curve: pd.DataFrame) -> dict[str, Any]:
    """Some points of a mean curve, with half the width of its band, and its last value."""
    some = curve.iloc[np.unique(np.linspace(0, len(curve) - 1, _POINTS).astype(int))]
    numbers = {"x": some["labelled"].tolist(), "mean": list(map(_short, some["mean"]))}
    if some["half"].notna().any():
        numbers["half"] = list(map(_short, some["half"]))
    return numbers | {"last": numbers["mean"][-1]}


def _short(value: float) -> float | None:
    """A number of four digits; None for those that JSON does not have."""
    return float(f"{value:.4g}") if np.isfinite(value) else None

"""An HTML page to explore results with: choose a task and a metric, see its learning curves and its table.

The page (`page.html`) holds plotly's script and all numbers, gzipped, and fetches nothing.
"""

import base64
import gzip
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from plotly.offline import get_plotlyjs

from ..metrics import METRICS
from .leaderboard import agent_label, first_lines, not_compared, readable, task_label
from .load import TASK, Results, groups, select
from .statistics import mean_curves

#: More points of a curve would not be seen.
_POINTS = 100
#: Of a test set, by name: their labels.
_MEASURED = {name: metric.label for name, metric in METRICS.items() if metric.function}


def overview(found: Results, runs_folder: Path) -> str:
    """How many runs there are, in a sentence."""
    stored, own = len(found.stored), len(found.own)
    finished = (found.own["status"] == "finished").sum()
    if stored and not own:
        return f"{stored} stored reference runs; compare.py ranks your own agents among them"
    if not finished and not stored:
        return f"No finished runs in {runs_folder} or its sibling folders: make some with evaluate.py"
    plus = f", plus {stored} stored ones" if stored else ""
    unusable = f"; {own - finished} unfinished or damaged" if own > finished else ""
    return f"{finished} finished runs in {runs_folder} and its sibling folders{plus}{unusable}"


def comparison_page(found: Results, here: Results, runs_folder: Path) -> str:
    """The page that compares your own agents with the stored runs of the same ids, as HTML.

    Args:
        here: `leaderboard.comparable(found)`.
    """
    names = ", ".join(map(agent_label, found.own_agents()))
    text = f"{names} from {runs_folder} (bold, marked ▶), compared with the stored runs of the same ids."
    remarks, left_out = first_lines(found, runs_folder), not_compared(found, runs_folder)
    return explorer_page(here, "Comparison", text, left_out, remarks)


def explorer_page(
    found: Results,
    title: str,
    introduction: str,
    left_out: Sequence[str] = (),
    remarks: Mapping[tuple[Any, ...], list[str]] | None = None,
) -> str:
    """The page, HTML.

    Args:
        title, introduction: plain texts.
        left_out: lines for the end of the page.
        remarks: of a task, by its values of `TASK`, the lines above its curves.
    """
    data = {
        "title": title,
        "introduction": introduction,
        "metrics": _MEASURED,
        "tasks": task_data(found, remarks or {}),
        "notes": [("Left out", left_out)] if left_out else [],
    }
    page = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    page = page.replace("%DATA%", _packed(json.dumps(data, separators=(",", ":"), allow_nan=False)))
    return page.replace("%PLOTLY%", _packed(get_plotlyjs())).replace("%TITLE%", html.escape(title))


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def task_data(found: Results, remarks: Mapping[tuple[Any, ...], list[str]]) -> list[dict[str, Any]]:
    """What the page shows of each task, the one to begin with first: that with your own agents, then one of
    the corrected protocol in which most agents are better than random by NLL.
    """
    tasks = [
        {name: str(value) for name, value in task.items()}
        | {
            "dataset_label": readable(task["dataset"]),
            "variation_label": task_label({"variation": task["variation"]}),
            "seed_set": int(curves["labelled"].min()),
            "labels": int(curves["labelled"].max()),
            "remarks": remarks.get(tuple(task.values()), []),
            "agents": _agent_data(found, task, curves),
        }
        for task, curves in groups(found.curves, TASK)
    ]

    def interest(task: dict[str, Any]) -> tuple[bool, bool, int]:
        verdicts = [agent["metrics"].get("nll", {}).get("verdict") for agent in task["agents"]]
        own = any(agent["own"] for agent in task["agents"])
        return own, task["protocol"] == "corrected", verdicts.count("better")

    return sorted(tasks, key=interest, reverse=True)


def _agent_data(found: Results, task: Mapping[str, Any], curves: pd.DataFrame) -> list[dict[str, Any]]:
    """The curves and the table's numbers of each agent of one task, for each metric.

    All numbers of an agent are of the same runs: those that `random` has too, if there are any.
    """
    shared = curves["run"].isin(set(curves.loc[curves["agent"] == "random", "run"]))
    curves = curves[shared | ~curves["agent"].isin(set(curves.loc[shared, "agent"]))]
    own = found.own_agents(task)
    agents: dict[str, dict[str, Any]] = {
        agent: {"name": agent, "label": agent_label(agent), "own": agent in own, "metrics": {}}
        for agent in sorted(curves["agent"].unique(), key=lambda agent: (agent != "random", agent))
    }
    less, reached = (
        select(table, task).set_index(["metric", "agent"]).to_dict("index")
        for table in (found.differences, found.needed.dropna(subset="value"))
    )
    measured = curves[curves["metric"].isin(_MEASURED)]
    measured = measured.astype({"metric": pd.CategoricalDtype([*_MEASURED])})  # in this order
    means = mean_curves(measured, ["metric"]).reset_index()
    for (metric, agent), curve in means.groupby(["metric", "agent"], observed=True):
        some = curve.iloc[np.unique(np.linspace(0, len(curve) - 1, _POINTS).astype(int))]
        numbers = {"x": some["labelled"].tolist(), "mean": list(map(_short, some["mean"]))}
        if some["half"].notna().any():
            numbers["half"] = list(map(_short, some["half"]))
        numbers["last"] = numbers["mean"][-1]
        numbers |= {"runs": int(curve["runs"].max()), "area": _short(curve["mean"].mean())}
        if line := less.get((metric, agent)):
            numbers["verdict"] = line["verdict"]
            numbers["difference"] = [_short(line[name]) for name in ("value", "low", "high")]
        if line := reached.get((metric, agent)):
            shares = [line["value"], *([] if np.isnan(line["low"]) else [line["low"], line["high"]])]
            numbers["labels"] = [_short(share * line["labels"]) for share in shares]
        agents[agent]["metrics"][metric] = numbers
    return list(agents.values())


def _short(value: float) -> float | None:
    """A number of four digits; None for those that JSON does not have."""
    return float(f"{value:.4g}") if np.isfinite(value) else None

"""Leaderboards as tables; your own agents among the stored reference runs, as text; and what agents, datasets
and tasks are called for people.
"""

import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..agent import AGENTS
from ..metrics import METRICS
from ..models.variations import VARIATIONS
from ..runs.settings import differences
from .load import EXPERIMENT, OWN, TASK, Results, distinct, groups, select, sibling_roots
from .statistics import blocks, labels_needed, versus
from .store import OF_AN_AGENT

#: The study's main metrics; the first one ranks first.
MAIN = ("nll", "mae")
#: With fewer runs, an own agent's place is mostly noise.
FEW = 10
#: What tasks of several datasets must share to be compared together.
_GROUP = TASK[1:]
# The texts under the tables.
NEEDED_NOTE = """Labels needed: with how many labels an agent's mean curve first reaches what random has with
all of them, over the runs that both have; in brackets its 95 % interval, from five runs on: where Student's
interval of the difference to that holds 0. '>' is never, '-' where random ends no better than it began.
Random's own mean curve may get there before its end, too: that is noise."""
BOARD_NOTE = f"""Rank and AUC (area under the learning curve) are means over the runs that all agents here
have; `ranked` says how many, where some have more. An agent without any of them has no rank; its AUC is over
its own runs. Minus random: mean difference to the area of random's run of the same id, from five runs on with
Student's 95 % interval; won / tied / lost: in how many of these runs. Lower is better; the best NLL rank
comes first. Over several datasets: only agents that are in all of them; each dataset counts alike in 'minus
random' (the MAE in % of random's) and in 'labels needed', each run in the ranks. {NEEDED_NOTE}"""

_WORDS = {
    "coreset": "CoreSet",
    "typiclust": "TypiClust",
    "coregcn": "CoreGCN",
    "nflows_out": "NFlows-Out",
    "lc": "LC",
    "conf": "confidence",
    "pakinsons": "Parkinsons",
    "bimodalsin": "bimodal sine",
    **{word: word.upper() for word in ("bald", "balsa", "kl", "emd", "nf")},
}


def agent_label(name: str) -> str:
    """An agent's name for people: its class's own `label`, or `BALSA EMD` for `balsa_emd`.

    The suffix of stochastic batches (`BALSA EMD +power`) and `OWN` stay.
    """
    if name.endswith(OWN):
        return agent_label(name.removesuffix(OWN)) + OWN
    agent, plus, suffix = name.partition("+")
    cls = AGENTS.classes.get(agent)
    # Not an inherited one: two agents with the same label could not be told apart.
    label = (vars(cls).get("label") if cls else "") or readable(agent)
    return f"{label} +{suffix}" if plus else label


def readable(name: str) -> str:
    """The name of a dataset or agent in words: `Parkinsons` for `pakinsons`."""
    if name in _WORDS:
        return _WORDS[name]
    text = " ".join(_WORDS.get(word, word) for word in name.split("_"))
    return text[:1].upper() + text[1:]


def task_label(task: dict[str, Any]) -> str:
    """What results have in common: dataset, model, query size and protocol, those that are given."""
    parts = []
    if "dataset" in task:
        parts.append(readable(task["dataset"]))
    if "variation" in task:
        name = task["variation"]  # stored runs may have a model that is not here
        parts.append(VARIATIONS[name].label if name in VARIATIONS else name)
    if "query_size" in task:
        parts.append(f"query size {task['query_size']}")
    if "protocol" in task and (task["protocol"] != "published" or "dataset" not in task):
        parts.append(f"{task['protocol']} protocol")
    return ", ".join(parts)


class Comparison(NamedTuple):
    """The agents of one task, or of several that have the same model, protocol and query size.

    Attributes:
        task: values of `TASK`; of several the dataset is `all 3 datasets`.
        areas, differences, needed: as in `Results`; of several tasks means over them, and the differences of
            metrics that have a zero as shares.
    """

    task: dict[str, Any]
    areas: pd.DataFrame
    differences: pd.DataFrame
    needed: pd.DataFrame

    @property
    def one_task(self) -> bool:
        return self.areas["dataset"].nunique() == 1


def comparisons(found: Results) -> Iterator[Comparison]:
    """Of each model, protocol and query size all tasks together, if there are several, and each of them."""
    tried = found.areas.groupby(TASK, observed=True)["agent"].transform("nunique")
    several = found.areas[tried > 1]  # one agent alone is compared with nothing
    several = several[several.groupby(_GROUP, observed=True)["dataset"].transform("nunique") > 1]
    differences = versus(several, _GROUP, share=True)
    curves = found.curves[found.curves["metric"].isin(MAIN)]
    needed = labels_needed(curves.merge(several[TASK].drop_duplicates()), _GROUP)
    for keys, part in groups(found.areas, _GROUP):
        both = select(several, keys)
        if len(both):
            task = {"dataset": f"all {both['dataset'].nunique()} datasets"} | keys
            yield Comparison(task, both, select(differences, keys), select(needed, keys))
        for dataset, of_task in part.groupby("dataset", observed=True):
            task = {"dataset": dataset} | keys
            yield Comparison(task, of_task, select(found.differences, task), select(found.needed, task))


def leaderboard(found: Comparison) -> pd.DataFrame:
    """The agents of one task, or those that are in all of several, as `BOARD_NOTE` describes them.

    Returns:
        A row an agent, by its registered name, the best mean rank of the NLL first.
    """
    areas = found.areas.astype({"agent": str})
    runs = areas.drop_duplicates([*TASK, "run", "agent"]).groupby("agent").size()
    columns: dict[str, Any] = {"runs": runs}
    names = {metric: METRICS[metric].label for metric in MAIN}
    for metric, name in names.items():
        ranked = blocks(areas, metric).table
        means = select(areas, {"metric": metric}).groupby("agent")["area"].mean()
        means.update(ranked.mean())
        less = select(found.differences, {"metric": metric}).set_index("agent")
        won = less[["won", "tied", "lost"]].astype(str)
        form = "{:+.3f}" if found.one_task or METRICS[metric].signed else "{:+.1%}"
        columns.setdefault("ranked", ranked.count().reindex(runs.index, fill_value=0))
        columns[f"rank {name}"] = ranked.rank(axis=1).mean()
        columns[f"AUC {name}"] = means
        columns[f"{name} minus random"] = in_words(less, form.format)
        columns[f"{name} won / tied / lost"] = won["won"] + " / " + won["tied"] + " / " + won["lost"]
        needed = select(found.needed, {"metric": metric})
        columns[f"labels needed {name}"] = needed_in_words(needed, found.one_task)
    ranks, auc = ([f"{number} {name}" for name in names.values()] for number in ("rank", "AUC"))
    table = pd.DataFrame(columns).sort_values([*ranks, "AUC NLL"])
    if found.one_task:
        table = table.assign(**{name: table[name].map("{:.4g}".format) for name in auc})
    else:
        table = table.dropna(subset=ranks).drop(columns=auc)
    if len(table) == 1 or (table["ranked"] == table["runs"]).all():
        del table["ranked"]
    return table


def in_words(estimates: pd.DataFrame, say: Callable[[float], str], total: str = "") -> pd.Series:
    """Of `value`, `low`, `high`: `-0.05 [-0.06, -0.03]`, or the value alone where there is no interval; `-`
    where there is none. `total` follows finite values.
    """
    lines = []
    for value, low, high in estimates[["value", "low", "high"]].itertuples(index=False):
        of_total = total if np.isfinite(value) else ""
        interval = "" if np.isnan(low) else f" [{say(low)}, {say(high)}]"
        lines.append("-" if np.isnan(value) else say(value) + of_total + interval)
    return pd.Series(lines, estimates.index, dtype=object)


def needed_in_words(needed: pd.DataFrame, in_labels: bool) -> pd.Series:
    """Of each agent `786 of 1,000 [679, 938]`, or, in shares, `79% [68%, 94%]`.

    Args:
        needed: rows of `statistics.labels_needed`, of one metric, and of one task if `in_labels`.
    """
    labels = needed["labels"].max()

    def say(share: float) -> str:
        number = f"{min(share, 1) * labels:,.0f}" if in_labels else f"{min(share, 1):.0%}"
        return f"> {number}" if np.isinf(share) else number

    lines = in_words(needed.set_index("agent"), say, f" of {labels:,}" if in_labels else "")
    return lines.rename_axis(None)


def runs_won(differences: pd.DataFrame, agent: str) -> str:
    """In how many runs an agent beats `random`, in words; empty without runs of the same ids.

    Args:
        differences: rows of `statistics.versus`, of one task.
    """
    found = select(differences, {"agent": agent}).set_index("metric")[["won", "tied", "lost"]]
    said = [
        f"{found['won'][metric]} of {found.loc[metric].sum()} runs ({METRICS[metric].label})"
        for metric in MAIN
        if metric in found.index
    ]
    return f"better than random in {', '.join(said)}" if said else ""


def comparable(found: Results) -> Results:
    """Only the tasks in which there is an own agent to compare, and in each only runs whose ids your own have
    there; without runs of another definition.

    Args:
        found: here and below what `load_results(runs_folder, store)` returns.
    """
    own = found.compared
    ids = select(found.own, {"status": "finished"}).merge(own)[[*TASK, "run"]].drop_duplicates()
    experiments = pd.concat([found.stored[EXPERIMENT], own]).drop_duplicates()
    tables = {name: getattr(found, name).merge(experiments).merge(ids) for name in ("curves", "pit", "runs")}
    return replace(found, **tables)


def first_lines(found: Results, runs_folder: Path) -> dict[tuple[Any, ...], list[str]]:
    """Of each task with own agents what to know before looking at its numbers: how many runs they lack, and
    in which settings they differ from the stored ones.

    Runs of another definition than the stored ones of their task are not compared; those of a stored agent
    with other settings of the agent's own are compared as another agent.
    """
    lines: dict[tuple[Any, ...], list[str]] = {}
    for own, differing in found.own_experiments.items():
        said = lines.setdefault(own[:4], [])
        if not differing:
            said += _run_count(found, own, runs_folder)
        namesake = (*own[:-1], own[-1].removesuffix(OWN))
        others = differences(found.settings[own], found.settings[namesake], ("agent", "config"))
        of_agent = {name: others[name] for name in OF_AN_AGENT if name in others}
        where = ", ".join(map(str, own))
        for name, (mine, theirs) in (differing | of_agent).items():
            ranked = "not ranked: " if name in differing else ""
            said.append(f"{where}: {ranked}{name} is {mine}, but {theirs} in the stored runs")
    return lines


def _run_count(found: Results, own: tuple[Any, ...], runs_folder: Path) -> Iterator[str]:
    """A line if an own agent has few runs in a task, or fewer than are stored: with the command for these."""
    *values, agent = own
    task = dict(zip(TASK, values, strict=True))
    runs = set(select(found.own, task | {"agent": agent, "status": "finished"})["run"])
    lacking = sorted(set(select(found.stored, task)["run"]) - runs)
    noise, more = ": ranks are mostly noise" * (len(runs) < FEW), ""
    if lacking and not agent.endswith(OWN):
        options = " ".join(f"--{name} {value}" for name, value in task.items())
        options += f" --run_id {lacking[0]} --restarts {lacking[-1] - lacking[0] + 1}"
        if runs_folder != Path("runs"):
            options += f" --runs_folder {shlex.quote(str(runs_folder))}"
        more = f"; make {len(lacking)} more: python evaluate.py --agent {agent} {options}"
    if noise or more:
        yield f"{agent_label(agent)}: {len(runs)} runs{noise}{more}"


def not_compared(found: Results, runs_folder: Path) -> list[str]:
    """What is not compared, and why."""
    compared, stored = distinct(found.compared, TASK), distinct(found.stored, TASK)
    above = first_lines(found, runs_folder)
    lines = [line for task, lines in above.items() if task not in compared for line in lines]
    for task in distinct(found.own, TASK):
        if task not in stored:
            lines.append(f"{task_label(dict(zip(TASK, task, strict=True)))}: the store has no runs of it")
    if unfinished := (found.own["status"] == "unfinished").sum():
        lines.append(f"unfinished runs: {unfinished}")
    return lines + found.problem_lines


def comparison_text(found: Results, here: Results, runs_folder: Path) -> str:
    """For the terminal: the leaderboards with your own agents, marked with >, and the runs won at the end.

    Args:
        here: `comparable(found)`.
    """
    above, parts = first_lines(found, runs_folder), []
    for one in comparisons(here):
        keys = {name: value for name, value in one.task.items() if name != "dataset" or one.one_task}
        # Not those that are your own on one of several datasets and stored on another.
        own = set(here.own_agents(keys)) - set(select(here.stored, keys)["agent"])
        board = leaderboard(one)
        if own & set(board.index):
            board.index = ["> " * (name in own) + agent_label(name) for name in board.index]
            table = board.to_string(na_rep="", float_format="{:.1f}".format)
            parts += ["", task_label(one.task), *above.get(tuple(one.task.values()), []), table]
    parts += ["", BOARD_NOTE]
    if lines := not_compared(found, runs_folder):
        parts += ["", "\n  ".join(["Left out", *lines])]
    parts.append("")
    for task, less in groups(here.differences, TASK):
        for agent in found.own_agents(task):
            if won := runs_won(less, agent):
                parts.append(f"{agent}: {won} on {task_label(task)}")
    return "\n".join(parts)


def why_nothing(found: Results, runs_folder: Path) -> str:
    """Why there is nothing to compare, in a line."""
    if not any(root.is_dir() for root in sibling_roots(runs_folder)):
        return f"{runs_folder} does not exist, nor {runs_folder.name}_gauss, ... next to it"
    reasons = not_compared(found, runs_folder)
    if not (found.own["status"] == "finished").any():
        return ": ".join([f"{runs_folder} has no finished runs", *reasons[:1]])
    changed = "the store has these runs; an agent that you changed needs a new version"
    return f"{runs_folder} has nothing to compare: {next(iter(reasons), changed)}"

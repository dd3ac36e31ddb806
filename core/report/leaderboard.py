"""Leaderboards as tables, and what agents, datasets and tasks are called for people."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..agent import AGENTS
from ..metrics import METRICS
from ..models.variations import VARIATIONS
from .load import OWN, TASK, Results, groups, select
from .statistics import blocks, labels_needed, versus

#: The study's main metrics; the first one ranks first.
MAIN = ("nll", "mae")
_GROUP = ["variation", "protocol", "query_size"]
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
        form = "+.3f" if found.one_task or METRICS[metric].signed else "+.1%"
        columns.setdefault("ranked", ranked.count().reindex(runs.index, fill_value=0))
        columns[f"rank {name}"] = ranked.rank(axis=1).mean()
        columns[f"AUC {name}"] = means
        columns[f"{name} minus random"] = in_words(less, form)
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


def in_words(estimates: pd.DataFrame, form: str) -> pd.Series:
    """`-0.05 [-0.06, -0.03]`, or the value alone where there is no interval; `-` where there is none."""
    lines = []
    for value, low, high in estimates[["value", "low", "high"]].itertuples(index=False):
        interval = "" if np.isnan(low) else f" [{low:{form}}, {high:{form}}]"
        lines.append("-" if np.isnan(value) else f"{value:{form}}{interval}")
    return pd.Series(lines, estimates.index, dtype=object)


def needed_in_words(needed: pd.DataFrame, in_labels: bool) -> pd.Series:
    """Of each agent `786 of 1,000 [679, 938]`, or, in shares, `79% [68%, 94%]`.

    Args:
        needed: rows of `statistics.labels_needed`, of one metric.
    """
    lines = {}
    columns = needed[["agent", "value", "low", "high", "labels"]]
    for agent, value, low, high, labels in columns.itertuples(index=False):
        said, *ends = (_share_in_words(share, labels if in_labels else None) for share in (value, low, high))
        of_all = f" of {labels:,}" if in_labels and np.isfinite(value) else ""
        interval = "" if np.isnan(low) else f" [{', '.join(ends)}]"
        lines[agent] = "-" if np.isnan(value) else f"{said}{of_all}{interval}"
    return pd.Series(lines, dtype=object)


def _share_in_words(share: float, labels: int | None) -> str:
    number = f"{min(share, 1):.0%}" if labels is None else f"{min(share, 1) * labels:,.0f}"
    return f"> {number}" if np.isinf(share) else number


def runs_won(areas: pd.DataFrame, agent: str) -> str:
    """In how many runs of one task an agent beats `random`, in words; empty without runs of the same ids."""
    found = select(versus(areas), {"agent": agent}).set_index("metric")
    said = [
        f"{found['won'][metric]} of {found.loc[metric, ['won', 'tied', 'lost']].sum()} runs"
        f" ({METRICS[metric].label})"
        for metric in MAIN
        if metric in found.index
    ]
    return f"better than random in {', '.join(said)}" if said else ""

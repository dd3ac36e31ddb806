"""What agents, datasets and tasks are called for people."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from ..agent import AGENTS
from ..models.variations import VARIATIONS

#: Ends the name of an agent of a runs folder where the store has one of that name with other settings.
OWN = " (own)"

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
    """What a figure's data have in common: dataset, model, query size and protocol, those that are given."""
    parts = []
    if "dataset" in task:
        parts.append(readable(task["dataset"]))
    if "variation" in task:
        name = task["variation"]  # stored runs may have a model that is not here
        parts.append(VARIATIONS[name].label if name in VARIATIONS else name)
    if "query_size" in task:
        parts.append(f"query size {task['query_size']}")
    if task.get("protocol", "published") != "published":
        parts.append(f"{task['protocol']} protocol")
    return ", ".join(parts)


def setting_label(setting: dict[str, Any]) -> str:
    """Model and protocol of several tasks: `normalizing flow, published protocol`."""
    return f"{task_label({'variation': setting['variation']})}, {setting['protocol']} protocol"


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

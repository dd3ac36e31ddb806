"""Names for people, in figures and tables."""

from typing import Any

from ..agent import AGENTS
from ..models.variations import VARIATIONS

__all__ = ["OWN", "agent_label", "dataset_label", "setting_label", "task_label"]

#: Behind the name of an agent whose runs in a folder stand beside those in the store.
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

    A suffix of stochastic batches, `BALSA EMD +power`, and the ending of own runs of a stored agent,
    `BALSA EMD (own)`, stay as they are.
    """
    if name.endswith(OWN):
        return agent_label(name.removesuffix(OWN)) + OWN
    agent, plus, suffix = name.partition("+")
    cls = AGENTS.classes.get(agent)
    # Not an inherited one: two agents of one label could not be told apart.
    label = (vars(cls).get("label") if cls else "") or _in_words(agent)
    return f"{label} +{suffix}" if plus else label


def dataset_label(name: str) -> str:
    """A dataset's name for people: `Parkinsons` for `pakinsons`."""
    return _in_words(name)


def _in_words(name: str) -> str:
    if name in _WORDS:
        return _WORDS[name]
    text = " ".join(_WORDS.get(word, word) for word in name.split("_"))
    return text[:1].upper() + text[1:]


def task_label(task: dict[str, Any]) -> str:
    """What is the same for all of a figure, for people: its data set, model, protocol, query size."""
    parts = []
    if "dataset" in task:
        parts.append(dataset_label(task["dataset"]))
    if "variation" in task:
        name = task["variation"]  # stored results may be of a model that is not here
        parts.append(VARIATIONS[name].label if name in VARIATIONS else name)
    if "query_size" in task:
        parts.append(f"query size {task['query_size']}")
    if task.get("protocol", "published") != "published":
        parts.append(f"{task['protocol']} protocol")
    return ", ".join(parts)


def setting_label(setting: dict[str, Any]) -> str:
    """What the tasks of a leaderboard share, for people: `normalizing flow, published protocol`."""
    return task_label({"variation": setting["variation"]}) + f", {setting['protocol']} protocol"

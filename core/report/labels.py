"""Names for people, in figures and tables."""

from typing import Any

from ..models.variations import VARIATIONS

__all__ = ["METRICS", "agent_label", "task_label"]

METRICS = {
    "mae": "MAE",
    "nll": "NLL",
    "crps": "CRPS",
    "calibration": "calibration error",
    "validation_nll": "validation NLL",
}
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
    """An agent's name for people: `BALSA EMD` for `balsa_emd`."""
    if name in _WORDS:
        return _WORDS[name]
    text = " ".join(_WORDS.get(word, word) for word in name.split("_"))
    return text[:1].upper() + text[1:]


def task_label(task: dict[str, Any]) -> str:
    """What is the same for all of a figure, for people: its data set, model, protocol, query size."""
    parts = []
    if "dataset" in task:
        parts.append(agent_label(task["dataset"]))
    if "variation" in task:
        name = task["variation"]  # stored results may be of a model that is not here
        parts.append(VARIATIONS[name].label if name in VARIATIONS else name)
    if "query_size" in task:
        parts.append(f"query size {task['query_size']}")
    if task.get("protocol", "published") != "published":
        parts.append(f"{task['protocol']} protocol")
    return ", ".join(parts)

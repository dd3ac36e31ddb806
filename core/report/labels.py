"""How agents, datasets and tasks look to people: their names, and an agent's colour and line."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any
from zlib import crc32

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

#: Okabe & Ito without their yellow, which is too pale on paper. Colour-blind people can tell them apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
#: For agents that are not the study's: strong, and none of the study's.
_OTHER_COLOURS = ("#E6007E", "#6A00F4", "#B00000", "#004D00", "#00A8B5", "#7A4300")
_LINES = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))

#: The study's agents beside `random`. The first ones are compared most often: each has a colour of its own,
#: later ones share a colour and differ in line. Your own agents need no place here.
STUDY = (
    *("balsa_emd", "balsa_kl_pairs", "balsa_kl_grid", "coreset", "bald", "typiclust", "coregcn"),
    *("bald_dist_entropy", "bald_dist_std", "nflows_out", "balsa_entropy", "nf_conf", "nf_entropy", "nf_std"),
    *("balsa_emd_dual", "balsa_kl_pairs_dual", "balsa_kl_grid_dual"),
    *("gauss_std", "gauss_entropy", "gauss_lc"),
    *("balsa_emd_full", "balsa_kl_grid_norm", "balsa_kl_diff", "balsa_kl_anomaly", "nf_sample_std"),
)


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


def style(agent: str) -> dict[str, Any]:
    """An agent's colour and line in every figure, as matplotlib's `plot` takes them.

    Outside the study they depend on the name alone: two of 30 such agents may look the same.
    """
    if agent == "random":
        return {"color": "black", "linestyle": "-"}
    studied = agent in STUDY
    colours, i = (COLOURS, STUDY.index(agent)) if studied else (_OTHER_COLOURS, crc32(agent.encode()))
    return {"color": colours[i % len(colours)], "linestyle": _LINES[i // len(colours) % len(_LINES)]}


def ordered(agents: Iterable[str]) -> list[str]:
    """Each agent once: `random`, then as in `STUDY`, then the others by name."""
    rank = {name: i for i, name in enumerate(("random", *STUDY))}
    return sorted(set(agents), key=lambda agent: (rank.get(agent, len(rank)), agent))


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

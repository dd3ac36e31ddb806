"""How an agent looks: the same colour and line in every figure, whoever else is there."""

from typing import Any
from zlib import crc32

import pandas as pd

__all__ = ["COLOURS", "STUDY", "ordered", "style"]

#: Okabe & Ito without their yellow, which is too pale on paper: told apart by the colour-blind as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
#: For agents that are not the study's: strong, and none of the study's.
_OWN_COLOURS = ("#E6007E", "#6A00F4", "#B00000", "#004D00", "#00A8B5", "#7A4300")
_LINES = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))

#: The study's agents beside `random`. Who is most often compared comes first, and differs from the others
#: there in colour, not in line alone. An agent of one's own needs no place here.
STUDY = (
    *("balsa_emd", "balsa_kl_pairs", "balsa_kl_grid", "coreset", "bald", "typiclust", "coregcn"),
    *("bald_dist_entropy", "bald_dist_std", "nflows_out", "balsa_entropy", "nf_conf", "nf_entropy", "nf_std"),
    *("balsa_emd_dual", "balsa_kl_pairs_dual", "balsa_kl_grid_dual"),
    *("gauss_std", "gauss_entropy", "gauss_lc"),
    *("balsa_emd_full", "balsa_kl_grid_norm", "balsa_kl_diff", "balsa_kl_anomaly", "nf_sample_std"),
)


def style(agent: str) -> dict[str, Any]:
    """The agent's colour and line, as matplotlib's `plot` takes them.

    Those of an agent that is not the study's hang on its name alone: with 30 of them, two such agents may
    look the same.
    """
    if agent == "random":
        return {"color": "black", "linestyle": "-"}
    own = agent not in STUDY
    colours, i = (_OWN_COLOURS, crc32(agent.encode())) if own else (COLOURS, STUDY.index(agent))
    return {"color": colours[i % len(colours)], "linestyle": _LINES[i // len(colours) % len(_LINES)]}


def ordered(agents: pd.Series | pd.Index) -> list[str]:
    """Random first, then as in `STUDY`, then the others by name."""
    rank = {name: i for i, name in enumerate(("random", *STUDY))}
    return sorted(agents.unique(), key=lambda agent: (rank.get(agent, len(rank)), agent))

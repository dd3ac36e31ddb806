"""What runs cost: CPU seconds of one thread, estimated from the measurements in docs/performance/."""

import math
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from .. import batches
from ..data.own import is_own
from ..experiment import BASELINES, Experiment
from ..models.variations import DEFAULT, VARIATIONS, load_config
from ..protocol import PROTOCOLS

_PERFORMANCE = Path(__file__).resolve().parents[2] / "docs/performance"
#: Epochs of a refit in study.csv: the mean under `published`.
_PUBLISHED = 11
#: Under `corrected`, of the reference runs of `random` in results/; of other tables a guess.
_CORRECTED = {"pakinsons": 250, "superconductors": 112, "diamonds": 147, "diabetes": 78}
_GUESSED = 150

_config = cache(load_config)


@cache
def seconds(experiment: Experiment, side_by_side: int) -> float:
    """The seconds of one run, with so many side by side.

    If something was not measured: a dataset counts as pakinsons, an agent's choices as those on sarcos or as
    the mean of all agents, a model as the flow, an ensemble as so many single models.
    """
    dataset, budget = experiment.dataset_name, experiment.budget
    config = _config(dataset, experiment.variation)
    rounds = batches.rounds(experiment.query_size, budget)
    one_by_one = PROTOCOLS[experiment.protocol].refit_every_point and config.fitting == "finetuning"
    published = experiment.protocol == "published"
    epochs = _PUBLISHED if published else _CORRECTED.get(dataset, _GUESSED)
    fits = (1 + (budget if one_by_one else rounds)) * config.members * epochs / _PUBLISHED

    measured = _study()
    single = VARIATIONS[experiment.variation].single
    dataset = dataset if (dataset, DEFAULT, 1) in measured else "pakinsons"
    variation = single if (dataset, single, 1) in measured else DEFAULT
    one, many = (measured[dataset, variation, runs] for runs in (1, 25))
    # Interpolate between what was measured. Runs side by side share what a step costs besides its arithmetic.
    share = (experiment.dataset_class.seed_set + budget / 2 - 250) / (1000 - 250)
    refits = [(1 - share) * row["refit at 250"] + share * row["refit at 1000"] for row in (one, many)]
    alone = (1 / min(side_by_side * config.members, 25) - 1 / 25) / (1 - 1 / 25)
    testing = (rounds + 1) * config.members * one["test"]
    choosing = rounds * _choice(dataset, variation, experiment.agent.partition("+")[0])
    return choosing + testing + fits * (alone * refits[0] + (1 - alone) * refits[1])


def in_words(experiment: Experiment, runs: int) -> str:
    """How long so many runs take in one process on a CPU core."""
    unknown = experiment.agent in BASELINES or VARIATIONS[experiment.variation].regressor
    if unknown or is_own(experiment.dataset) or not _PERFORMANCE.exists():
        return "time unknown"
    minutes = runs * seconds(experiment, runs) / 60
    if minutes < 1:
        return "less than a minute"
    return f"about {math.ceil(minutes)} minutes" if minutes < 100 else f"about {minutes / 60:.0f} hours"


@cache
def choices() -> dict[tuple[str, str, str], float]:
    """Seconds of a choice by dataset, variation and agent: of one point, or else of 50."""
    tables = [pd.read_csv(_PERFORMANCE / name) for name in ("acquisition_50.csv", "acquisition.csv")]
    return pd.concat(tables).set_index(["dataset", "variation", "agent"])["seconds"].to_dict()


def _choice(dataset: str, variation: str, agent: str) -> float:
    for where in ((dataset, variation), ("sarcos", DEFAULT), ("sarcos", "gauss")):
        if (found := choices().get((*where, agent))) is not None:
            return found
    return sum(choices().values()) / len(choices())


@cache
def _study() -> dict[Any, Any]:
    """Seconds of fits and tests, by dataset, variation and runs side by side."""
    table = pd.read_csv(_PERFORMANCE / "study.csv")
    return table.set_index(["dataset", "variation", "runs side by side"]).to_dict("index")

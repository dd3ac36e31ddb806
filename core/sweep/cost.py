"""What runs cost: CPU seconds of one thread, estimated from the measurements in docs/performance/."""

import csv
import math
from functools import cache
from itertools import product
from pathlib import Path

from ..experiment import Experiment
from ..models.variations import DEFAULT, VARIATIONS, load_config
from ..protocol import PROTOCOLS

_PERFORMANCE = Path(__file__).resolve().parents[2] / "docs/performance"
#: Epochs of a refit in study.csv: the mean under `published`.
_PUBLISHED = 11
#: Under `corrected`, of the reference runs of `random` in results/: query size, and epochs of a fit.
_CORRECTED = {
    "pakinsons": (50, 250),
    "superconductors": (50, 112),
    "diamonds": (50, 147),
    "diabetes": (5, 78),
}
#: Of tables that have none, a guess; and the fewest that a fit under `corrected` can have.
_GUESSED, _FEWEST = (50, 150), 63

_config = cache(load_config)


@cache
def seconds(experiment: Experiment, side_by_side: int) -> float:
    """Of one run, of so many side by side.

    What was not measured is taken from the nearest that was: for a dataset pakinsons, the smallest; for an
    agent its choices on sarcos, else the mean of all agents; for a model the flow; for an ensemble so many
    single models side by side.
    """
    dataset, budget, size = experiment.dataset_name, experiment.budget, experiment.query_size
    assert budget is not None
    config = _config(dataset, experiment.variation)
    rounds = math.ceil(budget / size)
    one_by_one = PROTOCOLS[experiment.protocol].refit_every_point and config.fitting == "finetuning"
    epochs = float(_PUBLISHED)
    if experiment.protocol == "corrected":  # the fewer the points, the sooner a refit has learned them
        usual_size, usual = _CORRECTED.get(dataset, _GUESSED)
        epochs = max(_FEWEST, usual * (size / usual_size) ** 0.25)
    fits = (1 + (budget if one_by_one else rounds)) * config.members * epochs / _PUBLISHED

    measured = {
        (row["dataset"], row["variation"], row["runs side by side"]): row for row in _rows("study.csv")
    }
    single = VARIATIONS[experiment.variation].single
    dataset = dataset if (dataset, DEFAULT, "1") in measured else "pakinsons"
    variation = single if (dataset, single, "1") in measured else DEFAULT
    share, refit = (experiment.dataset_class.seed_set + budget / 2 - 250) / (1000 - 250), {}
    for runs in ("1", "25"):  # a refit costs what is on the line through the two that were measured
        low, high = (
            float(measured[dataset, variation, runs][f"refit at {points}"]) for points in (250, 1000)
        )
        refit[runs] = low + (high - low) * share
    # What a step costs besides its arithmetic is shared by all that are side by side.
    alone = (1 / min(side_by_side * config.members, 25) - 1 / 25) / (1 - 1 / 25)
    testing = (rounds + 1) * config.members * float(measured[dataset, variation, "1"]["test"])
    choosing = rounds * _choice(dataset, variation, experiment.agent)
    return choosing + testing + fits * (alone * refit["1"] + (1 - alone) * refit["25"])


def is_guess(experiment: Experiment) -> bool:
    """Whether its choices or its fits were not measured on its dataset and with its model."""
    dataset, variation = experiment.dataset_name, experiment.variation
    if (dataset, variation, experiment.agent.partition("+")[0]) not in choices():
        return True
    fitted = variation == DEFAULT and experiment.query_size == _CORRECTED.get(dataset, _GUESSED)[0]
    return experiment.protocol == "corrected" and not fitted


@cache
def choices() -> dict[tuple[str, str, str], float]:
    """Seconds of a choice by dataset, variation and agent: of one point, or else of 50."""
    rows = [*_rows("acquisition_50.csv"), *_rows("acquisition.csv")]
    return {(row["dataset"], row["variation"], row["agent"]): float(row["seconds"]) for row in rows}


def _choice(dataset: str, variation: str, agent: str) -> float:
    agent, _, _ = agent.partition("+")  # the noise of a stochastic batch costs nothing
    for place in product((dataset, "sarcos"), (variation, DEFAULT, "gauss")):
        if (key := (*place, agent)) in choices():
            return choices()[key]
    others = [seconds for (measured, *_), seconds in choices().items() if measured == dataset]
    return sum(others) / len(others)


@cache
def _rows(name: str) -> list[dict[str, str]]:
    with (_PERFORMANCE / name).open(newline="") as file:
        return list(csv.DictReader(file))

"""What an experiment costs on a CPU, estimated from the measurements in docs/performance/."""

import csv
import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ..dataset import DATASETS
from ..models.variations import DEFAULT, VARIATIONS, load_config
from ..protocol import PROTOCOLS

__all__ = ["LABELLED", "SIDE_BY_SIDE", "Costs", "Seconds"]

_MEASURED = Path(__file__).resolve().parents[2] / "docs" / "performance"
#: Labelled points of the refits, and sizes of the groups, that benchmarks/study.py measures.
LABELLED, SIDE_BY_SIDE = (250, 1000), (1, 25)


class Seconds(NamedTuple):
    """CPU seconds of one run with one thread."""

    choosing: float
    training: float
    testing: float


class Costs:
    """Estimates from two tables; what is not in them takes the nearest that is.

    A dataset that was not measured takes pakinsons, the smallest; an agent measured on one of the large
    datasets only, that one; an agent not measured at all, the mean of the others; a model not measured, the
    flow; an ensemble, so many of its single models side by side. Choices were measured under the protocol
    published alone.

    Args:
        study: the table of `benchmarks/study.py`: refits of 11 epochs, and tests.
        acquisition: the table of `benchmarks/acquisition.py`: choices.
    """

    def __init__(
        self, study: Path = _MEASURED / "study.csv", acquisition: Path = _MEASURED / "acquisition.csv"
    ) -> None:
        with study.open(newline="") as file:
            self._fits = {
                (row["dataset"], row["variation"], int(row["runs side by side"])): row
                for row in csv.DictReader(file)
            }
        with acquisition.open(newline="") as file:
            self._choices = {
                (row["dataset"], row["agent"]): float(row["seconds"]) for row in csv.DictReader(file)
            }
        self.run = cache(self._run)

    def _run(
        self,
        dataset: str,
        agent: str,
        variation: str = DEFAULT,
        protocol: str = "published",
        query_size: int = 50,
        budget: int | None = None,
        side_by_side: int = 1,
    ) -> Seconds:
        """One run of so many side by side; its arguments are those of `evaluate.py`."""
        config, _ = load_config(dataset, variation)
        budget, members = budget or DATASETS[dataset].budget, config.members
        rounds = math.ceil(budget / query_size)
        one_by_one = PROTOCOLS[protocol].refit_every_point and config.fitting == "finetuning"
        fits = 1 + (budget if one_by_one else rounds)
        at_middle = DATASETS[dataset].seed_set + budget / 2  # a refit's cost is linear in the points

        measured = dataset if (dataset, DEFAULT, 1) in self._fits else "pakinsons"
        single = VARIATIONS[variation].single
        single = single if (measured, single, 1) in self._fits else DEFAULT
        alone, many = (self._fits[measured, single, size] for size in SIDE_BY_SIDE)
        # What a step costs besides its arithmetic is shared by all that are side by side.
        size = min(side_by_side * members, SIDE_BY_SIDE[1])
        share = (1 / size - 1 / SIDE_BY_SIDE[1]) / (1 - 1 / SIDE_BY_SIDE[1])
        refit = share * _refit(alone, at_middle) + (1 - share) * _refit(many, at_middle)
        test = float(alone["test"])
        choice = self._choice(measured, agent)
        return Seconds(rounds * choice, fits * members * refit, (rounds + 1) * members * test)

    def _choice(self, dataset: str, agent: str) -> float:
        for known in (dataset, "sarcos"):
            if (known, agent) in self._choices:
                return self._choices[known, agent]
        others = [seconds for (of, _), seconds in self._choices.items() if of == dataset]
        return sum(others) / len(others)


def _refit(row: dict[str, str], points: float) -> float:
    """Seconds of a refit at so many labelled points, on the line through the two that were measured."""
    low, high = (float(row[f"refit at {n}"]) for n in LABELLED)
    slope = (high - low) / (LABELLED[1] - LABELLED[0])
    return max(low / 10, low + slope * (points - LABELLED[0]))

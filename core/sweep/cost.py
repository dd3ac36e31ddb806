"""What an experiment costs on a CPU, estimated from the measurements in `costs.csv` beside this file."""

import csv
import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ..dataset import DATASETS
from ..models.variations import DEFAULT, VARIATIONS, load_config
from ..protocol import PROTOCOLS

__all__ = ["LABELLED", "SIDE_BY_SIDE", "Costs", "Seconds"]

_MEASURED = Path(__file__).with_name("costs.csv")
#: Labelled points of the refits, and sizes of the groups, that are measured.
LABELLED, SIDE_BY_SIDE = (250, 1000), (1, 25)


class Seconds(NamedTuple):
    """CPU seconds of one run with one thread."""

    choosing: float
    training: float
    testing: float


class Costs:
    """Estimates from a table of measurements; what is not in it takes the nearest that is.

    A dataset that was not measured takes pakinsons, the smallest; an agent measured on one of the large
    datasets only, that one; an agent not measured at all, the mean of the others; a model not measured, the
    flow, and its choices those of the model that its agent was measured with; an ensemble, so many of its
    single models side by side. Choices were measured under the protocol published alone: of one point, those
    of the field's agents of 50.

    Args:
        path: a table made by `benchmarks/costs.py`. `part` is `refit` (of 11 epochs), `test` or
            `choose`, this of an `agent`; `seconds` those of one thread, of each of the `side_by_side` runs.
    """

    def __init__(self, path: Path = _MEASURED) -> None:
        self._refits: dict[tuple[str, str, int, int], float] = {}
        self._tests: dict[tuple[str, str], float] = {}
        self._choices: dict[tuple[str, str, str], float] = {}
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                dataset, variation, seconds = row["dataset"], row["variation"], float(row["seconds"])
                if row["part"] == "refit":
                    size, labelled = int(row["side_by_side"]), int(row["labelled"])
                    self._refits[dataset, variation, size, labelled] = seconds
                elif row["part"] == "test":
                    self._tests[dataset, variation] = seconds
                else:
                    self._choices[dataset, variation, row["agent"]] = seconds
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
        seed_set: int | None = None,
    ) -> Seconds:
        """One run of so many side by side; its arguments are those of `evaluate.py`.

        A table's budget and seed set must be said.
        """
        config = load_config(dataset, variation)
        budget, members = budget or DATASETS[dataset].budget, config.members
        seed_set = seed_set or DATASETS[dataset].seed_set
        rounds = math.ceil(budget / query_size)
        one_by_one = PROTOCOLS[protocol].refit_every_point and config.fitting == "finetuning"
        fits = 1 + (budget if one_by_one else rounds)
        at_middle = seed_set + budget / 2  # a refit's cost is linear in the points

        measured = dataset if (dataset, DEFAULT) in self._tests else "pakinsons"
        single = VARIATIONS[variation].single
        single = single if (measured, single) in self._tests else DEFAULT
        alone, many = (self._refit(measured, single, size, at_middle) for size in SIDE_BY_SIDE)
        # What a step costs besides its arithmetic is shared by all that are side by side.
        size = min(side_by_side * members, SIDE_BY_SIDE[1])
        share = (1 / size - 1 / SIDE_BY_SIDE[1]) / (1 - 1 / SIDE_BY_SIDE[1])
        refit = share * alone + (1 - share) * many
        test = self._tests[measured, single]
        choice = self._choice(measured, single, agent)
        return Seconds(rounds * choice, fits * members * refit, (rounds + 1) * members * test)

    def choices(self, dataset: str, variation: str | None = None) -> dict[str, float]:
        """The measured seconds of one choice on a dataset, of each agent that was measured there.

        Args:
            variation: of which model; of each agent the first that it was measured with if None.
        """
        found: dict[str, float] = {}
        for (of, model, agent), seconds in self._choices.items():
            if of == dataset and variation in (None, model):
                found.setdefault(agent, seconds)
        return found

    def _choice(self, dataset: str, variation: str, agent: str) -> float:
        agent, _, _ = agent.partition("+")  # the noise of a stochastic batch costs nothing
        for known in (dataset, "sarcos"):
            for model in (variation, None):
                if agent in (choices := self.choices(known, model)):
                    return choices[agent]
        others = self.choices(dataset).values()
        return sum(others) / len(others)

    def _refit(self, dataset: str, variation: str, size: int, points: float) -> float:
        """Seconds of a refit at so many labelled points, on the line through the two that were measured."""
        low, high = (self._refits[dataset, variation, size, n] for n in LABELLED)
        slope = (high - low) / (LABELLED[1] - LABELLED[0])
        return max(low / 10, low + slope * (points - LABELLED[0]))

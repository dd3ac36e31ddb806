"""What a run has measured and kept so far: all that its result files are made of."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from torch import Tensor

from ..metrics import METRICS

__all__ = ["Record"]


class Record:
    """The measurements of one run, and what it was asked to keep besides.

    Args:
        index_name: what counts its measurements: `added` (points) or `epoch`.
        run_id: the run's id.
        keeps_points: the chosen points are kept.
        keeps_predictions: what the last round's model says of the test set is kept.

    Attributes:
        index: the counts at which something was measured, ascending.
        curves: of each metric the values measured then, by the metric's name.
        pit: the PIT histograms measured then.
        points: x and y of the chosen points, tensors [k, d + 1], in the order they were chosen.
        rows: their row numbers in the whole table of the dataset.
        predictions: as of `predictions.predictions`; empty before the last round.
        epochs: epochs trained in all.
        fits_at_limit: fits that the epoch limit ended.
        finished: the episode has terminated.
    """

    def __init__(
        self, index_name: str, run_id: int, *, keeps_points: bool = False, keeps_predictions: bool = False
    ) -> None:
        self.index_name = index_name
        self.run_id = run_id
        self.keeps_points = keeps_points
        self.keeps_predictions = keeps_predictions
        self.clear()

    def clear(self) -> None:
        """As before the first measurement."""
        self.index: list[int] = []
        self.curves: dict[str, list[float]] = {name: [] for name in METRICS}
        self.pit: list[list[int]] = []
        self.points: list[Tensor] = []
        self.rows: list[int] = []
        self.predictions: dict[str, Tensor] = {}
        self.epochs = self.fits_at_limit = 0
        self.finished = False

    def add(self, info: Mapping[str, Any], finished: bool) -> None:
        """Takes the info of an environment's `reset` or `step`; one without metrics has but its epochs."""
        if self.index_name in info:
            self.index.append(info[self.index_name])
            self.pit.append(info["pit"])
            for name, values in self.curves.items():
                values.append(info[name])
        self.epochs += info["epochs"]
        self.fits_at_limit += info.get("fits_at_limit", 0)
        self.finished = finished

    def add_points(self, points: Tensor, rows: Sequence[int]) -> None:
        """Keeps chosen points [k, d + 1] and their row numbers [k]."""
        self.points.append(points)
        self.rows.extend(map(int, rows))

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that changes from round to round, of tensors and plain values."""
        return {
            "keeps_points": self.keeps_points,
            "index": list(self.index),
            "curves": {name: list(values) for name, values in self.curves.items()},
            "pit": list(self.pit),
            "points": list(self.points),
            "rows": list(self.rows),
            "predictions": dict(self.predictions),
            "epochs": self.epochs,
            "fits_at_limit": self.fits_at_limit,
            "finished": self.finished,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state_dict` gave.

        A metric that there was not yet when the run was begun has no curve in this run.
        """
        rows = [state["index"], state["pit"], *state["curves"].values()]
        numbers = [*state["index"], *chain(*state["curves"].values()), *chain(*state["pit"])]
        if len({len(of) for of in rows}) > 1 or not all(isinstance(n, int | float) for n in numbers):
            raise TypeError("its curves are no lists of numbers, one for each measurement")
        self.index, self.pit = list(state["index"]), list(state["pit"])
        self.curves = {name: list(values) for name, values in state["curves"].items() if name in METRICS}
        self.points, self.rows = list(state["points"]), list(state["rows"])
        self.predictions = dict(state["predictions"])
        self.epochs, self.fits_at_limit = state["epochs"], state["fits_at_limit"]
        self.finished = state["finished"]

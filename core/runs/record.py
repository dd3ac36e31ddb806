"""What a run has measured and kept so far: all that its result files are made of."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..metrics import METRICS, Evaluation

#: Of the quantiles of p(y|x) that are kept of the last round.
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


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
        predictions: of the N test rows, float32 on the CPU and on the scaled target: `target`, `prediction`,
            `log_prob`, `pit` [N]; `quantiles` [N, 5] of p(y|x) at `levels` [5]. Empty before the last round.
        epochs: epochs trained in all.
        fits_at_limit: fits that the epoch limit ended.
        finished: the episode has terminated.
    """

    #: What changes from round to round.
    _STATE = (
        "index",
        "curves",
        "pit",
        "points",
        "rows",
        "predictions",
        "epochs",
        "fits_at_limit",
        "finished",
    )

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
        self.rows.extend(rows)

    @torch.no_grad()
    def add_predictions(self, tested: Evaluation) -> None:
        """Keeps what a model says of each test row, enough to compute a metric later; nothing is drawn."""
        levels = torch.tensor(_LEVELS, dtype=tested.targets.dtype, device=tested.targets.device)
        quantiles = torch.cat([density.icdf(levels[:, None]) for density in tested.densities], 1)
        arrays = {
            "target": tested.targets,
            "prediction": tested.predictions,
            "log_prob": tested.log_prob,
            "pit": tested.pit,
            "levels": levels,
            "quantiles": quantiles.T,
        }
        self.predictions = {name: array.float().cpu() for name, array in arrays.items()}

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that changes from round to round, of tensors and plain values."""
        state = {name: _copy(getattr(self, name)) for name in self._STATE}
        return {"keeps_points": self.keeps_points, **state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state_dict` gave.

        A metric that there was not yet when the run was begun has no curve in this run.
        """
        for name in self._STATE:
            setattr(self, name, _copy(state[name]))
        self.curves = {name: values for name, values in self.curves.items() if name in METRICS}


def _copy(value: Any) -> Any:
    """A copy of lists and dictionaries, the same tensors in them."""
    if isinstance(value, dict):
        return {name: _copy(one) for name, one in value.items()}
    return list(value) if isinstance(value, list) else value

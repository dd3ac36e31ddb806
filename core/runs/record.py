"""What a run has measured so far, the content of its result files."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..metrics import METRICS, Evaluation

#: Levels of the quantiles of p(y|x) in the last round's predictions.
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass
class Record:
    """The measurements of one run, with points and predictions if asked for."""

    index_name: str  # what counts the measurements: `added` (points) or `epoch`
    run_id: int
    keeps_points: bool = False
    keeps_predictions: bool = False
    # The counts at which something was measured, ascending; values and histograms measured then.
    index: list[int] = field(default_factory=list)
    curves: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in METRICS})
    pit: list[list[int]] = field(default_factory=list)
    # x and y of the chosen points [k, d + 1], in the order of choice; their rows in the whole table.
    points: list[Tensor] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    # After the last round, of the N test rows, float32 on the CPU and on the scaled target: `target`,
    # `prediction`, `log_prob`, `pit` [N]; `quantiles` [N, 5] of p(y|x) at `levels` [5].
    predictions: dict[str, Tensor] = field(default_factory=dict)
    epochs: int = 0  # trained in all
    fits_at_limit: int = 0  # fits that the epoch limit ended
    finished: bool = False  # the episode has terminated

    def add(self, info: Mapping[str, Any], finished: bool) -> None:
        """Adds the info of an environment's `reset` or `step`; without metrics, only its epochs."""
        if self.index_name in info:
            self.index.append(info[self.index_name])
            self.pit.append(info["pit"])
            for name, values in self.curves.items():
                values.append(info[name])
        self.epochs += info["epochs"]
        self.fits_at_limit += info.get("fits_at_limit", 0)
        self.finished = finished

    @torch.no_grad()
    def add_predictions(self, tested: Evaluation) -> None:
        """Keeps a model's predictions for the test rows, enough to compute a metric later."""
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
        """A copy, of tensors and plain values."""
        return copy.deepcopy(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` returned, but not which points and predictions to keep.

        A metric that is newer than the run has no curve.
        """
        asked = {"keeps_points": self.keeps_points, "keeps_predictions": self.keeps_predictions}
        vars(self).update(copy.deepcopy({**state, **asked}))
        self.curves = {name: values for name, values in self.curves.items() if name in METRICS}

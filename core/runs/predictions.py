"""What the model of a run's last round says of each test row, enough to compute a metric later.

Shapes: N test rows.
"""

import torch
from torch import Tensor

from ..metrics import Evaluation

__all__ = ["LEVELS", "predictions"]

#: Of the quantiles that are kept.
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@torch.no_grad()
def predictions(evaluation: Evaluation) -> dict[str, Tensor]:
    """Float32 tensors on the CPU, on the scaled target; nothing is drawn.

    Returns:
        `target`, `prediction`, `log_prob`, `pit` [N], as of `Evaluation`; `quantiles` [N, 5] of p(y|x)
        at `levels` [5].
    """
    levels = torch.tensor(LEVELS, dtype=evaluation.targets.dtype, device=evaluation.targets.device)
    quantiles = torch.cat([density.icdf(levels[:, None]) for density in evaluation.densities], 1)
    arrays = {
        "target": evaluation.targets,
        "prediction": evaluation.predictions,
        "log_prob": evaluation.log_prob,
        "pit": evaluation.pit,
        "levels": levels,
        "quantiles": quantiles.T,
    }
    return {name: array.float().cpu() for name, array in arrays.items()}

"""Which points of a pool to label next, by any agent, for a model of your own that lies in memory.

Shapes: n labelled points, N points of the pool, d features, k chosen points.
"""

from typing import Any

import numpy as np
import torch

from ..agent import AGENTS, Agent, top
from ..errors import UserError
from ..models.adapters import as_predictor
from ..models.densities import Density
from ..models.predictor import Predictor
from ..protocol import CORRECTED
from ..seeds import Seeds
from ..state import State


def select(
    agent: str,
    *,
    pool: Any,
    labelled: tuple[Any, Any],
    model: Any,
    count: int = 20,
    seed: int = 1,
    scores: bool = False,
) -> Any:
    """The points of a pool that an agent would label next, for a fitted model.

    Every point of the pool is a candidate. Features are used as they are: an agent that measures distances
    between them measures these, so bring them to one scale first. The labels are scaled to [0, 1] for the
    agent, and the model's predictions with them.

    Args:
        agent: its name; `python evaluate.py --list` shows all.
        pool: features [N, d]: an array, a table of numbers, a tensor.
        labelled: features [n, d] and targets [n] that the model was fitted to.
        model: a fitted regressor with scikit-learn's interface, a torch module that predicts [N] or [N, 1],
            or a `core.models.predictor.Predictor`, which is taken as it is, with labels on its own scale.
        count: points to choose k.
        seed: of all that is random: the same one gives the same choice.
        scores: also return the scores of the whole pool [N], the higher the more wanted; an agent that
            chooses a batch as a whole may have none.

    Returns:
        Rows of the pool [k] in the order they were chosen; with `scores`, these and the scores.

    Raises:
        UserError: the agent needs what the model does not have, or the arrays do not fit.

    Example:
        >>> from sklearn.linear_model import LinearRegression
        >>> x = np.array([[0.0], [1.0], [2.0], [9.0]])
        >>> y = x[:2, 0]
        >>> select("gsx", pool=x[2:], labelled=(x[:2], y), model=LinearRegression().fit(x[:2], y), count=1)
        array([1])
    """
    rows = _numbers("pool", pool, 2)
    x, y = (_numbers("labelled", part, dims) for part, dims in zip(labelled, (2, 1), strict=True))
    if x.shape[1] != rows.shape[1] or len(x) != len(y) or not len(y):
        raise UserError(f"pool {rows.shape} and labelled {x.shape}, {y.shape} do not fit together")
    if not 1 <= count <= len(rows):
        raise UserError(f"count {count} is not between 1 and {len(rows)}, the points of the pool")
    predictor = as_predictor(model, x, y)
    if predictor is not model:
        y = (y - y.min()) / (np.ptp(y) or 1.0)
    # Networks of this project compute in float32; others take what they were fitted to.
    dtype = torch.float32 if predictor is model else torch.float64
    candidates, points, labels = (torch.tensor(values, dtype=dtype) for values in (rows, x, y))
    state = State.of_one_choice(candidates, points, labels, predictor, count)
    cls = AGENTS[agent]
    _check(agent, cls, predictor, type(model).__name__, state)
    chooser = cls(count, Seeds(1, seed, seed, seed), CORRECTED)
    if not scores:
        return np.asarray(chooser.select(state, state.x_unlabeled, count))
    if cls.score is Agent.score:
        raise UserError(f"agent '{agent}' chooses a batch as a whole and has no scores of single points")
    all_scores = chooser.score(state, state.x_unlabeled)
    if cls.select is Agent.select:
        chosen: Any = top(all_scores, count)
    else:
        chosen = chooser.select(state, state.x_unlabeled, count)
    return np.asarray(chosen), np.asarray(all_scores)


def _check(agent: str, cls: type[Agent], predictor: Predictor, model: str, state: State) -> None:
    """Raises a UserError if the model lacks what the agent asks for."""
    if lacking := cls.asks - predictor.offers:
        has = ", ".join(sorted(predictor.offers)) or "predictions alone"
        raise UserError(f"agent '{agent}' needs {', '.join(sorted(lacking))} of a model; {model} has {has}")
    if cls.density is not Density:
        density = type(predictor(state.x_unlabeled[:1]))
        if not issubclass(density, cls.density):
            wanted = cls.density.__name__
            raise UserError(f"agent '{agent}' scores a {wanted}; {model} gives a {density.__name__}")


def _numbers(name: str, values: Any, dims: int) -> np.ndarray:
    """An array, a table or a tensor as finite float64 numbers."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: numbers are expected ({error}); encode categories first") from error
    if array.ndim != dims or not np.isfinite(array).all():
        raise UserError(f"{name}: finite numbers with {dims} axes are expected, got shape {array.shape}")
    return array

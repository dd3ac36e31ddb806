"""Models that were fitted elsewhere, as agents take them: regressors of scikit-learn, modules of torch.

Shapes: n labelled points, N rows, d features, K members of an ensemble, h width of the embedding.
"""

import inspect
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from ..errors import UserError
from ..files import one_line
from .densities import Density, GaussDensity
from .forest import Committee, LeafSketch, fitted_noise, member_means, with_names
from .predictor import Factors, Of, Predictor


class Points(Density):
    """Numbers without a distribution around them: only their `mean` is there."""

    def __init__(self, mean: Tensor) -> None:
        super().__init__(mean[..., None])
        self._mean = mean

    @property
    def mean(self) -> Tensor:
        return self._mean

    def _refuse(self, *_: Any) -> Any:
        raise UserError("the agent needs a predictive distribution, and the model only predicts a number")

    draw = log_prob = cdf = icdf = _refuse  # type: ignore[assignment]
    variance = property(_refuse)


class _Scaled(Predictor):
    """A model that predicts the target in its own units; the agents' is scaled to [0, 1] on the labels."""

    def __init__(self, model: Any, low: float, width: float) -> None:
        self.model, self.low, self.width = model, low, width

    def _scaled(self, y: Any) -> Tensor:
        return (torch.as_tensor(y) - self.low) / self.width


class FittedPredictor(_Scaled):
    """A regressor with the interface of scikit-learn: its `predict`, with `return_std` if it has that."""

    def __init__(self, model: Any, low: float, width: float) -> None:
        super().__init__(model, low, width)
        last = model.steps[-1][1] if hasattr(model, "steps") else model  # of a pipeline
        self._has_std = "return_std" in inspect.signature(last.predict).parameters

    def predicted(self, rows: np.ndarray, **options: Any) -> Any:
        """What the model's `predict` gives."""
        return self.model.predict(with_names(self.model, rows), **options)

    def __call__(self, x: Tensor) -> Density:
        if not self._has_std:
            return Points(self._scaled(self.predicted(x.numpy())).reshape(len(x)).to(x))
        mean, std = self.predicted(x.numpy(), return_std=True)
        spread = torch.as_tensor(std).clamp(min=1e-9 * self.width) / self.width
        return GaussDensity(torch.stack([self._scaled(mean), spread], -1).to(x))


class CommitteePredictor(Committee, FittedPredictor):
    """An ensemble whose members are averaged, such as a forest: each member is a pass.

    A member says N(m, s^2), s of the lowest NLL at labelled points to which members were not fitted, as in
    `Forest`; where the ensemble does not tell which these are, s is that of all of them, and too small. The
    embedding of a forest is a sketch of its leaves.
    """

    def __init__(self, model: Any, low: float, width: float, x: np.ndarray, y: np.ndarray) -> None:
        super().__init__(model, low, width)
        self.members = len(model.estimators_)
        self._x, self._y = x, y
        forest = hasattr(model, "apply")
        self.offers = frozenset({"passes", "embedding"} if forest else {"passes"})  # type: ignore[misc]

    @cached_property
    def _noise(self) -> float:
        samples = [some[some < len(self._y)] for some in getattr(self.model, "estimators_samples_", ())]
        return fitted_noise(member_means(self.model, self._x), self._y, samples) / self.width

    @cached_property
    def _sketch(self) -> LeafSketch:
        return LeafSketch(self.model, seed=1)

    def means_and_noise(self, x: Tensor) -> tuple[Tensor, float]:
        return self._scaled(member_means(self.model, x.numpy())).to(x), self._noise

    def encode(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self._sketch(with_names(self.model, x.numpy()))).float()


class ModulePredictor(_Scaled):
    """A torch module from rows [N, d] to a prediction of each, [N] or [N, 1]; in evaluation mode.

    Its layers are its `nn.Linear` in the order in which they are called; what goes into the last one is the
    embedding.
    """

    offers = frozenset({"embedding", "gradients"})

    def __init__(self, model: nn.Module, low: float, width: float, x: np.ndarray) -> None:
        super().__init__(model, low, width)
        self._like = next(model.parameters(), torch.zeros(()))
        _, layers = self._traced(torch.tensor(x[:2]))
        if not layers:
            raise UserError(f"{type(model).__name__} calls no nn.Linear, so it has no embedding")
        self.shapes = [(into.shape[1], out.shape[1]) for into, out, _ in layers]

    def _traced(self, x: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor, float]]]:
        """Predictions [N]; of each layer what went in, what came out, and 1 if it has a bias, else 0."""
        calls: list[tuple[Tensor, Tensor, float]] = []

        def keep(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            calls.append((inputs[0], output, float(layer.bias is not None)))
            return output.clone()  # an activation may write into it

        hooks = [part.register_forward_hook(keep) for part in self.model.modules() if type(part) is nn.Linear]
        training = [part for part in self.model.modules() if part.training]
        self.model.eval()
        try:
            output = self.model(x.to(self._like).requires_grad_(torch.is_grad_enabled()))
        finally:
            for hook in hooks:
                hook.remove()
            for part in training:
                part.training = True
        if tuple(output.shape) not in ((len(x),), (len(x), 1)):
            shapes = f"{list(output.shape)} for {len(x)} rows"
            raise UserError(f"{type(self.model).__name__} gives {shapes}, not one number each")
        return output.reshape(len(x)), calls

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Density:
        return Points(self._scaled(self._traced(x)[0]).to(x))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        return self._traced(x)[1][-1][0].float().to(x.device)

    def gradients(self, x: Tensor, generator: Generator | None = None, of: Of = "log_prob") -> Factors:
        """Of the mean. It has no log p(y|x): for that they stand as well, as of N(mean, 1) at mean + 1."""
        with torch.enable_grad():
            mean, layers = self._traced(x)
            by_output = torch.autograd.grad(self._scaled(mean).sum(), [output for _, output, _ in layers])
        inputs = [nn.functional.pad(into.detach(), (0, 1), value=one) for into, _, one in layers]
        pairs = zip(inputs, by_output, strict=True)
        return [(a[None].float().to(x.device), b[None].float().to(x.device)) for a, b in pairs]


def as_predictor(model: Any, x: np.ndarray, y: np.ndarray) -> Predictor:
    """A fitted model as agents take it.

    Args:
        model: a `Predictor`, which is taken as it is; a torch module; or what has scikit-learn's `predict`.
        x, y: labelled points [n, d] and targets [n], float64, in the model's own units.

    Raises:
        UserError: it is none of these, is not fitted, or predicts something else than a number for each row.
    """
    from sklearn.base import is_classifier
    from sklearn.exceptions import NotFittedError

    if isinstance(model, Predictor):
        return model
    low, width = float(y.min()), float(np.ptp(y)) or 1.0
    if isinstance(model, nn.Module):
        return ModulePredictor(model, low, width, x)
    name = type(model).__name__
    if is_classifier(model) or not callable(getattr(model, "predict", None)):
        raise UserError(
            f"the model, {name}, is no regressor with a predict: give a fitted regressor or a torch module"
        )
    fitted = FittedPredictor(model, low, width)
    try:
        predicted = np.asarray(fitted.predicted(x))
    except NotFittedError as error:
        raise UserError(f"{name} is not fitted: call its fit before") from error
    except ValueError as error:
        raise UserError(f"{name} cannot predict these rows: {one_line(error, 120)}") from error
    if predicted.shape not in ((len(x),), (len(x), 1)):
        raise UserError(f"{name} predicts {list(predicted.shape)} for {len(x)} rows, not one number each")
    if isinstance(getattr(model, "estimators_", None), list):
        committee = CommitteePredictor(model, low, width, x, y)
        if np.allclose(member_means(model, x).mean(0), predicted.reshape(len(x)), atol=1e-6 * width):
            return committee  # else its members are not averaged: boosting, stacking
    return fitted

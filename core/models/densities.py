"""The predictive densities p(y|x): what a model returns.

Both are `torch.distributions` over batches of rows, with three more methods: `draw` (samples from
a given generator), `log_prob_on` (many shared y at once, which agents score by) and `cdf`.
"""

import math
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributions import Categorical, Distribution, MixtureSameFamily, Normal, constraints
from torch.types import _size
from zuko.transforms import ComposedTransform, MonotonicRQSTransform

from . import splines
from .splines import BINS, BOUND, SLOPE

__all__ = ["SPLINE_PARAMETERS", "Density", "FlowDensity", "GaussDensity", "MixtureDensity"]

SPLINE_PARAMETERS = 3 * BINS - 1

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


def _normal_log_prob(z: Tensor) -> Tensor:
    return -0.5 * z * z - _LOG_SQRT_2PI


class _CompiledLogProb(torch.autograd.Function):
    """log p(y) [R, G] from parameters [R, 46] and y [R, G], by the compiled splines."""

    @staticmethod
    def forward(ctx: Any, parameters: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(parameters, y)
        return torch.from_numpy(splines.log_prob(parameters.numpy(), y.numpy()))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor, ...]:
        parameters, y = ctx.saved_tensors
        gradients = splines.log_prob_gradients(parameters.numpy(), y.numpy(), weight.numpy())
        return tuple(map(torch.from_numpy, gradients))


class FlowDensity(Distribution):
    """The flow's p(y|x): two splines (first one, then the other) map y to z ~ N(0, 1).

    Neural Spline Flows (Durkan et al., 2019), arXiv 1906.04032. In float32 on the CPU the splines
    are those of `core.models.splines`; elsewhere, and wherever gradients of anything but `log_prob` are
    wanted, they are zuko's.

    Args:
        parameters: the splines' unconstrained parameters, [*batch, 46].
    """

    has_rsample = True
    support = constraints.real

    def __init__(self, parameters: Tensor) -> None:
        super().__init__(parameters.shape[:-1], validate_args=False)
        self.parameters = parameters

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Differentiable samples, from torch's global generator; `draw` takes one of yours."""
        return self.transform.inv(
            torch.randn_like(self.parameters[..., 0].expand(self._extended_shape(sample_shape)))
        )

    @property
    def transform(self) -> ComposedTransform:
        """The differentiable map from y to z."""
        splines = [
            MonotonicRQSTransform(*part.split((BINS, BINS, BINS - 1), -1), bound=BOUND, slope=SLOPE)
            for part in self.parameters.split(SPLINE_PARAMETERS, -1)
        ]
        return ComposedTransform(*splines)

    @property
    def _compiled(self) -> bool:
        return self.parameters.device.type == "cpu" and self.parameters.dtype == torch.float32

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(y|x) of values that broadcast against the batch; differentiable."""
        if not (self._compiled and value.dtype == torch.float32):
            z, ladj = self.transform.call_and_ladj(value)
            return _normal_log_prob(z) + ladj
        shape = torch.broadcast_shapes(value.shape, self.batch_shape)
        lead = len(shape) - len(self.batch_shape)
        rows = self.parameters.expand(*shape[lead:], -1).reshape(-1, 2 * SPLINE_PARAMETERS)
        y = value.expand(shape).reshape(math.prod(shape[:lead]), len(rows)).T
        return _CompiledLogProb.apply(rows, y).T.reshape(shape)

    def log_prob_on(self, y: Tensor) -> Tensor:
        """log p(y|x) of many y, [*batch, G].

        Args:
            y: ascending values [G] that all rows share, or [*end of batch, G].
        """
        if self.parameters.requires_grad or not self._compiled:
            lead = [1] * (len(self.batch_shape) + 1 - y.dim())
            values = y.movedim(-1, 0)
            return self.log_prob(values.reshape(len(values), *lead, *values.shape[1:])).movedim(0, -1)
        rows = self.parameters.reshape(-1, 2 * SPLINE_PARAMETERS).numpy()
        z, jacobian = map(torch.from_numpy, splines.forward(rows, y.reshape(-1, y.shape[-1]).numpy()))
        log_p = jacobian.log_().sub_(z.square_().mul_(0.5)).sub_(_LOG_SQRT_2PI)
        return log_p.view(*self.batch_shape, -1)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n samples and their log-densities, [n, *batch] each."""
        z = torch.randn((*self.batch_shape, n), generator=generator, device=generator.device)
        if self.parameters.requires_grad or not self._compiled:
            z = z.movedim(-1, 0)
            y, ladj = self.transform.inv.call_and_ladj(z)
            return y, _normal_log_prob(z) - ladj
        rows = self.parameters.reshape(-1, 2 * SPLINE_PARAMETERS).numpy()
        y, jacobian = map(torch.from_numpy, splines.inverse(rows, z.view(-1, n).numpy()))
        log_p = jacobian.log_().view(z.shape).add_(_normal_log_prob(z))
        return y.view(z.shape).movedim(-1, 0), log_p.movedim(-1, 0)

    def cdf(self, value: Tensor) -> Tensor:
        """P(Y <= y | x) of values that broadcast against the batch; the splines are increasing."""
        if self.parameters.requires_grad or not (self._compiled and value.dtype == torch.float32):
            return torch.special.ndtr(self.transform(value))
        shape = torch.broadcast_shapes(value.shape, self.batch_shape)
        rows = self.parameters.expand(*shape, -1).reshape(-1, 2 * SPLINE_PARAMETERS)
        z, _ = splines.forward(rows.numpy(), value.expand(shape).reshape(-1, 1).numpy())
        return torch.special.ndtr(torch.from_numpy(z).view(shape))


class GaussDensity(Normal):
    """The Gaussian p(y|x).

    Args:
        parameters: mean and standard deviation, [*batch, 2].
    """

    def __init__(self, parameters: Tensor) -> None:
        mean, scale = parameters.unbind(-1)
        super().__init__(mean, scale, validate_args=False)

    def log_prob_on(self, y: Tensor) -> Tensor:
        """log p(y|x) of many y, [*batch, G]; y as of `FlowDensity.log_prob_on`."""
        z = (y - self.loc[..., None]) / self.scale[..., None]
        return _normal_log_prob(z) - self.scale.log()[..., None]

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n samples and their log-densities, [n, *batch] each."""
        z = torch.randn((*self.batch_shape, n), generator=generator, device=generator.device).movedim(-1, 0)
        return self.loc + self.scale * z, _normal_log_prob(z) - self.scale.log()


class MixtureDensity(MixtureSameFamily):
    """An ensemble's p(y|x): its members' densities in equal parts.

    Lakshminarayanan, Pritzel, Blundell, *Simple and Scalable Predictive Uncertainty Estimation
    using Deep Ensembles*, 2017, arXiv 1612.01474.

    Args:
        parameters: those of the members' densities, [K, *batch, ...].
        family: the members' kind of density.
    """

    def __init__(self, parameters: Tensor, family: type[FlowDensity] | type[GaussDensity]) -> None:
        self.members = family(parameters)
        equal = torch.ones(parameters.shape[1:-1] + parameters.shape[:1], device=parameters.device)
        # torch wants the members last.
        super().__init__(Categorical(equal), family(parameters.movedim(0, -2)), validate_args=False)

    def log_prob_on(self, y: Tensor) -> Tensor:
        """log p(y|x) of many y, [*batch, G]; y as of `FlowDensity.log_prob_on`."""
        log_p = self.members.log_prob_on(y)
        return log_p.logsumexp(0) - math.log(len(log_p))

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n samples and their log-densities, [n, *batch] each."""
        of_members, _ = self.members.draw(n, generator)  # [n, K, *batch]
        shape = (n, 1, *self.batch_shape)
        member = torch.randint(of_members.shape[1], shape, generator=generator, device=generator.device)
        y = of_members.gather(1, member).squeeze(1)
        return y, self.log_prob(y)


Density: TypeAlias = FlowDensity | GaussDensity | MixtureDensity

"""NAdam, and the average of its weights, for a stack of models whose fits end at different times."""

from collections.abc import Callable
from inspect import unwrap
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..compiled import can_compile, compiled

_BETA1, _BETA2, _EPSILON, _MOMENTUM_DECAY = 0.9, 0.999, 1e-8, 0.004

# Weight decay shrinks weights that no gradient reaches, and averaging what they were before, until they or
# their squares are denormal: arithmetic with such numbers is ten times slower on Intel. Below these values
# weights and moments become zero: they are lost in any sum that they are part of.
_NO_WEIGHT, _NO_MOMENT = np.float32(1e-12), np.float32(1e-30)

_compiled = compiled(error_model="numpy", fastmath={"contract"})


@_compiled
def _momentum(step):  # type: ignore[no-untyped-def]
    return _BETA1 * (1.0 - 0.5 * 0.96 ** (step * _MOMENTUM_DECAY))


@_compiled
def _count_step(step, mu_product, lr):  # type: ignore[no-untyped-def]
    """One more step [S] and momentum [S], in place; the factors [3, S] of gradient, average and square."""
    factors = np.empty((3, len(step)))
    for row in range(len(step)):
        step[row] += 1
        mu, mu_next = _momentum(step[row]), _momentum(step[row] + 1)
        mu_product[row] *= np.float32(mu)
        product = float(mu_product[row])
        factors[0, row] = -lr * (1.0 - mu) / (1.0 - product)
        factors[1, row] = -lr * mu_next / (1.0 - product * mu_next)
        factors[2, row] = 1 - _BETA2 ** step[row]
    return factors


@_compiled
def _update_rows(p, grad, exp_avg, exp_avg_sq, factors, weight_decay):  # type: ignore[no-untyped-def]
    """`NAdam.update` on float32 arrays [S, P], in one pass over the memory instead of twelve."""
    beta2, epsilon, zero = np.float32(_BETA2), np.float32(_EPSILON), np.float32(0)
    rest1, rest2 = np.float32(1 - _BETA1), np.float32(1 - _BETA2)
    for row in range(len(p)):
        weights, gradients, first, second = p[row], grad[row], exp_avg[row], exp_avg_sq[row]
        by_grad, by_average, by = factors[:, row].astype(np.float32)
        for i in range(len(weights)):
            g = gradients[i] + weight_decay * weights[i]
            m = first[i] + rest1 * (g - first[i])
            v = beta2 * second[i] + rest2 * g * g
            w = weights[i] + (by_grad * g + by_average * m) / (np.sqrt(v / by) + epsilon)
            weights[i] = zero if abs(w) < _NO_WEIGHT else w
            first[i] = zero if abs(m) < _NO_MOMENT else m
            second[i] = zero if v < _NO_MOMENT else v


@_compiled
def update_average(average, p, weight):  # type: ignore[no-untyped-def]
    """Takes parameters p [S, P] into their exponential moving average [S, P], in place, float32."""
    for row in range(len(p)):
        mean, value = average[row], p[row]
        for i in range(len(mean)):
            a = mean[i] + weight * (value[i] - mean[i])
            mean[i] = np.float32(0) if abs(a) < _NO_WEIGHT else a


class NAdam(torch.optim.Optimizer):
    """`torch.optim.NAdam` with its defaults, each row of the parameter theta [S, P] on its own.

    torch counts steps and multiplies momenta once per tensor; here every row has its own count and product,
    so that it is updated as if it were alone. Dozat, *Incorporating Nesterov Momentum into Adam*, 2016.

    The state of theta: `step` and `mu_product` [S] on the CPU, `exp_avg` and `exp_avg_sq` [S, P].
    """

    # Torch's own, but for wrappers that first import its compiler, which takes seconds.
    add_param_group = unwrap(torch.optim.Optimizer.add_param_group)

    def __init__(self, theta: Tensor, lr: float, weight_decay: float = 0.0) -> None:
        super().__init__([theta], {"lr": lr, "weight_decay": weight_decay})
        self.state[theta] = {
            "step": torch.zeros(len(theta)),
            "mu_product": torch.ones(len(theta)),
            "exp_avg": torch.zeros_like(theta),
            "exp_avg_sq": torch.zeros_like(theta),
        }

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One step of every row."""
        theta: Any
        ((theta, state),) = self.state.items()
        factors = self.count_step()
        if can_compile(theta):
            tensors = theta, theta.grad, state["exp_avg"], state["exp_avg_sq"]
            decay = np.float32(self.param_groups[0]["weight_decay"])
            _update_rows(*(tensor.numpy() for tensor in tensors), factors, decay)
        else:
            self.update(theta.grad, torch.from_numpy(factors).to(theta))

    def count_step(self) -> np.ndarray:
        """Counts one more step; its factors [3, S], which `update` takes."""
        (state,) = self.state.values()
        return _count_step(state["step"].numpy(), state["mu_product"].numpy(), self.param_groups[0]["lr"])

    def update(self, grad: Tensor, factors: Tensor) -> None:
        """The update of a step that has been counted, by operations on theta's device alone."""
        ((theta, state),) = self.state.items()
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        by_grad, by_average, correction = factors[..., None]
        grad = grad.add(theta, alpha=self.param_groups[0]["weight_decay"])
        exp_avg.lerp_(grad, 1 - _BETA1)
        exp_avg_sq.mul_(_BETA2).addcmul_(grad, grad, value=1 - _BETA2)
        below = exp_avg_sq.div(correction).sqrt_().add_(_EPSILON)
        theta.addcdiv_(by_grad * grad, below).addcdiv_(by_average * exp_avg, below)

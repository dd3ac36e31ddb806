"""The stacked NAdam against torch's own."""

import pytest
import torch
from torch import Tensor

from core.training.nadam import NAdam
from tests.builders import torch_rng

pytestmark = pytest.mark.machines

LR = 0.01


def gradients(shape: tuple[int, ...], steps: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    rng = torch_rng(1)
    return [torch.randn(shape, generator=rng).to(dtype) for _ in range(steps)]


def follow(optimizer: torch.optim.Optimizer, p: Tensor, steps: list[Tensor]) -> Tensor:
    for gradient in steps:
        p.grad = gradient.clone()
        optimizer.step()
    return p.detach()


def start(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch_rng()).to(dtype).requires_grad_()


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-13), (torch.float32, 1e-6)])
def test_a_stack_of_one_is_torchs(dtype: torch.dtype, error: float, weight_decay: float) -> None:
    shape = (1, 5, 700)
    steps = gradients(shape, 30, dtype)
    ours, theirs = start(shape, dtype), start(shape, dtype)
    optimizer = NAdam([ours], LR, weight_decay)
    other = torch.optim.NAdam([theirs], lr=LR, weight_decay=weight_decay)
    follow(optimizer, ours, steps)
    follow(other, theirs, steps)
    torch.testing.assert_close(ours, theirs, rtol=error, atol=error)
    for name in ("exp_avg", "exp_avg_sq", "mu_product", "step"):
        state, expected = optimizer.state[ours][name].squeeze(), other.state[theirs][name].squeeze()
        torch.testing.assert_close(state, expected, rtol=error, atol=error, check_dtype=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_are_bit_for_bit_what_they_are_alone(dtype: torch.dtype) -> None:
    """Also where they have made different numbers of steps."""
    shape, steps = (3, 501), gradients((3, 501), 20, dtype)
    stack = start(shape, dtype)
    alone = [stack.detach()[i : i + 1].clone().requires_grad_() for i in range(3)]
    optimizers = [NAdam([p], LR, 0.1) for p in alone]
    for i in range(3):
        follow(optimizers[i], alone[i], [gradient[i : i + 1] for gradient in steps[: 4 * i]])
    stack.data = torch.cat([p.detach() for p in alone])
    optimizer = NAdam([stack], LR, 0.1)
    states = [one.state[p] for one, p in zip(optimizers, alone, strict=True)]
    optimizer.state[stack] = {name: torch.cat([state[name] for state in states]) for name in states[0]}
    follow(optimizer, stack, steps)
    for i in range(3):
        follow(optimizers[i], alone[i], [gradient[i : i + 1] for gradient in steps])
    assert torch.equal(stack, torch.cat(alone))
    assert optimizer.state[stack]["step"].tolist() == [20, 24, 28]


def test_parameters_without_a_gradient_stay() -> None:
    p = start((2, 3))
    before = p.detach().clone()
    NAdam([p], LR).step()
    assert torch.equal(p, before)

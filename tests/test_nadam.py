"""The stacked NAdam against torch's own."""

import numpy as np
import pytest
import torch
from torch import Tensor

from core.training.nadam import NAdam, update_average
from tests.builders import torch_rng

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_a_stack_of_one_takes_torchs_steps(weight_decay: float, dtype: torch.dtype) -> None:
    steps = gradients((1, 1000), 30, dtype)
    ours, theirs = start((1, 1000), dtype), start((1, 1000), dtype)
    follow(NAdam(ours, LR, weight_decay), ours, steps)
    follow(torch.optim.NAdam([theirs], lr=LR, weight_decay=weight_decay), theirs, steps)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_learning_rate_that_falls(dtype: torch.dtype) -> None:
    steps = gradients((1, 35), 20, dtype)
    ours, theirs = start((1, 35), dtype), start((1, 35), dtype)
    for p, optimizer in ((ours, NAdam(ours, LR)), (theirs, torch.optim.NAdam([theirs], lr=LR))):
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7)
        for gradient in steps:
            follow(optimizer, p, [gradient])
            schedule.step()
    torch.testing.assert_close(ours, theirs)


def test_a_weight_that_only_decays_ends_at_zero() -> None:
    """Without denormal numbers on the way, which are slow."""
    p = torch.full((1, 100), 0.5).requires_grad_()
    average = p.detach().clone()
    optimizer = NAdam(p, lr=0.1, weight_decay=0.5)
    for _ in range(9000):
        p.grad = torch.zeros_like(p)
        optimizer.step()
        update_average(average.numpy(), p.detach().numpy(), np.float32(0.01))
        moments = optimizer.state[p]["exp_avg"], optimizer.state[p]["exp_avg_sq"]
        for tensor in (p.detach(), average, *moments):
            assert not ((tensor != 0) & (tensor.abs() < torch.finfo(torch.float32).tiny)).any()
    assert not p.any()
    assert not average.any()


def test_average_of_weights() -> None:
    p, average = (start((2, 50), torch.float32).detach() + added for added in (0, 1))
    expected = 0.9 * average + 0.1 * p
    update_average(average.numpy(), p.numpy(), np.float32(0.1))
    torch.testing.assert_close(average, expected)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_not_a_number_stays_so(bad: float) -> None:
    p = start((1, 4), torch.float32)
    optimizer = NAdam(p, LR)
    p.grad = torch.tensor([[bad, 1.0, 1.0, 1.0]])
    optimizer.step()
    assert p.isnan().tolist() == [[True, False, False, False]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_are_bit_for_bit_what_they_are_alone(dtype: torch.dtype) -> None:
    """Also where they have made different numbers of steps."""
    shape, steps = (3, 501), gradients((3, 501), 20, dtype)
    stack = start(shape, dtype)
    alone = [stack.detach()[i : i + 1].clone().requires_grad_() for i in range(3)]
    optimizers = [NAdam(p, LR, 0.1) for p in alone]
    for i in range(3):
        follow(optimizers[i], alone[i], [gradient[i : i + 1] for gradient in steps[: 4 * i]])
    stack.data = torch.cat([p.detach() for p in alone])
    optimizer = NAdam(stack, LR, 0.1)
    states = [one.state[p] for one, p in zip(optimizers, alone, strict=True)]
    optimizer.state[stack] = {name: torch.cat([state[name] for state in states]) for name in states[0]}
    follow(optimizer, stack, steps)
    for i in range(3):
        follow(optimizers[i], alone[i], [gradient[i : i + 1] for gradient in steps])
    assert torch.equal(stack, torch.cat(alone))
    assert optimizer.state[stack]["step"].tolist() == [20, 24, 28]

"""Denormal weights are left out of training steps, and no bit changes."""

from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.models import networks
from core.models.denormals import DENORMAL, product
from core.models.networks import TrainedLayer
from core.models.variations import build_model
from core.training.nadam import NAdam
from tests.builders import SINGLE, make_config, torch_rng


def is_denormal(x: Tensor) -> Tensor:
    return (x != 0) & (x.abs() < DENORMAL)


def with_denormals(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """x with a share of its numbers shrunk, to any size from 1e-45 to 1e-25."""
    shrunk = x * 10 ** -(25 + 20 * torch.rand(x.shape, generator=generator, dtype=torch.float64))
    return torch.where(torch.rand(x.shape, generator=generator) < share, shrunk.float(), x)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    stack=st.integers(1, 4),
    rows=st.sampled_from([1, 7, 16, 20, 24, 64, 100]),
    shape=st.sampled_from([(128, 128), (64, 64), (64, 23), (61, 32), (10, 1), (128, 2), (2, 32), (3, 32)]),
    share=st.sampled_from([0.1, 0.4, 0.9, 1.0]),
    asleep=st.sampled_from([1, 5, 40]),
)
def test_products_have_the_bits_of_all_weights(
    seed: int, stack: int, rows: int, shape: tuple[int, int], share: float, asleep: int
) -> None:
    rng = torch_rng(seed)
    x = torch.randn(stack, rows, shape[0], generator=rng).relu_()
    weight = with_denormals(torch.randn(stack, *shape, generator=rng), share, rng)
    bias = with_denormals(torch.randn(stack, 1, shape[1], generator=rng), share, rng)
    # Some units are never on, and nothing comes back to some.
    for part in (weight, bias, weight.mT):
        part[..., torch.randperm(part.shape[-1], generator=rng)[:asleep]] *= 1e-40
    by_out = torch.randn(stack, rows, shape[1], generator=rng)
    by_out *= torch.rand(by_out.shape, generator=rng) < 0.5
    kept = weight.masked_fill(is_denormal(weight), 0.0)

    plain, ours = ([one.clone().requires_grad_() for one in (x, weight, bias)] for _ in range(2))
    expected = torch.baddbmm(plain[2], plain[0], plain[1])
    out = product(ours[0], ours[1], ours[2], kept)
    assert torch.equal(out.view(torch.int32), expected.view(torch.int32))
    for result in (expected, out):
        result.backward(by_out)
    everything = torch.tensor(True)
    for own, its, wanted in zip(ours, plain, (x != 0, everything, everything), strict=True):
        assert own.grad is not None
        assert its.grad is not None
        assert torch.equal(own.grad[wanted], its.grad[wanted])


@pytest.mark.parametrize(("stack", "rows", "features"), [(1, 64, 10), (3, 64, 1), (3, 16, 10), (1, 20, 2)])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("variation", [*SINGLE, "mdn"])
def test_training_has_the_bits_of_all_weights(
    variation: str, relu: bool, stack: int, rows: int, features: int
) -> None:
    """Forty steps of a model whose weights are denormal for the most part: ReLUs sleep, and some wake up."""
    trained = []
    for plain in (False, True):
        rng = torch_rng(3)
        inits = [torch_rng(i) for i in range(stack)]
        model = build_model(make_config(variation, dropout=0.1), features, relu, inits)
        for layer in model.layers():
            for part in (*layer, layer.weight.mT):
                part.data[..., torch.rand(part.shape[-1], generator=rng) < 0.3] *= 1e-39
        optimizer = NAdam([model.theta], lr=1e-3, weight_decay=1e-2)
        left_out = 0
        for _ in range(40):
            x = torch.randn(stack, rows, features, generator=rng)
            y = torch.randn(stack, rows, generator=rng)
            with mock.patch.object(networks, "DENORMAL", 0.0 if plain else DENORMAL):
                for layer in model.layers()[1:]:
                    if isinstance(layer, TrainedLayer):
                        assert torch.equal(
                            layer.kept, layer.weight.masked_fill(is_denormal(layer.weight), 0.0)
                        )
                        left_out += 1
                    else:
                        assert plain or not is_denormal(layer.weight).any()
                masks = [torch_rng(7 + i) for i in range(stack)]
                optimizer.zero_grad()
                (-model(x, masks).log_prob(y).mean(-1).sum()).backward()
            optimizer.step()
        assert (left_out == 0) == plain
        trained.append([model.theta.detach().view(torch.int32), *optimizer.state[model.theta].values()])
    for own, its in zip(*trained, strict=True):
        assert torch.equal(own, its)

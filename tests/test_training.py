"""Early stopping, minibatches, optimiser and seeds of the training loop."""

import math
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import softplus

from core import CORRECTED, PUBLISHED, Protocol, Seeds, UserError
from core.models.densities import FlowDensity
from core.models.networks import DensityModel
from core.models.variations import build_model
from core.training.trainer import EarlyStopping, Trainer
from tests.builders import (
    FEATURES,
    SINGLE,
    fit,
    make_config,
    no_global_randomness,
    quick,
    specified_layers,
    torch_rng,
)

ROOT = Path(__file__).resolve().parent.parent
Data = tuple[Tensor, Tensor, Tensor, Tensor]


def make_data(points: int, validation: int = 10) -> Data:
    x = torch.rand(points + validation, FEATURES, generator=torch_rng(1))
    y = x.mean(1) + 0.1 * torch.randn(len(x), generator=torch_rng(2))
    return x[:points], y[:points], x[points:], y[points:]


class Scripted(nn.Module):
    """A Gaussian that learns, and whose validation log-densities are told in advance.

    Args:
        script: log-densities of the validation rows, for each epoch; the last goes on for ever.

    Attributes:
        batches: the first feature of each minibatch's rows.
    """

    with_theta = DensityModel.with_theta
    shapes = last_layers = ()

    def __init__(self, script: Sequence[Tensor] = (torch.zeros(10),)) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(1, 1))
        self.dropout = 0.0
        self.told: Iterator[Tensor] = iter(())
        self.batches: list[list[float]] = []
        self.tell(script)

    def tell(self, script: Sequence[Tensor]) -> None:
        self.told = chain(script, repeat(script[-1]))

    def draw_bits(self, masks: Sequence[object], rows: int) -> None:
        """It has no dropout."""

    def backpropagate(self, x: Tensor, y: Tensor, bits: None) -> None:
        self.batches.append(x[0, :, 0].tolist())
        self.theta.grad = self.theta.detach() - y.mean()

    def density_parameters(self, x: Tensor) -> Tensor:
        return next(self.told)[None, :, None]

    def density(self, parameters: Tensor) -> Any:
        return SimpleNamespace(log_prob=lambda y: parameters[..., 0])


def train_scripted(model: Scripted, data: Data, protocol: Protocol = CORRECTED, **changes: Any) -> Trainer:
    """A trainer with the published epoch limits, not yet used."""
    config = make_config(**({"first_epochs": 50, "later_epochs": 100} | changes))
    return Trainer(model, config, protocol, Seeds())  # type: ignore[arg-type]


# --- early stopping ------------------------------------------------------------------------


@quick
@given(
    values=st.lists(st.sampled_from([math.nan, math.inf, -1.0, 0.0, 1.0, 2.0, 3.0]), min_size=1, max_size=30),
    patience=st.integers(1, 6),
)
def test_stops_after_more_than_patience_epochs_without_a_new_minimum(
    values: list[float], patience: int
) -> None:
    def is_new_minimum(i: int) -> bool:
        return values[i] < min([v for v in values[:i] if not math.isnan(v)], default=math.inf)

    stopping = EarlyStopping(patience)
    for i, value in enumerate(values):
        in_a_row = 0
        while in_a_row <= i and not is_new_minimum(i - in_a_row):
            in_a_row += 1
        assert stopping.stop(value) == (in_a_row > patience)


def steadily(step: float, epochs: int = 120) -> list[Tensor]:
    """Validation log-densities that all change by `step` an epoch."""
    return [torch.full((10,), step * epoch) for epoch in range(epochs)]


@pytest.mark.parametrize(
    ("protocol", "large", "small", "epochs"),
    [
        # Of two batches, 512 and 88 rows, the sum of means falls while the mean over all rows rises; and
        # the other way round. Batches of 500 and 100 would not do.
        (PUBLISHED, 1.0, -1.1, 50),
        (PUBLISHED, -1.0, 1.1, 7),
        (CORRECTED, 1.0, -1.1, 50),
        (CORRECTED, -1.0, 1.1, 7),
    ],
)
def test_sum_over_batches_of_512(protocol: Protocol, large: float, small: float, epochs: int) -> None:
    change = torch.cat([torch.full((512,), large), torch.full((88,), small)])
    model = Scripted([change * epoch for epoch in range(60)])
    result = fit(train_scripted(model, make_data(40, 600), protocol), *make_data(40, 600))
    assert result.epochs == epochs
    mean = (512 * large + 88 * small) / 600
    assert math.isclose(result.validation_nll, -mean * (epochs - 1), rel_tol=1e-6)


def test_epoch_limits_and_patience_of_each_fit() -> None:
    model = Scripted(steadily(1.0, epochs=400))
    trainer = train_scripted(model, make_data(40))
    assert [fit(trainer, *make_data(40)).epochs for _ in range(3)] == [50, 100, 100]
    # A fit begins to count anew: the last 50 values below are no new minimum of the first 50.
    model.tell(steadily(-1.0))
    assert [fit(trainer, *make_data(40)).epochs for _ in range(2)] == [7, 7]


# --- minibatches ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "sizes"),
    [(1, [1]), (20, [20]), (32, [32]), (33, [32]), (63, [32]), (64, [32, 32]), (100, [32, 32, 32])],
)
def test_incomplete_batch_is_dropped_only_beside_full_ones(points: int, sizes: list[int]) -> None:
    model = Scripted()
    fit(train_scripted(model, make_data(points), first_epochs=3, patience=9), *make_data(points))
    assert [len(batch) for batch in model.batches] == 3 * sizes
    n = len(sizes)
    epochs = [list(chain(*model.batches[n * epoch : n * (epoch + 1)])) for epoch in range(3)]
    points_there = set(make_data(points)[0][:, 0].tolist())
    for epoch in epochs:
        assert len(set(epoch)) == sum(sizes)
        assert set(epoch) <= points_there
    if points > 1:
        assert epochs[0] != epochs[1] != epochs[2]


# --- weights and optimiser -----------------------------------------------------------------


def build(variation: str, **changes: Any) -> DensityModel:
    return build_model(make_config(variation, **changes), FEATURES, False, [torch_rng(9)])


def train(
    variation: str,
    data: Data,
    fits: int = 1,
    *,
    seeds: Seeds | None = None,
    double: bool = False,
    **changes: Any,
) -> tuple[DensityModel, Trainer]:
    model = build(variation, **changes)
    model = model.double() if double else model
    trainer = Trainer(model, make_config(variation, **changes), CORRECTED, seeds or Seeds())
    for _ in range(fits):
        fit(trainer, *data)
    return model, trainer


def doubles(data: Data) -> Data:
    a, b, c, d = (part.double() for part in data)
    return a, b, c, d


def separate_layers(model: DensityModel) -> nn.ModuleList:
    """The model's layers as PyTorch's own, a parameter tensor for each weight and each bias."""
    layers = nn.ModuleList()
    for weight, bias in specified_layers(model):
        _, n_in, n_out = weight.shape
        layer = nn.Linear(n_in, n_out, dtype=torch.float64)
        layer.weight.data, layer.bias.data = weight[0].detach().T.clone(), bias[0, 0].detach().clone()
        layers.append(layer)
    return layers


def forward_separately(layers: nn.ModuleList, x: Tensor) -> Any:
    """The density of rows [N, d], encoder without activation."""
    encoder, head = layers[:4], layers[4:]
    for layer in encoder:
        x = layer(x)
    if len(head) == 2:
        return torch.distributions.Normal(head[0](x.relu())[:, 0], softplus(head[1](x.relu()))[:, 0])
    one, other = (mlp[2](mlp[1](mlp[0](x).relu()).relu()) for mlp in (head[:3], head[3:]))
    return FlowDensity(torch.cat([one, other], 1))


@pytest.mark.parametrize("variation", SINGLE)
def test_training_is_nadam_on_separate_tensors(variation: str) -> None:
    """Two epochs of two minibatches, twice: weights as those of a loop written with PyTorch's layers."""
    data = doubles(make_data(70))
    changes = {"dropout": 0.0, "weight_decay": 0.1, "lr": 0.01, "first_epochs": 2, "later_epochs": 2}
    layers = separate_layers(build(variation, **changes).double())
    optimizer = torch.optim.NAdam(layers.parameters(), lr=0.01, weight_decay=0.1)
    order = Seeds().torch("batches")
    for _ in range(4):
        shuffled = torch.randperm(70, generator=order)
        for batch in (shuffled[:32], shuffled[32:64]):
            loss = -forward_separately(layers, data[0][batch]).log_prob(data[1][batch]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    model = build(variation, **changes).double()
    trainer = Trainer(model, make_config(variation, **changes), CORRECTED, Seeds())
    results = [fit(trainer, *data) for _ in range(2)]
    for (weight, bias), layer in zip(specified_layers(model), layers, strict=True):
        torch.testing.assert_close(weight[0], layer.weight.T, rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(bias[0, 0], layer.bias, rtol=1e-7, atol=1e-9)
    with torch.no_grad():
        nll = -forward_separately(layers, data[2]).log_prob(data[3]).mean().item()
    assert math.isclose(results[-1].validation_nll, nll, rel_tol=1e-7)


def steps(trainer: Trainer) -> float:
    (state,) = trainer.optimizer.state.values()
    return state["step"].item()


def test_finetuning_goes_on_and_from_scratch_starts_again() -> None:
    # One batch of all points: its order is of no consequence.
    data = doubles(make_data(20))
    changes: dict[str, Any] = {"dropout": 0.0, "double": True, "first_epochs": 3, "later_epochs": 3}
    once, _ = train("gauss", data, 1, **changes)
    longer, _ = train("gauss", data, 1, **changes | {"first_epochs": 6})

    tuned, trainer = train("gauss", data, 2, **changes)
    torch.testing.assert_close(tuned.theta, longer.theta)
    assert steps(trainer) == 6

    restarted, trainer = train("gauss", data, 2, **changes, fitting="from_scratch")
    torch.testing.assert_close(restarted.theta, once.theta)
    assert not torch.allclose(once.theta, longer.theta)
    assert steps(trainer) == 3
    third = fit(trainer, *data)
    torch.testing.assert_close(restarted.theta, once.theta)
    assert third.epochs == 3


@pytest.mark.parametrize("part", [1, 2, 3])
def test_divergence_is_an_error(part: int) -> None:
    data = list(make_data(20))
    data[part] = torch.full_like(data[part], math.nan)
    with pytest.raises(FloatingPointError, match="validation NLL is not a number"):
        train("gauss", tuple(data), first_epochs=9)  # type: ignore[arg-type]


# --- seeds ---------------------------------------------------------------------------------


@pytest.mark.parametrize("variation", SINGLE)
def test_same_seeds_same_weights(variation: str) -> None:
    def weights(seeds: Seeds) -> Tensor:
        with no_global_randomness():
            model, _ = train(variation, make_data(70), 2, seeds=seeds, dropout=0.2, later_epochs=2)
        return model.theta.detach()

    one = weights(Seeds(3))
    torch.manual_seed(0)
    assert torch.equal(weights(Seeds(3)), one)
    assert not torch.equal(weights(Seeds(4)), one)
    assert not torch.equal(weights(Seeds(3, model_seed=2)), one)
    assert torch.equal(weights(Seeds(3, agent_seed=2, pool_seed=2)), one)


def test_a_checkpoint_of_older_code_on_a_gpu() -> None:
    trainer = Trainer(build("nf"), make_config("nf"), CORRECTED, Seeds())
    older = trainer.state_dict() | {"masks": [torch.Generator().get_state()]}
    with pytest.raises(UserError, match="checkpoint is of older code"):
        trainer.load_state_dict(older)


def test_dropout_is_a_stream_of_its_own() -> None:
    """Of equal rows the order cannot matter: the weights depend on the masks alone."""
    data = make_data(20)
    x, y = data[0][:1].expand(20, -1), data[1][:1].expand(20)
    same = (x, y, *data[2:])
    by_run = [
        train("gauss", same, seeds=Seeds(run_id, model_seed=1), dropout=0.5)[0].theta for run_id in (1, 2)
    ]
    by_seed = train("gauss", same, seeds=Seeds(1, model_seed=2), dropout=0.5)[0].theta
    assert not torch.equal(by_run[0], by_run[1])
    assert not torch.equal(by_run[0], by_seed)

    reordered = build("gauss", dropout=0.5)
    trainer = Trainer(reordered, make_config("gauss", dropout=0.5), CORRECTED, Seeds(1))
    trainer.batches[0].manual_seed(12345)
    fit(trainer, *same)
    assert torch.equal(reordered.theta, by_run[0])

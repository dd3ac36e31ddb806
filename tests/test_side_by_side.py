"""Runs side by side are what they are alone, bit for bit, at one thread."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import evaluate
from core import CORRECTED, PUBLISHED, Protocol, Seeds
from core.models.variations import VARIATIONS, build_model, load_config
from core.runs.group import group_size
from core.training.side_by_side import side_by_side
from core.training.trainer import FitRequest, Trainer, train_stack
from core.training.trainer import make_trainer as fresh_trainer
from datasets import DATASETS
from tests.builders import FEATURES, FILES, NETWORKS, files, fit, make_config, torch_rng

pytestmark = pytest.mark.machines

TRIAL = ("--agent", "balsa_kl_pairs", "--dataset", "diabetes", "--query_size", "2", "--budget", "4")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_trainer(run_id: int, variation: str, protocol: Protocol = PUBLISHED, **changes: Any) -> Trainer:
    config, seeds = make_config(variation, **{"dropout": 0.1} | changes), Seeds(run_id)
    return fresh_trainer(FEATURES, config, protocol, seeds)


def make_data(run_id: int, points: int) -> tuple[Tensor, ...]:
    rng = torch_rng(run_id)
    x = torch.rand(points + 45, FEATURES, generator=rng)
    y = x.mean(1) + 0.1 * torch.randn(len(x), generator=rng)
    return x[:points], y[:points], x[points:], y[points:]


def fits(trainers: Sequence[Trainer], points: int) -> list[FitRequest]:
    return [trainer.request(*make_data(i, points)) for i, trainer in enumerate(trainers)]


@pytest.mark.parametrize("variation", NETWORKS)
@pytest.mark.parametrize("protocol", [PUBLISHED, CORRECTED], ids=lambda protocol: protocol.name)
def test_fits_are_the_same_bits_alone_and_in_a_stack(variation: str, protocol: Protocol) -> None:
    changes = {"first_epochs": 9, "later_epochs": 12, "patience": 2, "lr": 0.01}
    alone, together = ([make_trainer(i, variation, protocol, **changes) for i in range(5)] for _ in range(2))
    stopped = set()
    for points in (40, 70):
        expected = [fit(trainer, *make_data(i, points)) for i, trainer in enumerate(alone)]
        for one, other in zip(expected, train_stack(fits(together, points)), strict=True):
            assert (one.epochs, one.validation_nll) == (other.epochs, other.validation_nll)
            stopped.add(one.epochs)
        for a, b in zip(alone, together, strict=True):
            for name, rows in a.rows().items():
                assert torch.equal(rows, b.rows()[name]), name
    assert len(stopped) > 1  # else nobody has left a stack


@pytest.mark.parametrize("what", ["config", "protocol", "drop_last", "variation", "dropout"])
def test_unlike_fits_do_not_share_a_stack(what: str) -> None:
    """Each as alone: of a stack, the first one's settings train all."""

    def trainers() -> list[Trainer]:
        one, other = (make_trainer(i, "nf", lr=0.01, first_epochs=30) for i in range(2))
        if what == "config":
            other = make_trainer(1, "nf", lr=0.0, first_epochs=30)
        elif what == "protocol":
            other = make_trainer(1, "nf", CORRECTED, lr=0.01, first_epochs=30)
        elif what == "variation":
            other = make_trainer(1, "gauss", lr=0.01, first_epochs=30)
        elif what == "dropout":
            other.model.dropout = 0.3
        else:
            other.drop_last = False
        return [one, other]

    alone, together = trainers(), trainers()
    for i, trainer in enumerate(alone):
        fit(trainer, *make_data(i, 40))
    side_by_side([partial(fit, trainer, *make_data(i, 40)) for i, trainer in enumerate(together)])
    for a, b in zip(alone, together, strict=True):
        assert torch.equal(a.model.theta, b.model.theta)
    if what == "config":
        assert torch.equal(together[1].model.theta, make_trainer(1, "nf", lr=0.0).model.theta)


@pytest.mark.parametrize("features", [61, *(pytest.param(n, marks=pytest.mark.slow) for n in (21, 26, 81))])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("variation", [name for name in NETWORKS if not VARIATIONS[name].ensemble])
def test_networks_of_real_size_give_the_same_bits_in_any_stack(
    variation: str, relu: bool, features: int
) -> None:
    config = replace(load_config("sarcos", variation), dropout=0.05)

    def network(members: range, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """A minibatch's gradients, and the parameters of the pieces of a validation."""
        model = build_model(config, features, relu, [torch_rng(i) for i in members])
        bits = model.draw_bits([np.random.SFC64(i) for i in members], 64)
        model.backpropagate(x[:, :64], y, bits)
        assert model.theta.grad is not None
        with torch.no_grad():
            return model.theta.grad, *map(model.density_parameters, x.split(2048, 1))

    x = torch.rand(25, 2048 + 301, features, generator=torch_rng(1))
    y = torch.rand(25, 64, generator=torch_rng(2))
    alone = [network(range(i, i + 1), x[i : i + 1], y[i : i + 1]) for i in range(25)]
    for size in (2, 5, 25):
        together = network(range(size), x[:size], y[:size])
        for one, parts in zip(together, zip(*alone[:size], strict=True), strict=True):
            assert torch.equal(one, torch.cat(parts)), size


def test_each_gets_its_own_result() -> None:
    fitted: list[int] = []

    def run(i: int, rounds: int) -> tuple[int, list[int]]:
        trainer, epochs = make_trainer(i, "gauss", first_epochs=i + 1, later_epochs=i + 1), []
        for _ in range(rounds):
            epochs.append(fit(trainer, *make_data(i, 40)).epochs)
            fitted.append(i)
        return i, epochs

    ended = side_by_side([partial(run, i, rounds) for i, rounds in enumerate((3, 1, 0, 2))])
    assert ended == [(0, [1, 1, 1]), (1, [2]), (2, []), (3, [4, 4])]
    assert fitted == [0, 1, 3, 0, 3, 0]


def test_an_error_of_one_ends_all_in_order() -> None:
    """Those that wait for a fit leave their `with` blocks; one that has not begun never does."""
    left: list[int] = []

    def run(i: int) -> None:
        trainer = make_trainer(i, "gauss", first_epochs=1)
        with ExitStack() as stack:
            stack.callback(left.append, i)
            fit(trainer, *make_data(i, 40))
            if i == 1:
                raise KeyboardInterrupt
            fit(trainer, *make_data(i, 40))

    with pytest.raises(KeyboardInterrupt):
        side_by_side([partial(run, i) for i in range(4)])
    assert sorted(left) == [0, 1, 2, 3]


def test_a_fit_that_diverges_is_an_error_of_its_run() -> None:
    trainers = [make_trainer(i, "nf", lr=lr, first_epochs=40) for i, lr in enumerate((0.01, 1e12))]

    def run(i: int) -> str:
        try:
            fit(trainers[i], *make_data(i, 40))
        except FloatingPointError as error:
            return str(error)
        return "trained"

    first, second = side_by_side([partial(run, 0), partial(run, 1)])
    assert first == "trained"
    assert second.startswith("training diverged")


@pytest.mark.parametrize(
    ("variation", "restarts", "sizes"),
    [
        ("nf", 3, ("1", "2", "auto")),
        ("gauss_ensemble", 3, ("1", "2")),
        pytest.param("nf", 25, ("1", "10", "25"), marks=pytest.mark.slow),
        *(pytest.param(name, 3, ("1", "2", "auto"), marks=pytest.mark.slow) for name in NETWORKS),
    ],
)
def test_files_are_the_same_bytes(
    variation: str, restarts: int, sizes: tuple[str, ...], tmp_path: Path
) -> None:
    trial = (*TRIAL, "--variation", variation, "--restarts", str(restarts))
    for size in sizes:
        folder = tmp_path / size / "runs"
        assert evaluate.main([*trial, "--side_by_side", size, "--runs_folder", str(folder)]) == 0
    one, *others = (files(tmp_path / size) for size in sizes)
    assert len(one) == len(FILES) + restarts * (len(FILES) + 1)  # all runs' and each run's
    assert all(other == one for other in others)


@pytest.mark.parametrize(
    ("restarts", "cores", "threads", "megabytes", "size", "groups"),
    [
        (50, 2, 1, 24_000, 25, 2),
        (1, 2, 1, 24_000, 1, 1),
        (50, 128, 1, 24_000, 2, 25),  # each core may have such a process
        (50, 2, 1, 400, 3, 17),
        (5, 1, 2, 24_000, 5, 1),
    ],
)
def test_auto_looks_at_restarts_cores_and_memory(
    restarts: int,
    cores: int,
    threads: int,
    megabytes: int,
    size: int,
    groups: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    free = SimpleNamespace(available=megabytes * 2**20)
    monkeypatch.setattr("joblib.cpu_count", lambda: cores)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    dataset = DATASETS["diabetes"]("nowhere", Seeds())
    assert group_size(restarts, "auto", dataset, torch.device("cpu")) == size
    said = capsys.readouterr().err
    if restarts == 1:
        assert not said
    else:
        assert said == f"note: {size} runs side by side, {groups} group{'s' * (groups > 1)}\n"

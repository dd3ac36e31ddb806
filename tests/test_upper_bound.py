"""The upper bound: what is trained on, when it stops, and the script as a user meets it."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import compute_upper_bound
from core import CORRECTED, PUBLISHED, EnvironmentLogger, Protocol, Seeds
from core.baselines import UpperBound
from core.cli import run_script
from core.environment import Learner
from core.metrics import Evaluation, measure
from core.models.variations import load_config
from core.runs.files import read_curves
from core.training.trainer import FitResult, Trainer
from datasets import DATASETS
from tests.builders import FILES, files, make_config, no_global_randomness, specified_layers
from tests.test_training import forward_separately, separate_layers

WHOLE = ("--dataset", "diabetes", "--variation", "gauss", "--restarts", "2")
TRIAL = (*WHOLE, "--epoch_limit", "3")
FOLDER = "runs_gauss/Diabetes/UpperBound"
PARTS = ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test")
Diabetes: Any = DATASETS["diabetes"]


class Exact(Diabetes):
    """Arrays of float64, so that models are compared to its rounding."""

    def reset(self) -> None:
        super().reset()
        for part in PARTS:
            setattr(self, part, getattr(self, part).astype(np.float64))


def upper_bound(dataset: Any = Diabetes, variation: str = "gauss", epoch_limit: int = 3) -> UpperBound:
    torch.set_num_threads(1)
    return UpperBound(dataset("nowhere", Seeds()), make_config(variation), epoch_limit=epoch_limit)


def play(env: UpperBound) -> list[dict[str, Any]]:
    """The infos of all epochs of an episode that were tested."""
    infos = [env.reset()[1]]
    while not env.finished:
        *_, terminated, truncated, info = env.step(())
        assert (terminated, truncated) == (env.finished, False)
        assert ("mae" in info) != env.stopping.stopped
        infos.append(info)
    tested = [info for info in infos if "mae" in info]
    return [{name: value for name, value in info.items() if name != "seconds"} for info in tested]


@pytest.mark.parametrize(
    ("variation", "protocol", "fitting"),
    [("nf", PUBLISHED, "finetuning"), ("nf", CORRECTED, "from_scratch"), ("gauss", CORRECTED, "finetuning")],
)
def test_two_epochs_are_a_plain_loop(
    variation: str, protocol: Protocol, fitting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights and losses as those of a loop written with PyTorch's layers and optimiser."""
    init = Trainer.__init__
    monkeypatch.setattr(Trainer, "__init__", lambda self, model, *rest: init(self, model.double(), *rest))
    config = replace(load_config("diabetes", variation), dropout=0.0, weight_decay=0.1, fitting=fitting)
    dataset = Exact("nowhere", Seeds())
    env = UpperBound(dataset, config, protocol, epoch_limit=2)
    layers = separate_layers(Learner(dataset, config, protocol).trainer.model)  # the initial weights
    relus = [nn.Sequential(layer, nn.ReLU()) for layer in layers[:4]]
    network = nn.ModuleList([*relus, *layers[4:]]) if protocol.encoder_relu else layers
    optimizer = torch.optim.NAdam(layers.parameters(), lr=0.001, weight_decay=0.1)
    order, samples = Seeds().torch("batches"), Seeds().torch("evaluation")
    validating = Seeds().torch("evaluation", member=1)
    data = (torch.from_numpy(getattr(env.dataset, part)).double() for part in PARTS)
    x, y, x_val, y_val, x_test, y_test = data
    mae_before, watched = math.nan, []
    for epoch in (1, 2):
        for batch in torch.randperm(283, generator=order).split(32):  # eight, and one of 27
            optimizer.zero_grad()
            (-forward_separately(network, x[batch]).log_prob(y[batch]).mean()).backward()
            optimizer.step()
        with torch.no_grad():
            nll = -forward_separately(network, x_test).log_prob(y_test).mean().item()
            validation_nll = -forward_separately(network, x_val).log_prob(y_val).mean().item()

        state, *rest, info = env.reset() if epoch == 1 else env.step(())
        assert rest == ([] if epoch == 1 else [mae_before - info["mae"], True, False])
        assert (info["epoch"], info["epochs"], *map(len, state[:2])) == (epoch, 1, 0, 283)
        for (weight, bias), layer in zip(specified_layers(env.learner.trainer.model), layers, strict=True):
            torch.testing.assert_close(weight[0], layer.weight.T, rtol=1e-7, atol=1e-9)
            torch.testing.assert_close(bias[0, 0], layer.bias, rtol=1e-7, atol=1e-9)
        mae = (env.learner.predictor.predict(x_test, samples) - y_test).abs().mean().item()
        watched.append((env.learner.predictor.predict(x_val, validating) - y_val).abs().mean().item())
        measured = [info["nll"], info["validation_nll"], info["mae"], env.stopping.minimum]
        np.testing.assert_allclose(measured, [nll, validation_nll, mae, min(watched)], rtol=1e-7)
        mae_before = info["mae"]


def off_by(mae: float, y: Tensor) -> Evaluation:
    """Of a model whose point predictions are all this far from the targets."""
    zeros = torch.zeros(len(y), dtype=torch.float64)
    return Evaluation(zeros, zeros + mae, zeros, zeros, [torch.zeros(64, len(y))], [])


@pytest.mark.parametrize(
    ("minima", "epochs"),  # tested: the one that stops is not
    [([1], 26), ([1, 2, 3], 28), ([1, 27, 53], 78), ([1, 28], 26), ([1, 27, 54], 52), (range(1, 200), 100)],
)
def test_stops_after_more_than_25_epochs_without_a_new_minimum(
    minima: Sequence[int], epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the validation part's MAE; the test part's has a new minimum in every epoch."""
    env = upper_bound(epoch_limit=100)

    def scripted(_: Any, x: Tensor, y: Tensor, *rest: Any) -> Evaluation:
        if torch.equal(x, env.learner.validation[0]):
            return off_by(200 - sum(epoch <= env.epoch for epoch in minima), y)
        return off_by(1 / env.epoch, y)

    monkeypatch.setattr("core.baselines.evaluate", scripted)
    monkeypatch.setattr("core.environment.evaluate", scripted)
    monkeypatch.setattr(
        "core.training.side_by_side.train_stack", lambda fits: [FitResult(1, 0.0)] * len(fits)
    )
    for _ in range(2):  # reset begins to count anew
        infos = play(env)
        assert [info["epoch"] for info in infos] == list(range(1, epochs + 1))
        assert infos[-1]["mae"] == measure(off_by(1 / epochs, env.learner.test[1]))["mae"]


def test_test_part_reaches_nothing_but_the_metrics() -> None:
    class Swapped(Diabetes):
        x_test: np.ndarray
        y_test: np.ndarray

        def reset(self) -> None:
            super().reset()
            self.x_test, self.y_test = 1 - self.x_test, self.y_test + 0.5

    one, other = upper_bound(), upper_bound(Swapped)
    with no_global_randomness():
        infos = play(one)
    assert play(one) == infos  # bit for bit
    assert all(a["mae"] != b["mae"] for a, b in zip(infos, play(other), strict=True))
    assert torch.equal(one.learner.trainer.model.theta, other.learner.trainer.model.theta)
    assert one.stopping.state_dict() == other.stopping.state_dict()


def run(*arguments: str | Path) -> int:
    """The exit code of compute_upper_bound.py, run in this process."""
    with pytest.raises(SystemExit) as left:
        run_script(lambda: compute_upper_bound.main([str(argument) for argument in arguments]))
    return int(left.value.code or 0)


def broken_off(whole: Any) -> Any:
    def step(*args: Any) -> Any:
        whole(*args)
        raise KeyboardInterrupt

    return step


@pytest.mark.parametrize(
    "variation",
    ["nf", "gauss_ensemble", *(pytest.param(name, marks=pytest.mark.slow) for name in ("gauss", "ensemble"))],
)
def test_same_bytes_alone_in_a_group_and_broken_off(
    variation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = (*TRIAL, "--variation", variation, "--runs_folder")
    root = "runs" + f"_{variation}" * (variation != "nf")
    two, one, parts = (tmp_path / name / root / "Diabetes/UpperBound" for name in ("2", "1", "parts"))
    for size in ("2", "1"):
        assert run(*trial, tmp_path / size / "runs", "--side_by_side", size) == 0
    assert len(files(two)) == len(FILES) + 2 * (len(FILES) + 1)
    assert files(one) == files(two)

    with monkeypatch.context() as patch:  # killed in the second epoch: the first one's checkpoint is left
        patch.setattr("core.runs.checkpoint.SECONDS_BETWEEN_WRITES", 0.0)
        patch.setattr(EnvironmentLogger, "__exit__", lambda *_: None)
        patch.setattr(UpperBound, "step", broken_off(UpperBound.step))
        assert run(*trial, tmp_path / "parts/runs") == 130
    assert all((parts / name / "checkpoint.pt").exists() for name in ("run_1", "run_2"))
    assert not files(parts)
    with monkeypatch.context() as patch:  # Ctrl-C after the second epoch of run_1, before that of run_2
        patch.setattr(EnvironmentLogger, "step", broken_off(EnvironmentLogger.step))
        assert run(*trial, tmp_path / "parts/runs") == 130
    assert [len(read_curves(parts / name / "crps.csv")) for name in ("run_1", "run_2")] == [2, 1]
    assert run(*trial, tmp_path / "parts/runs") == 0
    assert files(parts) == files(two)
    assert not list(parts.rglob("checkpoint.pt"))


@pytest.mark.slow
def test_runs_of_different_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, said = tmp_path / FOLDER, []
    assert run(*WHOLE, "--runs_folder", tmp_path / "runs") == 0
    printed = capsys.readouterr().out.splitlines()
    for file in FILES:
        table = read_curves(folder / file)
        runs = [read_curves(folder / f"run_{i}" / file)[f"run_{i}"] for i in (1, 2)]
        shorter, longer = sorted(map(len, runs))
        assert 27 <= shorter < longer == len(table) < 1000
        assert (table.index.name, table.index[0], list(table.columns)) == ("epoch", 1, ["run_1", "run_2"])
        assert all(table[one.name].dropna().equals(one) for one in runs)
        last = [one.iloc[-1] for one in runs]
        said.append(f"{np.mean(last):.3g} +- {np.std(last, ddof=1):.2g}")
    summary = f"upper bound over 2 runs: MAE {said[0]}, NLL {said[1]}, CRPS {said[2]}"
    assert printed == [summary, f"results: {folder}"]
    assert run(*WHOLE, "--side_by_side", "1", "--runs_folder", tmp_path / "alone/runs") == 0
    assert files(tmp_path / "alone" / FOLDER) == files(folder)


def test_finished_runs_are_skipped_and_other_settings_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = (*TRIAL, "--runs_folder", tmp_path / "runs")
    assert run(*trial) == 0
    made, said = files(tmp_path), capsys.readouterr().out
    monkeypatch.delattr(Trainer, "request")  # nothing can be trained
    assert run(*trial) == 0
    printed = capsys.readouterr()
    assert (printed.err.count("already finished"), printed.out) == (2, said)
    for option, before in (("epoch_limit", 3), ("pool_seed", 1), ("model_seed", 1)):
        assert run(*trial, "--run_id", "3", f"--{option}", "2") == 2
        assert f"was made with {option} {before}, not 2: " in capsys.readouterr().err
    assert files(tmp_path) == made

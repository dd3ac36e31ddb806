"""The logger: what it collects, what it writes, and when it writes nothing."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import datasets
from core import CORRECTED, EnvironmentLogger, Seeds, UserError
from core.environment import Action, Beginning, Environment, Outcome
from core.files import EXACT_FLOATS, write_file
from core.metrics import METRICS, Evaluation, Metric
from core.report.load import load_results
from core.runs.files import is_finished, pack, read_curves
from core.training.trainer import FitRequest, FitResult
from tests.builders import FILES, make_config

SEED_SET = 50
EXPERIMENT = Path("runs/Diabetes/3/Mine")


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_fits(fits: Sequence[FitRequest]) -> list[FitResult]:
        return [FitResult(2, 0.1 * (len(fit.x) - SEED_SET)) for fit in fits]

    monkeypatch.setattr("core.training.side_by_side.train_stack", no_fits)


class Knowing(Environment):
    """An environment whose measurements are known."""

    def step(self, action: Action) -> Outcome:
        *others, info = super().step(action)
        return *others, info | known(self.added)  # type: ignore[return-value]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Beginning:
        state, info = super().reset()
        return state, info | known(0)


def known(n: int) -> dict[str, Any]:
    return {"mae": 1 / (n + 1), "nll": -float(n), "crps": n / 7, "calibration": n / 100, "pit": [n] * 20}


def make(run_id: int = 1, budget: int = 7, kind: type[Environment] = Knowing, **changes: Any) -> Environment:
    dataset = datasets.DATASETS["diabetes"]("unused", Seeds(run_id))
    return kind(dataset, make_config(**changes), CORRECTED, budget=budget)


def play(logger: EnvironmentLogger, query_size: int = 3) -> EnvironmentLogger:
    """Runs an episode, or what is left of it."""
    with logger as env:
        state = env.reset()
        while not env.env.finished:
            action = range(10, 10 + min(query_size, state.budget - state.added_images))
            state, *_ = env.step(action[::-1])
    return logger


def test_files_of_a_run(tmp_path: Path) -> None:
    folder = tmp_path / EXPERIMENT / "run_4"
    logger = play(EnvironmentLogger(make(4), folder, settings={"agent": "mine"}))
    added = np.array([0, 3, 6, 7])
    assert logger.accuracies == (added.tolist(), (1 / (added + 1)).tolist())
    expected = {
        "accuracies.csv": 1 / (added + 1),
        "likelihoods.csv": -added.astype(float),
        "crps.csv": added / 7,
        "losses.csv": 0.1 * added,  # of a fit of so many points, as scripted
        "calibration.csv": added / 100,
    }
    for file, values in expected.items():
        table = pd.read_csv(folder / file, index_col="added", **EXACT_FLOATS)
        assert list(table.index) == list(range(8))
        assert list(table.columns) == ["run_4"]
        np.testing.assert_array_equal(table["run_4"].dropna().index, added)
        np.testing.assert_array_equal(table["run_4"].dropna(), values)
        assert (folder.parent / file).read_bytes() == (folder / file).read_bytes()
    meta = (folder / "meta.txt").read_text().splitlines()
    assert "agent: mine" in meta
    assert "data_check: not needed" in meta
    assert "epochs: 8" in meta
    assert f"torch: {torch.__version__}" in meta or f"torch: '{torch.__version__}'" in meta
    assert any(line.startswith("processor: ") for line in meta)  # also of a loop written by hand
    assert {path.name for path in folder.iterdir()} == {*FILES, "pit.csv", "meta.txt"}
    pit = pd.read_csv(folder / "pit.csv", index_col="added").dropna()
    assert [float(edge) for edge in pit.columns] == [k / 20 for k in range(20)]
    assert pit.loc[6].tolist() == [6] * 20
    assert "\n3,3,3," in (folder / "pit.csv").read_text()  # whole numbers
    assert not (folder.parent / "pit.csv").exists()


def test_chosen_points_in_the_order_of_choice(tmp_path: Path) -> None:
    folder = tmp_path / EXPERIMENT / "run_1"
    env = make()
    pool = np.delete(env.dataset.x_train, env.dataset.seed_indices, axis=0)
    play(EnvironmentLogger(env, folder, record_points=True))
    points = torch.load(folder / "selected_points.pt", weights_only=True)
    assert points.shape == (7, 11)
    np.testing.assert_array_equal(points[:3, :-1], pool[[12, 11, 10]])
    rest = np.delete(pool, [10, 11, 12], axis=0)
    np.testing.assert_array_equal(points[3:6, :-1], rest[[12, 11, 10]])

    # In the whole table, scaled, the rows of these numbers are these points.
    rows = pd.read_csv(folder / "selected_rows.csv", index_col="added")
    assert list(rows.index) == [1, 2, 3, 4, 5, 6, 7]
    x, y = env.dataset.rows(np.random.default_rng(0))
    train = np.random.default_rng(1).permutation(442)[: int(0.8 * 442)]
    for table, chosen in ((x, points[:, :-1]), (y[:, None], points[:, -1:])):
        low, high = table[train].min(0), table[train].max(0)
        np.testing.assert_allclose((table[rows["row"]] - low) / (high - low), chosen, atol=1e-6)


@pytest.mark.parametrize(
    "variation",
    ["gauss", *(pytest.param(name) for name in ("nf", "ensemble", "gauss_ensemble"))],
)
def test_predictions_of_the_last_round(variation: str, tmp_path: Path) -> None:
    for name, kept in (("with", True), ("without", False)):
        env = make(4, kind=Environment, variation=variation)
        play(EnvironmentLogger(env, tmp_path / name / "run_4", record_predictions=kept))
    assert {path.name for path in (tmp_path / "without/run_4").iterdir()}.isdisjoint(["predictions.npz"])
    for name in (*(metric.file for metric in METRICS.values()), "pit.csv"):  # no draw is another
        one, other = (tmp_path / of / "run_4" / name for of in ("with", "without"))
        assert one.read_bytes() == other.read_bytes()

    said = np.load(tmp_path / "with/run_4/predictions.npz", allow_pickle=False)
    assert {name: said[name].dtype for name in said} == dict.fromkeys(said, np.dtype("float32"))
    np.testing.assert_array_equal(said["target"], env.dataset.y_test)
    density, y = env.learner.predictor(torch.from_numpy(env.dataset.x_test)), torch.from_numpy(said["target"])
    np.testing.assert_array_equal(said["log_prob"], density.log_prob(y))
    np.testing.assert_array_equal(said["pit"], density.cdf(y))
    np.testing.assert_allclose(said["levels"], [0.05, 0.25, 0.5, 0.75, 0.95])
    assert said["quantiles"].shape == (len(y), 5)
    for k, level in enumerate(said["levels"]):
        below = density.cdf(torch.from_numpy(said["quantiles"][:, k].copy()))
        np.testing.assert_allclose(below, np.full(len(y), level), atol=1e-4)
    last = read_curves(tmp_path / "with/run_4/accuracies.csv")["run_4"].iloc[-1]
    assert np.abs(said["prediction"] - said["target"]).mean() == pytest.approx(last, rel=1e-6)


class Agent:
    """One that has nothing to remember."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        assert state == {}


def break_off(folder: Path, **options: Any) -> None:
    """A run that is interrupted after its first step, and leaves a checkpoint."""
    folder.mkdir(parents=True)
    env = make(kind=Environment, variation="gauss")
    logger = EnvironmentLogger(env, folder, resume=Agent(), **options)

    def interrupted() -> None:
        with logger:
            logger.reset()
            logger.step([12, 11, 10])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def go_on(folder: Path, **options: Any) -> EnvironmentLogger:
    env = make(kind=Environment, variation="gauss")
    return play(EnvironmentLogger(env, folder, resume=Agent(), **options))


def test_a_run_that_goes_on_keeps_all_that_it_was_asked_to(tmp_path: Path) -> None:
    options = {"record_points": True, "record_predictions": True}
    whole, parts = tmp_path / "whole/run_1", tmp_path / "parts/run_1"
    whole.mkdir(parents=True)
    go_on(whole, **options)
    break_off(parts, **options)
    assert not is_finished(parts)
    assert len(pd.read_csv(parts / "selected_rows.csv")) == 3
    go_on(parts, **options)
    results = pack(whole).keys() - {"meta.txt"}
    assert {"accuracies.csv", "selected_points.pt", "selected_rows.csv", "predictions.npz"} < results
    for name in results:
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
    assert {path.name for path in parts.iterdir()} == {path.name for path in whole.iterdir()}


def bias(evaluation: Evaluation) -> float:
    evaluation.densities[0].draw(5, torch.Generator().manual_seed(1))  # its own affair
    return float((evaluation.predictions - evaluation.targets).mean().abs())


BIAS = Metric("bias", "bias.csv", "bias", bias)


def test_one_entry_adds_a_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the files of a run, of runs that go on, in those that collect them, and in the reader."""
    experiment = tmp_path / EXPERIMENT
    settings = {"dataset": "diabetes", "variation": "gauss", "protocol": "corrected", "query_size": 3}
    settings |= {"agent": "mine"}
    old = make(5, kind=Environment, variation="gauss")
    play(EnvironmentLogger(old, experiment / "run_5", settings=settings))
    monkeypatch.setitem(METRICS, "bias", BIAS)
    env = make(1, kind=Environment, variation="gauss")
    run = experiment / "run_1"
    seen = play(EnvironmentLogger(env, run, settings=settings))
    curve = pd.read_csv(run / "bias.csv", index_col="added", **EXACT_FLOATS)["run_1"].dropna()
    assert curve.tolist() == seen.record.curves["bias"]
    assert env.learner.tested is not None
    errors = env.learner.tested.predictions.numpy() - env.dataset.y_test
    np.testing.assert_allclose(curve.iloc[-1], abs(np.mean(errors)), rtol=1e-4)

    parts = tmp_path / "parts/run_1"
    break_off(parts)
    go_on(parts)
    assert (parts / "bias.csv").read_bytes() == (run / "bias.csv").read_bytes()

    assert list(read_curves(experiment / "bias.csv").columns) == ["run_1"]
    assert list(read_curves(experiment / "crps.csv").columns) == ["run_1", "run_5"]
    found = load_results(tmp_path / "runs")
    assert not len(found.problems)
    assert set(found.runs["status"]) == {"finished"}
    of_run = {run: set(table["metric"]) for run, table in found.curves.groupby("run")}
    assert of_run == {1: set(METRICS), 5: set(METRICS) - {"bias"}}
    read = found.curves.query("run == 1 and metric == 'bias'")["value"]
    assert read.tolist() == curve.tolist()

    assert pack(run).keys() == {*(metric.file for metric in METRICS.values()), "pit.csv", "meta.txt"}
    assert pack(experiment / "run_5").keys() == pack(run).keys() - {"bias.csv"}

    # Nothing else is another number than without it.
    monkeypatch.delitem(METRICS, "bias")
    play(EnvironmentLogger(make(1, kind=Environment, variation="gauss"), tmp_path / "plain/run_1"))
    for file in (tmp_path / "plain/run_1").glob("*.csv"):
        assert file.read_bytes() == (run / file.name).read_bytes()


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")

    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(UserError, match="disk full"):
        write_file(target, fail)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no folders that can be synchronised")
def test_a_file_is_on_the_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut might leave an empty file where a whole one was."""
    done: list[str] = []
    replace = os.replace

    def fsync(number: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "content")

    def rename(one: Path, other: Path) -> None:
        done.append("name")
        replace(one, other)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    write_file(tmp_path / "table.csv", lambda path: path.write_text("new"))
    assert done == ["content", "name", "folder"]


def test_a_logger_is_reset_once(tmp_path: Path) -> None:
    """Else a second episode would be appended to the first."""
    logger = EnvironmentLogger(make(), tmp_path / "run_1")
    logger.reset()
    with pytest.raises(RuntimeError, match="a logger is for one episode"):
        logger.reset()

"""The logger: what it collects, what it writes, and when it writes nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tqdm import tqdm as plain_tqdm

import datasets
from core import EnvironmentLogger, Seeds, UserError
from core.config import load_config
from core.environment import Environment
from core.files import write_file
from core.runs.collecting import auc, read_curves
from core.util import tqdm

EXPERIMENT = Path("runs/Diabetes/3/Mine")


class Scripted(Environment):
    """An environment whose measurements are known; nothing is trained."""

    def _info(self, *args: Any) -> dict[str, Any]:
        n = self.added
        measured = {"mae": 1 / (n + 1), "nll": -float(n), "crps": n / 7, "validation_nll": 0.1 * n}
        return {"added": n, **measured, "calibration": n / 100, "pit": [n] * 20, "epochs": 2}

    def _fit(self) -> Any:
        return self

    def _evaluate(self) -> Any:
        return self

    mae = 0.0
    validation_nll = 0.0
    epochs = 0


def scripted(run_id: int = 1, budget: int = 7) -> Environment:
    dataset = datasets.DATASETS["diabetes"]("unused", Seeds(run_id))
    return Scripted(dataset, load_config("diabetes", "nf")[0], budget=budget)


def play(logger: EnvironmentLogger, query_size: int = 3) -> EnvironmentLogger:
    with logger as env:
        state, terminated = env.reset(), False
        while not terminated:
            action = range(10, 10 + min(query_size, state.budget - state.added_images))
            state, _, terminated, _, _ = env.step(action[::-1])
    return logger


def test_files_of_a_run(tmp_path: Path) -> None:
    folder = tmp_path / EXPERIMENT / "run_4"
    logger = play(EnvironmentLogger(scripted(4), folder, settings={"agent": "mine"}))
    added = np.array([0, 3, 6, 7])
    assert logger.accuracies == (added.tolist(), (1 / (added + 1)).tolist())
    expected = {
        "accuracies.csv": 1 / (added + 1),
        "likelihoods.csv": -added.astype(float),
        "crps.csv": added / 7,
        "losses.csv": 0.1 * added,
        "calibration.csv": added / 100,
    }
    for file, values in expected.items():
        table = pd.read_csv(folder / file, index_col="added")
        assert list(table.index) == list(range(8))
        assert list(table.columns) == ["run_4"]
        np.testing.assert_array_equal(table["run_4"].dropna().index, added)
        np.testing.assert_array_equal(table["run_4"].dropna(), values)
        assert (folder.parent / file).read_bytes() == (folder / file).read_bytes()
    meta = (folder / "meta.txt").read_text().splitlines()
    assert "agent: mine" in meta
    assert "data_check: not needed" in meta
    assert "epochs: 8" in meta
    assert {path.name for path in folder.iterdir()} == {*expected, "pit.csv", "meta.txt"}
    pit = pd.read_csv(folder / "pit.csv", index_col="added").dropna()
    assert [float(edge) for edge in pit.columns] == [k / 20 for k in range(20)]
    assert pit.loc[6].tolist() == [6] * 20
    assert "\n3,3,3," in (folder / "pit.csv").read_text()  # whole numbers
    assert not (folder.parent / "pit.csv").exists()


def test_runs_are_collected_in_order_of_their_ids(tmp_path: Path) -> None:
    for run_id in (10, 2, 1):
        play(EnvironmentLogger(scripted(run_id), tmp_path / EXPERIMENT / f"run_{run_id}"))
    table = read_curves(tmp_path / EXPERIMENT / "accuracies.csv")
    assert list(table.columns) == ["run_1", "run_2", "run_10"]
    np.testing.assert_allclose(auc(table), (1 + 1 / 4 + 1 / 7 + 1 / 8) / 4)


def test_chosen_points_in_the_order_of_choice(tmp_path: Path) -> None:
    folder = tmp_path / EXPERIMENT / "run_1"
    env = scripted()
    pool = np.delete(env.dataset.x_train, env.dataset.seed_indices, axis=0)
    play(EnvironmentLogger(env, folder, record_points=True))
    points = torch.load(folder / "selected_points.pt", weights_only=True)
    assert points.shape == (7, 11)
    np.testing.assert_array_equal(points[:3, :-1], pool[[12, 11, 10]])
    rest = np.delete(pool, [10, 11, 12], axis=0)
    np.testing.assert_array_equal(points[3:6, :-1], rest[[12, 11, 10]])


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_run_that_breaks_off_writes_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def break_off() -> None:
        with EnvironmentLogger(scripted(), tmp_path / EXPERIMENT / "run_1") as env:
            env.reset()
            env.step([1, 2, 3])
            raise error

    with pytest.raises(error):
        break_off()
    with EnvironmentLogger(scripted(), tmp_path / EXPERIMENT / "run_1") as env:
        env.reset()
        env.step([1, 2, 3])  # stops before the budget is used
    with EnvironmentLogger(scripted(), tmp_path / EXPERIMENT / "run_1"):
        pass  # never even began
    assert not list(tmp_path.iterdir())


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


@pytest.mark.parametrize(("unattended", "most"), [(True, 3), (False, 1000)])
def test_unattended_bars_print_few_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], unattended: bool, most: int
) -> None:
    with EnvironmentLogger(scripted(), tmp_path, unattended):
        bar = tqdm(range(100), miniters=2)
        for _ in bar:
            bar.set_postfix({"MAE": 0.5})
    printed = capsys.readouterr().err
    assert printed.count("\r") <= most
    assert "100/100" in printed
    assert unattended or printed.count("\r") > 50


def test_bar_counts_the_round_that_breaks() -> None:
    bar = tqdm(range(5), disable=False, file=open("/dev/null", "w"))  # noqa: SIM115
    for i in bar:
        if i == 4:
            break
    assert bar.n == 5
    assert isinstance(bar, plain_tqdm)

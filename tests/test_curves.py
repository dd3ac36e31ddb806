"""core.report.curves: learning curves of one task, alone and before the stored agents."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes

from core import UserError
from core.dataset import train_and_test
from core.report import curves
from core.report.load import EXPERIMENT, Folders
from core.report.store import add_runs
from tests.synthetic_runs import write_experiment
from tests.test_store import write_runs

TASK = ["--dataset", "diabetes", "--protocol", "published"]


def rows(agent: str, runs: list[int], ends: int, values: dict[int, float]) -> pd.DataFrame:
    """Curves that fall from 1 to a run's value after the first point: measured at 50, 55, ... `ends`."""
    lines = [
        ("d", "nf", "corrected", 5, agent, run, labelled, metric, 1.0 if labelled == 50 else values[run])
        for run in runs
        for labelled in range(50, ends + 1, 5)
        for metric in ("mae", "nll")
    ]
    return pd.DataFrame(lines, columns=[*EXPERIMENT, "run", "labelled", "metric", "value"])


def test_stored_agents_are_cut_to_ones_own_runs() -> None:
    own = rows("random", [1, 2], 60, {1: 0.4, 2: 0.4})
    stored = pd.concat(
        [
            rows("random", [1, 2, 3], 100, {1: 0.4, 2: 0.4, 3: 0.4}),
            rows("igs", [1, 2, 3], 100, {1: 0.7, 2: 0.1, 3: 0.1}),
        ]
    )
    both = curves.with_stored(own, stored)
    assert both.groupby("agent")["labelled"].max().to_dict() == {"random": 60, "igs": 60}
    assert both.groupby("agent")["run"].max().to_dict() == {"random": 2, "igs": 2}
    assert len(both) == 2 * len(own)  # random's own runs, once
    # Run 1 is won and run 2 lost: both have the mean rank 1.5, and so the first place.
    assert list(curves.places(both, ["random"])) == ["Random: place 1 of 2 by NLL, place 1 of 2 by MAE"]
    worse = curves.with_stored(rows("random", [2], 60, {2: 0.4}), stored)
    (line,) = curves.places(worse, ["random"])
    assert line.startswith("Random: place 2 of 2 by NLL")
    own = pd.concat([rows("mine", [1], 60, {1: 9.0}), rows("yours", [2], 60, {2: 0.1})])
    lines = list(curves.places(curves.with_stored(own, stored), ["mine", "yours"]))
    won = "better than random in {0} of 1 runs (NLL), {0} of 1 runs (MAE)"
    assert lines == [
        f"Mine: place 3 of 3 by NLL, place 3 of 3 by MAE, {won.format(0)}",  # the last
        f"Yours: not ranked (no run in common with all others), {won.format(1)}",
    ]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of two agents with three runs each of query size 4."""
    for agent in ("random", "coreset"):
        write_runs(tmp_path / "made", agent, (1, 2, 3))
    add_runs(tmp_path / "store", Folders(tmp_path / "made"))
    return tmp_path / "store"


def test_curves_of_a_folder_before_a_store(
    tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for agent in ("random", "mine"):
        write_experiment(tmp_path / "runs", agent)
    typed = [*TASK, "--query_size", "4", "--runs_folder", str(tmp_path / "runs")]
    curves.main([*typed, "--out", str(tmp_path / "alone.png")])
    assert capsys.readouterr().out == f"learning curves: {tmp_path / 'alone.png'}\n"
    curves.main([*typed, "--store", str(store), "--out", str(tmp_path / "beside.png")])
    head, *lines, end = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"runs 1-3 of your agents and \d stored ones, over 12 labels:", head)
    assert sorted(line.split(":")[0] for line in lines) == ["  Mine", "  Random"]
    assert end == f"learning curves: {tmp_path / 'beside.png'}"
    assert (tmp_path / "beside.png").read_bytes().startswith(b"\x89PNG")
    nowhere = [*typed[:-1], str(tmp_path / "nowhere"), "--store", str(store)]
    curves.main([*nowhere, "--out", str(tmp_path / "stored.png")])
    assert capsys.readouterr().out == f"learning curves: {tmp_path / 'stored.png'}\n"


def test_what_is_not_there_is_told(tmp_path: Path, store: Path) -> None:
    write_experiment(tmp_path / "runs", query_size=6)
    typed = [*TASK, "--runs_folder", str(tmp_path / "runs"), "--query_size"]
    with pytest.raises(UserError, match="no finished runs of"):
        curves.main([*typed, "7"])
    with pytest.raises(UserError, match="has no runs of"):
        curves.main([*typed, "6", "--store", str(store)])


def test_errors_in_the_target_s_own_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {}
    monkeypatch.setattr(curves, "save", lambda figure, path: drawn.update({path.stem: figure}))
    write_experiment(tmp_path / "runs")
    typed = [*TASK, "--query_size", "4", "--runs_folder", str(tmp_path / "runs")]
    curves.main([*typed, "--out", "scaled.png"])
    curves.main([*typed, "--own_units", "--out", "own.png"])
    scaled, own = (
        np.asarray(drawn[name].axes[0].get_lines()[0].get_ydata(), float) for name in ("scaled", "own")
    )
    target = load_diabetes().target[train_and_test(442)[0]]
    np.testing.assert_allclose(own, np.ptp(target) * scaled)
    assert "target's own units" in drawn["own"].axes[0].get_ylabel()

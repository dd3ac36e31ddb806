"""The power goes, at every moment: the next start finishes to the same bytes."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import core.files
import evaluate
from core.data import tables
from core.report.adding import add_runs
from core.report.store import read_store
from core.runs import checkpoint
from tests.mini_table import FRAME, Mini
from tests.slow import power
from tests.builders import files

RUN = ["--agent", "random", "--dataset", "diabetes", "--variation", "gauss", "--query_size", "1"]
RUN += ["--budget", "2", "--restarts", "1"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the name of an open file")


def run(folder: Path, *more: str) -> int:
    return evaluate.main([*RUN, "--runs_folder", str(folder / "runs"), *more])


@pytest.fixture(autouse=True)
def checkpoints_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN_WRITES", 0.0)
    torch.set_num_threads(1)


def replay(
    tmp_path: Path, work: Callable[[Path], object], check: Callable[[Path], None], before: Path | None = None
) -> tuple[int, int]:
    """Does the work on a disk that loses everything, at each moment; counts operations and states."""
    there = (
        {}
        if before is None
        else {
            str(path.relative_to(before)): path.read_bytes() for path in before.rglob("*") if path.is_file()
        }
    )
    whole = tmp_path / "whole"
    power.lay_out(dict(there), whole)
    whole.mkdir(parents=True, exist_ok=True)
    with power.recording(whole) as recorder:
        work(whole)
    check(whole)
    found = power.states(recorder, there)
    for i, state in enumerate(found):
        folder = tmp_path / f"state{i}"
        folder.mkdir()
        power.lay_out(state, folder)
        work(folder)
        check(folder)
        shutil.rmtree(folder)
    return len(recorder.operations), len(found)


@pytest.mark.parametrize("overwrite", ["0", "1"])
def test_a_run(tmp_path: Path, overwrite: str) -> None:
    before = None
    if overwrite == "1":  # over a run of another seed
        before = tmp_path / "before"
        assert run(before, "--model_seed", "3") == 0
    run(tmp_path / "wanted")
    wanted = files(tmp_path / "wanted")
    assert len(wanted) == 11

    def check(folder: Path) -> None:
        assert files(folder) == wanted
        assert not list(folder.rglob(".part-*"))
        assert not list(folder.rglob("checkpoint.pt*"))

    operations, states = replay(tmp_path, lambda folder: run(folder, "--overwrite", overwrite), check, before)
    print(f"{operations} operations, {states} states")
    assert states > 20


def test_a_finished_run_stays(tmp_path: Path) -> None:
    """As soon as the command has ended, nothing is left to be lost."""
    with power.recording(tmp_path) as recorder:
        run(tmp_path)
    disk = power.Disk({})
    for operation in recorder.operations:
        disk.apply(operation)
    whole = {name: path.read_bytes() for path in tmp_path.rglob("*") if (name := relative(path, tmp_path))}
    assert {name: content for name, content in disk.left().items() if name in whole} == whole


def relative(path: Path, folder: Path) -> str:
    """The name of a file that matters."""
    mine = path.is_file() and path.suffix in (".csv", ".txt")
    return str(path.relative_to(folder)) if mine else ""


def test_a_cache_and_a_store(tmp_path: Path) -> None:
    def cache(folder: Path) -> None:
        tables._loaded.clear()
        FRAME.to_csv(folder / "mini.csv", index=False)  # it lay there all the time
        Mini.load(folder)

    def cached(folder: Path) -> None:
        tables._loaded.clear()
        assert Mini.load(folder).source.name == "mini.npz"

    replay(tmp_path / "cache", cache, cached)

    assert run(tmp_path / "one") == 0
    assert run(tmp_path / "two", "--run_id", "2") == 0
    add_runs(tmp_path / "before", tmp_path / "one/runs")
    add_runs(tmp_path / "wanted", tmp_path / "one/runs")
    add_runs(tmp_path / "wanted", tmp_path / "two/runs")

    def same(folder: Path) -> None:
        for path in (tmp_path / "wanted").glob("Diabetes*"):
            assert (folder / path.name).read_bytes() == path.read_bytes()
        assert {path.name for path in folder.iterdir()} <= {p.name for p in (tmp_path / "wanted").iterdir()}

    def add(folder: Path) -> None:
        if any(folder.glob("*.gz")):  # a reader that comes first
            runs = [list(stored.curves) for stored in read_store(folder).values()]
            assert runs in ([[1]], [[1, 2]])
        add_runs(folder, tmp_path / "two/runs")

    _, states = replay(tmp_path / "store", add, same, tmp_path / "before")
    assert states >= 5


def test_the_replay_finds_what_is_not_synchronised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without fsync of the folder, or of the files, something is lost."""
    monkeypatch.setattr(core.files, "_sync_folder", lambda folder: None)
    with power.recording(tmp_path) as recorder:
        core.files.write_file(tmp_path / "a", lambda path: path.write_text("1"))
        core.files.write_file(tmp_path / "b", lambda path: path.write_text("2"))
    left = power.states(recorder, {}, seeds=20)
    assert any("b" in state and "a" not in state for state in left)

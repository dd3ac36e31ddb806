"""Disks that fill up, and files that are not what they should be."""

import io
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core import tables
from core.rawfiles import UnusableError, read_raw
from tests.mini_table import FRAME, Mini
from tests.reliability.test_interrupted import FOLDER, ONE, RUN, Bomb
from tests.reliability.worker import files, finish, start, wait_for


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or not shutil.which("mount"):
        pytest.skip("mounts a tmpfs, which is Linux's")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"only root may mount a tmpfs: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up(small_disk: Path, tmp_path: Path) -> None:
    arguments, said = [*ONE, "--runs_folder", small_disk], tmp_path / "said"
    assert finish(start(arguments)) == 0
    before = files(small_disk)
    # Too full for a checkpoint (of half a megabyte), not for the run's folder.
    (small_disk / "filler").write_bytes(bytes(700_000))
    assert finish(start([*arguments, "--run_id", "2"], said)) == 2
    lines = said.read_text().splitlines()
    assert lines[-1].startswith("evaluate.py: ")
    assert "cannot be written: No space left on device" in lines[-1]
    assert "Traceback" not in said.read_text()
    assert {name: content for name, content in files(small_disk).items() if "run_2" not in name} == before
    assert not list(small_disk.rglob(".part-*"))

    (small_disk / "filler").unlink()
    assert finish(start([*arguments, "--run_id", "2"], said)) == 0
    header = (small_disk / FOLDER / "accuracies.csv").read_text().splitlines()[0]
    assert header == "added,run_1,run_2"


def test_a_lost_folder_is_one_line(tmp_path: Path) -> None:
    runs, said = tmp_path / "runs", tmp_path / "said"
    process = start([*RUN, "--restarts", "1", "--runs_folder", runs], said, checkpoints_every=1e9)
    wait_for((runs / FOLDER / "run_1/.lock").exists)
    shutil.rmtree(runs)
    assert finish(process) == 2
    line = said.read_text().splitlines()[-1]
    assert line.startswith("evaluate.py: ")
    assert "cannot be written: No such file or directory" in line


def test_a_pickle_in_a_cache_is_not_executed(tmp_path: Path) -> None:
    data, evidence = tmp_path / "data", tmp_path / "executed"
    data.mkdir()
    FRAME.to_csv(data / "mini.csv", index=False)
    bomb = np.empty(1, dtype=object)
    bomb[0] = Bomb(evidence)
    for name in ("pickle", "array"):
        if name == "pickle":
            (data / "mini.npz").write_bytes(pickle.dumps(Bomb(evidence)))
        else:
            np.savez(data / "mini.npz", x=bomb, y=bomb, features=bomb)
        tables._loaded.clear()
        assert Mini.load(data).source == data / "mini.csv"
        assert not evidence.exists()


def test_an_archive_cannot_write_elsewhere(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../table.csv", "a,b\n1,2\n")
        archive.writestr("/tmp/escaped.csv", "a,b\n1,2\n")
    folder = tmp_path / "a/b"
    folder.mkdir(parents=True)
    (folder / "table.zip").write_bytes(buffer.getvalue())
    table = read_raw(folder / "table.zip", ["a", "b"], member="table.csv")
    assert table.to_numpy().tolist() == [[1, 2]]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [folder / "table.zip"]
    with pytest.raises(UnusableError, match="expected other"):
        read_raw(folder / "table.zip", ["a", "b"], member="other.csv")

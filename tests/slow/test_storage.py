"""Disks that fill up, and files that are not what they should be."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import compare
import suggest
from core.cli import run_script
from core.report.load import Folders
from core.report.store import add_runs
from tests.builders import files
from tests.slow.test_interrupted import FOLDER, ONE, RUN
from tests.slow.test_surroundings import RUN as SHORT
from tests.slow.test_surroundings import script
from tests.slow.worker import finish, start, wait_until_stopped
from tests.test_store import write_runs
from tests.test_suggest import make_frame, write


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
    arguments, said = [*ONE, "--variation", "gauss", "--runs_folder", small_disk / "runs"], tmp_path / "said"
    assert finish(start(arguments)) == 0
    before = files(small_disk)
    # Too full for a checkpoint (of 0.2 MB), not for the run's folder.
    (small_disk / "filler").write_bytes(bytes(850_000))
    assert finish(start([*arguments, "--run_id", "2"], said)) == 2
    lines = said.read_text().splitlines()
    assert lines[-1].startswith("evaluate.py: ")
    assert "cannot be written: No space left on device" in lines[-1]
    assert "Traceback" not in said.read_text()
    assert {name: content for name, content in files(small_disk).items() if "run_2" not in name} == before
    assert not list(small_disk.rglob(".part-*"))

    (small_disk / "filler").unlink()
    assert finish(start([*arguments, "--run_id", "2"], said)) == 0
    header = (small_disk / "runs_gauss" / FOLDER / "accuracies.csv").read_text().splitlines()[0]
    assert header == "added,run_1,run_2"


@pytest.mark.parametrize("name", ["compare.py", "suggest.py"])
def test_a_disk_without_room_for_what_is_made(
    small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    if name == "compare.py":
        write_runs(tmp_path / "made", "random", (1, 2))
        add_runs(tmp_path / "store", Folders(tmp_path / "made").experiments)
        write_runs(tmp_path / "runs", "mine", (1, 2))
        out, main = small_disk / "page.html", compare.main
        typed = ["--runs_folder", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    else:
        out, main = small_disk / "next.csv", suggest.main
        typed = [*write(tmp_path, make_frame(80), make_frame(400, seed=1)), "--variation", "forest"]
        typed[typed.index("--count") + 1] = "300"
    (small_disk / "filler").write_bytes(bytes(2**20 - 8192))
    with pytest.raises(SystemExit) as left:
        run_script(lambda: main([*typed, "--out", str(out)]))
    assert left.value.code == 2
    assert f"{out} cannot be written: No space left on device" in capsys.readouterr().err.splitlines()[-1]
    assert os.listdir(small_disk) == ["filler"]


def test_a_lost_folder_is_one_line(tmp_path: Path) -> None:
    runs, said = tmp_path / "runs", tmp_path / "said"
    process = start([*RUN, "--restarts", "3", "--runs_folder", runs], said, 1e9, stop_at_step=3)
    pid = wait_until_stopped(process)
    shutil.rmtree(runs)
    os.kill(pid, signal.SIGCONT)
    assert finish(process) == 2
    text = said.read_text()
    assert text.splitlines()[-1].startswith("evaluate.py: ")
    # Whichever file is the next that it reads or writes.
    assert text.splitlines()[-1].endswith(": No such file or directory")
    assert "Traceback" not in text


@pytest.mark.parametrize("harm", ["full", "cut"])
def test_a_cache_that_cannot_be_used(small_disk: Path, tmp_path: Path, harm: str) -> None:
    """Of compiled functions: a quota that is used up, and what a power cut leaves."""
    where = {"NUMBA_CACHE_DIR": str(small_disk)}
    words = [*SHORT, "--variation", "gauss", "--runs_folder", tmp_path / "runs"]
    if harm == "full":
        (small_disk / "filler").write_bytes(bytes(2**20 - 8192))
    else:
        assert script("evaluate.py", *words, where=where).returncode == 0
        for path in small_disk.rglob("*.nb?"):
            path.write_bytes(b"")
    done = script("evaluate.py", *words, "--overwrite", "1", where=where)
    assert done.returncode == 0, done.stderr
    if harm == "cut":  # they are kept again
        assert all(path.stat().st_size for path in small_disk.rglob("*.nbi"))


def test_a_disk_that_is_unmounted(small_disk: Path, tmp_path: Path) -> None:
    runs, said, kept = small_disk / "runs", tmp_path / "said", tmp_path / "kept"
    process = start([*ONE, "--variation", "gauss", "--runs_folder", runs], said, stop_at_step=4)
    pid = wait_until_stopped(process)
    kept.mkdir()
    subprocess.run(["mount", "--bind", small_disk, kept], check=True)
    subprocess.run(["umount", "-l", small_disk], check=True)
    os.kill(pid, signal.SIGCONT)
    assert finish(process) == 2
    assert said.read_text().splitlines()[-1].endswith(": No such file or directory")
    assert os.listdir(small_disk) == []
    subprocess.run(["mount", "--bind", kept, small_disk], check=True)
    subprocess.run(["umount", kept], check=True)
    assert finish(start([*ONE, "--variation", "gauss", "--runs_folder", runs], said)) == 0
    assert "resumes after" in said.read_text()
    assert finish(start([*ONE, "--variation", "gauss", "--runs_folder", tmp_path / "runs"])) == 0
    assert files(small_disk / "runs_gauss") == files(tmp_path / "runs_gauss")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("run_1", "file"),
        ("run_1/meta.txt", "folder"),
        ("run_1/checkpoint.pt", "folder"),
        ("run_1/.lock", "folder"),
        (".lock", "folder"),
        ("settings.txt", "bytes"),
    ],
)
def test_a_strange_file_is_one_line(tmp_path: Path, name: str, what: str) -> None:
    path, said = tmp_path / FOLDER / name, tmp_path / "said"
    path.parent.mkdir(parents=True)
    if what == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"\xff\0")
    assert finish(start([*ONE, "--runs_folder", tmp_path], said)) == 2
    line = said.read_text().splitlines()[-1]
    assert line.startswith(f"evaluate.py: {path.parent if what == 'bytes' else path}")
    assert "Traceback" not in said.read_text()

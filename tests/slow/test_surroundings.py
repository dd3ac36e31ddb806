"""Odd surroundings, as docs/TRUST.md lists them: no terminal, no rights, other locales, no memory."""

import errno
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from itertools import cycle
from pathlib import Path

import pytest

import evaluate
from core.runs.files import claimed
from core.runs.settings import read_meta
from tests.builders import FILES, files, refused
from tests.slow.worker import finish, start, wait_for

ROOT = Path(__file__).resolve().parents[2]
RUN = ["--agent", "random", "--dataset", "diabetes", "--query_size", "2", "--budget", "4", "--restarts", "1"]
FOLDER = Path("Diabetes/2/RandomAgent")


def script(
    name: str,
    *typed: object,
    root: Path = ROOT,
    to: str = "",
    where: Mapping[str, str | None] = {},
    limit: Callable[[], None] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """A script that ran as a process of its own; what it said is text.

    Args:
        root: the folder of the script.
        to: redirections of the shell, as `2>&-`.
        where: environment variables; None removes one.
        limit: called in the process before it begins.
    """
    environment = {name: text for name, text in ({**os.environ, **where}).items() if text is not None}
    words = [sys.executable, str(root / name), *map(str, typed)]
    command = ["sh", "-c", f'exec "$@" {to}', "sh", *words]
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", env=environment, preexec_fn=limit, cwd=cwd
    )


def one_line(done: subprocess.CompletedProcess[str], name: str = "evaluate.py") -> str:
    """The line in which a script said why it ended with code 2."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"{name}: ")
    return last


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The result files of a run in usual surroundings."""
    folder = tmp_path_factory.mktemp("usual")
    assert script("evaluate.py", *RUN, "--runs_folder", folder).returncode == 0
    assert len(files(folder)) == 2 * len(FILES) + 1
    return files(folder)


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A copy of the code in which nothing can be written beside the modules."""
    for name in ("core", "agents", "datasets", "configs"):
        shutil.copytree(ROOT / name, tmp_path / "code" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "evaluate.py", tmp_path / "code")
    for folder in {path.parent for path in (tmp_path / "code").rglob("*.py")}:
        (folder / "__pycache__").touch()  # a file, which stops root too
    return tmp_path / "code"


@pytest.mark.parametrize("temporary", ["free", "taken"])
def test_an_installation_that_cannot_be_written(
    locked: Path, tmp_path: Path, usual: dict[str, bytes], temporary: str
) -> None:
    folder = tmp_path / "tmp" / f"numba_cache_{os.getuid()}"
    folder.parent.mkdir()
    if temporary == "taken":
        folder.touch()
    where = {"HOME": os.devnull, "XDG_CACHE_HOME": None, "NUMBA_CACHE_DIR": None}
    where |= {"TMPDIR": str(folder.parent)}
    done = script("evaluate.py", *RUN, "--runs_folder", tmp_path / "runs", root=locked, where=where)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("note: compiled functions cannot be kept beside the code") == 1
    assert files(tmp_path / "runs") == usual
    assert folder.is_file() if temporary == "taken" else list(folder.rglob("*.nbi"))


@pytest.mark.parametrize("to", ["2>&-", "2>/dev/full", ">&-", "<&- >&- 2>&-"])
def test_what_cannot_be_said_ends_no_run(tmp_path: Path, usual: dict[str, bytes], to: str) -> None:
    done = script("evaluate.py", *RUN, "--runs_folder", tmp_path, to=to)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path) == usual


@pytest.mark.parametrize("unbuffered", [None, "1"])
def test_results_that_cannot_be_said_are_named(
    tmp_path: Path, usual: dict[str, bytes], unbuffered: str | None
) -> None:
    where = {"PYTHONUNBUFFERED": unbuffered}
    done = script("evaluate.py", *RUN, "--runs_folder", tmp_path, to=">/dev/full", where=where)
    said = "standard output or a file: No space left on device"
    assert one_line(done) == f"evaluate.py: {said}"
    assert files(tmp_path) == usual


def test_errors_that_cannot_be_said_keep_their_code(tmp_path: Path) -> None:
    for to in ("2>&-", "2>/dev/full"):
        assert script("evaluate.py", "--nosuch", to=to).returncode == 2
        assert script("evaluate.py", *RUN, "--runs_folder", "/dev/null/runs", to=to).returncode == 2


@pytest.mark.parametrize(
    ("name", "where"), [("hä.csv", {"LC_ALL": "C", "PYTHONUTF8": "0"}), ("h\udce4.csv", {})]
)
def test_a_table_whose_name_is_no_text_here(tmp_path: Path, name: str, where: dict[str, str]) -> None:
    rows = "\n".join(f"{i},{i % 7},{i * i % 11}" for i in range(200))
    (tmp_path / name).write_text(f"a,b,y\n{rows}\n")
    words = ["--dataset", tmp_path / name, "--target", "y", "--runs_folder", tmp_path / "runs"]
    done = script("evaluate.py", *RUN, *words, where=where)
    assert one_line(done).endswith("its name is no text here: rename it, or set PYTHONUTF8=1")


def test_memory_that_ends(tmp_path: Path) -> None:
    big = ["--agent", "balsa_kl_pairs", "--side_by_side", "400", "--restarts", "400"]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))

    done = script("evaluate.py", *RUN, *big, "--runs_folder", tmp_path, limit=limit)
    assert "lower --side_by_side" in one_line(done)


def test_a_poor_account(tmp_path: Path, usual: dict[str, bytes]) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
        os.umask(0o077)

    folder = tmp_path / "a b\nc ü ☃"
    where = {"HOME": None, "TMPDIR": "/nonexistent", "PATH": "/bin", "TZ": "No/Where", "BENCHMARK_CODE": None}
    shutil.copytree(ROOT, tmp_path / "copy", ignore=shutil.ignore_patterns(".*", "tests", "results", "docs"))
    words = [*RUN, "--runs_folder", folder]
    done = script("evaluate.py", *words, root=tmp_path / "copy", where=where, limit=limit)
    assert done.returncode == 0, done.stderr
    assert files(folder) == usual
    assert read_meta(next(folder.rglob("meta.txt")))["code"] == "unknown"


def test_a_clock_that_jumps(tmp_path: Path, usual: dict[str, bytes]) -> None:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        pytest.skip("needs libfaketime")
    over, now = threading.Event(), tmp_path / "now"

    def jump() -> None:
        for time in cycle(["-20y", "+300d", "-1h"]):
            now.with_name("next").write_text(time)
            os.replace(now.with_name("next"), now)
            if over.wait(0.05):
                return

    # The clock that counts from the machine's start does not jump.
    where = {"FAKETIME_TIMESTAMP_FILE": str(now), "FAKETIME_NO_CACHE": "1", "LD_PRELOAD": str(library)}
    where["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
    threading.Thread(target=jump).start()
    try:
        done = script("evaluate.py", *RUN, "--runs_folder", tmp_path, where=where)
    finally:
        over.set()
    assert done.returncode == 0, done.stderr
    assert files(tmp_path) == usual
    meta = read_meta(tmp_path / FOLDER / "run_1/meta.txt")
    assert 0 <= meta["seconds_in_step"] <= meta["seconds"] < 1000


def test_damaged_locks_of_the_future(tmp_path: Path, usual: dict[str, bytes]) -> None:
    folder = tmp_path / FOLDER
    for path in (folder / ".lock", folder / "run_1/.lock"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\0 no lock")
        os.utime(path, (5e9, 5e9))  # in the year 2128
    assert finish(start([*RUN, "--runs_folder", tmp_path])) == 0
    assert files(tmp_path) == usual


def test_a_run_is_deleted_among_many_processes(tmp_path: Path) -> None:
    words = [*RUN, "--variation", "gauss", "--restarts", "3", "--runs_folder"]
    said = [tmp_path / f"said_{i}" for i in range(5)]
    many = [start([*words, tmp_path / "runs"], path) for path in said]
    run = tmp_path / "runs_gauss" / FOLDER / "run_1"
    wait_for((run / "meta.txt").exists, seconds=300)
    shutil.rmtree(run, ignore_errors=True)  # another process may be writing there
    assert {finish(process) for process in many} <= {0, 1, 2}
    assert not [path for path in said if "Traceback" in path.read_text()]
    assert finish(start([*words, tmp_path / "runs"])) == 0
    assert finish(start([*words, tmp_path / "alone"])) == 0
    assert files(tmp_path / "runs_gauss") == files(tmp_path / "alone_gauss")


def test_a_folder_is_removed_while_its_lock_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*given: object) -> None:
        shutil.rmtree(tmp_path / "run_1")
        raise BlockingIOError(errno.EAGAIN, "another process has it")

    monkeypatch.setattr("fcntl.flock", taken)
    with claimed(tmp_path / "run_1", wait=0.2) as mine:
        assert not mine


def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_locks(*given: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    said = refused(evaluate.main, [*RUN, "--runs_folder", tmp_path], capsys)
    assert "a folder on a file system without locks" in said


def test_every_row_of_the_page_has_its_test() -> None:
    page = (ROOT / "docs/TRUST.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|")][2:]  # below the head
    named = [re.findall(r"`(test_\w+)`", row) for row in rows]
    there = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests/slow").glob("test_*.py"))
    assert all(named)
    assert [name for names in named for name in names if f"def {name}(" not in there] == []

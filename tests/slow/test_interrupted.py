"""Runs that are killed, stopped, or begun twice: what they leave, and that they go on to the same bytes."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from core.runs import checkpoint
from tests.builders import FILES, files
from tests.slow.worker import finish, start, wait_until_stopped

RUN = ("--agent", "balsa_kl_pairs", "--dataset", "diabetes", "--query_size", "2", "--budget", "16")
ONE = (*RUN, "--restarts", "1")
FOLDER = Path("Diabetes/2/BALSA_KL_Pairs")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of run_1, which nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert finish(start([*ONE, "--runs_folder", folder])) == 0
    assert len(files(folder)) == 2 * len(FILES) + 1
    return files(folder)


def begun(tmp_path: Path) -> Path:
    """A checkpoint of run_1, whose process was killed."""
    path = tmp_path / FOLDER / "run_1" / checkpoint.FILE
    process = start([*ONE, "--runs_folder", tmp_path], stop_at_step=2)
    wait_until_stopped(process)
    assert path.exists()
    process.kill()
    assert finish(process) == -signal.SIGKILL
    return path


def written(path: Path) -> int:
    """When a file was written; 0 if it is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def test_killed_at_random_moments(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    rng = random.Random(1)
    said = tmp_path / "said"
    path = tmp_path / "runs" / FOLDER / "run_1" / checkpoint.FILE
    kills = 0
    while kills < 5:
        before = written(path)
        process = start([*ONE, "--runs_folder", tmp_path / "runs"], said)
        # Not while it still loads the data: once it has gone on, at any moment.
        while process.is_alive() and written(path) == before:
            time.sleep(0.005)
        process.join(rng.uniform(0, 0.2))
        process.kill()
        if (code := finish(process)) == 0:  # it was faster: again from the beginning
            assert files(tmp_path / "runs") == undisturbed
            (tmp_path / "runs" / FOLDER / "run_1/meta.txt").unlink()
            continue
        assert code == -signal.SIGKILL
        kills += 1
    assert finish(start([*ONE, "--runs_folder", tmp_path / "runs"], said)) == 0
    assert files(tmp_path / "runs") == undisturbed
    assert "resumes after" in said.read_text()
    left = {path.name for path in (tmp_path / "runs" / FOLDER / "run_1").iterdir()}
    assert left - {".lock"} == {*FILES, "pit.csv", "meta.txt"}  # some versions of filelock remove it


@pytest.mark.parametrize(
    "file",
    ["run_1/checkpoint.pt", "run_1/crps.csv", "run_1/meta.txt", "Pairs/accuracies.csv", "Pairs/losses.csv"],
)
def test_killed_between_temporary_file_and_rename(
    tmp_path: Path, undisturbed: dict[str, bytes], file: str
) -> None:
    arguments = [*ONE, "--runs_folder", tmp_path]
    assert finish(start(arguments, die_at_rename_of=file)) == -signal.SIGKILL
    assert list(tmp_path.rglob(".part-*"))
    assert (tmp_path / FOLDER / "run_1/meta.txt").exists() == file.startswith("Pairs")
    assert finish(start(arguments)) == 0
    assert files(tmp_path) == undisturbed
    assert not list(tmp_path.rglob(".part-*"))


@pytest.mark.parametrize(
    ("number", "code", "line"),
    [(signal.SIGINT, 130, "evaluate.py: interrupted\n"), (signal.SIGTERM, 143, "evaluate.py: terminated\n")],
)
def test_signals_end_a_group_cleanly(tmp_path: Path, number: signal.Signals, code: int, line: str) -> None:
    arguments = [*RUN, "--restarts", "3", "--runs_folder", tmp_path / "runs"]
    whole = [*RUN, "--restarts", "3", "--runs_folder", tmp_path / "whole"]
    said = tmp_path / "said"
    process = start(arguments, said, stop_at_step=6)
    pid = wait_until_stopped(process)
    os.kill(pid, number)
    os.kill(pid, signal.SIGCONT)
    assert finish(process) == code
    text = said.read_text()
    assert text.endswith(line)
    assert "Traceback" not in text
    for i in (1, 2, 3):
        run = tmp_path / "runs" / FOLDER / f"run_{i}"
        assert (run / checkpoint.FILE).exists()
        assert (run / "accuracies.csv").exists()
        assert not (run / "meta.txt").exists()
    assert finish(start(arguments, said)) == 0
    assert finish(start(whole)) == 0
    assert files(tmp_path / "runs") == files(tmp_path / "whole")


def test_the_same_run_twice_at_once(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    arguments = [*ONE, "--runs_folder", tmp_path / "runs"]
    first = start(arguments, stop_at_step=2)  # it must not be finished before the second looks
    pid = wait_until_stopped(first)
    assert finish(start(arguments, tmp_path / "said")) == 1
    assert "run_1: another process is making it\n" in (tmp_path / "said").read_text()
    os.kill(pid, signal.SIGCONT)
    assert finish(first) == 0
    assert files(tmp_path / "runs") == undisturbed


def test_other_settings_do_not_go_on(tmp_path: Path) -> None:
    path, said = begun(tmp_path), tmp_path / "said"
    before = path.read_bytes()
    for option, value, difference in (
        ("--budget", "17", "budget 16, not 17"),
        ("--model_seed", "7", "model_seed 1, not 7"),
    ):
        changed = [*ONE, "--runs_folder", tmp_path, option, value]
        for more in ([], ["--run_id", "2"], ["--run_id", "2", "--overwrite", "1"]):
            assert finish(start([*changed, *more], said)) == 2
            assert f"{FOLDER} was made with {difference}" in said.read_text().splitlines()[-1]
    assert path.read_bytes() == before
    assert finish(start([*changed, "--overwrite", "1"])) == 0


def test_overwrite_leaves_a_run_at_work_and_its_neighbours_alone(tmp_path: Path) -> None:
    arguments = [*RUN, "--restarts", "2", "--runs_folder", tmp_path]
    assert finish(start([*ONE, "--runs_folder", tmp_path])) == 0
    process = start([*ONE, "--run_id", "2", "--runs_folder", tmp_path], stop_at_step=2)
    path = tmp_path / FOLDER / "run_2" / checkpoint.FILE
    pid = wait_until_stopped(process)
    assert finish(start([*arguments, "--overwrite", "1", "--model_seed", "5"])) == 2
    assert (tmp_path / FOLDER / "run_1/meta.txt").exists()
    assert finish(start([*arguments, "--overwrite", "1"])) == 1
    assert path.exists()
    os.kill(pid, signal.SIGCONT)
    assert finish(process) == 0
    header = (tmp_path / FOLDER / "accuracies.csv").read_text().splitlines()[0]
    assert header == "added,run_1,run_2"


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "bomb"])
def test_damaged_checkpoint_is_set_aside(tmp_path: Path, undisturbed: dict[str, bytes], damage: str) -> None:
    runs = tmp_path / "runs"
    path, evidence = begun(runs), tmp_path / "executed"
    data = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        path.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        checkpoint.write(path, {"env": Bomb(evidence)})
    assert finish(start([*ONE, "--runs_folder", runs], tmp_path / "said")) == 0
    text = (tmp_path / "said").read_text()
    assert f"{path} cannot be used (" in text
    assert "resumes" not in text
    assert path.with_name("checkpoint.pt.damaged").exists()
    assert not evidence.exists()
    assert files(runs) == undisturbed


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)

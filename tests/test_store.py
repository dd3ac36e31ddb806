"""The store of reference runs: what is in the repository, what is written and read again, what is refused."""

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import store as script
from core.errors import UserError
from core.report.load import OWN, Folders, load_results
from core.report.store import add_runs, read_store
from core.runs.settings import read_meta, write_meta
from tests.synthetic_runs import BUDGET, write_experiment

RESULTS = Path(__file__).resolve().parent.parent / "results"


def write_runs(
    folder: Path,
    agent: str = "random",
    run_ids: tuple[int, ...] = (1, 2),
    *,
    dataset: str = "diabetes",
    query_size: int = 4,
    **changes: object,
) -> Path:
    """Runs with all that a real run's settings say and that the store asks for."""
    made = write_experiment(folder, agent, run_ids, dataset=dataset, query_size=query_size)
    versions = {"agent_code": "a1", "agent_version": 1, "dataset_code": "d1", "protocol_version": 1}
    settings = {"budget": BUDGET, **versions, "lr": 0.001, "hidden": [32, 64]} | changes
    noted = {
        "data_folder": "/home/me",
        "code": "abc",
        "python": "3",
        "torch": "2",
        "device": "cpu",
        "threads": 1,
    }
    for path in [made / "settings.txt", *made.glob("run_*/meta.txt")]:
        run = {"run_id": path.parent.name[4:], **noted} if path.name == "meta.txt" else {}
        write_meta(path, {**read_meta(path), **settings, **run})
    return made


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A store of two agents with two runs each."""
    for agent in ("random", "coreset"):
        write_runs(tmp_path / "runs", agent)
    add_runs(tmp_path / "store", Folders(tmp_path / "runs").experiments)
    return tmp_path / "store"


def test_every_digit_is_kept(tmp_path: Path, stored: Path) -> None:
    """What is read from the store is what is read from the runs themselves: all tables but where they lie."""
    of_runs, of_store = load_results(tmp_path / "runs"), load_results(None, stored)
    for one, other in ((of_runs.curves, of_store.curves), (of_runs.pit, of_store.pit)):
        order = list(one.columns[:-1])
        one, other = (
            table.astype({"agent": str}).sort_values(order, ignore_index=True) for table in (one, other)
        )
        pd.testing.assert_frame_equal(one, other, check_exact=True, check_categorical=False)
    assert not of_runs.runs["stored"].any()
    assert "/home/me" not in (stored / "diabetes_nf_published.jsonl").read_text()


def test_adding_goes_on_and_the_same_runs_give_the_same_bytes(tmp_path: Path, stored: Path) -> None:
    before = {path.name: path.read_bytes() for path in stored.glob("diabetes*")}
    assert add_runs(stored, Folders(tmp_path / "runs").experiments) == ({}, 0)
    assert {path.name: path.read_bytes() for path in stored.glob("diabetes*")} == before
    write_runs(tmp_path / "more", "random", (1, 2, 5))
    added, differing = add_runs(stored, Folders(tmp_path / "more").experiments)
    assert (list(added.values()), differing) == ([[5]], 0)
    assert len(load_results(None, stored).runs) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 0.01}, r"Random was made with lr 0.01, not 0.001 as in the store"),
        ({"agent_version": 2}, "agent_version 2, not 1 as in the store"),
        ({"protocol_version": 2}, "protocol_version 2, not 1 as in the store"),
    ],
)
def test_unlike_runs_are_refused(tmp_path: Path, stored: Path, changes: dict[str, Any], message: str) -> None:
    before = {path.name: path.read_bytes() for path in stored.glob("diabetes*")}
    write_runs(tmp_path / "other", "random", (3,), **changes)
    with pytest.raises(UserError, match=message):
        add_runs(stored, Folders(tmp_path / "other").experiments)
    assert {path.name: path.read_bytes() for path in stored.glob("diabetes*")} == before


def edit_lines(path: Path, edit: Callable[[list[str]], list[str]]) -> None:
    """Changes the text lines of one of a store's files."""
    read = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    text = "".join(edit(read.splitlines(keepends=True)))
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


CSV, JSONL = "diabetes_nf_published.csv.gz", "diabetes_nf_published.jsonl"
DAMAGES: dict[str, tuple[str, Callable[[list[str]], list[str]]]] = {
    "its schema is 99, this code reads 2": (JSONL, lambda t: [t[0].replace(": 2,", ": 99,"), *t[1:]]),
    "its schema is None": (JSONL, lambda t: []),
    "Unterminated string": (JSONL, lambda t: [*t[:-1], t[-1][:20]]),
    "a line lacks": (JSONL, lambda t: [t[0], *t[2:]]),
    "a line lacks 'seconds_choosing'": (
        JSONL,
        lambda t: [line.replace("seconds_choosing", "x") for line in t],
    ),
    "run 1 of coreset has wrong seconds or PIT counts": (
        JSONL,
        lambda t: [re.sub(r'"pit": \[\d+, ', '"pit": [', line) for line in t],
    ),
    "it has other runs of random, query size 4, than diabetes_nf_published.jsonl": (JSONL, lambda t: t[:-1]),
    "its SHA-256 is not the one in diabetes_nf_published.jsonl": (
        CSV,
        lambda t: [*t[:-1], t[-1].replace(",0.", ",1e300", 1)],
    ),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_a_damaged_store_is_one_line(stored: Path, message: str) -> None:
    name, edit = DAMAGES[message]
    edit_lines(stored / name, edit)
    with pytest.raises(UserError) as told:
        read_store(stored)
    assert message in str(told.value)
    assert str(stored) in str(told.value)
    assert "\n" not in str(told.value)


def test_sums_may_be_missing_and_files_of_macos_are_passed_over(stored: Path, tmp_path: Path) -> None:
    edit_lines(stored / JSONL, lambda t: [re.sub(', "sha256": "[0-9a-f]{64}"', "", t[0]), *t[1:]])
    assert "sha256" not in (stored / JSONL).read_text()
    whole = read_store(stored)
    for name in (f"._{JSONL}", f"._{CSV}"):
        (stored / name).write_bytes(b"\0\5\26\7 of macOS")
    assert read_store(stored).keys() == whole.keys()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / f"._{JSONL}").write_bytes(b"\0")
    add_runs(tmp_path / "new", Folders(tmp_path / "runs").experiments)
    assert read_store(tmp_path / "new").keys() == whole.keys()


def test_cut_and_lonely_files(stored: Path, tmp_path: Path) -> None:
    whole = (stored / CSV).read_bytes()
    for content in (whole[:200], b"no gzip"):
        (stored / CSV).write_bytes(content)
        with pytest.raises(UserError, match=rf"{CSV} cannot be used .*: download it again"):
            read_store(stored)
    (stored / CSV).write_bytes(whole)
    (stored / JSONL).unlink()
    with pytest.raises(UserError, match=f"lacks its file {JSONL}"):
        read_store(stored)
    with pytest.raises(UserError, match="holds no stored runs"):
        read_store(tmp_path / "nowhere")


def test_own_runs_beside_stored_ones(tmp_path: Path, stored: Path) -> None:
    """Those of another version of an agent get another name, those of other lengths are left out."""
    shutil.copytree(tmp_path / "runs/Diabetes/4/Random", tmp_path / "own/Diabetes/4/Random")
    write_runs(tmp_path / "own", "coreset", (1, 2), agent_version=2)
    mine = write_runs(tmp_path / "own", "mine", (1, 2, 3, 4, 5, 6))
    for file in mine.glob("run_3/*.csv"):
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:-4]))
    found = load_results(tmp_path / "own", stored)
    own = found.runs[~found.runs["stored"]]
    assert set(own["agent"]) == {f"coreset{OWN}", "mine"}
    assert own.loc[own["status"] == "damaged", "run"].tolist() == [3]
    assert "50 to 58 labelled points, not 50 to 62" in found.problems["problem"].item()
    assert sorted(found.runs.loc[found.runs["stored"], "agent"]) == ["coreset"] * 2 + ["random"] * 2
    assert found.settings["diabetes", "nf", "published", 4, "mine"]["lr"] == 0.001


def test_the_script_adds_and_writes_the_readme(
    tmp_path: Path, stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_runs(tmp_path / "more", "bald", (1, 2))
    (tmp_path / "more/Diabetes/4/Bald/run_9").mkdir()
    script.main(["--runs_folder", str(tmp_path / "more"), "--store", str(stored)])
    printed = capsys.readouterr().out
    assert "added diabetes nf published 4 bald: runs 1-2" in printed
    assert "0 runs were stored already, 1 are not finished" in printed
    assert "6 runs in" in printed
    text = (stored / "README.md").read_text()
    assert "| diabetes | nf | published | 4 | 3 | 1-2 | 6 |" in text
    assert "leaderboard_nf_published.png" in text
    assert (stored / "leaderboard_nf_published.png").read_bytes().startswith(b"\x89PNG")
    before = {path.name: path.read_bytes() for path in stored.glob("*[!k]")}
    script.main(["--store", str(stored)])
    assert {path.name: path.read_bytes() for path in stored.glob("*[!k]")} == before


def test_a_task_that_only_random_has_compares_nothing(tmp_path: Path) -> None:
    """A second table that has no other agent yet: it ended in a traceback."""
    runs, run_ids = tmp_path / "runs", tuple(range(1, 7))
    for agent in ("random", "coreset"):
        write_runs(runs, agent, run_ids)
    write_runs(runs, "random", run_ids, dataset="airfoil")
    script.main(["--runs_folder", str(runs), "--store", str(tmp_path / "store")])
    said = (tmp_path / "store/README.md").read_text()
    assert "CoreSet" in said
    assert "all 2" not in said


@pytest.mark.parametrize("budget", ["", "budget: many", "budget: [40]"])
def test_runs_without_a_budget_are_not_stored(tmp_path: Path, budget: str) -> None:
    write_runs(tmp_path / "runs", "random", (1, 2))
    folder = tmp_path / "runs/Diabetes/4/Random"
    for file in (folder / "settings.txt", *folder.glob("run_*/meta.txt")):
        file.write_text(re.sub(r"budget: \d+", budget, file.read_text()))
    with pytest.raises(UserError, match=r"Random/run_1 cannot be stored: its settings have no usable budget"):
        add_runs(tmp_path / "store", Folders(tmp_path / "runs").experiments)

"""compare.py: own runs among stored ones."""

import re
from pathlib import Path

import pytest

import compare
from core.report import leaderboard
from core.report.leaderboard import comparable, comparison_text, first_lines
from core.report.load import Folders, load_results
from core.report.store import add_runs
from tests.test_explorer import page_data
from tests.test_store import write_runs


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A runs folder with an own agent, and a store."""
    for agent in ("random", "coreset", "bald"):
        write_runs(tmp_path / "made", agent, (1, 2, 3, 4, 5, 6))
    write_runs(tmp_path / "made", "random", (1, 2), query_size=6)
    add_runs(tmp_path / "store", Folders(tmp_path / "made").experiments)
    write_runs(tmp_path / "runs", "mine", (2, 3), dropout=0.05)
    return tmp_path / "runs", tmp_path / "store"


def test_what_an_own_agent_lacks_and_where_settings_differ(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = load_results(*folders)
    assert found.own_agents() == ["mine"]
    key = ("diabetes", "nf", "published", 4)
    mine = (
        "; make 4 more: python evaluate.py --agent mine --dataset diabetes --variation nf"
        " --protocol published --query_size 4 --run_id 1 --restarts 6"
    )
    assert first_lines(found, Path("runs")) == {key: [f"Mine: 2 runs: ranks are mostly noise{mine}"]}
    elsewhere = first_lines(found, Path("my runs/of today"))[key]
    assert elsewhere == [f"Mine: 2 runs: ranks are mostly noise{mine} --runs_folder 'my runs/of today'"]
    monkeypatch.setattr(leaderboard, "FEW", 2)
    assert first_lines(found, Path("runs"))[key] == [f"Mine: 2 runs{mine}"]
    monkeypatch.undo()
    task = "diabetes, nf, published, 4"
    # Of another version, a stored agent is one's own; of other code alone, it is not.
    write_runs(folders[0], "coreset", (1,), agent_version=2)
    write_runs(folders[0], "bald", (1,), agent_code="a2")
    write_runs(folders[0], "yours", (1,), protocol_version=2, agent_version=3)
    write_runs(folders[0], "theirs+power", (1,), lr=0.01)
    found = load_results(*folders)
    assert found.own_agents() == ["coreset (own)", "mine"]
    assert set(comparable(found).areas["agent"]) == {"random", "coreset", "bald", "coreset (own)", "mine"}
    assert [line for line in first_lines(found, Path("runs"))[key] if line.startswith(task)] == [
        f"{task}, coreset (own): agent_version is 2, but 1 in the stored runs",
        f"{task}, theirs+power: not ranked: lr is 0.01, but 0.001 in the stored runs",
        f"{task}, yours: not ranked: protocol_version is 2, but 1 in the stored runs",
    ]


def test_command_and_page(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, store = folders
    (runs / "Diabetes/4/Mine/run_7").mkdir()
    write_runs(runs, "mine", (1,), dataset="nowhere")
    write_runs(runs, "yours", (1,), lr=0.01)
    out = tmp_path / "compare.html"
    compare.main(["--runs_folder", str(runs), "--store", str(store), "--out", str(out)])
    printed = capsys.readouterr().out
    for said in (
        "> Mine",
        "yours: not ranked: lr is 0.01, but 0.001 in the stored runs",
        "Nowhere, normalizing flow, query size 4: the store has no runs of it",
        "unfinished runs: 1",
        "Mine: 2 runs: ranks are mostly noise; make 4 more: python evaluate.py --agent mine",
    ):
        assert said in printed
    board = printed[: printed.index("Rank and AUC")]
    for agent in ("> Mine", "CoreSet", "BALD"):  # all numbers are of the own agent's two runs
        (line,) = re.findall(rf"^{agent} .*$", board, re.MULTILINE)
        won = [sum(map(int, found)) for found in re.findall(r"(\d) / (\d) / (\d)", line)]
        assert (line.removeprefix(agent).split()[0], won) == ("2", [2, 2])
    wins = r"mine: better than random in \d of 2 runs \(NLL\), \d of 2 runs \(MAE\) on Diabetes, "
    assert re.search(wins, printed)
    data = page_data(out.read_text(encoding="utf-8"))
    assert [heading for heading, _ in data["notes"]] == ["Left out"]
    (task,) = data["tasks"]
    assert task["remarks"] == [
        "Mine: 2 runs: ranks are mostly noise; make 4 more: python evaluate.py --agent mine"
        f" --dataset diabetes --variation nf --protocol published --query_size 4 --run_id 1 --restarts 6"
        f" --runs_folder {runs}",
        "diabetes, nf, published, 4, yours: not ranked: lr is 0.01, but 0.001 in the stored runs",
    ]
    # Your own agent is marked, and every number is of the runs that it has.
    assert {agent["name"]: agent["own"] for agent in task["agents"]} == {
        "random": False,
        "coreset": False,
        "bald": False,
        "mine": True,
    }
    assert {agent["metrics"]["nll"]["runs"] for agent in task["agents"]} == {2}


def boards(text: str) -> dict[str, str]:
    """The leaderboards in a text, by the tasks above them."""
    parts = text[: text.index("Rank and AUC")].strip().split("\n\n")
    return {part.partition("\n")[0]: part for part in parts}


def test_only_tasks_with_an_own_agent_are_compared(folders: tuple[Path, Path]) -> None:
    """Further runs of a stored agent elsewhere are nobody's own, and hide nobody."""
    runs, store = folders
    write_runs(runs, "random", (1, 2, 3), query_size=6)
    found = load_results(runs, store)
    ((label, board),) = boards(comparison_text(found, comparable(found), runs)).items()
    assert label == "Diabetes, normalizing flow, query size 4"
    assert "> Mine" in board


def test_an_own_agent_on_several_datasets(folders: tuple[Path, Path]) -> None:
    """They are ranked together, too; an agent that the store has on one of them is not marked there."""
    runs, store = folders
    for agent in ("random", "coreset", "bald"):
        write_runs(runs.parent / "more", agent, (1, 2, 3), dataset="airfoil")
    add_runs(store, Folders(runs.parent / "more").experiments)
    for agent in ("mine", "theirs"):
        write_runs(runs, agent, (1, 2, 3), dataset="airfoil", dropout=0.05)
    write_runs(runs.parent / "theirs", "theirs", (2, 3), dropout=0.05)
    add_runs(store, Folders(runs.parent / "theirs").experiments)
    found = load_results(runs, store)
    both, airfoil, _ = boards(comparison_text(found, comparable(found), runs)).items()
    assert both[0].startswith("All 2 datasets")
    assert airfoil[0].startswith("Airfoil")
    for name in ("> Mine", "Theirs", "Random"):
        assert f"\n{name} " in both[1]
    for name in ("> Mine", "> Theirs"):
        assert f"\n{name} " in airfoil[1]

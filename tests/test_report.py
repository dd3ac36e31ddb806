"""The report: on invented results, on a real run, on nothing and on half of it."""

import shutil
from pathlib import Path

import pytest

import evaluate
import report
from tests.synthetic_runs import AGENTS, write_every_kind, write_experiment
from tests.test_explorer import page_data


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_every_kind(tmp_path_factory.mktemp("results") / "runs")


def test_names_are_escaped(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)<"
    runs = tmp_path / "runs"
    write_experiment(runs, evil.replace("/", ""), (1, 2))
    broken = write_experiment(runs, "coreset", (3,), dataset="<script>data<script>")
    (broken / "run_3/likelihoods.csv").write_text(f"added,{evil}\n{evil}\n")
    text = make_report(runs, tmp_path / "report.html")
    assert "alert(1)" in str(page_data(text))
    assert "alert(1)" not in text


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short real runs of two agents, a third one that was broken off."""
    folder = tmp_path_factory.mktemp("real") / "runs"
    trial = ["--dataset", "diabetes", "--query_size", "3", "--budget", "6", "--runs_folder", str(folder)]
    for agent in ("random", "coreset"):
        assert evaluate.main([*trial, "--agent", agent, "--restarts", "2"]) == 0
    shutil.copytree(folder / "Diabetes/3/Coreset_Greedy/run_2", folder / "Diabetes/3/Coreset_Greedy/run_3")
    (folder / "Diabetes/3/Coreset_Greedy/run_3/meta.txt").unlink()
    return folder


def make_report(folder: Path, out: Path) -> str:
    report.main(["--runs_folder", str(folder), "--out", str(out)])
    return out.read_text(encoding="utf-8")


def test_every_task_is_on_the_page(runs: Path, tmp_path: Path) -> None:
    data = page_data(make_report(runs, tmp_path / "report.html"))
    assert data["introduction"].startswith("45 finished runs in")
    shown = {(task["variation"], task["protocol"], task["query_size"]): task for task in data["tasks"]}
    assert set(shown) == {
        ("nf", "published", "4"),
        ("nf", "published", "6"),
        ("nf", "corrected", "4"),
        ("gauss", "published", "4"),
    }
    assert data["tasks"][0] is shown["nf", "corrected", "4"]
    agents = {agent["name"]: agent for agent in shown["gauss", "published", "4"]["agents"]}
    assert set(agents) == {*AGENTS, "gauss_std"}
    assert agents["coreset"]["metrics"]["mae"]["runs"] == 3
    assert not any(agent["own"] for agent in agents.values())
    assert data["introduction"].endswith("1 unfinished or damaged")
    assert not data["notes"]


def test_report_on_half_finished_runs_and_on_nothing(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = make_report(real, tmp_path / "report.html")
    assert page_data(text)["introduction"].startswith("4 finished runs")
    assert page_data(text)["introduction"].endswith("1 unfinished or damaged")
    (tmp_path / "runs").mkdir()
    text = make_report(tmp_path / "runs", tmp_path / "empty.html")
    assert "No finished runs in" in page_data(text)["introduction"]
    assert page_data(text)["tasks"] == []
    assert "No finished runs in" in capsys.readouterr().out

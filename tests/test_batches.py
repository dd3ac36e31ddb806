"""Batches that grow, from `--query_size 1,1,2,3` to the page of the results."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

import compare
import evaluate
import report
import store
import sweep
from core import PUBLISHED, Experiment, UserError, load_results
from core.batches import QuerySize, batch_ends, query_size, rounds
from core.runs.settings import read_meta
from core.sweep import cost
from tests.builders import choose, make_state

GROWING = ("--dataset", "diabetes", "--query_size", "1,1,2,3,3", "--budget", "9", "--variation", "gauss")
ROUNDS = [0, 1, 2, 4, 7, 9]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (5, 5),
        ("5", 5),
        ((5, 5), 5),
        ("10,10,20,40,80", "10,10,20,40,80"),
        ("10, 20", "10,20"),
        ([10, 20, 20], "10,20"),
        (np.array([10, 20]), "10,20"),
    ],
)
def test_equal_sizes_are_written_alike(given: object, wanted: object) -> None:
    assert query_size(given) == wanted


@pytest.mark.parametrize("given", [0, (), (10, 0), (10, -20), "10,,20", "", 2.5, "a"])
def test_a_batch_is_a_positive_integer(given: object) -> None:
    with pytest.raises(UserError, match="query size"):
        query_size(given)


def test_the_last_batch_repeats_and_is_cut_to_the_budget() -> None:
    assert list(batch_ends("10,10,20,40", 150)) == [10, 20, 40, 80, 120, 150]
    assert list(batch_ends(50, 120)) == [50, 100, 120]
    assert list(batch_ends("10,20", 10)) == [10]
    sizes: tuple[QuerySize, ...] = (1, 7, "1,2", "3,5,2", "10,20")
    for size, budget in product(sizes, range(1, 30)):
        assert rounds(size, budget) == len(list(batch_ends(size, budget)))
    assert rounds("10,20", 10**12) == 5 * 10**10 + 1  # a slip of the user, not to be waited for


def test_an_agent_takes_the_batch_of_its_round() -> None:
    state = make_state(pool=30)._replace(budget=20)
    for added, count in ((0, 2), (2, 4), (6, 9), (15, 5), (20, 0)):
        assert len(choose("coreset", state._replace(added_images=added), PUBLISHED, "2,4,9")) == count


def test_batches_grow_through_a_run_and_its_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for agent in ("random", "gsx"):
        typed = ["--agent", agent, *GROWING, "--restarts", "2"]
        assert evaluate.main([*typed, "--runs_folder", "runs"]) == 0
        assert evaluate.main([*typed[:2], *GROWING, "--query_size", "4", "--restarts", "2"]) == 0
    printed = capsys.readouterr()
    assert "gsx: better than random in" in printed.out
    folder = Path("runs_gauss/Diabetes/1,1,2,3/GSx")
    table = load_results("runs").curves
    ours = table[(table["query_size"] == "1,1,2,3") & (table["agent"] == "gsx") & (table["run"] == 2)]
    assert sorted(set(ours["labelled"] - 50)) == ROUNDS
    assert read_meta(folder / "run_1/meta.txt")["query_size"] == "1,1,2,3"

    report.main(["--runs_folder", "runs", "--out", "report.html"])
    assert Path("report.html").exists()
    store.main(["--store", "kept", "--runs_folder", "runs"])
    assert "### Diabetes, query size 1,1,2,3\n" in Path("kept/README.md").read_text(encoding="utf-8")
    again = load_results(None, "kept").curves
    assert set(again["query_size"]) == {4, "1,1,2,3"}
    assert len(again) == len(table)
    evaluate.main(["--agent", "coreset", *GROWING, "--restarts", "2"])
    capsys.readouterr()
    compare.main(["--store", "kept", "--out", "compare.html"])
    assert "coreset" in capsys.readouterr().out


def test_a_notebook_makes_the_same_runs(tmp_path: Path) -> None:
    experiment = Experiment("diabetes", "random", "gauss", query_size="1,2,4,4", budget=9)
    assert experiment == Experiment("diabetes", "random", "gauss", query_size="1,2,4", budget=9)
    assert experiment.run([1], tmp_path / "runs") == [1]
    assert experiment.folder(tmp_path / "runs").name == "RandomAgent"
    assert experiment.folder().parent.name == "1,2,4"


def test_a_sweep_plans_growing_batches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("datasets: diabetes\nagents: random\nquery_sizes: [5, '5,10,20']\n")
    assert sweep.main([str(file), "--dry_run", "--runs_folder", str(tmp_path)]) == 0
    assert "diabetes 5,10,20 random nf published" in capsys.readouterr().out
    few, many = (Experiment("diabetes", "lcmd", query_size=size) for size in ("5,10,20", 5))
    assert 0 < cost.seconds(few, 1) < cost.seconds(many, 1)

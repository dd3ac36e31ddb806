"""sweep.py as far as it needs no Ray: its options and its file, the plan and its estimates."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sweep
from core.cli import run_script
from core.experiment import Experiment
from core.runs.files import pack, read_curves, unpack
from core.sweep import cost, plan
from tests.builders import quick
from tests.test_store import write_runs

ROOT = Path(sweep.__file__).parent


def said(capsys: pytest.CaptureFixture[str], arguments: Sequence[object]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of sweep.py."""
    with pytest.raises(SystemExit) as ended:
        run_script(lambda: sweep.main([str(argument) for argument in arguments]))
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, err


def test_file_and_options_say_the_same_and_options_win(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "datasets: diabetes\nagents: [random, bald]\nskip_data_check: true\n"
        "gpus: 0.5\nside_by_side: 7\nquery_sizes: [1, 50]\nrun_ids: 1-3\n"
    )
    typed = [
        "--datasets",
        "diabetes",
        "--agents",
        "random",
        "bald",
        "--query_sizes",
        "1",
        "50",
        "--run_ids",
        "1-3",
    ]
    typed += ["--skip_data_check", "1", "--gpus", "0.5", "--side_by_side", "7"]
    of_file, of_options = sweep.parse_arguments([str(file)]), sweep.parse_arguments(typed)
    assert {**vars(of_file), "file": None} == vars(of_options)
    args = sweep.parse_arguments([str(file), "--agents", "coreset", "--run_ids", "4", "6-7"])
    assert (args.datasets, args.agents, args.query_sizes) == (["diabetes"], ["coreset"], [1, 50])
    assert plan.parse_ids(args.run_ids) == [4, 6, 7]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agent: random", "unknown key 'agent'; known are datasets, "),
        ("- agents", "expected a mapping"),
        ("agents: [", "cannot read"),
        ("agents: !!python/object/apply:os.getcwd []", "cannot read"),
        ("agents: []", "'agents' must be a name, a number or a list of them, got []"),
        ("agents: {a: 1}", "'agents' must be a name"),
    ],
)
def test_wrong_file_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    code, _, err = said(capsys, [file])
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1


def test_product_leaves_out_what_cannot_be_run() -> None:
    found, notes = plan.find_experiments(
        ["diabetes", "pakinsons"],
        ["random", "gauss_std", "bald", "bald_point"],
        ["nf", "gauss"],
        ["published"],
        [1, 200],
    )
    assert len(found) == len(set(found)) == 3 * (2 + 1 + 2)
    assert notes == [
        "left out: diabetes: a query size of 200 is more than the budget of 100 points",
        "left out: agent 'gauss_std' needs variation gauss or gp, not nf",
    ]
    assert not plan.find_experiments(["diabetes"], ["random"], ["nf"], ["published"], [5], budget=4)[0]


@quick
@given(
    st.lists(st.sets(st.integers(0, 60), max_size=40), max_size=4),
    st.one_of(st.none(), st.integers(1, 30)),
    st.integers(1, 9),
)
def test_packing(ids: list[set[int]], most: int | None, slots: int) -> None:
    agents = ["random", "bald", "coreset", "typiclust"]
    left = {
        Experiment("diabetes", agent, "nf", "published", 5): sorted(some)
        for agent, some in zip(agents, ids, strict=False)
    }

    groups = plan.pack(left, most or "auto", False, slots)
    for experiment, wanted in left.items():
        packed = [i for group in groups if group.experiment == experiment for i in group.run_ids]
        assert sorted(packed) == wanted
        sizes = [len(group.run_ids) for group in groups if group.experiment == experiment]
        assert not sizes or (max(sizes) <= (most or plan.MOST) and max(sizes) - min(sizes) <= 1)
    seconds = [group.seconds for group in groups]
    assert seconds == sorted(seconds, reverse=True)


def test_no_group_takes_longer_than_a_share_of_the_sweep() -> None:
    experiment = Experiment("diabetes", "random", query_size=5)
    groups = plan.pack({experiment: range(1, 31)}, "auto", False, 8)
    assert [len(group.run_ids) for group in groups] == [4] * 6 + [3] * 2
    slow, quick = (Experiment("diamonds", agent, query_size=1) for agent in ("typiclust", "random"))
    groups = plan.pack({slow: range(1, 11), quick: range(1, 11)}, "auto", False, 2)
    sizes = [(group.experiment.agent, len(group.run_ids)) for group in groups]
    assert sizes == [("typiclust", 5), ("typiclust", 5), ("random", 10)]


def test_finished_runs_are_left_out_of_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "runs_gauss" / "Diabetes/5/RandomAgent"
    for i in (2, 3):
        (folder / f"run_{i}").mkdir(parents=True)
        (folder / f"run_{i}/meta.txt").touch()
    typed = "--datasets diabetes --agents random bald gauss_std --variations nf gauss --query_sizes 5"
    typed += f" --run_ids 1-4 --side_by_side 3 --dry_run --runs_folder {tmp_path}/runs"
    code, out, err = said(capsys, typed.split())
    assert code == 0
    assert err == "note: left out: agent 'gauss_std' needs variation gauss or gp, not nf\n"
    lines = {tuple(line.split()[:5]): line.split()[5:7] for line in out.splitlines()[1:]}
    assert lines["diabetes", "5", "random", "gauss", "published"] == ["2", "1"]  # run_1 and run_4
    assert lines["diabetes", "5", "bald", "nf", "published"] == ["4", "2"]
    total = next(line for line in out.splitlines() if line.startswith("total"))
    assert total.split()[1:3] == ["18", "9"]
    assert not (tmp_path / "runs").exists()


def test_collected_files_that_a_dead_process_left_out_are_written(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", "random", (1, 2))
    (folder,) = {path.parent for path in (tmp_path / "runs").rglob("settings.txt")}
    wanted = tmp_path / "runs/Diabetes/4/RandomAgent"
    folder.rename(wanted)
    collected = wanted / "accuracies.csv"
    collected.unlink(missing_ok=True)
    typed = "--datasets diabetes --agents random --query_sizes 4 --run_ids 1-2 --runs_folder"
    assert sweep.main([*typed.split(), str(tmp_path / "runs")]) == 0
    assert list(read_curves(collected)) == ["run_1", "run_2"]


def test_a_run_that_comes_back_leaves_nothing_of_an_interrupted_one(tmp_path: Path) -> None:
    there, here = write_runs(tmp_path / "there") / "run_1", tmp_path / "here"
    here.mkdir()
    for name in ("selected_points.pt", "selected_rows.csv", "predictions.npz", "checkpoint.pt"):
        (here / name).touch()
    unpack(here, pack(there))
    assert sorted(path.name for path in here.iterdir()) == sorted(path.name for path in there.iterdir())


@pytest.mark.parametrize("more", [[], ["--dry_run"]])
def test_a_sweep_of_nothing_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    typed = ["--datasets", "diabetes", "--agents", "random", "--query_sizes", "500", *more]
    code, out, err = said(capsys, [*typed, "--runs_folder", tmp_path / "runs"])
    assert (code, out) == (2, "")
    assert err.startswith("note: left out: ")
    assert err.endswith(": none of these experiments can be run\n")


@pytest.mark.parametrize("dataset", ["pakinsons", "superconductors", "diamonds", "diabetes"])
def test_estimates_are_near_the_reference_runs(dataset: str) -> None:
    """Within a factor of four: the code that made these runs was half as fast, its machine had other work."""
    with (ROOT / f"results/{dataset}_nf_corrected.jsonl").open() as file:
        rows = [json.loads(line) for line in file]
    taken = [row["seconds"] for row in rows if row.get("agent") == "random" and "seconds" in row]
    experiment = Experiment(dataset, "random", "nf", "corrected", 5 if dataset == "diabetes" else 50)
    assert 0.5 < np.mean(taken) / cost.seconds(experiment, len(taken)) < 4


def test_an_estimate_grows_with_the_rounds_and_shrinks_side_by_side() -> None:
    fifty, one = (Experiment("diamonds", "bald", query_size=size, protocol="corrected") for size in (50, 1))
    assert cost.seconds(one, 1) > 5 * cost.seconds(fifty, 1)
    assert cost.seconds(fifty, 25) < cost.seconds(fifty, 5) < cost.seconds(fifty, 1)


def test_a_model_that_was_not_measured_is_estimated_as_the_flow() -> None:
    mixture, flow = (Experiment("diabetes", "bald", name) for name in ("mdn", "nf"))
    assert cost.seconds(mixture, 1) == cost.seconds(flow, 1)


def test_estimates_in_words() -> None:
    assert cost.in_words(Experiment("pakinsons", "coreset"), 3) == "about 2 minutes"
    assert cost.in_words(Experiment("pakinsons", "balsa_emd", query_size=1), 50).endswith(" hours")
    assert cost.in_words(Experiment("houses", "lcmd"), 3).startswith("about")  # it was not measured
    assert cost.in_words(Experiment("diabetes", "random", "gp"), 1) == "time unknown"

"""sweep.py as far as it needs no Ray: its options and its file, the plan, what a task does with its code."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sweep
from core.cli import run_script
from core.experiment import Experiment
from core.sweep import plan, task
from core.sweep.cost import Costs
from tests.builders import quick


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
    assert plan.run_ids(args.run_ids) == [4, 6, 7]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agent: random", "unknown key 'agent'; did you mean agents?"),
        ("- agents", "a mapping is wanted"),
        ("agents: [", "cannot read"),
        ("agents: !!python/object/apply:os.getcwd []", "cannot read"),
        ("agents: []", "'agents' must be a name, a number or a list of them, got []"),
        ("agents: [--dry_run]", "'agents' must be a name"),
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
    found, notes = plan.experiments(
        ["diabetes", "pakinsons"],
        ["random", "gauss_std", "bald", "bald_point"],
        ["nf", "gauss"],
        ["published"],
        [1, 200],
    )
    assert len(found) == len(set(found)) == 3 * (2 + 1 + 2)
    assert notes == [
        "left out: diabetes: a query size of 200 is more than the budget of 100 points",
        "left out: agent 'gauss_std' does not score variation nf, but gauss",
    ]
    assert not plan.experiments(["diabetes"], ["random"], ["nf"], ["published"], [5], budget=4)[0]


@quick
@given(
    st.lists(st.sets(st.integers(0, 60), max_size=40), max_size=4),
    st.one_of(st.none(), st.integers(1, 30)),
    st.integers(1, 9),
)
def test_packing(ids: list[set[int]], most: int | None, slots: int) -> None:
    agents = ["random", "bald", "coreset", "typiclust"]
    left = [
        (Experiment("diabetes", agent, "nf", "published", 5), sorted(some))
        for agent, some in zip(agents, ids, strict=False)
    ]

    def cost(experiment: Experiment, size: int) -> float:
        return 10 * (1 + agents.index(experiment.agent)) * (1 + 1 / size)

    groups = plan.pack(left, cost, most, slots)
    for experiment, wanted in left:
        packed = [i for group in groups if group.experiment == experiment for i in group.run_ids]
        assert sorted(packed) == wanted
    assert all(group.run_ids.step == 1 and 1 <= len(group.run_ids) <= (most or plan.MOST) for group in groups)
    seconds = [group.seconds for group in groups]
    assert seconds == sorted(seconds, reverse=True)
    whole = [group.seconds for group in plan.pack(left, cost, most or plan.MOST, slots)]
    assert plan.makespan(seconds, slots) <= plan.makespan(whole, slots)


def test_finished_runs_are_left_out_of_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "runs_gauss" / "Diabetes/5/RandomAgent"
    for i in (2, 3):
        (folder / f"run_{i}").mkdir(parents=True)
        (folder / f"run_{i}/meta.txt").touch()
    typed = "--datasets diabetes --agents random bald gauss_std --variations nf gauss --query_sizes 5"
    typed += f" --run_ids 1-4 --side_by_side 3 --dry_run --runs_folder {tmp_path}/runs"
    code, out, err = said(capsys, typed.split())
    assert code == 0
    assert err == "note: left out: agent 'gauss_std' does not score variation nf, but gauss\n"
    lines = {tuple(line.split()[:5]): line.split()[5:7] for line in out.splitlines()[1:]}
    assert lines["diabetes", "5", "random", "gauss", "published"] == ["2", "2"]  # run_1 and run_4
    assert lines["diabetes", "5", "bald", "nf", "published"] == ["4", "2"]
    assert out.splitlines()[-2].split()[:3] == ["total", "18", "10"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("more", [[], ["--dry_run"]])
def test_a_sweep_of_nothing_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    typed = ["--datasets", "diabetes", "--agents", "random", "--query_sizes", "500", *more]
    code, out, err = said(capsys, [*typed, "--runs_folder", tmp_path / "runs"])
    assert (code, out) == (2, "")
    assert err.startswith("note: left out: ")
    assert err.endswith(": none of these experiments can be run\n")


def test_a_machine_without_the_code_gets_a_copy_that_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = Path(sweep.__file__).parent
    code = task.code_files(root)
    assert {"evaluate.py", "core/__init__.py", "configs/diabetes.yaml"} <= set(code)
    assert not any("__pycache__" in name or name.startswith("tests") for name in code)
    assert task.find_code(root, code) == root
    copy = task.find_code(tmp_path / "elsewhere", code)
    assert copy.parent == tmp_path / "cache/balsa-benchmark"
    assert task.code_files(copy) == code
    before = (copy / "evaluate.py").stat().st_mtime_ns
    assert task.find_code(tmp_path / "elsewhere", code) == copy
    assert (copy / "evaluate.py").stat().st_mtime_ns == before
    assert task.find_code(root, code | {"core/state.py": b""}) not in (root, copy)
    assert {path.name[:5] for path in copy.parent.iterdir()} == {"code-"}


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (("pakinsons", "random"), (0.011616, 106.97088, 0.2108)),
        (("diabetes", "balsa_emd", "gauss_ensemble", "corrected", 5, 40, 3), (1.032, 0.30084, 0.37755)),
        (("sarcos", "nf_std", "nf", "published", 200, None, 25), (0.2094, 150.829586666667, 0.3584)),
    ],
)
def test_estimates_are_what_they_were(case: tuple[object, ...], expected: tuple[float, float, float]) -> None:
    """As computed by hand from the tables in docs/performance."""
    assert Costs().run(*case) == pytest.approx(expected, rel=1e-12)

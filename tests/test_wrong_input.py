"""Every script says what is wrong with its input in one line, ends with code 2 and leaves nothing behind."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

from core.report.load import Folders
from core.report.store import add_runs
from tests.builders import refused
from tests.test_store import write_runs
from tests.test_suggest import make_frame

#: Of each script what is typed before the words of a case, in a folder of the files that `there` makes.
BEFORE = {
    "compare": "--store store --runs_folder mine",
    "compute_upper_bound": "--dataset diabetes --variation gauss --epoch_limit 3",
    "download_all_datasets": "--data_folder data",
    "evaluate": "--agent random --dataset diabetes --query_size 2 --budget 4",
    "evaluate_oracle": "--dataset diabetes",
    "learn_policy": "--out a",
    "ray_tune": "--dataset diabetes",
    "report": "--runs_folder mine",
    "store": "--store new --runs_folder mine",
    "suggest": "--labelled done.csv --pool pool.csv --target y --count 6 --out next.csv",
    "sweep": "",
}
CASES = {
    "compare": """
        --runs_folder nowhere: nowhere does not exist, nor nowhere_gauss
        --runs_folder empty: empty has no finished runs
        --store empty: empty holds no stored runs
        --runs_folder other: query size 4: the store has no runs of it
        --runs_folder further: an agent that you changed needs a new version
        --runs_folder shorter: Mine/run_3: 50 to 58 labelled points, not 50 to 62
        --out: expected one argument
        --out no/page.html: no/page.html cannot be written: no is no folder
        --out .: . cannot be written: it is a folder
    """,
    "compute_upper_bound": """
        --dataset=: compute_upper_bound.py: unknown dataset ''; one of
        --dataset sarkos: unknown dataset 'sarkos' (did you mean sarcos?
        --dataset pakinsons --data_folder /dev/null/x: /dev/null/x
        --epoch_limit 0: argument --epoch_limit: expected a whole number of at least 1, got '0'
        --runs_folder /dev/null/x: cannot write to /dev/null/x_gauss/Diabetes/UpperBound
    """,
    "download_all_datasets": """
        --datasets sarcos diabetes: dataset 'diabetes' has no table to download
        --datasets sarcs: unknown dataset 'sarcs' (did you mean sarcos
        --data_folder done.csv: --data_folder done.csv is not a folder
        --data_folder: --data_folder: expected one argument
    """,
    "evaluate": """
        --agent balsa_em: unknown agent 'balsa_em' (did you mean balsa_emd
        --agent gauss_std: agent 'gauss_std' needs variation gauss
        --agent=: unknown agent ''; one of
        --dataset sarkos: unknown dataset 'sarkos' (did you mean sarcos?
        --dataset pakinsons --data_folder /dev/null/x: /dev/null/x
        --dataset nowhere/t.csv --target y: nowhere/t.csv: there is no such file
        --dataset openml:two: 'openml:two': a number is wanted behind openml:
        --dataset done.csv --target z: done.csv: there is no column 'z'
        --target y: dataset 'diabetes' has a target, a seed set and columns of its own
        --ignore bmi: dataset 'diabetes' has a target, a seed set and columns of its own
        --query_size 0: a number of points such as 50, or several such as 10,20,40, not '0'
        --query_size 5: diabetes: a query size of 5 is more than the budget of 4 points
        --query_size many: argument --query_size: a query size is a number of points such as 50, or several
        --query_size 10,,20: a number of points such as 50, or several such as 10,20,40, not '10,,20'
        --query_size 10,: a number of points such as 50, or several such as 10,20,40, not '10,'
        --query_size 10;20: a number of points such as 50, or several such as 10,20,40, not '10;20'
        --query_size 1,0: a number of points such as 50, or several such as 10,20,40, not '1,0'
        --query_size 2,-4: a number of points such as 50, or several such as 10,20,40, not '2,-4'
        --query_size 5,10: diabetes: a query size of 5,10 is more than the budget of 4 points
        --pool_seed -1: argument --pool_seed: expected a whole number of at least 0, got '-1'
        --restarts 99999999999999999999: of at least 1 and at most 100000, got '999
        --budget 284: a seed set of 50 and a budget of 284 points need more than the 283 points
        --side_by_side 0: argument --side_by_side:
        --device cuda:77: --device cuda:77 is not there
        --device mps: --device mps: only cpu and cuda are supported
        --variation made: unknown variation 'made'; one of nf, gauss
        --runs_folder / --variation gauss: the runs folder / has no name that '_gauss'
        --runs_folder /dev/null/x: cannot write to /dev/null/x/Diabetes/2/RandomAgent
        --quer 3: unrecognized arguments: --quer 3
        --policy x.pt: agent 'random' follows no policy
        --agent learned --policy x.pt: x.pt cannot be read: No such file
    """,
    "evaluate_oracle": """
        --dataset=: evaluate_oracle.py: unknown dataset ''; one of
        --dataset nowhere: unknown dataset 'nowhere'
        --budget 5000: a budget of 5000 points need more
        --tried 0: expected a whole number of at least 1, got '0'
    """,
    "learn_policy": """
        --out: expected one argument
        --task nowhere: unknown dataset 'nowhere'
        --candidates 1: expected a whole number of at least 2 and at most 10000, got '1'
        --out /dev/null/a: cannot write to /dev/null/a
        --task diabetes --budget 500 --steps 8 --environments 2: a budget of 500 points need more
    """,
    "ray_tune": """
        --dataset=: unknown dataset ''; one of
        --dataset diabets: unknown dataset 'diabets' (did you mean diabetes
        --variation ensemble: unknown variation 'ensemble'; one of nf, gauss, mdn
        --trials 0: --trials: expected a whole number of at least 1, got '0'
        --trials 1: ray is not installed: pip install -e '.[ray]'
    """,
    "report": """
        --runs_folder nowhere: --runs_folder nowhere does not exist, nor nowhere_gauss
        --out no/report.html: no/report.html cannot be written: no is
        --runs .: unrecognized arguments
    """,
    "store": """
        --runs_folder nowhere: --runs_folder nowhere has no finished runs
        --runs_folder torn: has no finished runs that can be used: torn/Diabetes/4/Random/run_1:
    """,
    "suggest": """
        --agent balsa_em: unknown agent 'balsa_em' (did you mean balsa_emd
        --agent balsa_em --variation forest: unknown agent 'balsa_em' (did you mean balsa_emd
        --agent gauss_std --variation nf: agent 'gauss_std' needs variation gauss
        --variation made: unknown variation 'made'; one of auto, nf, gauss
        --out next.xlsx: its name must end in .csv
        --scores next.xlsx: argument --scores: its name must end in .csv
        --scores pool.csv: pool.csv would replace a table that is read
        --save_model done.csv: cannot write to done.csv
        --count 0: --count 0 chooses nothing: --scores FILE is needed for the predictions
        --model kept: --model needs --pool, and no --labelled
        --out no/next.csv: no/next.csv cannot be written: no is no folder
        --out pool.csv: pool.csv would replace a table that is read
        --pool nowhere.csv: nowhere.csv: there is no such file
        --labelled pool.csv: pool.csv: there is no column 'y'
        --ignore kid: --ignore kid: there is no column 'kid'; did you mean 'kind'?
        --ignore y: --ignore y: that is the target
        --numeric kind: column 'kind': --numeric kind, but no cell is a number; found
        --pool other.csv: the pool has no column 'kind'
        --labelled few.csv: 12 labelled rows are too few: at least 20 are needed
        --pool few.csv --count 13: cannot choose 13 rows, only 12 are left
    """,
    "sweep": """
        nowhere.yaml: nowhere.yaml
        --datasets diabetes: --datasets and --agents are required
        --query_sizes 0: argument --query_sizes: a query size is a number of points such as 50, or
        --query_sizes 5,a: a number of points such as 50, or several such as 10,20,40, not '5,a'
        --gpus nan: --gpus: expected a share from 0 to 1, or a whole number, got 'nan'
        --datasets diabetes --agents randm: unknown agent 'randm' (did you mean random
        --datasets diabetes --agents random --run_ids 3-1: expected a number or a range like 1-30, got '3-1'
        --datasets diabetes --agents random: ray is not installed: pip install -e '.[ray]'
    """,
}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs, a store and tables."""
    folder = tmp_path_factory.mktemp("there")
    write_runs(folder / "made", "random", (1, 2))
    add_runs(folder / "store", Folders(folder / "made").experiments)
    write_runs(folder / "mine", "mine", (1, 2))
    write_runs(folder / "other", "random", (1,), dataset="nowhere")
    write_runs(folder / "further", "random", (1, 2, 3))
    for file in write_runs(folder / "shorter", "mine", (3,)).glob("run_3/*.csv"):
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:-4]))
    (write_runs(folder / "torn", "random", (1,)) / "run_1/accuracies.csv").write_text("")
    (folder / "empty").mkdir()
    tables = {"done": make_frame(60), "pool": make_frame(60, 1).drop(columns="y"), "few": make_frame(12, 2)}
    for name, frame in (tables | {"other": make_frame(60).drop(columns="kind")}).items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.mark.parametrize(
    ("script", "case"),
    [(script, case.strip()) for script in CASES for case in CASES[script].split("\n")[1:-1]],
)
def test_wrong_input_is_one_line(
    script: str, case: str, there: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if script == "learn_policy":
        pytest.importorskip("sb3_contrib", reason="the extra rl is not installed")
    monkeypatch.chdir(there)
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(sys, "argv", [f"{script}.py"])
    before = sorted(there.rglob("*"))
    typed, message = case.split(": ", 1) if ": " in case else (case.rstrip(":"), "")
    assert message in refused(import_module(script).main, [*BEFORE[script].split(), *typed.split()], capsys)
    assert sorted(there.rglob("*")) == before

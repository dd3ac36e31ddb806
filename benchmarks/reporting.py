"""Times report.py and compare.py on invented results of the whole study's size.

    python benchmarks/reporting.py --out reporting.csv

The study's 10,800 runs (4 datasets, 3 query sizes, 15 agents, 30 runs, 2 variations), each with all its
rounds and all metrics, as a store; and beside them, for compare.py, one agent of one's own in each task of
one setting. Each script is a process of its own: CPU seconds, seconds of the clock and peak memory in MB.
What is in `--out` already is not measured again.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from measure import digits, make_parser, write_table

from core.cli import at_least, run_script
from core.metrics import METRICS, PIT_BINS
from core.report.store import Key, Stored, write_part

BUDGETS = {"pakinsons": 800, "superconductors": 800, "diamonds": 1200, "sarcos": 800}
SEED_SET = 200
QUERY_SIZES = (1, 50, 200)
VARIATIONS = ("nf", "gauss")
AGENTS = ["random", "coreset", "typiclust", "coregcn", "bald", "bald_dist_entropy", "bald_dist_std"]
AGENTS += ["nflows_out", "balsa_kl_grid", "balsa_kl_pairs", "balsa_emd", "balsa_entropy"]
AGENTS += ["nf_conf", "nf_entropy", "nf_std"]
SCRIPTS = ("report.py", "compare.py")
COLUMNS = ("script", "runs", "rows", "seconds", "clock", "MB")


def invented(key: Key, run: int, budget: int) -> tuple[pd.DataFrame, dict[str, object]]:
    """The curves of a run, which fall from round to round, and what is noted of it."""
    dataset, variation, _, query_size, agent = key
    rng = np.random.default_rng([run, query_size, *f"{dataset} {variation} {agent}".encode()])
    labelled = pd.Index(SEED_SET + np.array([*range(0, budget, query_size), budget]), name="labelled")
    level = 0.05 + 0.002 * AGENTS.index(agent) if agent in AGENTS else 0.05
    fall = level * (1 + np.exp(-np.arange(len(labelled)) / 60))
    curves = {name: fall * (1 + 0.05 * rng.normal(size=len(labelled))) for name in METRICS}
    notes: dict[str, object] = {
        "code": "invented",
        "python": "-",
        "torch": "-",
        "device": "cpu",
        "threads": 1,
    }
    notes |= {"seconds_choosing": 1.0, "seconds_in_step": 2.0}
    return pd.DataFrame(curves, labelled), notes | {"pit": rng.multinomial(1000, [1 / PIT_BINS] * PIT_BINS)}


def write_store(folder: Path, runs: int) -> int:
    """The whole study as a store; how many rows its curves have."""
    rows = 0
    for dataset, variation in product(BUDGETS, VARIATIONS):
        stored: dict[Key, Stored] = {}
        budget = BUDGETS[dataset]
        for query_size, agent in product(QUERY_SIZES, AGENTS):
            key: Key = (dataset, variation, "published", query_size, agent)
            names = ("dataset", "variation", "protocol", "query_size", "agent")
            settings = dict(zip(names, key, strict=True)) | {"seed_set": SEED_SET, "budget": budget}
            one = stored[key] = Stored(settings | {"protocol_version": 1, "agent_version": 1})
            for run in range(1, runs + 1):
                one.curves[run], one.notes[run] = invented(key, run, budget)
                rows += len(one.curves[run])
        write_part(folder, (dataset, variation, "published"), stored)
    return rows


def write_own(folder: Path, runs: int) -> None:
    """Runs of an agent of one's own, as evaluate.py writes them."""
    from core.runs.layout import experiment_folder
    from core.runs.settings import write_meta
    from core.runs.tables import histograms, series

    dataset, agent = "pakinsons", "own"
    for query_size in QUERY_SIZES:
        key: Key = (dataset, "nf", "published", query_size, agent)
        experiment = experiment_folder(folder, dataset.title(), query_size, agent, "nf", "published")
        settings: dict[str, object] = {"dataset": dataset, "variation": "nf", "protocol": "published"}
        settings |= {"query_size": query_size, "agent": agent, "seed_set": SEED_SET}
        experiment.mkdir(parents=True)
        write_meta(experiment / "settings.txt", settings)
        for run in range(1, runs + 1):
            curves, notes = invented(key, run, BUDGETS[dataset])
            added = pd.Index(curves.index - SEED_SET, name="added")
            path = experiment / f"run_{run}"
            path.mkdir()
            for name, metric in METRICS.items():
                series(added, list(curves[name]), run).to_csv(path / metric.file)
            histograms(added, [list(notes["pit"])] * len(added)).to_csv(path / "pit.csv")  # type: ignore[call-overload]
            write_meta(path / "meta.txt", settings | {"seconds_choosing": 1.0, "seconds_in_step": 2.0})


def cost(command: list[str]) -> tuple[float, float, float]:
    """CPU seconds, seconds of the clock and peak memory in MB of a process."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss / 1024


def main() -> None:
    parser = make_parser(__doc__, "reporting.csv")
    parser.set_defaults(repeats=1)
    parser.add_argument("--runs", type=at_least(2), default=30, help="of each experiment (default: 30)")
    args = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = write_store(folder, args.runs)
        write_own(folder / "runs", args.runs)
        runs = len(BUDGETS) * len(VARIATIONS) * len(QUERY_SIZES) * len(AGENTS) * args.runs

        def measure(script: str, *_: object) -> Iterator[tuple[object, ...]]:
            command = [str(root / script), "--store", name, "--out", str(folder / "page.html")]
            command += ["--runs_folder", str(folder / ("runs" if script == "compare.py" else "none"))]
            costs = sorted(cost(command) for _ in range(args.repeats))
            yield script, runs, rows, *map(digits, costs[len(costs) // 2])

        write_table(args.out, COLUMNS, product(SCRIPTS, [runs], [rows]), measure)


if __name__ == "__main__":
    run_script(main)

"""Tries every agent on every dataset, model and protocol: four rounds of one point each.

    python benchmarks/sweep.py --data_folder ../datasets --out sweep.csv

One process a dataset, `--jobs` of them at a time. The table in `--out` grows by a line a run; what
is in it already is not run again. `--partial_sarcos` names another data folder for sarcos, whose
table is then not checked. The exit code is 1 if a run failed.
"""

import argparse
import csv
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import evaluate
from agents import AGENTS
from core import PROTOCOLS
from core.cli import ArgumentParser, at_least, run_script
from core.data.tables import Table
from core.models.variations import VARIATIONS
from datasets import DATASETS

AGENTS_OF_THE_SEED_DOCUMENT = (
    *("random", "coreset", "typiclust", "coregcn", "bald", "balsa_kl_pairs", "balsa_kl_grid"),
    *("balsa_emd", "bald_dist_entropy", "bald_dist_std", "nflows_out"),
)
COLUMNS = ("dataset", "agent", "variation", "protocol", "seconds", "status")


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data_folder", type=Path, default=Path("../datasets"))
    parser.add_argument("--partial_sarcos", type=Path, help="folder of an incomplete sarcos table")
    parser.add_argument("--out", type=Path, default=Path("sweep.csv"))
    parser.add_argument("--jobs", type=at_least(1), default=1, help="processes at a time")
    parser.add_argument("--all_agents", action="store_true", help="also the study's further agents")
    parser.add_argument("--only", help="one dataset, in this process")
    return parser.parse_args()


def one_run(options: Sequence[str]) -> str:
    """Runs evaluate.py in this process; `ok`, or what went wrong."""
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            evaluate.main(options)
    except (Exception, SystemExit) as error:  # whatever it is belongs into the table
        return f"{type(error).__name__}: {' '.join(f'{error} {printed.getvalue()}'.split())}"
    return "ok"


def sweep_dataset(args: argparse.Namespace, dataset: str, done: set[tuple[str, ...]]) -> None:
    """All runs on one dataset, a line of the table each."""
    data = ["--data_folder", str(args.data_folder)]
    if dataset == "sarcos" and args.partial_sarcos:
        data = ["--data_folder", str(args.partial_sarcos), "--skip_data_check", "1"]
    trial = ["--restarts", "1", "--budget", "4", "--query_size", "1"]
    for agent in AGENTS.classes if args.all_agents else AGENTS_OF_THE_SEED_DOCUMENT:
        for variation in VARIATIONS:
            for protocol in PROTOCOLS:
                case = (dataset, agent, variation, protocol)
                if case in done or variation not in AGENTS[agent].variations:
                    continue
                named = [f"--{name}={value}" for name, value in zip(COLUMNS, case, strict=False)]
                with tempfile.TemporaryDirectory() as runs:
                    start = time.perf_counter()
                    status = one_run([*named, *trial, *data, "--runs_folder", f"{runs}/runs"])
                line = (*case, f"{time.perf_counter() - start:.1f}", status)
                with args.out.open("a", newline="") as file:
                    csv.writer(file).writerow(line)
                print(*line, flush=True)


def main() -> int:
    args = parse_arguments()
    if not args.out.exists():
        args.out.write_text(",".join(COLUMNS) + "\n")
    with args.out.open(newline="") as file:
        done = {tuple(line[:4]) for line in csv.reader(file) if line[5] == "ok"}
    if args.only:
        sweep_dataset(args, args.only, done)
        return 0
    real = [name for name, cls in DATASETS.classes.items() if issubclass(cls, Table)]
    commands = [[sys.executable, *sys.argv, "--only", name] for name in real]
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda command: subprocess.run(command), commands))
    with args.out.open(newline="") as file:
        status = {tuple(line[:4]): line[5] for line in list(csv.reader(file))[1:]}
    failed = [case for case, said in status.items() if said != "ok"]
    print(f"{len(status)} runs, {len(failed)} failed")
    return int(bool(failed))


if __name__ == "__main__":
    run_script(main)

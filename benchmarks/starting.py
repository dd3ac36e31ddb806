"""How long a command takes to begin a run, beside so many finished ones.

    OMP_NUM_THREADS=1 python benchmarks/starting.py --runs 100000

The others are `meta.txt` of one run again and again, in a temporary folder: in the same experiment, or 50 to
an experiment. A run has begun when it has claimed its folder. Seconds, medians.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import ROOT, make_parser, write_table

from core.cli import at_least, run_script

OPTIONS = ["--agent", "random", "--dataset", "diabetes", "--variation", "gauss"]
OPTIONS += ["--query_size", "5", "--budget", "5", "--restarts", "1"]


def begin(runs: Path, run_id: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(ROOT / "evaluate.py"), *OPTIONS, "--run_id", str(run_id)]
    command += ["--runs_folder", str(runs)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def seconds_to_begin(runs: Path, run_id: int, repeats: int) -> float:
    """Until the run's folder is there; then its process is killed."""
    folder, taken = experiment(runs) / f"run_{run_id}", []
    for _ in range(repeats):
        started = time.perf_counter()
        process = begin(runs, run_id)
        while process.poll() is None and not folder.exists():
            time.sleep(0.005)
        taken.append(time.perf_counter() - started)
        process.kill()
        process.wait()
        shutil.rmtree(folder)
    return statistics.median(taken)


def experiment(runs: Path, query_size: int = 5) -> Path:
    return runs.with_name(f"{runs.name}_gauss") / f"Diabetes/{query_size}/RandomAgent"


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, "starting.csv")
    parser.add_argument("--runs", type=at_least(1), nargs="+", default=[100_000])
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()

    def measured(count: int, where: str) -> list[tuple[int, str, float]]:
        with tempfile.TemporaryDirectory() as folder:
            runs = Path(folder) / "runs"
            assert begin(runs, 1).wait() == 0
            meta = (experiment(runs) / "run_1/meta.txt").read_bytes()
            for i in range(3, count + 2):
                place = experiment(runs) if where == "one experiment" else experiment(runs, 1000 + i // 50)
                (place / f"run_{i}").mkdir(parents=True)
                (place / f"run_{i}/meta.txt").write_bytes(meta)
            return [(count, where, round(seconds_to_begin(runs, 2, args.repeats), 2))]

    cases = [(count, where) for count in (1, *args.runs) for where in ("one experiment", "many experiments")]
    write_table(args.out, ("runs", "in", "seconds"), cases, measured)


if __name__ == "__main__":
    run_script(main)

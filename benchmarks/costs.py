"""Puts what the sweep's estimates need of the measured tables into one of their own.

    python benchmarks/costs.py

reads of docs/performance/ study.csv (refits and tests), acquisition.csv (choices of one point) and
acquisition_50.csv (batches of 50, of the agents that are not in the table before), and writes
core/sweep/costs.csv, which `core.sweep.cost.Costs` reads.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from measure import ROOT

from core.cli import ArgumentParser, run_script
from core.sweep.cost import LABELLED

__all__ = ["ACQUISITION", "BATCHES", "write_costs"]

ACQUISITION = ROOT / "docs/performance/acquisition.csv"
BATCHES = ROOT / "docs/performance/acquisition_50.csv"
COLUMNS = ("part", "dataset", "variation", "agent", "side_by_side", "labelled", "seconds")


def rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table."""
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


def write_costs(study: Path, acquisition: Path, batches: Path, out: Path) -> None:
    """Writes the table of `core.sweep.cost.Costs` from those of study.py and acquisition.py.

    Args:
        batches: choices of larger batches, for the agents of which `acquisition` has none.
    """
    lines: list[tuple[str, ...]] = []
    for row in rows(study):
        dataset, variation, size = row["dataset"], row["variation"], row["runs side by side"]
        lines += [("refit", dataset, variation, "", size, str(n), row[f"refit at {n}"]) for n in LABELLED]
        if size == "1":
            lines.append(("test", dataset, variation, "", size, "", row["test"]))
    choices = [*rows(acquisition)]
    known = {row["agent"] for row in choices}
    choices += [row for row in rows(batches) if row["agent"] not in known]
    for row in choices:
        lines.append(("choose", row["dataset"], row["variation"], row["agent"], "1", "", row["seconds"]))
    with out.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *lines])


def main() -> int:
    parser = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "core/sweep/costs.csv")
    parser.add_argument("--study", type=Path, default=ROOT / "docs/performance/study.csv")
    parser.add_argument("--acquisition", type=Path, default=ACQUISITION)
    parser.add_argument("--batches", type=Path, default=BATCHES)
    args = parser.parse_args()
    write_costs(args.study, args.acquisition, args.batches, args.out)
    return 0


if __name__ == "__main__":
    run_script(main)

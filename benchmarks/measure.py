"""Times and memory of several calls, measured in turn in one process."""

import argparse
import csv
import ctypes
import statistics
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core.cli import ArgumentParser, at_least
from core.errors import UserError

__all__ = ["ROOT", "Cost", "compare", "digits", "make_parser", "memory_peak", "write_table"]

#: The project's folder, which is on the path of every benchmark that imports this.
ROOT = Path(__file__).resolve().parent.parent
Key = TypeVar("Key", bound=Hashable)


@dataclass
class Cost:
    """Medians of CPU and wall-clock seconds, and of the most memory beyond what was in use, in MB."""

    seconds: float
    wall_seconds: float
    megabytes: float


def make_parser(doc: str | None, out: str) -> ArgumentParser:
    """The options of every script that measures; `out` is the table's usual name."""
    parser = ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--repeats", type=at_least(1), default=5)
    parser.add_argument("--out", type=_file, default=Path(out))
    return parser


def _file(text: str) -> Path:
    """A path whose folder exists, so that no measurement is lost at the end."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}")
    return path


def digits(number: float) -> str:
    """A number with three significant digits, or all of them before the point."""
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def memory_peak(call: Callable[[], object]) -> float:
    """Peak resident memory of a call beyond what was resident before it, in MB (NaN but on Linux)."""
    if sys.platform != "linux":
        call()
        return float("nan")
    ctypes.CDLL(None).malloc_trim(0)  # what earlier calls have freed must not hide what this one takes
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def compare(calls: Mapping[Key, Callable[[], object]], repeats: int) -> dict[Key, Cost]:
    """Runs the calls in turn, `repeats` times."""
    costs: dict[Key, list[tuple[float, float, float]]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start, wall_start = time.process_time(), time.perf_counter()
            peak = memory_peak(call)
            costs[name].append((time.process_time() - start, time.perf_counter() - wall_start, peak))
    return {name: Cost(*map(statistics.median, zip(*cost, strict=True))) for name, cost in costs.items()}


def write_table(
    out: Path,
    columns: Sequence[str],
    cases: Iterable[tuple[object, ...]],
    measure: Callable[..., Iterable[Sequence[object]]],
) -> None:
    """Prints and appends to a CSV file the lines that `measure` gives for each case.

    A line starts with its case; cases that the file holds are not measured again.
    """
    try:
        if not out.exists():
            out.write_text(",".join(columns) + "\n")
    except OSError as error:
        raise UserError(f"--out {out} cannot be written ({error.strerror})") from error
    with out.open(newline="") as file:
        lines = list(csv.reader(file))
    if lines[:1] != [list(columns)]:
        raise UserError(
            f"--out {out} has other columns ({','.join(lines[0]) if lines else 'none'}): remove it"
        )
    for line in lines:
        print(*line, sep="\t", flush=True)
    for case in cases:
        if any(line[: len(case)] == [str(part) for part in case] for line in lines):
            continue
        found = []
        for measured in measure(*case):
            print(*measured, sep="\t", flush=True)
            found.append(measured)
        with out.open("a", newline="") as file:  # at once: half a case would count as measured
            csv.writer(file).writerows(found)

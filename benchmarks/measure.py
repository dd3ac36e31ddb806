"""Times and memory of two ways to do the same, measured alternately in one process."""

import csv
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cost", "compare", "memory_peak", "write_table"]


@dataclass
class Cost:
    """Median of CPU seconds, and the most memory that a call needed beyond what was in use, in MB."""

    seconds: float
    megabytes: float


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def memory_peak(call: Callable[[], object]) -> float:
    """Peak resident memory of a call beyond what was resident before it, in MB (Linux; else NaN)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
        before = _status("VmRSS")
    except OSError:
        call()
        return float("nan")
    call()
    return _status("VmHWM") - before


def compare(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, Cost]:
    """Runs the calls in turn, `repeats` times after a first turn that measures memory and warms up."""
    peaks = {name: memory_peak(call) for name, call in calls.items()}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.process_time()
            call()
            seconds[name].append(time.process_time() - start)
    return {name: Cost(statistics.median(seconds[name]), peaks[name]) for name in calls}


def write_table(out: Path, columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Prints lines as they come, and appends each to a CSV file."""
    if not out.exists():
        out.write_text(",".join(columns) + "\n")
    print(*columns, sep="\t")
    for line in lines:
        print(*line, sep="\t", flush=True)
        with out.open("a", newline="") as file:
            csv.writer(file).writerow(line)

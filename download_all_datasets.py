"""Finds, or downloads, and checks the tables of all datasets, so that later runs find them ready.

python download_all_datasets.py --data_folder ../datasets
"""

import argparse
import sys
from pathlib import Path

from core.cli import ArgumentParser, run_script
from core.data.tables import Table
from core.errors import UserError
from datasets import DATASETS


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data_folder",
        type=Path,
        default=Path("../datasets"),
        help="where dataset files lie, or are downloaded to (default: ../datasets)",
    )
    return parser.parse_args()


def prepare(table: type[Table], folder: Path) -> tuple[str, str, str, str]:
    """Rows, features, file and status of one dataset; why it failed is told on stderr."""
    try:
        loaded = table.load(folder)
    except UserError as error:
        print(error, file=sys.stderr)
        return "-", "-", "-", "failed"
    rows, features = loaded.x.shape
    return f"{rows:,}", str(features), loaded.source.name, "ready"


def print_table(lines: list[tuple[str, ...]]) -> None:
    """Prints lines of cells, the first of them the heads, in aligned columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def main() -> int:
    folder = parse_arguments().data_folder
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--data_folder {folder} is not a folder")
    tables = {name: cls for name, cls in DATASETS.classes.items() if issubclass(cls, Table)}
    lines = [(name, *prepare(table, folder)) for name, table in tables.items()]
    print_table([("dataset", "rows", "features", "file", "status"), *lines])
    return int(any(line[-1] == "failed" for line in lines))


if __name__ == "__main__":
    run_script(main)

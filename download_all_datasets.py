"""Finds, or downloads, and checks the tables of datasets, so that later runs find them ready.

    python download_all_datasets.py --data_folder ../datasets
    python download_all_datasets.py --datasets houses wine openml:44980

Without --datasets these are the four tables of the study.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from core import Seeds
from core.cli import ArgumentParser, run_script
from core.data.own import OpenMLTable, find_dataset, is_own
from core.data.tables import Table
from core.errors import UserError
from datasets import DATASETS


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="download_all_datasets.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add("data_folder", Path("../datasets"), "where dataset files lie, or are downloaded to", type=Path)
    study = [name for name, cls in DATASETS.classes.items() if issubclass(cls, Table)]
    names = "names, or openml:<id>"
    parser.add("datasets", study, names, nargs="+", metavar="NAME")
    return parser.parse_args(arguments)


def check(names: Sequence[str]) -> None:
    """Raises a UserError if one of them is no table that can be downloaded."""
    for name in names:
        if name.startswith("openml:"):
            continue
        if is_own(name) or not issubclass(DATASETS[name], (Table, OpenMLTable)):
            raise UserError(f"dataset '{name}' has no table to download")


def load(name: str, folder: Path) -> tuple[str, str, str, str]:
    """Rows, features, file and status of one dataset.

    Raises:
        UserError: it is not to be had, or is not the published one.
    """
    cls = find_dataset(name, data_folder=folder)
    if issubclass(cls, Table):
        table = cls.load(folder)
        return f"{len(table.x):,}", str(table.x.shape[1]), table.source.name, "ready"
    data = cls(folder, Seeds())
    rows = len(data.rows_train) + len(data.rows_val) + len(data.rows_test)
    file = f"{cls.folder}.arff" if is_own(name) else f"openml-{cls.data_id}.arff"  # type: ignore[attr-defined]
    return f"{rows:,}", str(data.x_train.shape[1]), file, "ready" if cls.verified else "ready, unverified"


def prepare(name: str, folder: Path) -> tuple[str, str, str, str]:
    """As of `load`; why it failed is told on stderr."""
    try:
        return load(name, folder)
    except UserError as error:
        tqdm.write(str(error), file=sys.stderr)
        return "-", "-", "-", "failed"


def print_table(lines: list[tuple[str, ...]]) -> None:
    """Prints lines of cells, the first of them the heads, in aligned columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    folder = args.data_folder
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--data_folder {folder} is not a folder")
    check(args.datasets)
    lines = []
    # Only on a terminal; each download has a bar of its own below.
    with tqdm(dict.fromkeys(args.datasets), desc="tables", leave=False, disable=None) as bar:
        for name in bar:
            bar.set_postfix_str(name)
            lines.append((name, *prepare(name, folder)))
    print_table([("dataset", "rows", "features", "file", "status"), *lines])
    print(f"data folder: {folder}")
    return int(any(line[-1] == "failed" for line in lines))


if __name__ == "__main__":
    run_script(main)

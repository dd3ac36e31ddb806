"""Downloads the tables of datasets that you do not have yet, and checks them all.

    python download_all_datasets.py --data_folder ../datasets
    python download_all_datasets.py --datasets houses wine openml:44980

Without --datasets, it takes the four tables of the study.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from core.cli import ArgumentParser, run_script
from core.data.own import find_dataset, is_own
from core.data.tables import Table
from core.errors import UserError
from datasets import DATASETS


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(prog="download_all_datasets.py", description=__doc__)
    parser.add("data_folder", Path("../datasets"), "where dataset files are, or are downloaded to", type=Path)
    study = [name for name, cls in DATASETS.classes.items() if issubclass(cls, Table) and cls.columns]
    names = "names, or openml:<id>"
    parser.add("datasets", study, names, nargs="+", metavar="NAME")
    return parser.parse_args(arguments)


def prepare(name: str, folder: Path) -> tuple[str, str, str, str]:
    """Rows, features, file and status of one dataset; prints on stderr why it failed."""
    try:
        cls = find_dataset(name, data_folder=folder)
        assert issubclass(cls, Table)
        table = cls.load(folder)
    except UserError as error:
        tqdm.write(str(error), file=sys.stderr)
        return "-", "-", "-", "failed"
    status = "ready" if cls.verified else "ready, unverified"
    return f"{len(table.y):,}", str(table.x.shape[1]), table.source.name, status


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    folder = args.data_folder
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--data_folder {folder} is not a folder")
    for name in args.datasets:
        if not name.startswith("openml:") and (is_own(name) or not issubclass(DATASETS[name], Table)):
            raise UserError(f"dataset '{name}' has no table to download")
    lines = [("dataset", "rows", "features", "file", "status")]
    # Shown only on a terminal; each download has its own bar below.
    with tqdm(dict.fromkeys(args.datasets), desc="tables", leave=False, disable=None) as bar:
        for name in bar:
            bar.set_postfix_str(name)
            lines.append((name, *prepare(name, folder)))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(map(str.ljust, line, widths)).rstrip())
    print(f"data folder: {folder}")
    return int(any(line[-1] == "failed" for line in lines))


if __name__ == "__main__":
    run_script(main)

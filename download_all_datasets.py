"""Downloads the tables of datasets that you do not have yet, and checks them all.

    python download_all_datasets.py --data_folder ../datasets
    python download_all_datasets.py --datasets houses wine openml:44980

Without --datasets, it takes the four tables of the study.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from core.cli import ArgumentParser, run_script
from core.data.own import find_dataset, is_own
from core.data.tables import Table
from core.errors import UserError
from datasets import DATASETS


def main(arguments: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(prog="download_all_datasets.py", description=__doc__)
    parser.add("data_folder", Path("../datasets"), "where dataset files are, or are downloaded to", type=Path)
    study = [name for name, cls in DATASETS.classes.items() if issubclass(cls, Table) and cls.columns]
    names = "names, or openml:<id>"
    parser.add("datasets", study, names, nargs="+", metavar="NAME")
    args = parser.parse_args(arguments)
    folder = args.data_folder
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--data_folder {folder} is not a folder")
    for name in args.datasets:
        if not name.startswith("openml:") and (is_own(name) or not issubclass(DATASETS[name], Table)):
            raise UserError(f"dataset '{name}' has no table to download")
    failed = 0
    for name in dict.fromkeys(args.datasets):
        try:
            cls = find_dataset(name, data_folder=folder)
            assert issubclass(cls, Table)
            table = cls.load(folder)
        except UserError as error:
            print(error, file=sys.stderr)
            failed += 1
        else:
            size = f"{len(table.y):,} rows, {table.x.shape[1]} features"
            print(f"{name}: {size}, {table.source.name}{'' if cls.verified else ', unverified'}")
    print(f"data folder: {folder}{f', failed: {failed}' if failed else ''}")
    return int(failed > 0)


if __name__ == "__main__":
    run_script(main)

"""The real files beside the repository, read in place; skipped where they are absent."""

import csv
import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from core.data import tables
from core.data.tables import Table
from core.files import UnusableError
from core.seeds import Seeds
from datasets import DATASETS
from tests.shared_data import SHARED_DATA, shared_file


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """The folder of real files as links: a table is cached beside its file where that can be written."""
    for path in SHARED_DATA.rglob("*"):
        if path.is_file() and path.suffix != ".npz":
            link = tmp_path / path.relative_to(SHARED_DATA)
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(path)
    return tmp_path


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    tables._load.cache_clear()

    def refuse(url: str, target: Path) -> None:
        raise UnusableError("no network in this test")

    monkeypatch.setattr(tables, "fetch", refuse)


def raw_rows(path: Path) -> list[dict[str, str]]:
    """The table by Python's own csv module, as texts."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return list(csv.DictReader(file, skipinitialspace=True))


def expected_features(cls: type[Table], row: dict[str, str]) -> list[float]:
    numeric = [name for name in row if name not in (cls.target, *cls.dropped, *cls.categories)]
    one_hot = [float(row[name] == str(value)) for name, values in cls.categories.items() for value in values]
    return [float(row[name]) for name in numeric] + one_hot


@pytest.mark.parametrize(
    ("name", "file", "features", "sizes"),
    [
        ("pakinsons", "parkinsons_updrs.data", 61, (3760, 940, 1175)),
        ("superconductors", "superconductivity_train.csv.gz", 81, (13608, 3402, 4253)),
        ("diamonds", "diamonds.csv", 26, (34522, 8630, 10788)),
    ],
)
def test_real_table(
    name: str, file: str, features: int, sizes: tuple[int, int, int], data_folder: Path
) -> None:
    path = shared_file(file)
    cls = DATASETS[name]
    assert issubclass(cls, Table)
    table = cls.load(data_folder)
    assert (table.source, table.data_check) == (data_folder / file, "passed")
    assert (data_folder / f"{name}.npz").exists()
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    assert not cls.known_hash or cls.known_hash == f"sha256:{hashlib.sha256(content).hexdigest()}"

    rows = raw_rows(path)
    assert table.x.shape == (len(rows), features)
    np.testing.assert_allclose(table.y, [float(row[cls.target]) for row in rows], rtol=1e-14)
    for i in range(0, len(rows), 97):
        np.testing.assert_allclose(table.x[i], expected_features(cls, rows[i]), rtol=1e-14)

    dataset = cls(data_folder, Seeds())
    assert (len(dataset.x_train), len(dataset.x_val), len(dataset.x_test)) == sizes
    train = np.concatenate([dataset.x_train, dataset.x_val])
    assert train.min() == 0
    assert train.max() == pytest.approx(1, abs=1e-6)
    assert len(dataset.seed_indices) == 200

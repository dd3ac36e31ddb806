"""core.data.own: any table as a dataset, from files and from OpenML, whose server stands on this machine."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import compute_upper_bound
import evaluate
import sweep
from core import Seeds, UserError
from core.data import own, tables
from core.data.frames import read_frame
from core.data.own import default_sizes, find_dataset
from core.dataset import train_and_test
from core.runs.settings import read_meta
from tests.builders import refused
from tests.test_downloads import Server, server, whole  # noqa: F401 (a fixture)

N = 90


@pytest.fixture(autouse=True)
def nothing_made() -> None:
    own._table_class.cache_clear()


def make_frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "no": np.arange(7, N + 7),
            "a": rng.normal(5, 2, N).round(3),
            "kind": rng.choice(["red", "dark blue", "green"], N),
            "same": 4,
            "b": rng.integers(0, 50, N),
            "name": [f"sample {i}" for i in range(N)],
        }
    )
    frame["y"] = (frame["a"] * 2 + rng.normal(size=N)).round(3)
    frame.loc[::8, "a"] = np.nan
    frame.loc[3::11, "kind"] = np.nan
    return frame


def expected(frame: pd.DataFrame) -> np.ndarray:
    """Row by row: a (or the train part's median), b, whether a is missing, one-hot kinds."""
    train, _ = train_and_test(len(frame))
    median = np.nanmedian(frame["a"].to_numpy()[train])
    kinds = sorted({kind for kind in frame["kind"].iloc[train] if isinstance(kind, str)})
    rows = []
    for a, b, kind in zip(frame["a"], frame["b"], frame["kind"], strict=True):
        one_hot = [float(kind == one) for one in kinds] + [float(not isinstance(kind, str))]
        rows.append([median if np.isnan(a) else a, float(b), float(np.isnan(a)), *one_hot])
    return np.array(rows)


def arff(frame: pd.DataFrame) -> bytes:
    kinds = {"kind": "{red, 'dark blue', green}", "name": "STRING"}
    header = [f"@ATTRIBUTE {name} {kinds.get(str(name), 'NUMERIC')}" for name in frame]
    quoted = frame.apply(lambda column: column.map(lambda cell: f"'{cell}'" if " " in str(cell) else cell))
    text = quoted.to_csv(index=False, header=False, na_rep="?")
    return "\n".join(["@RELATION t", *header, "@DATA", text]).encode()


def write(folder: Path, name: str, frame: pd.DataFrame) -> Path:
    path = folder / name
    if ".parquet" in name:
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    else:
        separator = {".tsv": "\t", ".txt": ";"}.get(Path(name).suffix, ",")
        content = arff(frame) if ".arff" in name else frame.to_csv(index=False, sep=separator).encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.txt", "t.parquet", "t.arff", "t.arff.gz"])
def test_features_of_every_kind_of_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = make_frame()
    path = write(tmp_path, name, frame)
    data = find_dataset(str(path), "y")(tmp_path, Seeds())
    x, y = data.rows(np.random.default_rng())
    np.testing.assert_allclose(x, expected(frame), rtol=1e-14)
    np.testing.assert_array_equal(y, frame["y"])
    found = ["no, name: not used (a different value in each row)", "a, b: number"]
    kinds = "3 categories, and missing", "not used (one value in all rows)"
    found += [f"kind: {kinds[0]}", f"same: {kinds[1]}"]
    assert capsys.readouterr().err.splitlines() == [f"{path}: {line}" for line in found]
    assert type(data).folder == name.removesuffix(".gz")
    assert (data.seed_set, data.budget) == default_sizes(N) == (9, 19)
    unpacked = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    assert data.more_settings["sha256"] == hashlib.sha256(unpacked).hexdigest()


def test_arff_quotes_escapes_and_percent_signs(tmp_path: Path) -> None:
    kinds = [r"'D\'Or, B'", '"O\'Neil, J"', "50%", "low"]
    rows = [f"{i * i},{kinds[i % 4]},?" if i % 9 else "% not a row" for i in range(N)]
    header = [
        "@relation a table",
        "@attribute y integer",
        "@attribute kind {low, 'D'}",
        "@attribute gap real",
    ]
    (tmp_path / "t.arff").write_text("\n".join([*header, "@data", *rows]))
    cls = find_dataset(str(tmp_path / "t.arff"), "y")
    assert cls.feature_names() == ["kind_50%", "kind_D'Or, B", "kind_O'Neil, J", "kind_low"]
    x, y = cls(tmp_path, Seeds()).rows(np.random.default_rng())
    kept = [i for i in range(N) if i % 9]
    np.testing.assert_array_equal(y, [i * i for i in kept])
    np.testing.assert_array_equal(x, [[i % 4 == kind for kind in (2, 0, 1, 3)] for i in kept])


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_truth_values_are_numbers(name: str, tmp_path: Path) -> None:
    flag = np.arange(N) % 3 == 0
    cls = find_dataset(str(write(tmp_path, name, changed(flag=flag)[["flag", "y"]])), "y")
    x, _ = cls(tmp_path, Seeds()).rows(np.random.default_rng())
    np.testing.assert_array_equal(x, flag[:, None])


def test_test_rows_teach_nothing(tmp_path: Path) -> None:
    """A category and a number of the test part alone change neither categories nor medians."""
    frame = make_frame()
    _, test = train_and_test(N)
    frame.loc[test[0], "kind"] = "only here"
    frame.loc[test[1:], "a"] = 1e6
    x, _ = find_dataset(str(write(tmp_path, "t.csv", frame)), "y")(tmp_path, Seeds()).rows(
        np.random.default_rng()
    )
    np.testing.assert_allclose(x, expected(frame), rtol=1e-14)
    assert not x[test[0], 3:].any()


@pytest.mark.parametrize(
    ("before", "separator", "header"),
    [
        ("sep=;\n", ";", "a;kind;y"),
        ("\n \r\n", ",", "a,kind,y"),
        ("# made on Monday, by hand\n# rev 2\n", ",", "a,kind,y"),
        ("", "|", "a|kind|y"),
        ("", ",", "# a,kind,y"),
        ("", ",", '"a","kind",y'),
        ("\n", ";", '"a";kind;"y"'),
    ],
)
def test_dialects_of_csv(before: str, separator: str, header: str, tmp_path: Path) -> None:
    rows = [f"{i * i},x{i % 3},{i}".replace(",", separator) for i in range(N)]
    (tmp_path / "t.csv").write_text(before + "\n".join([header, *rows[:9], "# paused", *rows[9:], ""]))
    found = read_frame(tmp_path / "t.csv").frame
    assert list(found) == ["a", "kind", "y"]
    assert found["a"].tolist() == [str(i * i) for i in range(N)]
    assert found["y"].tolist() == [str(i) for i in range(N)]


def test_spreadsheets_write_utf_16_and_separators_behind_the_last_column(tmp_path: Path) -> None:
    rows = [f"{i}\tü{i % 3}\t" for i in range(N)]
    for header, encoding in (("a\tkind", "utf-16"), ("a\tkind\t\t", "utf-8-sig")):
        (tmp_path / "t.txt").write_text("\n".join([header, *rows]), encoding=encoding)
        found = read_frame(tmp_path / "t.txt").frame
        assert list(found) == ["a", "kind"]
        assert found["kind"][:3].tolist() == ["ü0", "ü1", "ü2"]


def test_separators_inside_of_quotes_are_none(tmp_path: Path) -> None:
    rows = [f"{i},{i * i}" for i in range(N)]
    (tmp_path / "t.csv").write_text("\n".join(['y,"a; the\nfirst; of; all"', *rows]))
    assert list(read_frame(tmp_path / "t.csv").frame) == ["y", "a; the\nfirst; of; all"]


def changed(**columns: Any) -> pd.DataFrame:
    return make_frame().assign(**columns)


def text(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


GOOD = text(make_frame())
LINES = GOOD.decode().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [
        (GOOD, "yy", "there is no column 'yy'; did you mean 'y'?"),
        ("".join([*LINES[:5], "1,2,3\n", *LINES[5:]]).encode(), "y", "line 6 has 3 fields instead of 7"),
        (GOOD.replace(b"same", b"a", 1), "y", "2 columns are called 'a'; names must differ"),
        (GOOD.replace(b"no,", b"# a,", 1), "y", "2 columns are called 'a'; names must differ"),
        ("".join(LINES[:4]).encode(), "y", "3 rows are too few: at least 50 are needed"),
        (text(make_frame()[["same", "no", "y"]]), "y", "no feature is left: same: not used"),
        (GOOD.replace(b"same", b"s\xe4me"), "y", "line 1 is no UTF-8 text (invalid continuation byte)"),
        (GOOD.decode().encode("utf-16-le"), "y", "it is no UTF-8 text (zero bytes); save it as UTF-8"),
        (b"", "y", "it has no columns"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_told_in_one_line(
    content: bytes, target: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    typed = ["--agent", "random", "--dataset", str(path), "--target", target]
    said = refused(evaluate.main, [*typed, "--runs_folder", tmp_path / "runs"], capsys)
    assert f"{path}: " in said
    assert message in said
    assert not (tmp_path / "runs").exists()


def test_runs_of_a_table_go_on_and_those_of_another_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "t.csv", make_frame())
    typed = ["--dataset", str(path), "--target", "y", "--runs_folder", str(tmp_path / "runs")]
    trial = [*typed, "--agent", "random", "--query_size", "4", "--budget", "8", "--restarts", "1"]
    assert evaluate.main(trial) == 0
    folder = tmp_path / "runs/t.csv/4/RandomAgent"
    agreed = read_meta(folder / "settings.txt")
    assert (agreed["dataset"], agreed["target"], agreed["seed_set"]) == ("t.csv", "y", 9)
    assert agreed["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert pd.read_csv(folder / "accuracies.csv")["added"].tolist() == list(range(9))
    wrong = (
        (["--target", "b"], "target"),
        (["--seed_set", "12"], "seed_set"),
        (["--ignore", "b"], "decisions"),
    )
    for more, setting in wrong:
        with pytest.raises(UserError, match=f"was made with {setting}"):
            evaluate.main([*trial, *more])
    assert compute_upper_bound.main([*typed, "--restarts", "1", "--epoch_limit", "2"]) == 0
    plan = ["--datasets", str(path), "diabetes", "--target", "y", "--agents", "random", "--query_sizes", "4"]
    capsys.readouterr()
    assert sweep.main([*plan, "--run_ids", "1-3", "--budget", "8", "--dry_run", *typed[4:]]) == 0
    assert "t.csv 4 random nf published" in capsys.readouterr().out
    with pytest.raises(UserError, match="these are for tables"):
        sweep.main(["--datasets", "diabetes", "--target", "y", "--agents", "random", "--dry_run"])
    # The same name, another content.
    path.write_bytes(text(changed(b=1.5 * make_frame()["b"])))
    with pytest.raises(UserError, match="was made with sha256"):
        evaluate.main(trial)


# --- OpenML --------------------------------------------------------------------------------

# Name, type, and what else the metadata say of it.
COLUMNS = (
    ("no", "numeric", "is_row_identifier"),
    ("a", "numeric", ""),
    ("kind", "nominal", ""),
    ("same", "numeric", "is_ignore"),
    ("b", "nominal", ""),
    ("name", "string", "is_ignore"),
    ("y", "numeric", "is_target"),
)
SAID = ("is_target", "is_ignore", "is_row_identifier")
FEATURES = [
    {"name": name, "data_type": kind, **{one: str(one == what).lower() for one in SAID}}
    for name, kind, what in COLUMNS
]


@pytest.fixture
def site(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:  # noqa: F811
    """A server that has the table 77 as OpenML has its tables."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tables, "sleep", lambda seconds: None)
    monkeypatch.setattr(own, "API", server.url("/api"))
    offer(server)
    return server


def offer(server: Server, table: bytes | None = None, **changes: Any) -> None:  # noqa: F811
    table = arff(make_frame()) if table is None else table
    url = server.answer("/file", whole(table))
    description = {
        "id": "77",
        "format": "ARFF",
        "url": url,
        "default_target_attribute": "y",
        "md5_checksum": hashlib.md5(table).hexdigest(),
    }
    said = {"data_set_description": description | changes}
    server.answer("/api/data/77", whole(json.dumps(said).encode()))
    server.answer(
        "/api/data/features/77", whole(json.dumps({"data_features": {"feature": FEATURES}}).encode())
    )


def test_openml_gives_target_and_types(site: Server, tmp_path: Path) -> None:
    cls = find_dataset("openml:77", data_folder=tmp_path)
    assert cls.folder == "openml-77"
    data = cls(tmp_path, Seeds())
    frame = make_frame()
    train, _ = train_and_test(N)
    codes = sorted({str(b) for b in frame["b"].iloc[train]})
    assert [name for name in data.feature_names() if name.startswith("b_")] == [f"b_{code}" for code in codes]
    assert data.more_settings["target"] == "y"
    assert {path.name for path in tmp_path.glob("[!.]*")} == {"openml-77.json", "openml-77.arff"}
    asked = len(site.requests)
    assert asked == 3
    own._table_class.cache_clear()
    assert find_dataset("openml:77", "y", data_folder=tmp_path).feature_names() == data.feature_names()
    assert len(site.requests) == asked


def test_files_put_by_hand_need_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "API", "http://127.0.0.1:9")
    said = {"description": {"default_target_attribute": "y"}, "features": FEATURES}
    (tmp_path / "openml-77.json").write_text(json.dumps(said))
    found = []
    for name in ("openml-77.parquet", "openml-77.arff"):
        own._table_class.cache_clear()
        write(tmp_path, name, make_frame())
        data = find_dataset("openml:77", data_folder=tmp_path)(tmp_path, Seeds())
        found.append((data.digest(), data.feature_names()))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"md5_checksum": "0" * 32}, "its md5 is"),
        ({"format": "Sparse_ARFF"}, "its format is Sparse_ARFF; only ARFF is read"),
        ({"url": "http://127.0.0.1:9/no"}, "cannot be downloaded"),
        ({"default_target_attribute": None}, "openml:77: which column is the target? It has a, kind, b, y"),
    ],
)
def test_what_openml_cannot_give_is_told_in_one_line(
    changes: dict[str, Any], message: str, site: Server, tmp_path: Path
) -> None:
    offer(site, **changes)
    with pytest.raises(UserError, match=r"^[^\n]*$") as info:
        find_dataset("openml:77", data_folder=tmp_path)
    assert message in str(info.value)
    with pytest.raises(UserError, match=r"openml:78: cannot be downloaded \(http://.*: HTTP status 404"):
        find_dataset("openml:78", data_folder=tmp_path)

"""README.md, CONTRIBUTING.md and docs/: links lead to files, and what the code blocks show works.

Commands are read by bash and then by the real argument parsers, so an option that is not there fails; they
are not carried out. Python blocks are run here or by the tests that `ELSEWHERE` names.
"""

import argparse
import contextlib
import importlib
import io
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch

from core.agent import AGENTS
from core.data.own import is_own
from core.dataset import DATASETS
from core.experiment import BASELINES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]

#: Blocks that are neither commands nor Python, and why nothing runs them.
NOT_RUN = {
    "text": "a diagram, or what is printed",
    "yaml": "tests/test_converged.py varies the training",
}
#: Commands that are only read by bash, and why.
NOT_PARSED = {
    "jupyter": "tests/slow/test_notebook.py runs the notebook; Jupyter itself is no dependency of the tests",
    "tensorboard": "another project's, which watches logs until it is stopped",
    "ray": "its start is another project's; tests/slow/test_ray.py begins sweeps",
}
#: Python blocks by page and a part of their text: the test that runs them.
ELSEWHERE = {
    ("CONTRIBUTING.md", '@AGENTS.register("uncertain_far")'): "test_adding.py",
    ("CONTRIBUTING.md", '@AGENTS.register("mean_gradients")'): "test_adding.py",
    ("CONTRIBUTING.md", '@DATASETS.register("friedman")'): "test_adding.py",
    ("docs/ADD_A_MODEL.md", '@REGRESSORS.register("ridge")'): "slow/test_own_model.py",
    ("docs/USING.md", "core.Experiment("): "test_experiment.py",
}
#: Names that the pages themselves add.
SHOWN_NAMES = {"uncertain_far", "mean_gradients", "friedman"}


class Block(NamedTuple):
    page: str
    language: str
    text: str


def blocks() -> Iterator[Block]:
    for page, name in zip(PAGES, IDS, strict=True):
        text = page.read_text(encoding="utf-8")
        for language, code in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            yield Block(name, language, code)
        # Commands within a sentence.
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        for code in re.findall(r"`((?:python )?[\w/]+\.py --[^`<]*)`", prose):
            line = " ".join(code.split())
            yield Block(name, "", line if line.startswith("python ") else f"python {line}")


BLOCKS = list(blocks())
COMMANDS = [block for block in BLOCKS if not block.language]
PYTHON = [block for block in BLOCKS if block.language == "python"]


def prose_of(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = (re.sub(r"[`*]", "", text.lower()) for text in re.findall(r"^#+ (.*)$", prose_of(page), re.M))
    return {re.sub(r"[^\w\- ]", "", text).replace(" ", "-") for text in headings}


MORE_PAGES = [ROOT / name for name in ("CHANGELOG.md", "SECURITY.md", "results/README.md")]


@pytest.mark.parametrize("page", [*PAGES, *MORE_PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if "://" not in link:
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                wrong.append(link)
    assert wrong == []


def test_versions_agree() -> None:
    project = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    citation = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.M)
    changed = re.search(r"^## \[(\d.*)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert project
    assert citation
    assert changed
    assert project[1] == citation[1] == changed[1]


def test_every_block_is_looked_at() -> None:
    assert {block.language for block in BLOCKS} == {"", "python", *NOT_RUN}
    assert len(COMMANDS) > 20
    for (page, part), test in ELSEWHERE.items():
        assert [block for block in PYTHON if block.page == page and part in block.text], (page, part)
        assert (ROOT / "tests" / test).exists()


# --- commands --------------------------------------------------------------------------------


def typed(block: Block) -> list[list[str]]:
    """The commands of a block as bash would start them, loops and all; a place holder is a word."""
    names = ["python", "make", "pip", *NOT_PARSED]
    # One write a command: jobs tell theirs at the same time.
    told = "local all; printf -v all '%s\\037' {} \"$@\"; printf '%s\\n' \"$all\""
    heads = "".join(f"{name}() {{ {told.format(name)}; }}\n" for name in names)
    text = re.sub(r"<(\w+)>", r"\1", block.text)
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-euo", "pipefail", "-c", f"{heads}{text}"],
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [line.split("\037")[:-1] for line in done.stdout.splitlines()]


class ParsedError(Exception):
    """The arguments are good."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.namespace = args


def parsed(command: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace | None:
    """What the script's own parser makes of a command; the script ends there."""
    script, *arguments = command
    if script == "-m":
        name, *arguments = arguments
    else:
        assert (ROOT / script).is_file(), script
        name = Path(script).stem
        monkeypatch.syspath_prepend(str((ROOT / script).parent))
    parse = argparse.ArgumentParser.parse_args

    def parse_and_end(parser: argparse.ArgumentParser, *given: Any, **others: Any) -> argparse.Namespace:
        raise ParsedError(parse(parser, *given, **others))

    monkeypatch.setattr(sys, "argv", [script, *arguments])
    if name in ("pytest", "venv"):
        return None
    main = importlib.import_module(name).main
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_end)
    with pytest.raises(ParsedError) as ended:
        main()
    return ended.value.namespace


def check_names(args: argparse.Namespace) -> None:
    """Agents and datasets are there."""
    for option, registry in (("agent", AGENTS), ("dataset", DATASETS)):
        values = [getattr(args, option, None), *(getattr(args, f"{option}s", None) or [])]
        for value in values:
            if (
                value
                and value not in {*SHOWN_NAMES, *BASELINES}
                and not (option == "dataset" and is_own(value))
            ):
                registry.name(value)
    if getattr(args, "file", None):
        assert (ROOT / args.file).is_file()


@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: block.page)
def test_commands_parse(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    commands = typed(block)
    assert commands
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name, *words in commands:
        if name == "make":
            targets = [word for word in words if "=" not in word]
            assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets), words
        elif name == "pip":
            extras = re.findall(r"\.\[([\w,]+)\]", shlex.join(words))
            assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras), words
        elif name == "python" and words[-1] not in ("--help", "--list"):
            args = parsed(words, monkeypatch)
            monkeypatch.undo()
            monkeypatch.chdir(ROOT)
            if args is not None:
                check_names(args)
        else:
            assert name in {"python", *NOT_PARSED}


def test_an_option_that_is_not_there_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    block = Block("", "", "for i in 1 2; do python evaluate.py --agent random --datset diabetes & done; wait")
    (command, *_) = [words for name, *words in typed(block) if name == "python"]
    with pytest.raises(SystemExit):
        parsed(command, monkeypatch)


# --- Python ----------------------------------------------------------------------------------


def run_own_data(code: str, folder: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(200, 3)), columns=["rooms", "age", "price"])
    (folder / "path/to").mkdir(parents=True)
    table.to_csv(folder / "path/to/houses.csv", index=False)
    scope: dict[str, Any] = {}
    exec(code, scope)
    assert scope["experiment"].dataset_class.more_settings["target"] == "price"


def run_metric(code: str, folder: Path) -> None:
    from core.metrics import Metric

    metric = eval(code, {"Metric": Metric})
    tested = argparse.Namespace(predictions=torch.tensor([1.0, 2.0]), targets=torch.tensor([1.0, 4.0]))
    assert metric.function(tested) == pytest.approx(1.0)


def run_figure(code: str, folder: Path) -> None:
    from core.report import sections

    before = dict(sections.SECTIONS)
    try:
        exec(code, vars(sections) | {"__name__": sections.__name__})
        (made,) = (name for name in sections.SECTIONS if name not in before)
        found = sections.SECTIONS[made].make(two_runs())
        assert isinstance(found, pd.DataFrame)
        assert found["count"].tolist() == [2]
    finally:
        sections.SECTIONS.clear()
        sections.SECTIONS.update(before)


def two_runs() -> Any:
    from core.report.load import EXPERIMENT

    curves = pd.DataFrame(
        [("d", "nf", "corrected", 5, "random", run, 10 * n, "mae", 0.1) for run in (1, 2) for n in (1, 2)],
        columns=[*EXPERIMENT, "run", "labelled", "metric", "value"],
    )
    return argparse.Namespace(curves=curves)


def run_environment(code: str, folder: Path) -> None:
    scope: dict[str, Any] = {}
    exec(code, scope)
    assert scope["done"]
    assert scope["info"]["added"] == 100


def run_loop(code: str, folder: Path) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    lines = printed.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == [str(n) for n in range(55, 101, 5)]
    assert len(code.strip().splitlines()) == 10


def run_library(code: str, folder: Path) -> None:
    """An example, after the arrays that all examples share."""
    arrays, *examples = (block.text for block in PYTHON if block.page == "docs/LIBRARY.md")
    scope: dict[str, Any] = {}
    exec(arrays, scope)
    if code in examples:
        exec(code, scope)
        assert len(set(scope["chosen"].tolist())) == 20


RUN_HERE: dict[tuple[str, str], Callable[[str, Path], None]] = {
    ("README.md", "core.Experiment("): run_loop,
    ("docs/OWN_DATA.md", "core.Experiment("): run_own_data,
    ("docs/LEARNING.md", "gymnasium.make("): run_environment,
    ("docs/LIBRARY.md", "X0, y0, pool ="): run_library,
    ("docs/LIBRARY.md", "RandomForestRegressor("): run_library,
    ("docs/LIBRARY.md", "GaussianProcessRegressor("): run_library,
    ("docs/LIBRARY.md", "nn.Sequential("): run_library,
    ("CONTRIBUTING.md", 'Metric("bias"'): run_metric,
    ("CONTRIBUTING.md", '@section("Final MAE")'): run_figure,
}


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.page)
def test_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keys = [key for key in (*RUN_HERE, *ELSEWHERE) if key[0] == block.page and key[1] in block.text]
    assert len(keys) == 1, "no test runs this block, or it is not known which"
    if keys[0] in RUN_HERE:
        RUN_HERE[keys[0]](block.text, tmp_path)

"""The hyper-parameters of a dataset and variation, read from `configs/`."""

import math
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from .errors import UserError

__all__ = ["CONFIGS", "VARIATIONS", "Config", "load_config", "note_default_config"]

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
#: What `--variation` takes, and the model it stands for.
_MODELS = {"nf": "nsf", "gauss": "gauss", "ensemble": "nsf", "gauss_ensemble": "gauss"}
VARIATIONS = tuple(_MODELS)
_FITTING = ("finetuning", "from_scratch")


@dataclass(frozen=True)
class Config:
    """Model and training of one experiment; the keys of a file in `configs/`.

    Attributes:
        model: `nsf` (neural spline flow) or `gauss` (mean and standard deviation heads); no key of
            the file, the variation says it.
        hidden: widths of the encoder's layers after the first, which is as wide as the first of them.
        dropout: dropout rate of the encoder.
        fitting: `finetuning` keeps weights and optimiser from fit to fit, `from_scratch` restores
            the initial ones.
        batch_size: minibatch size.
        lr, weight_decay: of NAdam.
        first_epochs, later_epochs: most epochs of the first fit and of every later one.
        patience: a fit stops after more than so many epochs in a row without improvement.
        members: models of a deep ensemble; a key of the ensembles' files only, 1 elsewhere.
    """

    model: str
    hidden: tuple[int, ...]
    dropout: float
    fitting: str
    batch_size: int
    lr: float
    weight_decay: float
    first_epochs: int
    later_epochs: int
    patience: int
    members: int = 1


def _problem(key: str, value: Any) -> str | None:
    """What is wrong with the value of a key, or None."""

    def number(low: float, high: float = math.inf) -> str | None:
        real = isinstance(value, int | float) and not isinstance(value, bool)
        return None if real and low <= value < high else f"a number in [{low}, {high})"

    def count(item: Any) -> bool:
        return isinstance(item, int) and not isinstance(item, bool) and item > 0

    if key == "fitting":
        wanted = None if value in _FITTING else "one of " + ", ".join(_FITTING)
    elif key == "hidden":
        fine = isinstance(value, list) and value and all(map(count, value))
        wanted = None if fine else "a list of positive integers"
    elif key == "dropout":
        wanted = number(0, 1)
    elif key in ("lr", "weight_decay"):
        wanted = number(0)
    else:
        wanted = None if count(value) else "a positive integer"
    return wanted and f"'{key}' must be {wanted}, got {value!r}"


def _number(value: Any) -> Any:
    """YAML takes 1e-3 for a text; it is a number here."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def load_config(dataset: str, variation: str, folder: Path | None = None) -> tuple[Config, Path]:
    """Reads `<dataset>.yaml` (variation nf) or `<dataset>_<variation>.yaml`.

    A dataset without a file of its own takes `default.yaml` or `default_<variation>.yaml`.

    Returns:
        The configuration and the file it came from.

    Raises:
        UserError: the file is not YAML, or a key is unknown, missing or has a wrong value.
    """
    suffix = "" if variation == "nf" else f"_{variation}"
    folder = CONFIGS if folder is None else folder
    path = folder / f"{dataset}{suffix}.yaml"
    if not path.exists():
        path = folder / f"default{suffix}.yaml"
    try:
        raw = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    other = {"model"} if "ensemble" in variation else {"model", "members"}
    known = [field.name for field in fields(Config) if field.name not in other]
    if not isinstance(raw, dict):
        raise UserError(f"{path}: a mapping with the keys {', '.join(known)} is wanted")
    if unknown := [str(key) for key in raw if key not in known]:
        raise UserError(f"{path}: unknown key {', '.join(unknown)}; known are {', '.join(known)}")
    if missing := [key for key in known if key not in raw]:
        raise UserError(f"{path}: missing key {', '.join(missing)}")
    raw |= {key: _number(raw[key]) for key in ("lr", "weight_decay", "dropout")}
    for key, value in raw.items():
        if problem := _problem(key, value):
            raise UserError(f"{path}: {problem}")
    return Config(**{**raw, "model": _MODELS[variation], "hidden": tuple(raw["hidden"])}), path


def note_default_config(dataset: str, file: str) -> None:
    """Says on stderr that a dataset has no configuration of its own, if `file` is the default one."""
    if file.startswith("default"):
        print(f"note: no configs/{dataset}.yaml, {file} is used", file=sys.stderr)

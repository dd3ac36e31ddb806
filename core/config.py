"""The hyper-parameters of an experiment: what a file in `configs/` says, and what it may say."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .errors import UserError
from .files import one_line, parse_yaml, read_bytes

CONFIGS = Path(__file__).resolve().parent.parent / "configs"


@dataclass(frozen=True)
class Config:
    """Model and training of one experiment: the keys of the files in `configs/`."""

    model: str  # name in `core.models.networks.MODELS`; set by the variation, not in the file
    # Widths of the encoder's layers after the first, which is as wide as the first of them.
    hidden: tuple[int, ...]
    dropout: float  # rate of the encoder
    # `finetuning` keeps weights and optimiser from fit to fit, `from_scratch` restores the initial ones.
    fitting: str
    batch_size: int
    lr: float  # of NAdam
    weight_decay: float
    first_epochs: int  # most of the first fit
    later_epochs: int  # and of every later one
    patience: int  # a fit stops after more validations in a row without a new minimum
    first_patience: int | None = None  # of the first fit, which begins on a plateau
    # A fit ends with model and optimiser as they were at its lowest validation NLL, perhaps at its beginning.
    best_weights: bool = False
    # Decay, per step, of the moving average of the weights, which is what is validated and used; 0: none.
    average: float = 0.0
    watched_rows: int | None = None  # the first validation rows, which early stopping watches
    check_every: int = 1  # epochs from one validation to the next
    members: int = 1  # models of a deep ensemble


def _wanted(name: str, kind: Any, value: Any) -> str:
    """In words, the values that a key of this type may have; empty if this is one of them."""
    if name == "hidden":
        fits = isinstance(value, tuple) and len(value) > 0 and all(map(_is_count, value))
        wanted = "a list of positive integers"
    elif name == "fitting":
        fits, wanted = value in ("finetuning", "from_scratch"), "one of finetuning, from_scratch"
    elif kind is bool:
        fits, wanted = isinstance(value, bool), "true or false"
    elif kind is float:
        end = 1 if name in ("dropout", "average") else math.inf
        fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < end
        wanted = f"a number in [0, {end})"
    else:
        fits, wanted = _is_count(value), "a positive integer"
    return "" if fits else wanted


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def check_changes(changes: Any, where: object) -> dict[str, Any]:
    """Values for fields of a `Config`; a UserError says `where` a key is unknown or has a wrong value."""
    if not isinstance(changes, Mapping):
        raise UserError(f"{where}: expected a mapping of keys to values")
    keys = {one.name: one for one in fields(Config) if one.name != "model"}
    if unknown := [str(key) for key in changes if key not in keys]:
        raise UserError(f"{where}: unknown key {one_line(', '.join(unknown))}; known are {', '.join(keys)}")
    values = {}
    for name, given in changes.items():
        key, value = keys[name], given
        if isinstance(value, list):
            value = tuple(value)
        elif isinstance(value, str) and key.type is float:  # YAML takes 1e-3 for a text
            with suppress(ValueError):
                value = float(value)
        if (wanted := _wanted(name, key.type, value)) and not (value is None and key.default is None):
            raise UserError(f"{where}: '{name}' must be {wanted}, got {one_line(repr(given))}")
        values[name] = value
    return values


def read_file(path: Path) -> Any:
    """What is in a YAML file; a UserError if it cannot be read, or is none."""
    try:
        return parse_yaml(read_bytes(path))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {one_line(error)}") from error

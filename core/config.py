"""The hyper-parameters of an experiment: what a file in `configs/` says, and what it may say."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import UserError
from .files import one_line, parse_yaml, read_bytes

CONFIGS = Path(__file__).resolve().parent.parent / "configs"

#: Larger ones are typing errors, or need more memory than there is.
_MOST, _LAYERS, _WIDTH, _MEMBERS = 10**9, 100, 16_384, 1000


def _key(wanted: str, fits: Callable[[Any], bool], **default: Any) -> Any:
    """A field; `wanted` says in words which values fit."""
    return field(metadata={"wanted": wanted, "fits": fits}, **default)


def _number(low: float, high: float, **default: Any) -> Any:
    def fits(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value < high

    return _key(f"a number in [{low}, {high})", fits, **default)


def _is_count(value: Any, most: int = _MOST) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most


def _count(most: int = _MOST, **default: Any) -> Any:
    return _key(f"a positive integer up to {most:,}", lambda value: _is_count(value, most), **default)


def _is_widths(value: Any) -> bool:
    return isinstance(value, tuple) and 0 < len(value) <= _LAYERS and all(_is_count(w, _WIDTH) for w in value)


@dataclass(frozen=True)
class Config:
    """Model and training of one experiment; the keys of the files in `configs/`, each with its rule."""

    model: str  # name in `core.models.networks.MODELS`; set by the variation, not in the file
    # Widths of the encoder's layers after the first, which is as wide as the first of them.
    hidden: tuple[int, ...] = _key(
        f"a list of at most {_LAYERS} positive integers up to {_WIDTH:,}", _is_widths
    )
    dropout: float = _number(0, 1)  # rate of the encoder
    # `finetuning` keeps weights and optimiser from fit to fit, `from_scratch` restores the initial ones.
    fitting: str = _key(
        "one of finetuning, from_scratch", lambda value: value in ("finetuning", "from_scratch")
    )
    batch_size: int = _count()
    lr: float = _number(0, math.inf)  # of NAdam
    weight_decay: float = _number(0, math.inf)
    first_epochs: int = _count()  # most of the first fit
    later_epochs: int = _count()  # and of every later one
    patience: int = _count()  # a fit stops after more validations in a row without a new minimum
    first_patience: int | None = _count(default=None)  # of the first fit, which begins on a plateau
    # A fit ends with model and optimiser as they were at its lowest validation NLL, perhaps at its beginning.
    best_weights: bool = _key("true or false", lambda value: isinstance(value, bool), default=False)
    # Decay, per step, of the moving average of the weights, which is what is validated and used; 0: none.
    average: float = _number(0, 1, default=0.0)
    watched_rows: int | None = _count(default=None)  # the first validation rows, which early stopping watches
    check_every: int = _count(default=1)  # epochs from one validation to the next
    members: int = _count(_MEMBERS, default=1)  # models of a deep ensemble


def check_changes(changes: Any, where: object) -> dict[str, Any]:
    """Values for fields of a `Config`; a UserError says `where` a key is unknown or has a wrong value."""
    if not isinstance(changes, Mapping):
        raise UserError(f"{where}: expected a mapping of keys to values")
    keys = {one.name: one for one in fields(Config) if one.metadata}
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
        if not key.metadata["fits"](value) and not (value is None and key.default is None):
            raise UserError(
                f"{where}: '{name}' must be {key.metadata['wanted']}, got {one_line(repr(given))}"
            )
        values[name] = value
    return values


def read_file(path: Path) -> Any:
    """What is in a YAML file; a UserError if it cannot be read, or is none."""
    try:
        return parse_yaml(read_bytes(path))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {one_line(error)}") from error

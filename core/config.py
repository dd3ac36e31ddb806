"""The hyper-parameters of an experiment: what a file in `configs/` says, and what it may say."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from .errors import UserError
from .safe_io import one_line, parse_yaml, read_bytes

__all__ = ["CONFIGS", "Config", "check_changes", "read_file"]

CONFIGS = Path(__file__).resolve().parent.parent / "configs"


class _Rule(NamedTuple):
    """What the values of a key must be, in words, and what makes the field's of one, None of a wrong one."""

    wanted: str
    read: Callable[[Any], Any]


def _rule(wanted: str, read: Callable[[Any], Any]) -> dict[str, _Rule]:
    """A field's metadata."""
    return {"rule": _Rule(wanted, read)}


def _number(low: float, high: float = math.inf) -> dict[str, _Rule]:
    def read(value: Any) -> Any:
        if isinstance(value, str):  # YAML takes 1e-3 for a text
            try:
                value = float(value)
            except ValueError:
                return None
        if isinstance(value, int) and abs(value) > _MOST:  # float() of it may fail later
            return None
        real = isinstance(value, int | float) and not isinstance(value, bool)
        return value if real and low <= value < high else None

    return _rule(f"a number in [{low}, {high})", read)


def _one_of(*names: str) -> dict[str, _Rule]:
    return _rule("one of " + ", ".join(names), lambda value: value if value in names else None)


def _count(value: Any) -> Any:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST else None


def _counts(value: Any) -> Any:
    good = isinstance(value, list | tuple) and 0 < len(value) <= _LAYERS and all(map(_count, value))
    return tuple(value) if good and max(value) <= _WIDTH else None


#: Larger ones are slips, or ask for more memory than there is.
_MOST, _LAYERS, _WIDTH, _MEMBERS = 10**9, 100, 16_384, 1000
_COUNT = _rule(f"a positive integer up to {_MOST:,}", _count)
_COUNTS = _rule(f"a list of at most {_LAYERS} positive integers up to {_WIDTH:,}", _counts)


def _flag(value: Any) -> Any:
    return value if isinstance(value, bool) else None


def _members(value: Any) -> Any:
    return value if _count(value) and value <= _MEMBERS else None


@dataclass(frozen=True)
class Config:
    """Model and training of one experiment; the keys of the files in `configs/`, each with its rule.

    Attributes:
        model: name in `core.models.networks.MODELS`, such as `nsf` (neural spline flow); no key of the file,
            the variation says it.
        hidden: widths of the encoder's layers after the first, which is as wide as the first of them.
        dropout: dropout rate of the encoder.
        fitting: `finetuning` keeps weights and optimiser from fit to fit, `from_scratch` restores
            the initial ones.
        batch_size: minibatch size.
        lr, weight_decay: of NAdam.
        first_epochs, later_epochs: most epochs of the first fit and of every later one.
        patience: a fit stops after more than so many validations in a row without a new minimum.
        first_patience: that of the first fit, which begins on a plateau; None for `patience`.
        best_weights: a fit ends with model and optimiser as they were at its lowest validation NLL, which may
            be where it began; if false, as they are after its last epoch.
        average: decay, per step, of the moving average of the weights, which is what is validated and used;
            0 for the weights themselves.
        watched_rows: early stopping watches at most so many validation rows, the first ones; None for all.
        check_every: epochs from one validation to the next; patience counts validations.
        members: models of a deep ensemble; 1 for a single model.
    """

    model: str
    hidden: tuple[int, ...] = field(metadata=_COUNTS)
    dropout: float = field(metadata=_number(0, 1))
    fitting: str = field(metadata=_one_of("finetuning", "from_scratch"))
    batch_size: int = field(metadata=_COUNT)
    lr: float = field(metadata=_number(0))
    weight_decay: float = field(metadata=_number(0))
    first_epochs: int = field(metadata=_COUNT)
    later_epochs: int = field(metadata=_COUNT)
    patience: int = field(metadata=_COUNT)
    first_patience: int | None = field(default=None, metadata=_COUNT)
    best_weights: bool = field(default=False, metadata=_rule("true or false", _flag))
    average: float = field(default=0.0, metadata=_number(0, 1))
    watched_rows: int | None = field(default=None, metadata=_COUNT)
    check_every: int = field(default=1, metadata=_COUNT)
    members: int = field(default=1, metadata=_rule(f"a positive integer up to {_MEMBERS:,}", _members))


def check_changes(changes: Any, where: object) -> dict[str, Any]:
    """Values for fields of a `Config`, from the keys and values that a user gave.

    Args:
        where: they came from, for messages.

    Raises:
        UserError: they are no mapping, or a key is unknown or has a wrong value.
    """
    if not isinstance(changes, Mapping):
        raise UserError(f"{where}: expected a mapping of keys to values")
    rules = {one.name: one.metadata["rule"] for one in fields(Config) if one.metadata}
    optional = {one.name for one in fields(Config) if one.default is None}
    if unknown := [str(key) for key in changes if key not in rules]:
        raise UserError(f"{where}: unknown key {one_line(', '.join(unknown))}; known are {', '.join(rules)}")
    values = {key: rules[key].read(value) for key, value in changes.items()}
    for key, value in changes.items():
        if values[key] is None and not (value is None and key in optional):
            raise UserError(f"{where}: '{key}' must be {rules[key].wanted}, got {one_line(repr(value))}")
    return values


def read_file(path: Path) -> Any:
    """What is in a YAML file.

    Raises:
        UserError: it cannot be read, or is not YAML.
    """
    try:
        return parse_yaml(read_bytes(path))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {one_line(error)}") from error

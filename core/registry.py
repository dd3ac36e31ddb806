"""Names of the command line and the classes behind them."""

import difflib
from collections.abc import Callable
from typing import Generic, TypeVar

from .errors import UserError

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from name to class, filled by a decorator.

    Example:
        >>> birds = Registry("bird")
        >>> @birds.register("tit", "titmouse")
        ... class Tit: ...
        >>> birds["titmouse"].__name__
        'Tit'
        >>> birds["tot"]
        Traceback (most recent call last):
        core.errors.UserError: unknown bird 'tot'; did you mean tit? (evaluate.py --list shows all)
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.classes: dict[str, type[T]] = {}
        self._aliases: dict[str, str] = {}

    def register(self, name: str, *aliases: str) -> Callable[[type[T]], type[T]]:
        """Class decorator that makes a class known as `name` (and by its aliases)."""

        def add(cls: type[T]) -> type[T]:
            for new in (name, *aliases):
                if new in self.classes or new in self._aliases:
                    raise ValueError(f"{self.kind} '{new}' is there already: {self[new]}")
            folder = getattr(cls, "folder", None)
            if folder and any(folder == getattr(known, "folder", None) for known in self.classes.values()):
                raise ValueError(f"{self.kind} '{name}': another writes to the result folder {folder}")
            self.classes[name] = cls
            self._aliases.update(dict.fromkeys(aliases, name))
            return cls

        return add

    def name(self, name: str) -> str:
        """The registered name that `name`, or the alias `name`, stands for.

        Raises:
            UserError: nothing has that name; the message holds the nearest ones.
        """
        if name in self.classes:
            return name
        if name in self._aliases:
            return self._aliases[name]
        known = [*self.classes, *self._aliases]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "one of " + ", ".join(self.classes)
        raise UserError(f"unknown {self.kind} '{name}'; {hint} (evaluate.py --list shows all)")

    def __getitem__(self, name: str) -> type[T]:
        return self.classes[self.name(name)]

    def aliases(self, name: str) -> list[str]:
        """The other names of the class registered as `name`."""
        return [alias for alias, of in self._aliases.items() if of == name]

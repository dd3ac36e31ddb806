"""Names of the command line and the classes behind them."""

import difflib
from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Generic, TypeVar

from .errors import UserError

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from name to class, filled by a decorator.

    Args:
        kind: what the classes are, for messages.
        package: the modules that register them, imported at the first look-up.
        folders: each class must declare `folder`, the name of its own result folder.
    """

    def __init__(self, kind: str, package: str = "", *, folders: bool = True) -> None:
        self.kind = kind
        self._folders = folders
        self._package = package  # until it has been imported
        self._classes: dict[str, type[T]] = {}
        self._aliases: dict[str, str] = {}

    def register(self, name: str, *aliases: str) -> Callable[[type[T]], type[T]]:
        """Class decorator; a UserError if a name or folder is taken, or the class declares no folder.

        A class with the same module and name replaces the earlier one, so that a notebook's cell can run
        again.
        """

        def add(cls: type[T]) -> type[T]:
            for new in (name, *aliases):
                known = self._classes.get(self._aliases.get(new, new))
                if known and _place(known) != _place(cls):
                    raise UserError(f"{self.kind} '{new}' is there already: {_place(known)}, {_place(cls)}")
            if self._folders:
                self._check_folder(name, cls)
            self._classes[name] = cls
            self._aliases.update(dict.fromkeys(aliases, name))
            return cls

        return add

    def _check_folder(self, name: str, cls: type[T]) -> None:
        # Its own: the results of a class and of one that inherits from it must not mix.
        if (folder := vars(cls).get("folder")) is None:
            needed = "a class attribute folder of its own, the name of its result folder"
            raise UserError(f"{self.kind} '{name}': {cls.__name__} needs {needed}")
        for other in (*cls.__mro__[1:], *self._classes.values()):
            if folder == vars(other).get("folder") and _place(other) != _place(cls):
                raise UserError(f"{self.kind} '{name}': its folder {folder} is that of {other.__name__}")

    @property
    def classes(self) -> dict[str, type[T]]:
        """All classes by their names."""
        if self._package:
            for module in iter_modules(import_module(self._package).__path__):
                if not module.ispkg:  # such as agents/shared
                    import_module(f"{self._package}.{module.name}")
            self._package = ""  # at the end: after a broken file, the next look-up raises the same
        return self._classes

    def name(self, name: str) -> str:
        """The registered name of a name or an alias; a UserError with similar names if there is none."""
        if name in self.classes:
            return name
        if name in self._aliases:
            return self._aliases[name]
        known = [*self.classes, *self._aliases]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f" (did you mean {' or '.join(near)}?)" if near else "; one of " + ", ".join(self.classes)
        raise UserError(f"unknown {self.kind} '{name}'{hint}", "list")

    def __getitem__(self, name: str) -> type[T]:
        return self.classes[self.name(name)]

    def aliases(self, name: str) -> list[str]:
        """The other names of the class registered as `name`."""
        name = self.name(name)
        return [alias for alias, registered in self._aliases.items() if registered == name]


def _place(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"

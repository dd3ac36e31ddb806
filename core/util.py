"""Progress bars, on a terminal and without one."""

import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, ClassVar

import tqdm as _tqdm

#: Arguments of `tqdm` for this run's bars: title and start, or that they are off.
bar: ContextVar[Mapping[str, Any]] = ContextVar("bar", default=MappingProxyType({}))

#: Whether standard error is not a terminal, as in a cluster's job.
is_cluster = sys.stderr is None or not sys.stderr.isatty()


class tqdm(_tqdm.tqdm):  # noqa: N801 (it stands in for tqdm's own)
    """tqdm's bar; an unattended job prints at most a line a minute, and the last one.

    `EnvironmentLogger` sets `unattended`, for the whole process, when it is entered.
    """

    unattended: ClassVar[bool] = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs = {**bar.get(), **kwargs}
        if self.unattended:
            kwargs |= {"mininterval": 60, "maxinterval": 120, "miniters": 1, "ascii": True, "ncols": 100}
        super().__init__(*args, **kwargs)

    def __iter__(self) -> Iterator[Any]:
        # tqdm's own leaves out the round that a loop ends with `break`: the bar stops at 99 %.
        try:
            for item in self.iterable:
                yield item
                self.update()
        except GeneratorExit:
            self.update()
            raise
        finally:
            self.close()

    def set_postfix(self, *args: Any, **kwargs: Any) -> None:
        """As tqdm's, but an unattended bar is not drawn again at once."""
        super().set_postfix(*args, **({"refresh": False} | kwargs if self.unattended else kwargs))

"""Runs side by side: models that are to be fitted at the same time are trained as one stack.

Each run is a greenlet, a function that can pause and resume. `fit` pauses it and passes the request to the
driver; when all runs wait, the driver trains their models as one stack, and resumes each with its result:

    run 1   choose - fit ----.                  .-- result - test, choose - fit ...
    run 2   choose - fit ----+- one stack [3] --+-- result - test, choose - fit ...
    run 3   choose - fit ----'   is trained     '-- result - test, choose - fit ...

Without a driver, a fit is done at once.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TypeVar

from greenlet import getcurrent, greenlet

from .trainer import FitRequest, FitResult, train_stack

T = TypeVar("T")


class _Run(greenlet):
    """A run among others; `waited` are the seconds in which it waited for them."""

    waited = 0.0


def fit(request: FitRequest) -> FitResult:
    """Does a fit, together with those of other runs; a FloatingPointError if it diverged."""
    run = getcurrent()
    if isinstance(run, _Run) and run.parent is not None:
        asked = time.perf_counter()
        result = run.parent.switch(request)
        run.waited += time.perf_counter() - asked
    else:
        (result,) = train_stack([request])
    if math.isnan(result.validation_nll):
        where = f"(epoch {result.epochs}, {len(request.x)} points)"
        raise FloatingPointError(f"training diverged: the validation NLL is not a number {where}")
    return result


def own_time() -> float:
    """`time.perf_counter` without the seconds in which this run waited for others."""
    return time.perf_counter() - getattr(getcurrent(), "waited", 0.0)


def side_by_side(runs: Sequence[Callable[[], T]]) -> list[T]:
    """Calls several functions at once; their fits are trained as one stack.

    Returns their results in order. An exception in one ends all: it is raised here, and the others get a
    GreenletExit, so that their `with` and `finally` blocks end.
    """
    tasks = [_Run(run) for run in runs]
    returned: dict[int, T] = {}
    waiting: dict[int, FitRequest] = {}
    results: dict[int, FitResult | None] = dict.fromkeys(range(len(tasks)))
    with ExitStack() as ending:  # all are ended, whatever one of them raises then
        for task in tasks:
            ending.callback(task.throw)
        while results:
            for i, result in results.items():
                sent = tasks[i].switch() if result is None else tasks[i].switch(result)
                if tasks[i].dead:
                    returned[i] = sent
                else:
                    waiting[i] = sent
            # Runs in step ask for fits of one shape. One that was resumed at an earlier round does not,
            # and goes first: once it has caught up, it is trained with the others.
            first = min(waiting.values(), key=lambda request: len(request.x), default=None)
            alike = [i for i, request in waiting.items() if first and request.shape == first.shape]
            began = time.perf_counter()
            fitted = train_stack([waiting.pop(i) for i in alike]) if alike else []
            for i in alike:
                tasks[i].waited -= (time.perf_counter() - began) / len(alike)  # its own share
            results = dict(zip(alike, fitted, strict=True))
    return [returned[i] for i in range(len(tasks))]

"""What all tests need of the process they run in."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings

# The same examples each time, so that a change is judged by what it changed. HYPOTHESIS_PROFILE=search looks
# for new ones.
settings.register_profile("repeat", derandomize=True)
settings.register_profile("search", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))

# A shell starts what it puts into the background with Ctrl-C ignored, and child processes inherit that: the
# tests that send SIGINT would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """`run_script`, called in this process, leaves signals ignored, as a process that exits should."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    handlers = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has suggest.py train for 40 epochs at most, and grow few trees."""
    from core.models import forest
    from core.models.variations import load_config
    from core.suggestion import model

    def load(*names: Any) -> Any:
        return replace(load_config(*names), first_epochs=40)

    monkeypatch.setattr(model, "load_config", load)
    monkeypatch.setattr(forest, "TREES", 20)

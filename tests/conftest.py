"""What all tests need of the process they run in."""

import signal
from collections.abc import Iterator

import pytest

# A shell starts what it puts into the background with Ctrl-C ignored, and child processes inherit that: the
# tests that send SIGINT would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """`run_script`, called in this process, leaves signals ignored, as a process that exits should."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)

"""Where the seconds of a run go."""

import time

__all__ = ["Clock"]


class Clock:
    """Counts the seconds of a run that are its own, not those of the runs beside it.

    Attributes:
        starting: seconds before the first choice: data, model, first fit and first test.
        choosing: seconds between the steps: choosing points, and writing checkpoints.
        in_step: seconds in the steps: training and testing.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """The run begins, now."""
        self.starting = self.choosing = self.in_step = 0.0
        self._left = time.perf_counter()

    def enter(self) -> None:
        """A step begins, now."""
        self.choosing += time.perf_counter() - self._left

    def leave(self, seconds: float) -> None:
        """A step has ended, now.

        Args:
            seconds: those of it that are the run's own.
        """
        self.in_step += seconds
        self._left = time.perf_counter()

    def started(self) -> None:
        """All that has been counted so far belongs to the start."""
        self.starting, self.choosing, self.in_step = self.starting + self.choosing + self.in_step, 0.0, 0.0

    @property
    def total(self) -> float:
        """All seconds of the run until now, outside a step."""
        return self.starting + self.choosing + self.in_step + time.perf_counter() - self._left

    def state_dict(self) -> list[float]:
        """What has been counted so far."""
        return [self.starting, self.choosing, self.in_step]

    def load_state_dict(self, state: list[float]) -> None:
        """Goes on, now, from what `state_dict` gave."""
        self.starting, self.choosing, self.in_step = state
        self._left = time.perf_counter()

"""Where the seconds of a run go."""

from ..training.side_by_side import own_time

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
        self._left = own_time()

    def enter(self) -> None:
        """A step begins, now."""
        now = own_time()
        self.choosing, self._left = self.choosing + now - self._left, now

    def leave(self) -> None:
        """A step has ended, now."""
        now = own_time()
        self.in_step, self._left = self.in_step + now - self._left, now

    def started(self) -> None:
        """All that has been counted so far belongs to the start."""
        self.starting, self.choosing, self.in_step = self.starting + self.choosing + self.in_step, 0.0, 0.0

    @property
    def total(self) -> float:
        """All seconds of the run until now, outside a step."""
        return self.starting + self.choosing + self.in_step + own_time() - self._left

    def state_dict(self) -> list[float]:
        """What has been counted so far."""
        return [self.starting, self.choosing, self.in_step]

    def load_state_dict(self, state: list[float]) -> None:
        """Goes on, now, from what `state_dict` gave."""
        self.starting, self.choosing, self.in_step = state
        self._left = own_time()

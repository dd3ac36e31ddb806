"""Axes that are broken where the beginning of curves is far above the rest."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["draw_broken", "settle", "top"]

#: The y axis breaks where the first tenth of the curves is above the rest by more than half the rest's span.
_BEGINNING, _FAR_ABOVE = 0.1, 0.5
#: Space above and below the curves, as a share of what they span.
_MARGIN = 0.05
#: Height of the part above a break, and the gap, as shares of the part below.
_ABOVE, _GAP = 0.28, 0.04


def draw_broken(panel: Axes, draw: Callable[[Axes], None]) -> None:
    """Draws lines, and breaks the y axis where their beginning is far above the rest.

    The part above the break is a panel of its own, a child of this one; nothing that is finite is cut off but
    the edges of bands.
    """
    draw(panel)
    points = np.concatenate([np.empty((0, 2)), *(line.get_xydata() for line in panel.get_lines())])
    x, y = points[np.isfinite(points).all(axis=1)].T
    if not len(y):
        return
    rest = y[x >= x.min() + _BEGINNING * np.ptp(x)]
    low, high, top = y.min(), rest.max(), y.max()
    if low == top:
        return
    if not top - high > _FAR_ABOVE * (high - rest.min()) > 0:
        margin = _MARGIN * (top - low)
        panel.set_ylim(low - margin, top + margin)
        return
    high += _MARGIN * (high - low)
    panel.set_ylim(low - _MARGIN * (high - low), high)
    above = panel.inset_axes((0, 1 + _GAP, 1, _ABOVE), sharex=panel)
    draw(above)
    above.set_ylim(high, top + _MARGIN * (top - high))
    above.grid(alpha=0.3)
    above.locator_params(axis="y", nbins=3)
    above.tick_params(axis="x", bottom=False, labelbottom=False)
    above.spines[["top", "right", "bottom"]].set_visible(False)
    for part, end in ((panel, 1), (above, 0)):
        slash = [(-1, -0.5), (1, 0.5)]
        part.plot(0, end, transform=part.transAxes, marker=slash, markersize=9, color="black", clip_on=False)


def top(panel: Axes) -> float:
    """Where a panel ends with the part above its break, as a multiple of its own height."""
    return 1 + _GAP + _ABOVE if panel.child_axes else 1


def settle(figure: Figure) -> None:
    """Lays out a figure with broken axes: they change heights, those the ticks, and those the widths."""
    if any(panel.child_axes for panel in figure.axes):
        figure.draw_without_rendering()

"""The flow's two splines on the CPU, compiled: for scoring, where nothing needs a gradient.

They compute what `zuko.transforms.MonotonicRQSTransform` does (Neural Spline Flows, Durkan et al.,
2019, arXiv 1906.04032), one row of parameters after the other: the knots of a row are made once,
however many y follow, and nothing but the result is written to memory. zuko makes some twenty
tensors of the result's size on the way. Both agree to float32 accuracy (tests/test_kernels.py).

Shapes: R rows of parameters, Q rows of targets, G targets in a row; float32 throughout.
"""

import math

import numpy as np
from numba import njit

__all__ = ["BINS", "BOUND", "SLOPE", "forward", "inverse"]

BINS, BOUND, SLOPE = 8, 5.0, 1e-4
_PARAMETERS = 3 * BINS - 1

# Constants of the compiled code: a Python float would turn its arithmetic to float64.
_ONE, _TWO, _FOUR, _ZERO = np.float32(1), np.float32(2), np.float32(4), np.float32(0)
_B, _LOG_SLOPE = np.float32(BOUND), np.float32(math.log(SLOPE))

# Sums may be reordered; NaN and infinity keep their meaning (no nnan, no ninf).
_compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz", "arcp"})


@_compiled
def _knots(raw, x, z, slope):  # type: ignore[no-untyped-def]
    """The knots x, z [9] and the slopes there [9], from the unconstrained parameters [23]."""
    for start, knots in ((0, x), (BINS, z)):
        highest = -np.inf
        for i in range(BINS):
            value = raw[start + i]
            knots[i + 1] = value / (_ONE + abs(_TWO * value / _LOG_SLOPE))
            highest = max(highest, knots[i + 1])
        total = _ZERO
        for i in range(1, BINS + 1):
            knots[i] = math.exp(knots[i] - np.float32(highest))
            total += knots[i]
        share = _ZERO
        knots[0] = -_B
        for i in range(1, BINS + 1):
            share += knots[i] / total
            knots[i] = _B * (_TWO * share - _ONE)
    slope[0] = slope[BINS] = _ONE
    for i in range(BINS - 1):
        value = raw[2 * BINS + i]
        slope[i + 1] = math.exp(value / (_ONE + abs(value / _LOG_SLOPE)))
    if math.isnan(x[BINS] + z[BINS] + slope.sum()):
        # Nothing lies between knots that are NaN, and all would seem to be outside of them.
        x[0] = z[0] = np.nan


@_compiled
def _forward_row(y, jacobian, x, z, slope):  # type: ignore[no-untyped-def]
    """Maps ascending y [G] to z in place and multiplies the Jacobians [G] by dz/dy."""
    if math.isnan(x[0]):
        y[:] = np.nan
        jacobian[:] = np.nan
        return
    n = len(y)
    start = 0
    while start < n and not y[start] > x[0]:  # the identity outside of the knots
        start += 1
    for k in range(BINS):
        stop = start
        while stop < n and y[stop] <= x[k + 1]:
            stop += 1
        width, height = x[k + 1] - x[k], z[k + 1] - z[k]
        s, left, right = height / width, slope[k], slope[k + 1]
        bend = left + right - _TWO * s
        for i in range(start, stop):
            t = (y[i] - x[k]) / width
            u = t * (_ONE - t)
            r = _ONE / (s + bend * u)
            y[i] = z[k] + height * (s * t * t + left * u) * r
            rise = _TWO * s * u + left * (_ONE - t) * (_ONE - t) + right * t * t
            jacobian[i] *= s * s * rise * r * r
        start = stop


@_compiled
def _inverse_row(v, jacobian, x, z, slope, table):  # type: ignore[no-untyped-def]
    """Maps z [G], in any order, to y in place and multiplies the Jacobians [G] by dz/dy."""
    if math.isnan(x[0]):
        v[:] = np.nan
        jacobian[:] = np.nan
        return
    for k in range(BINS):
        height = z[k + 1] - z[k]
        s = height / (x[k + 1] - x[k])
        table[0, k], table[1, k], table[2, k] = height, s, slope[k] + slope[k + 1] - _TWO * s
    for i in range(len(v)):
        if not (v[i] > z[0] and v[i] <= z[BINS]):
            continue
        k = 0
        for inner in range(1, BINS):
            k += v[i] > z[inner]
        height, s, bend, left, right = table[0, k], table[1, k], table[2, k], slope[k], slope[k + 1]
        above = v[i] - z[k]
        a = height * (s - left) + above * bend
        b = height * left - above * bend
        c = -s * above
        # Rounding may push the discriminant of a steep spline below zero.
        t = _TWO * c / (-b - math.sqrt(max(b * b - _FOUR * a * c, _ZERO)))
        u = t * (_ONE - t)
        r = _ONE / (s + bend * u)
        v[i] = x[k] + t * (x[k + 1] - x[k])
        rise = _TWO * s * u + left * (_ONE - t) * (_ONE - t) + right * t * t
        jacobian[i] *= s * s * rise * r * r


@_compiled
def _forward(parameters, y, z, jacobian):  # type: ignore[no-untyped-def]
    knots = np.empty((3, BINS + 1), np.float32)
    x, v, slope = knots[0], knots[1], knots[2]
    for row in range(len(parameters)):
        z[row] = y[row % len(y)]
        jacobian[row] = _ONE
        for first in (0, _PARAMETERS):
            _knots(parameters[row, first : first + _PARAMETERS], x, v, slope)
            _forward_row(z[row], jacobian[row], x, v, slope)


@_compiled
def _inverse(parameters, v, jacobian):  # type: ignore[no-untyped-def]
    knots = np.empty((3, BINS + 1), np.float32)
    x, z, slope = knots[0], knots[1], knots[2]
    table = np.empty((3, BINS), np.float32)
    for row in range(len(parameters)):
        jacobian[row] = _ONE
        for first in (_PARAMETERS, 0):
            _knots(parameters[row, first : first + _PARAMETERS], x, z, slope)
            _inverse_row(v[row], jacobian[row], x, z, slope, table)


def forward(parameters: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """z = f(y) and its Jacobian dz/dy, both [R, G].

    Args:
        parameters: the splines' unconstrained parameters [R, 46], the first spline's in front.
        y: targets [Q, G], each row ascending; row r of the parameters takes row r mod Q.
    """
    shape = len(parameters), y.shape[1]
    z, jacobian = np.empty(shape, np.float32), np.empty(shape, np.float32)
    _forward(np.ascontiguousarray(parameters), np.ascontiguousarray(y), z, jacobian)
    return z, jacobian


def inverse(parameters: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """y = f^-1(z) and the Jacobian dz/dy there, both [R, G].

    Args:
        parameters: as of `forward`.
        z: [R, G], in any order.
    """
    y, jacobian = np.array(z, order="C"), np.empty(z.shape, np.float32)
    _inverse(np.ascontiguousarray(parameters), y, jacobian)
    return y, jacobian

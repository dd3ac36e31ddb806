"""The flow's two splines on the CPU in float32, compiled: for training and for scoring.

They compute `zuko.transforms.MonotonicRQSTransform` (Neural Spline Flows, Durkan et al., 2019, arXiv
1906.04032) row by row, and write only the result to memory, where zuko makes some twenty tensors of its size,
and autograd as many again.

Shapes: R rows of parameters, Q rows of targets, G targets in a row; float32 and contiguous throughout. Rows
of parameters are unconstrained [46], those of the first spline (which y meets first) in front.
"""

import math
from functools import partial

import numpy as np

from ..compiled import compiled

BINS, BOUND, SLOPE = 8, 5.0, 1e-4
SPLINE_PARAMETERS = 3 * BINS - 1

# Constants of the compiled code: a Python float would turn its arithmetic to float64.
_ONE, _TWO, _FOUR, _ZERO, _HALF = (np.float32(value) for value in (1, 2, 4, 0, 0.5))
_B, _LOG_SLOPE, _LOG_SQRT_2PI = (
    np.float32(value) for value in (BOUND, math.log(SLOPE), 0.5 * math.log(2 * math.pi))
)

# Sums may be reordered; NaN and infinity keep their meaning (no nnan, no ninf).
_njit = partial(compiled, error_model="numpy", fastmath={"contract", "reassoc", "nsz", "arcp"})
_compiled = _njit()
# Helpers become part of each kernel. As functions of their own they would be optimised anew beside
# each kernel, and a process would use for all kernels the one it met first: the last bits of a
# result would depend on which kernels were compiled or loaded before.
_inlined = _njit(inline="always")

# The rows of a spline's table of knots [5, 9]: their places x on the axis of y and z on that of z,
# the slopes there, and each bin's share of both axes, from the softmax.
_X, _Z, _D, _SHARE_X, _SHARE_Z = range(5)


@_inlined
def _knots(raw, knots):  # type: ignore[no-untyped-def]
    """The table of knots [5, 9] of one spline, from its unconstrained parameters [23]."""
    for axis in (_X, _Z):
        place, share = knots[axis], knots[_SHARE_X + axis]
        highest = -np.inf
        for i in range(BINS):
            value = raw[axis * BINS + i]
            share[i] = value / (_ONE + abs(_TWO * value / _LOG_SLOPE))
            highest = max(highest, share[i])
        total = _ZERO
        for i in range(BINS):
            share[i] = math.exp(share[i] - np.float32(highest))
            total += share[i]
        below = 0.0
        place[0] = -_B
        for i in range(BINS):
            share[i] /= total
            below += share[i]
            place[i + 1] = BOUND * (2.0 * below - 1.0)
    slope = knots[_D]
    slope[0] = slope[BINS] = _ONE
    for i in range(BINS - 1):
        value = raw[2 * BINS + i]
        slope[i + 1] = math.exp(value / (_ONE + abs(value / _LOG_SLOPE)))
    if math.isnan(knots[_X, BINS] + knots[_Z, BINS] + slope.sum()):
        # No value is between knots that are NaN, so all would seem to be outside of them.
        knots[_X, 0] = knots[_Z, 0] = np.nan


@_inlined
def _curve(t, s, left, right):  # type: ignore[no-untyped-def]
    """The share of a bin's height reached at the share t of its width, and dz/dy there.

    s is the bin's mean slope, left and right the slopes at its ends (Durkan et al., equations 4, 5).
    """
    u = t * (_ONE - t)
    r = _ONE / (s + (left + right - _TWO * s) * u)
    rise = _TWO * s * u + left * (_ONE - t) * (_ONE - t) + right * t * t
    return (s * t * t + left * u) * r, s * s * rise * r * r


@_inlined
def _forward_row(y, jacobian, knots):  # type: ignore[no-untyped-def]
    """Maps ascending y [G] to z in place and multiplies the Jacobians [G] by dz/dy."""
    x, z, slope = knots[_X], knots[_Z], knots[_D]
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
        left_x, left_z, height, left, right = x[k], z[k], z[k + 1] - z[k], slope[k], slope[k + 1]
        per_width = _ONE / (x[k + 1] - x[k])
        values, factors = y[start:stop], jacobian[start:stop]
        for i in range(len(values)):  # from 0: else LLVM does not vectorise it
            share, rise = _curve((values[i] - left_x) * per_width, height * per_width, left, right)
            values[i] = left_z + height * share
            factors[i] *= rise
        start = stop


@_inlined
def _inverse_row(v, jacobian, knots, bins):  # type: ignore[no-untyped-def]
    """Maps z [G], in any order, to y in place and multiplies the Jacobians [G] by dz/dy.

    A first loop looks the bins up (bins [6, G] is its memory); the second one vectorises.
    """
    x, z, slope = knots[_X], knots[_Z], knots[_D]
    if math.isnan(x[0]):
        v[:] = np.nan
        jacobian[:] = np.nan
        return
    left_x, left_z, width, height, left, right = bins[0], bins[1], bins[2], bins[3], bins[4], bins[5]
    for i in range(len(v)):
        k = 0
        for inner in range(1, BINS):
            k += v[i] > z[inner]
        left_x[i], left_z[i], left[i], right[i] = x[k], z[k], slope[k], slope[k + 1]
        width[i], height[i] = x[k + 1] - x[k], z[k + 1] - z[k]
    low, high = z[0], z[BINS]
    for i in range(len(v)):
        inside = (v[i] > low) & (v[i] <= high)
        above = v[i] - left_z[i]
        s = height[i] / width[i]
        bend = left[i] + right[i] - _TWO * s
        a = height[i] * (s - left[i]) + above * bend
        b = height[i] * left[i] - above * bend
        c = -s * above
        # Rounding may push the discriminant of a steep spline below zero.
        t = _TWO * c / (-b - np.sqrt(max(b * b - _FOUR * a * c, _ZERO)))
        _, rise = _curve(t, s, left[i], right[i])
        v[i] = left_x[i] + t * width[i] if inside else v[i]
        jacobian[i] *= rise if inside else _ONE


@_inlined
def _at(value, knots):  # type: ignore[no-untyped-def]
    """One y: its bin, z and dz/dy; bin -1 outside of the knots, where a spline is the identity."""
    x, z, slope = knots[_X], knots[_Z], knots[_D]
    if not (value > x[0] and value <= x[BINS]):
        return -1, value, _ONE
    k = 0
    for inner in range(1, BINS):
        k += value > x[inner]
    width, height = x[k + 1] - x[k], z[k + 1] - z[k]
    share, rise = _curve((value - x[k]) / width, height / width, slope[k], slope[k + 1])
    return k, z[k] + height * share, rise


@_inlined
def _add_gradients(value, k, to_z, weight, raw, knots, gradient):  # type: ignore[no-untyped-def]
    """Backpropagates through one spline at one y in bin k.

    Args:
        to_z: derivative of the result with respect to the spline's z.
        weight: that with respect to the logarithm of dz/dy.
        gradient: [23], takes on the derivative with respect to the spline's parameters.

    Returns:
        The derivative with respect to y.
    """
    if k < 0:
        return to_z
    x, z, slope = knots[_X], knots[_Z], knots[_D]
    width, height, left, right = x[k + 1] - x[k], z[k + 1] - z[k], slope[k], slope[k + 1]
    s, t = height / width, (value - x[k]) / width
    u, rest = t * (_ONE - t), _ONE - _TWO * t
    bend = left + right - _TWO * s
    # z = z_k + height numerator / below and log dz/dy = 2 log s + log rise - 2 log below.
    below = s + bend * u
    covered = (s * t * t + left * u) / below
    rise = _TWO * s * u + left * (_ONE - t) * (_ONE - t) + right * t * t
    by_numerator = to_z * height / below
    by_below = -by_numerator * covered - _TWO * weight / below
    by_rise = weight / rise
    by_t = by_numerator * (_TWO * s * t + left * rest) + by_below * bend * rest
    by_t += by_rise * _TWO * (s * rest - left * (_ONE - t) + right * t)
    by_s = by_numerator * t * t + by_below * (_ONE - _TWO * u) + by_rise * _TWO * u + _TWO * weight / s
    by_left = (by_numerator + by_below) * u + by_rise * (_ONE - t) * (_ONE - t)
    by_right = by_below * u + by_rise * t * t
    by_height = to_z * covered + by_s / width
    by_width = -(by_s * s + by_t * t) / width
    # The ends of the bin: derivatives with respect to x_k, x_k+1, z_k and z_k+1.
    ends = ((-by_t / width - by_width, by_width), (to_z - by_height, by_height))
    for axis in (_X, _Z):
        low, high = ends[axis]
        share, below_low = knots[_SHARE_X + axis], _ZERO
        for i in range(k):
            below_low += share[i]
        mean = below_low * low + (below_low + share[k]) * high
        for i in range(BINS):
            # x_k = B (2 sum of the shares below - 1): shares below the bin move both of its ends.
            by_share = (low if i < k else _ZERO) + (high if i <= k else _ZERO)
            squash = _ONE / (_ONE + abs(_TWO * raw[axis * BINS + i] / _LOG_SLOPE))
            gradient[axis * BINS + i] += _TWO * _B * share[i] * (by_share - mean) * squash * squash
    for knot, by_slope in ((k, by_left), (k + 1, by_right)):
        if 0 < knot < BINS:
            i = 2 * BINS + knot - 1
            squash = _ONE / (_ONE + abs(raw[i] / _LOG_SLOPE))
            gradient[i] += by_slope * slope[knot] * squash * squash
    return by_t / width


@_compiled
def forward(parameters, y):  # type: ignore[no-untyped-def]
    """z = f(y) and dz/dy, both [R, G], of y [Q, G], each row ascending; row r takes row r mod Q."""
    z = np.empty((len(parameters), y.shape[1]), np.float32)
    jacobian = np.empty(z.shape, np.float32)
    knots = np.empty((5, BINS + 1), np.float32)
    for row in range(len(parameters)):
        z[row] = y[row % len(y)]
        jacobian[row] = _ONE
        for first in (0, SPLINE_PARAMETERS):
            _knots(parameters[row, first : first + SPLINE_PARAMETERS], knots)
            _forward_row(z[row], jacobian[row], knots)
    return z, jacobian


@_compiled
def inverse(parameters, z):  # type: ignore[no-untyped-def]
    """y = f^-1(z) and dz/dy there, both [R, G], of z [R, G] in any order."""
    y, jacobian = z.copy(), np.empty(z.shape, np.float32)
    knots = np.empty((5, BINS + 1), np.float32)
    bins = np.empty((6, z.shape[1]), np.float32)
    for row in range(len(parameters)):
        jacobian[row] = _ONE
        for first in (SPLINE_PARAMETERS, 0):
            _knots(parameters[row, first : first + SPLINE_PARAMETERS], knots)
            _inverse_row(y[row], jacobian[row], knots, bins)
    return y, jacobian


@_compiled
def log_prob(parameters, y):  # type: ignore[no-untyped-def]
    """log p(y) [R, G] of y [R, G], in any order."""
    log_p = np.empty(y.shape, np.float32)
    one, two = np.empty((5, BINS + 1), np.float32), np.empty((5, BINS + 1), np.float32)
    for row in range(len(parameters)):
        _knots(parameters[row, :SPLINE_PARAMETERS], one)
        _knots(parameters[row, SPLINE_PARAMETERS:], two)
        broken = one[_X, 0] + two[_X, 0]  # NaN or finite
        for i in range(y.shape[1]):
            _, v, first = _at(y[row, i], one)
            _, z, second = _at(v, two)
            log_p[row, i] = math.log(first * second) - _HALF * z * z - _LOG_SQRT_2PI
            if math.isnan(broken):
                log_p[row, i] = np.nan
    return log_p


@_compiled
def log_prob_gradients(parameters, y, weight):  # type: ignore[no-untyped-def]
    """The derivatives of sum(weight * log p(y)) by the parameters [R, 46] and by y [R, G]; weight [R, G]."""
    by_parameters, by_y = np.empty(parameters.shape, np.float32), np.empty(y.shape, np.float32)
    one, two = np.empty((5, BINS + 1), np.float32), np.empty((5, BINS + 1), np.float32)
    for row in range(len(parameters)):
        raw_one, raw_two = parameters[row, :SPLINE_PARAMETERS], parameters[row, SPLINE_PARAMETERS:]
        _knots(raw_one, one)
        _knots(raw_two, two)
        if math.isnan(one[_X, 0] + two[_X, 0]):
            by_parameters[row] = np.nan
            by_y[row] = np.nan
            continue
        by_parameters[row] = _ZERO
        for i in range(y.shape[1]):
            w = weight[row, i]
            k_one, v, _ = _at(y[row, i], one)
            k_two, z, _ = _at(v, two)
            by_v = _add_gradients(v, k_two, -z * w, w, raw_two, two, by_parameters[row, SPLINE_PARAMETERS:])
            by_y[row, i] = _add_gradients(
                y[row, i], k_one, by_v, w, raw_one, one, by_parameters[row, :SPLINE_PARAMETERS]
            )
    return by_parameters, by_y

"""Numbers that lie far from all others: codes for 'not measured' such as -999, and slips by powers of ten.

Shapes: n values.
"""

import re

import numpy as np

#: Digits of numbers that stand for 'not measured': -99, 999, 99.9, -8888, 1E30; the largest of some types.
_CODE = re.compile(r"-99|-?(?:9{3,}|8{3,}|7{3,}|10{20,}|(?:32767|32768|65535|2147483647|2147483648)0?)")
_LARGEST = (3.4028234663852886e38, 9.969209968386869e36, 1.7976931348623157e308)
#: Such numbers are looked for among so many of the lowest and of the highest.
_ENDS = 5
#: A value without such a meaning is far if it lies so many ranges of all others away, and in logarithms one.
_FAR = 30
#: What lies far are few, and others have at least so many different values.
_FEW, _SHARE, _DISTINCT = 3, 0.02, 10


def far(values: np.ndarray) -> np.ndarray:
    """Which values [n], NaN for none, lie far from all others [n], bool.

    Heavy tails are spared: a far value is far on a logarithmic scale too, on which theirs end gradually.
    """
    known = values[np.isfinite(values)]
    every = np.unique(known)
    codes = np.array([one for one in (*every[:_ENDS], *every[-_ENDS:]) if _is_code(one)])
    others = known[~np.isin(known, codes)]
    if not len(others) or others.min() == others.max():
        return np.zeros(len(values), bool)
    low, high = others.min(), others.max()
    with np.errstate(over="ignore"):
        below = codes[(codes < low) & ((low >= 0) | (low - codes > 0.5 * (high - low)))]
        above = codes[codes - high > 3 * (high - low)]
    found = np.isin(values, [*below, *above])
    rest = np.sort(values[np.isfinite(values) & ~found])
    return found | (values > _from(rest)) | (-values > _from(-rest[::-1]))


def _is_code(value: float) -> bool:
    digits = f"{value:.15g}"
    if "e" in digits:
        return abs(value) in _LARGEST or (abs(value) >= 1e20 and digits.lstrip("-").startswith("1e"))
    return _CODE.fullmatch(digits.replace(".", "")) is not None


def _from(values: np.ndarray) -> float:
    """Beyond which number ascending values [n] are far above all others; infinity if none is."""
    few = max(_FEW, int(_SHARE * len(values)))
    if len(np.unique(values[:-few])) < _DISTINCT:
        return np.inf
    scaled = values / np.abs(values).max()
    away = scaled - np.median(scaled)
    logs = np.arcsinh(away / np.median(np.abs(away[away != 0])))
    rest, least = slice(-few - 1, -1), []
    for one, times in ((scaled, _FAR), (logs, 1)):
        least.append(np.diff(one[-few - 1 :]) > times * (one[rest] - one[0]))
    beyond = np.flatnonzero(least[0] & least[1])
    return float(values[rest][beyond[0]]) if len(beyond) else np.inf

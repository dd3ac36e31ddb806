"""Dropout by torch's CPU generator, compiled: the bits that it would draw, and it goes on behind them.

Matsumoto & Nishimura, *Mersenne Twister*, 1998 (MT19937). torch makes one number after the other; here the
loops over a state of 624 words vectorise, which takes an eighth of the time.
"""

import numpy as np
import torch
from numba import njit

__all__ = ["apply_mask", "draw_mask", "masked"]

_WORDS, _AHEAD = 624, 397
#: Where `Generator.get_state` has what is left of the state plus 1 (int32), the next word's position (int64)
#: and the words (int64 each), in bytes.
_LEFT, _NEXT, _STATE = 8, 16, 24
# Numbers made at once: they stay in the fastest cache.
_CHUNK = 4096

_UPPER, _LOWER, _MATRIX = np.uint32(0x80000000), np.uint32(0x7FFFFFFF), np.uint32(0x9908B0DF)
_B, _C = np.uint32(0x9D2C5680), np.uint32(0xEFC60000)
_ZERO, _ONE = np.uint32(0), np.uint32(1)

_inlined = njit(inline="always")


@_inlined
def _mixed(high, low):  # type: ignore[no-untyped-def]
    both = np.uint32((high & _UPPER) | (low & _LOWER))
    return np.uint32((both >> _ONE) ^ (_MATRIX * np.uint32(low & _ONE)))


@_inlined
def _twist(words):  # type: ignore[no-untyped-def]
    """The next state, in place."""
    for i in range(_WORDS - _AHEAD):
        words[i] = words[i + _AHEAD] ^ _mixed(words[i], words[i + 1])
    for i in range(_WORDS - _AHEAD, _WORDS - 1):
        words[i] = words[i - (_WORDS - _AHEAD)] ^ _mixed(words[i], words[i + 1])
    words[_WORDS - 1] = words[_AHEAD - 1] ^ _mixed(words[_WORDS - 1], words[0])


@_inlined
def _temper(words, numbers):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        y = words[i]
        y = np.uint32(y ^ (y >> np.uint32(11)))
        y = np.uint32(y ^ (np.uint32(y << np.uint32(7)) & _B))
        y = np.uint32(y ^ (np.uint32(y << np.uint32(15)) & _C))
        numbers[i] = np.uint32(y ^ (y >> np.uint32(18)))


@_inlined
def _draw(words, left, numbers):  # type: ignore[no-untyped-def]
    """Fills `numbers`; how many of the words are left then."""
    done = 0
    while done < len(numbers):
        if left == 0:
            _twist(words)
            left = _WORDS
        count = min(left, len(numbers) - done)
        start = _WORDS - left
        _temper(words[start : start + count], numbers[done : done + count])
        done += count
        left -= count
    return left


@_inlined
def _read(state):  # type: ignore[no-untyped-def]
    """The words of a generator's state, and how many of them are left."""
    words = state[_STATE : _STATE + 8 * _WORDS].view(np.int64).astype(np.uint32)
    return words, state[_LEFT : _LEFT + 4].view(np.int32)[0] - 1


@_inlined
def _write(state, words, left):  # type: ignore[no-untyped-def]
    state[_STATE : _STATE + 8 * _WORDS].view(np.int64)[:] = words
    state[_LEFT : _LEFT + 4].view(np.int32)[0] = left + 1
    state[_NEXT : _NEXT + 8].view(np.int64)[0] = _WORDS - left


@njit(cache=True, nogil=True)
def _masked(state, below, factor, x, result):  # type: ignore[no-untyped-def]
    words, left = _read(state)
    numbers = np.empty(_CHUNK, np.uint32)
    nothing = factor * 0
    for first in range(0, len(x), _CHUNK):
        values, part = x[first : first + _CHUNK], result[first : first + _CHUNK]
        wanted = (len(part) + 1) // 2 * 2
        left = _draw(words, left, numbers[:wanted])
        # Of 64 bits the half that was drawn last comes first in memory.
        for i in range(len(part) // 2):
            one, two = np.int32(numbers[2 * i + 1]), np.int32(numbers[2 * i])
            part[2 * i] = values[2 * i] * (factor if one >= below else nothing)
            part[2 * i + 1] = values[2 * i + 1] * (factor if two >= below else nothing)
        if len(part) % 2:
            part[-1] = values[-1] * (factor if np.int32(numbers[wanted - 1]) >= below else nothing)
    _write(state, words, left)


@njit(cache=True, nogil=True)
def _draw_mask(state, below, kept):  # type: ignore[no-untyped-def]
    words, left = _read(state)
    numbers = np.empty(_CHUNK, np.uint32)
    for first in range(0, len(kept), _CHUNK):
        part = kept[first : first + _CHUNK]
        wanted = (len(part) + 1) // 2 * 2
        left = _draw(words, left, numbers[:wanted])
        for i in range(len(part) // 2):
            part[2 * i] = np.int32(numbers[2 * i + 1]) >= below
            part[2 * i + 1] = np.int32(numbers[2 * i]) >= below
        if len(part) % 2:
            part[-1] = np.int32(numbers[wanted - 1]) >= below
    _write(state, words, left)


@njit(cache=True, nogil=True)
def _apply_mask(x, kept, factor):  # type: ignore[no-untyped-def]
    nothing = factor * 0
    for i in range(len(x)):
        x[i] *= factor if kept[i] else nothing


def masked(x: np.ndarray, below: int, factor: float, generator: torch.Generator, result: np.ndarray) -> None:
    """x [n] times `factor` where 32 bits, as an integer with a sign, reach `below`; elsewhere times 0.

    The bits are those of `torch.empty(ceil(n / 2), dtype=torch.int64).random_(-(2**63), None)`.

    Args:
        x: of any type of floats, which the factor takes on.
        generator: of the CPU; it is left as if they had been drawn so.
        result: takes them [n].
    """
    state = generator.get_state()
    _masked(state.numpy(), np.int32(below), x.dtype.type(factor), x, result)
    generator.set_state(state)


def draw_mask(count: int, below: int, generator: torch.Generator) -> np.ndarray:
    """What `masked` keeps of so many elements: bytes [count], 1 or 0, from the same bits."""
    state, kept = generator.get_state(), np.empty(count, np.uint8)
    _draw_mask(state.numpy(), np.int32(below), kept)
    generator.set_state(state)
    return kept


def apply_mask(x: np.ndarray, kept: np.ndarray, factor: float) -> None:
    """x [n] times `factor` where `kept` [n] is 1, elsewhere times 0; in place."""
    _apply_mask(x, kept, x.dtype.type(factor))

"""What a model learns: the target as it is, its logarithm, or its Yeo-Johnson transform.

Each is fitted to labelled rows and scales them to [0, 1], as models and agents expect.

Shapes: n labelled rows; values of any shape.
"""

import numpy as np
from sklearn.preprocessing import PowerTransformer


class Transform:
    """The target as it is.

    Args:
        y: targets of the labelled rows [n], scaled, float64.
        zero: where the target's own zero lies on that scale.
    """

    #: For people, before the target's name.
    words = ""

    def __init__(self, y: np.ndarray, zero: float) -> None:
        self._zero = zero
        bent = self._bend(y)
        self._low, self._span = bent.min(), np.ptp(bent) or 1.0

    def forward(self, y: np.ndarray) -> np.ndarray:
        return (self._bend(y) - self._low) / self._span

    def inverse(self, z: np.ndarray) -> np.ndarray:
        return self._unbend(z * self._span + self._low)

    def log_slope(self, y: np.ndarray) -> np.ndarray:
        """The logarithm of dz/dy, z = forward(y)."""
        return self._log_bend(y) - np.log(self._span)

    def _bend(self, y: np.ndarray) -> np.ndarray:
        return y

    def _unbend(self, bent: np.ndarray) -> np.ndarray:
        return bent

    def _log_bend(self, y: np.ndarray) -> np.ndarray:
        """The logarithm of the slope of `_bend`."""
        return np.zeros_like(y)


class Log(Transform):
    """The logarithm of a positive one; all predictions are positive."""

    words = "the log of "

    def _bend(self, y: np.ndarray) -> np.ndarray:
        return np.log(y - self._zero)

    def _unbend(self, bent: np.ndarray) -> np.ndarray:
        return np.exp(bent) + self._zero

    def _log_bend(self, y: np.ndarray) -> np.ndarray:
        return -np.log(y - self._zero)


class YeoJohnson(Transform):
    """Yeo, Johnson, *A New Family of Power Transformations to Improve Normality or Symmetry*, 2000.

    Of (y - median) / interquartile range, so that units change nothing. Lambda is kept in [0, 2]: beyond, the
    transform has an end, and quantiles behind it are no numbers.
    """

    words = "the Yeo-Johnson transform of "

    def __init__(self, y: np.ndarray, zero: float) -> None:
        self._centre = np.median(y)
        self._width = np.subtract(*np.percentile(y, [75, 25])) or y.std() or 1.0
        self._power = PowerTransformer(standardize=False).fit(self._centred(y)[:, None])
        self._power.lambdas_ = self._power.lambdas_.clip(0, 2)
        super().__init__(y, zero)

    def _centred(self, y: np.ndarray) -> np.ndarray:
        return (y - self._centre) / self._width

    def _bend(self, y: np.ndarray) -> np.ndarray:
        return self._power.transform(self._centred(y).reshape(-1, 1)).reshape(y.shape)

    def _unbend(self, bent: np.ndarray) -> np.ndarray:
        raw = self._power.inverse_transform(bent.reshape(-1, 1)).reshape(bent.shape)
        return raw * self._width + self._centre

    def _log_bend(self, y: np.ndarray) -> np.ndarray:
        u = self._centred(y)
        return (self._power.lambdas_[0] - 1) * np.sign(u) * np.log1p(abs(u)) - np.log(self._width)


TRANSFORMS = (Transform, Log, YeoJohnson)

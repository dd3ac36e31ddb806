"""Where the published code and the published method differ: one record, two instances."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Protocol:
    """The switches of docs/METHOD.md, section 5, as the paper says; nothing else depends on the protocol."""

    name: str
    # Raise it when what the protocol computes changes, not for rounding or random draws.
    version: int
    # Early stopping waits for a new minimum of the validation log-likelihood (upside down), not of the NLL.
    stop_on_log_likelihood: bool = False
    refit_every_point: bool = False  # a `finetuning` model, after every added point and not once a round
    encoder_relu: bool = True  # after each linear layer of the encoder
    grid: tuple[float, float] = (0.0, 1.0)  # first and last point of the grids over the scaled target
    true_spacing: bool = True  # trapezoids take (last - first) / (G - 1) as spacing, not / G
    log_space: bool = True  # densities stay logarithms, so that no score is NaN or infinite
    absolute_std_differences: bool = True  # summed by `bald_dist_std`
    mutual_information: bool = True  # estimated by `nflows_out` by Monte Carlo
    k_center: bool = True  # `coreset` updates its distances after each pick of a batch
    rotate_clusters: bool = True  # `typiclust` takes one point from each ranked cluster in turn
    heuristic_samples: int = 200  # of `nf_conf` and `nf_sample_std`
    restore_dropout: bool = True  # the KL dual agents restore the rate after scoring
    # Keys of a configuration with values that replace those in configs/, unless a file there has others under
    # the protocol's name.
    training: Mapping[str, Any] = field(default_factory=dict, hash=False)


PUBLISHED = Protocol(
    name="published",
    version=1,
    stop_on_log_likelihood=True,
    refit_every_point=True,
    encoder_relu=False,
    grid=(0.1, 0.9),
    true_spacing=False,
    log_space=False,
    absolute_std_differences=False,
    mutual_information=False,
    k_center=False,
    rotate_clusters=False,
    heuristic_samples=64,
    restore_dropout=False,
)

CORRECTED = Protocol(
    name="corrected",
    version=2,
    training={
        "average": 0.99,
        "best_weights": True,
        "check_every": 3,
        "patience": 20,
        "first_patience": 30,
        "watched_rows": 1000,
        "first_epochs": 5000,
        "later_epochs": 5000,
    },
)

PROTOCOLS = {protocol.name: protocol for protocol in (PUBLISHED, CORRECTED)}

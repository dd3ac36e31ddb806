"""The registry of `--variation`: every model of this folder, alone and as a deep ensemble.

This file imports all others of the folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..config import CONFIGS, Config, check_changes, read_file
from ..errors import UserError
from ..protocol import PROTOCOLS, PUBLISHED, Protocol
from .densities import Density, MixtureDensity
from .networks import MODELS, DensityModel
from .predictor import NetworkPredictor
from .regressor import REGRESSORS, Regressor

#: The study's model, which names of files and result folders leave out.
DEFAULT = "nf"


@dataclass(frozen=True)
class Variation:
    """A network alone, a deep ensemble of it, or a model that is fitted at once.

    Attributes:
        name: what `--variation` takes.
        label: its name in figures.
        model: the name of its network in `MODELS` and in the settings of runs.
        single: the variation of one such model; its own name if it is no ensemble.
        density: the predictive density that an agent gets.
        offers: what else an agent may ask of it.
        regressor: its class if it is fitted at once.
    """

    name: str
    label: str
    model: str
    single: str
    density: type[Density]
    offers: frozenset[str] = NetworkPredictor.offers
    regressor: type[Regressor] | None = None

    @property
    def ensemble(self) -> bool:
        return self.name != self.single

    @property
    def suffix(self) -> str:
        """What it adds to the names of runs folders: `_gauss`, or nothing."""
        return "" if self.name == DEFAULT else f"_{self.name}"


def _collect() -> dict[str, Variation]:
    """All variations by name: networks, their ensembles, others; the study's flow first."""
    models = {cls.variation or model: (model, cls) for model, cls in MODELS.classes.items()}
    single, ensembles = [], []
    for name in sorted(models, key=lambda name: (name != DEFAULT, name)):
        model, cls = models[name]
        single.append(Variation(name, cls.label, model, name, cls.density))
        ensemble = "ensemble" if name == DEFAULT else f"{name}_ensemble"
        ensembles.append(Variation(ensemble, f"ensemble of {cls.plural}", model, name, MixtureDensity))
    others = [
        Variation(name, cls.label, name, name, cls.density, cls.offers, cls)
        for name, cls in REGRESSORS.classes.items()
    ]
    return {variation.name: variation for variation in single + ensembles + others}


VARIATIONS = _collect()

#: For a model that is fitted at once, which has no hyper-parameters here.
_AT_ONCE: dict[str, Any] = {"hidden": (1,), "fitting": "from_scratch", "best_weights": True}
_AT_ONCE |= dict.fromkeys(("dropout", "lr", "weight_decay"), 0.0)
_AT_ONCE |= dict.fromkeys(("batch_size", "first_epochs", "later_epochs", "patience"), 1)


def load_config(
    dataset: str, variation: str, protocol: Protocol = PUBLISHED, folder: Path = CONFIGS
) -> Config:
    """The configuration of a dataset, a model and a protocol.

    `default.yaml`, then `<dataset>.yaml` if there is one; in each file, keys under the model's name override
    those for all models. The protocol's own values (`Protocol.training`) override both files; keys under the
    protocol's name, in either file, override everything.

    Args:
        folder: of the dataset's file.

    Raises:
        UserError: a file is not YAML, or a key is unknown or has a wrong value.
    """
    kind = VARIATIONS[variation]
    if kind.regressor:
        return Config(kind.model, **_AT_ONCE)
    default, own = CONFIGS / "default.yaml", folder / f"{dataset}.yaml"
    files = {path: read_file(path) for path in (default, own) if path.exists()}
    values: dict[str, Any] = {}
    for path, raw in files.items():
        values |= _for_model(raw, kind, path)
    values |= protocol.training
    for path, raw in files.items():
        values |= _for_model(raw.get(protocol.name) or {}, kind, path)
    return Config(kind.model, **values | ({} if kind.ensemble else {"members": 1}))


def _for_model(raw: Any, kind: Variation, path: Path) -> dict[str, Any]:
    """The keys for all models, replaced by those under the name of this one."""
    if not isinstance(raw, dict):
        raise UserError(f"{path}: expected a mapping of keys to values")
    names = {variation.single for variation in VARIATIONS.values()} | set(PROTOCOLS)
    for_all = {key: value for key, value in raw.items() if key not in names}
    return check_changes(for_all, path) | check_changes(raw.get(kind.single) or {}, path)


def build_model(
    config: Config, features: int, relu: bool, generators: Sequence[torch.Generator]
) -> DensityModel:
    """A freshly initialised stack of models on the CPU, one for each generator."""
    model = MODELS[config.model](len(generators), features, config.hidden, config.dropout, relu)
    model.reset(generators)
    return model

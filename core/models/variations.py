"""The registry of what `--variation` names: every model of this folder, alone and as a deep ensemble.

Whoever builds a model or lists the variations imports this file, which imports all others of the folder.
"""

import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import torch

from ..config import Config, check_config, config_file, read_file
from ..protocol import PROTOCOLS, PUBLISHED, Protocol
from .densities import Density, MixtureDensity
from .networks import MODELS, DensityModel

__all__ = [
    "DEFAULT",
    "MEMBERS",
    "VARIATIONS",
    "Variation",
    "build_model",
    "load_config",
    "note_default_config",
]

#: The study's model. It is not named in the names of files and result folders.
DEFAULT = "nf"
#: Models of a deep ensemble that no file in configs/ gives another number.
MEMBERS = 5


@dataclass(frozen=True)
class Variation:
    """A model alone, or a deep ensemble of it.

    Attributes:
        name: what `--variation` takes.
        label: its name for people.
        model: the name of its network in `MODELS` and in the settings of runs.
        single: the variation of one such model; its own name if it is no ensemble.
    """

    name: str
    label: str
    model: str
    single: str

    @property
    def ensemble(self) -> bool:
        """Whether it is a deep ensemble."""
        return self.name != self.single

    @property
    def density(self) -> type[Density]:
        """The predictive density that an agent gets."""
        return MixtureDensity if self.ensemble else MODELS[self.model].density

    @property
    def suffix(self) -> str:
        """What it adds to the names of configurations and of runs folders: `_gauss`, or nothing."""
        return "" if self.name == DEFAULT else f"_{self.name}"


def _collect() -> dict[str, Variation]:
    """All variations by name: single models, then their ensembles, the study's flow first."""
    for module in iter_modules([str(Path(__file__).parent)]):
        import_module(f"{__package__}.{module.name}")
    names = {model: cls.variation or model for model, cls in MODELS.classes.items()}
    models = sorted(names, key=lambda model: (names[model] != DEFAULT, names[model]))
    found = [Variation(names[model], MODELS[model].label, model, names[model]) for model in models]
    for single in tuple(found):
        name = "ensemble" if single.name == DEFAULT else f"{single.name}_ensemble"
        label = f"ensemble of {MODELS[single.model].plural}"
        found.append(Variation(name, label, single.model, single.name))
    # The end of the name of a runs folder says the protocol.
    taken = [v.name for v in found if v.name.split("_")[-1] in PROTOCOLS]
    if taken or len({v.name for v in found}) < len(found):
        raise ValueError(f"names of models must differ from each other and from a protocol's: {names}")
    return {variation.name: variation for variation in found}


VARIATIONS = _collect()


def load_config(
    dataset: str, variation: str, protocol: Protocol = PUBLISHED, folder: Path | None = None
) -> tuple[Config, Path]:
    """The configuration in `configs/<dataset>.yaml` (variation nf) or `configs/<dataset>_<variation>.yaml`.

    A dataset without a file of its own takes `default.yaml` or `default_<variation>.yaml`; where there is
    none either, the model's own default, of which an ensemble has five. What the protocol sets
    (`Protocol.training`) replaces what the file says, but for keys that it has under the protocol's name.

    Args:
        folder: instead of `configs`.

    Returns:
        The configuration and the file it came from.

    Raises:
        UserError: the file is not YAML, or a key is unknown, missing or has a wrong value.
    """
    kind = VARIATIONS[variation]
    network = MODELS[kind.model]
    path = config_file(f"{dataset}{kind.suffix}", f"default{kind.suffix}", folder)
    if network.default and not path.exists():
        path = Path(inspect.getfile(network))
        raw = dict(network.default) | ({"members": MEMBERS} if kind.ensemble else {})
    else:
        raw = read_file(path)
    if isinstance(raw, dict):
        own = {name: raw.get(name) or {} for name in PROTOCOLS}
        raw = {key: value for key, value in raw.items() if key not in PROTOCOLS}
        raw |= {**protocol.training, **own[protocol.name]}
    return check_config(raw, path, kind.model, kind.ensemble), path


def note_default_config(dataset: str, variation: str, file: str) -> None:
    """Says on stderr that a dataset has no configuration of its own, if `file` is another one."""
    wanted = f"{dataset}{VARIATIONS[variation].suffix}.yaml"
    if file != wanted:
        print(f"note: no configs/{wanted}, {file} is used", file=sys.stderr)


def build_model(
    config: Config, features: int, relu: bool, generators: Sequence[torch.Generator]
) -> DensityModel:
    """A freshly initialised stack of models on the CPU, one for each generator."""
    model = MODELS[config.model](len(generators), features, config.hidden, config.dropout, relu)
    model.reset(generators)
    return model

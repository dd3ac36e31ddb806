"""A fitted model in a folder, with all that is needed to predict new rows and to choose among them."""

import copy
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import joblib
import torch

from ..errors import UserError
from ..files import one_line, write_files
from ..models.predictor import NetworkPredictor
from ..runs.settings import begun_elsewhere, provenance
from .model import Fitted

_MODEL, _META = "model.joblib", "meta.json"
#: Raise it when what is saved changes.
_FORMAT = 3


def save(folder: Path, fitted: Fitted) -> None:
    """Writes the model and its labelled rows, and the versions that it was made with."""
    meta = json.dumps({"format": _FORMAT, "made with": provenance()}, indent=2) + "\n"
    problem = fitted.problem
    table = replace(problem.table, frame=problem.table.frame[:0])
    problem = replace(problem, pool=problem.pool[:0], rows=problem.rows[:0], table=table)
    fitted = replace(fitted, problem=problem)
    if isinstance(fitted.model.predictor, NetworkPredictor):
        fitted = copy.deepcopy(fitted)  # the one that goes on stays on its device
        fitted.model.predictor.model.to("cpu")
    folder.mkdir(parents=True, exist_ok=True)
    write_files(
        {folder / _MODEL: partial(joblib.dump, fitted), folder / _META: lambda path: path.write_text(meta)}
    )


def load(folder: Path, device: torch.device) -> tuple[Fitted, str]:
    """What `save` kept, and how the versions here differ from its; loading runs code: only load your own.

    The pool is empty.

    Raises:
        UserError: it holds no model, or one that this version does not read.
    """
    try:
        meta = json.loads((folder / _META).read_text())
        here = {name: value for name, value in provenance().items() if name != "code"}
        differ, readable = begun_elsewhere(meta["made with"], here), meta["format"] == _FORMAT
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder} holds no model that --save_model wrote") from error
    if not readable:
        raise UserError(f"{folder} was made by another version of this code; train it again")
    try:
        fitted = replace(joblib.load(folder / _MODEL), device=device)
        if isinstance(fitted.model.predictor, NetworkPredictor):
            fitted.model.predictor.model.to(device)
    # Unpickling raises nearly anything where classes have changed.
    except Exception as error:
        code = f"code {meta['made with']['code']}"
        raise UserError(
            f"{folder} cannot be read ({type(error).__name__}: {one_line(error, 80)}): "
            f"it was made with {differ or code}; train it again"
        ) from error
    return fitted, differ

"""A fitted model in a folder, with all that is needed to predict new rows and to choose among them."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import numpy as np
import torch

from ..data.columns import Decisions
from ..data.frames import RawFrame
from ..dataset import RangeScaler
from ..errors import UserError
from ..files import one_line, write_files
from ..models.predictor import NetworkPredictor
from ..runs.settings import other_versions, provenance
from .model import Fitted
from .tables import Problem, make_problem

_MODEL, _META = "model.joblib", "meta.json"


@dataclass(frozen=True)
class Saved:
    """What `save` keeps.

    Attributes:
        fitted: the model.
        labelled: the table it was fitted to.
        target: the column that it predicts.
        decisions: of the user about columns, and which are used.
        features: scales the features.
    """

    fitted: Fitted
    labelled: RawFrame
    target: str
    decisions: Decisions
    features: RangeScaler

    @classmethod
    def of(
        cls, fitted: Fitted, labelled: RawFrame, target: str, said: Decisions, problem: Problem
    ) -> "Saved":
        """Columns that are used stay so, whatever a new pool has in them, and others are not looked at."""
        columns = problem.columns.columns
        decisions = {
            "ignore": [column.name for column in columns if column.kind == "not used"],
            "keep": [column.name for column in columns if column.kind != "not used"],
        }
        for name in ("numeric", "category"):
            decisions[name] = [column for column in said.get(name, ()) if column not in decisions["ignore"]]
        return cls(fitted, labelled, target, decisions, problem.features)

    def with_pool(self, pool: RawFrame) -> Problem:
        """The labelled rows and a new pool.

        Raises:
            UserError: its columns differ, or with them the labelled ones would mean something else.
        """
        problem = make_problem(self.labelled, pool, self.target, self.decisions, self.features)
        if not np.array_equal(problem.x, self.fitted.x.cpu().numpy()):
            raise UserError(
                f"{pool.where}: with its cells, columns of the labelled rows mean something else; train again"
            )
        return problem


def save(folder: Path, saved: Saved) -> None:
    """Writes the model, and a text that says what it is; a UserError if that fails."""
    fitted = saved.fitted
    meta = {
        "target": saved.target,
        "learned": f"{fitted.model.target.words}{saved.target}",
        "variation": fitted.variation,
        "held-out NLL": fitted.nll,
        "labelled rows": len(fitted.x),
        "columns": saved.decisions["keep"],
        "made with": provenance(),
    }
    if isinstance(fitted.model.predictor, NetworkPredictor):
        fitted.model.predictor.model.to("cpu")
    kept = replace(saved, fitted=replace(fitted, x=fitted.x.cpu(), y=fitted.y.cpu()))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from error
    write_files(
        {
            folder / _MODEL: lambda path: joblib.dump(kept, path),
            folder / _META: lambda path: path.write_text(json.dumps(meta, indent=2) + "\n"),
        }
    )


def load(folder: Path, device: torch.device) -> tuple[Saved, str]:
    """What `save` kept, and how the versions here differ from its; loading runs code: only load your own.

    Raises:
        UserError: it holds no model, or one that this version does not read.
    """
    try:
        meta = json.loads((folder / _META).read_text())
        differ = other_versions(meta["made with"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder} holds no model that --save_model wrote") from error
    try:
        saved = joblib.load(folder / _MODEL)
    # Unpickling raises nearly anything where classes have changed.
    except Exception as error:
        code = f"code {meta['made with']['code']}"
        raise UserError(
            f"{folder} cannot be read ({type(error).__name__}: {one_line(error, 80)}): "
            f"it was made with {differ or code}; train it again"
        ) from error
    fitted = saved.fitted
    if isinstance(fitted.model.predictor, NetworkPredictor):
        fitted.model.predictor.model.to(device)
    return replace(saved, fitted=replace(fitted, x=fitted.x.to(device), y=fitted.y.to(device))), differ

"""The numbers behind the words of docs/REPRODUCTION.md, from the store.

AUC: area under the curve, lower is better. Errors are standard errors over runs. 'Less' is of runs of the
same id, which share seed set and validation data.
"""

import numpy as np
import pandas as pd
import project  # noqa: F401, it puts core on the path
from scipy import stats

from core.report.load import areas, select
from core.report.statistics import paired_differences

__all__ = ["DIGITS", "tables", "task", "with_error"]

DIGITS = {"MAE": 4, "NLL": 2}
DATA_SETS = ("pakinsons", "superconductors", "diamonds")
OF_DISTANCES = ("coreset", "typiclust", "coregcn")
HAVE_A_DUAL = ("balsa_emd", "balsa_kl_grid", "balsa_kl_pairs")
OF_UNCERTAINTY = ("bald", "bald_dist_entropy", "bald_dist_std", "nflows_out", *HAVE_A_DUAL)
#: What the statements about batches look at: by its heading protocol, query size and data set.
TASKS = {
    f"{protocol}, {size}: {dataset}": (protocol, size, dataset)
    for protocol, size, datasets in (
        *(("published", size, DATA_SETS[:1]) for size in (1, 50)),
        ("corrected", 50, DATA_SETS),
    )
    for dataset in datasets
}


def task(table: pd.DataFrame, protocol: str, query_size: int, dataset: str = "pakinsons") -> pd.DataFrame:
    """The rows of the flow in one task, of curves or areas."""
    wanted = {"dataset": dataset, "variation": "nf", "protocol": protocol, "query_size": query_size}
    return select(table, wanted)


def with_error(values: pd.Series, digits: int, sign: str = "") -> str:
    mean, error = np.mean(values.to_numpy(float)), stats.sem(values.to_numpy(float))
    return f"{mean:{sign}.{digits}f} ± {error:.{digits}f}"


def differences(found: pd.DataFrame, reference: str = "random") -> pd.Series:
    """AUC of NLL less that of another agent's run of the same id: indexed by agent, a value a run."""
    return paired_differences(found, "nll", reference, share=False).set_index("agent")["area"]


def less_random(found: pd.DataFrame) -> pd.DataFrame:
    """AUC of NLL less `random`'s, in one task a column."""
    named = [*OF_DISTANCES, *OF_UNCERTAINTY]
    columns = {
        title: differences(task(found, *which))
        .groupby(level=0)
        .agg(with_error, digits=DIGITS["NLL"], sign="+")
        for title, which in TASKS.items()
    }
    table = pd.DataFrame(columns).reindex(named).dropna(how="all")
    return table.fillna("").rename_axis("agent").reset_index()


def duals(found: pd.DataFrame) -> pd.DataFrame:
    """AUC of NLL of agents with two dropout rates less that of their namesakes; corrected, query size 50."""
    rows = []
    for namesake in HAVE_A_DUAL:
        dual = f"{namesake}_dual"
        less = {
            dataset: differences(task(found, "corrected", 50, dataset), namesake) for dataset in DATA_SETS
        }
        parts = {dataset: values[dual] for dataset, values in less.items() if dual in values.index}
        if len(parts) == len(DATA_SETS):
            row = {dataset: with_error(values, DIGITS["NLL"], "+") for dataset, values in parts.items()}
            mean = np.mean([values.mean() for values in parts.values()])
            error = np.sqrt(sum(stats.sem(values) ** 2 for values in parts.values())) / len(parts)
            rows.append({"agent": dual} | row | {"mean": f"{mean:+.3f} ± {error:.3f}"})
    return pd.DataFrame(rows)


def tables(curves: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The tables of the page, by what its lines call them."""
    found = areas(curves).astype({"agent": str})
    return {
        "Less random": less_random(found),
        "Duals": duals(found),
    }

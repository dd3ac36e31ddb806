"""The numbers behind the words of docs/REPRODUCTION.md, from the store.

AUC: area under the curve, lower is better. Errors are standard errors over runs. 'Less' is of runs of the
same id, which share seed set and validation data.
"""

import numpy as np
import pandas as pd
from ablation import numbers
from scipy import stats

from core.report.aggregates import paired_differences
from core.report.analysis import areas, select

__all__ = ["DIGITS", "tables", "task", "with_error"]

DIGITS = {"MAE": 4, "NLL": 2}
DATA_SETS = ("pakinsons", "superconductors", "diamonds")
OF_DISTANCES = ("coreset", "typiclust", "coregcn")
HAVE_A_DUAL = ("balsa_emd", "balsa_kl_grid", "balsa_kl_pairs")
OF_UNCERTAINTY = ("bald", "bald_dist_entropy", "bald_dist_std", "nflows_out", *HAVE_A_DUAL)
OF_ONE_FORWARD_PASS = ("nf_conf", "nf_entropy", "nf_std")
#: What the statements about batches look at: by its heading protocol, query size and data set.
TASKS = {
    f"{protocol}, {size}: {dataset}": (protocol, size, dataset)
    for protocol, size, datasets in (
        *(("published", size, DATA_SETS[:1]) for size in (1, 50)),
        *(("corrected", size, DATA_SETS) for size in (50, 200)),
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
    named = [*OF_DISTANCES, *OF_UNCERTAINTY, *OF_ONE_FORWARD_PASS]
    columns = {
        title: differences(task(found, *which))
        .groupby(level=0)
        .agg(with_error, digits=DIGITS["NLL"], sign="+")
        for title, which in TASKS.items()
    }
    return pd.DataFrame(columns).reindex(named).fillna("").rename_axis("agent").reset_index()


def best_of_uncertainty(found: pd.DataFrame) -> pd.DataFrame:
    """The best agent of uncertainty by AUC of NLL, less three others, and those clearly before two."""
    rows = []
    for title, which in TASKS.items():
        of_task = task(found, *which)
        less = {name: differences(of_task, name) for name in ("random", "coreset", "typiclust")}
        means = less["random"].groupby(level=0).mean()
        best = str(means[means.index.isin(OF_UNCERTAINTY)].idxmin())
        row = {"task": title, "best of uncertainty": best}
        for name, values in less.items():
            row[f"less `{name}`"] = with_error(values[best], DIGITS["NLL"], "+")
        clear = [
            agent
            for agent in OF_UNCERTAINTY
            if agent in means and before(less["random"][agent]) and before(less["typiclust"][agent])
        ]
        rows.append(row | {"clearly before `random` and `typiclust`": ", ".join(clear) or "none"})
    return pd.DataFrame(rows)


def before(values: pd.Series) -> bool:
    """By more than two standard errors."""
    return bool(values.mean() < -2 * stats.sem(values))


def places(found: pd.DataFrame) -> pd.DataFrame:
    """Places by mean AUC among all agents, corrected protocol, query size 50."""
    columns = {}
    for metric in ("NLL", "MAE"):
        for dataset in DATA_SETS:
            of_task = select(task(found, "corrected", 50, dataset), {"metric": metric.lower()})
            mean = of_task.groupby("agent")["area"].mean()
            columns[f"{metric} {dataset}"] = mean.rank().map(f"{{:.0f}} of {len(mean)}".format)
    table = pd.DataFrame(columns).loc[["nflows_out", *OF_ONE_FORWARD_PASS, "random"]]
    return table.rename_axis("agent").reset_index()


def duals(found: pd.DataFrame) -> pd.DataFrame:
    """AUC of NLL of agents with two dropout rates less that of their namesakes; corrected, query size 50."""
    rows = []
    for namesake in HAVE_A_DUAL:
        dual = f"{namesake}_dual"
        parts = {
            dataset: differences(task(found, "corrected", 50, dataset), namesake)[dual]
            for dataset in DATA_SETS
        }
        row = {dataset: with_error(values, DIGITS["NLL"], "+") for dataset, values in parts.items()}
        mean = np.mean([values.mean() for values in parts.values()])
        error = np.sqrt(sum(stats.sem(values) ** 2 for values in parts.values())) / len(parts)
        rows.append({"agent": dual} | row | {"mean": f"{mean:+.3f} ± {error:.3f}"})
    return pd.DataFrame(rows)


def mean_and_end(curves: pd.DataFrame) -> pd.DataFrame:
    """Mean over the curve and last value beside each other; published protocol, query size 1."""
    columns = {}
    for dataset in ("superconductors", "diamonds"):
        found = numbers(task(curves, "published", 1, dataset)).astype({"agent": str})
        mean = found.groupby(["number", "agent"])["value"].mean().unstack("number")
        for name in ("AUC NLL", "last NLL", "AUC MAE", "last MAE"):
            columns[f"{name} {dataset}"] = mean[name].map(f"{{:.{DIGITS[name[-3:]]}f}}".format)
    return pd.DataFrame(columns).dropna().rename_axis("agent").reset_index()


def by_runs(found: pd.DataFrame) -> pd.DataFrame:
    """Mean AUC of MAE of the first three runs and of the others; pakinsons, published, query size 1."""
    of_metric = select(task(found, "published", 1), {"metric": "mae"})
    shown = of_metric[of_metric.agent.isin(["random", "coreset", "balsa_kl_pairs"])]
    early = np.where(shown.run <= 3, "runs 1 to 3", "later runs")
    table = shown.groupby(["agent", early])["area"].mean().unstack()[["runs 1 to 3", "later runs"]]
    return table.map("{:.4f}".format).reset_index()


def tables(curves: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The tables of the page, by what its lines call them."""
    found = areas(curves).astype({"agent": str})
    return {
        "By runs": by_runs(found),
        "Mean and end of the curves": mean_and_end(curves),
        "Less random": less_random(found),
        "Best of uncertainty": best_of_uncertainty(found),
        "Places": places(found),
        "Duals": duals(found),
    }

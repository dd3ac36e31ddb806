"""Writes the tables and the picture of docs/REPRODUCTION.md, and their numbers to docs/reproduction/.

    python reproduction/tables.py

They come from the stored runs in results/ and from files here: `published.csv` has the published figures;
`ablation.csv` is made by ablation.py; `upper_bound/` by `python compute_upper_bound.py --dataset pakinsons
--restarts 5`.

AUC: area under the learning curve, lower is better. Errors are standard errors over runs. `less random` is
the mean difference to `random`'s run of the same id, which shares seed set and validation data.
"""

from typing import Any

import numpy as np
import pandas as pd
from ablation import numbers
from project import ROOT

from core import load_results
from core.cli import run_script
from core.files import write_file
from core.report.load import select
from core.report.plots import learning_curves, save
from core.report.sections import markdown
from docs.agents_table import write_between

HERE, PAGE = ROOT / "reproduction", ROOT / "docs/REPRODUCTION.md"
NUMBERS = ROOT / "docs/reproduction/numbers.csv"
FIRST, LAST = "<!-- {} by python reproduction/tables.py: -->", "<!-- (until here) -->"

DIGITS = {"MAE": 4, "NLL": 2}
DATASETS = ("pakinsons", "superconductors", "diamonds")
#: Protocol, query size and dataset.
TASKS = [
    *(("published", 1, dataset) for dataset in DATASETS),
    ("published", 50, "pakinsons"),
    *(("corrected", 50, dataset) for dataset in DATASETS),
]
HAVE_A_DUAL = ("balsa_emd", "balsa_kl_grid", "balsa_kl_pairs")
#: The study's agents but `random`: those of distances, then those of uncertainty.
AGENTS = (
    *("coreset", "typiclust", "coregcn"),
    *("bald", "bald_dist_entropy", "bald_dist_std", "nflows_out", *HAVE_A_DUAL),
)
FULL = "full data set"


def task(table: pd.DataFrame, protocol: str, query_size: int, dataset: str) -> pd.DataFrame:
    """The rows of the flow in one task, of curves or areas."""
    wanted = {"dataset": dataset, "variation": "nf", "protocol": protocol, "query_size": query_size}
    return select(table, wanted).astype({"agent": str})


def all_numbers(curves: pd.DataFrame) -> pd.DataFrame:
    """A row for each task, agent and number: mean over its runs, difference to `random`, published figure."""
    ours = pd.concat([_of_task(task(curves, *which)).assign(**_named(which)) for which in TASKS])
    both = pd.concat([ours, full_data_set()]).merge(published(), how="outer")
    order = {name: position for position, name in enumerate(("random", *AGENTS))}
    both = both.assign(
        runs=both.runs.fillna(0).astype(int),
        at=[TASKS.index(which) for which in both[list(_named(TASKS[0]))].itertuples(index=False, name=None)],
        place=both.agent.map(order).fillna(len(order)),
    )
    both = both.sort_values(["at", "place", "agent", "number"]).reset_index(drop=True)
    return both[[*_named(TASKS[0]), "agent", "number", "runs", "mean", "se", *_DIFFERENCE, "published"]]


_DIFFERENCE = ["less random", "se of less random"]


def _named(which: tuple[str, int, str]) -> dict[str, Any]:
    return dict(zip(("protocol", "query size", "dataset"), which, strict=True))


def _of_task(curves: pd.DataFrame) -> pd.DataFrame:
    """AUC and last value of MAE and NLL, and the mean of the last 20 points where each is measured."""
    found = numbers(curves)
    last = curves[curves.labelled > curves.labelled.max() - 20]
    if curves.query_size.iloc[0] == 1:
        smooth = numbers(last)
        smooth = smooth[smooth.number.str.startswith("AUC")]
        found = pd.concat([found, smooth.assign(number=smooth.number.str.replace("AUC", "last 20"))])
    random = found[found.agent == "random"][["run", "number", "value"]]
    both = found.merge(random, on=["run", "number"], how="left", suffixes=("", "_random"))
    both["less"] = (both.value - both.value_random).where(both.agent != "random")
    table = both.groupby(["agent", "number"]).agg(
        runs=("run", "nunique"),
        mean=("value", "mean"),
        se=("value", "sem"),
        less=("less", "mean"),
        less_se=("less", "sem"),
    )
    return table.rename(columns=dict(zip(("less", "less_se"), _DIFFERENCE, strict=True))).reset_index()


def full_data_set() -> pd.DataFrame:
    """The model that was trained on all training points of pakinsons: its last epoch."""
    rows = []
    for metric, name in (("MAE", "accuracies.csv"), ("NLL", "likelihoods.csv")):
        last = pd.read_csv(HERE / "upper_bound" / name, index_col="epoch").ffill().iloc[-1]
        rows.append({"number": f"last {metric}", "runs": len(last), "mean": last.mean(), "se": last.sem()})
    return pd.DataFrame(rows).assign(**_named(TASKS[0]), agent=FULL)


def published() -> pd.DataFrame:
    """The published figures as texts, `~` where lines overlap; but for pakinsons, of smoothed curves."""
    table = pd.read_csv(HERE / "published.csv", dtype=str).melt(
        ["dataset", "agent"], var_name="number", value_name="published"
    )
    smoothed = (table.dataset != "pakinsons") & (table.agent != FULL)
    last = smoothed.map({True: "last 20", False: "last"})
    table["number"] = [name.replace("final", one) for name, one in zip(table.number, last, strict=True)]
    return table.dropna().assign(protocol="published", **{"query size": 1})


def beside_published(found: pd.DataFrame) -> pd.DataFrame:
    """Ours and the published figure for pakinsons, a row an agent."""
    of_task = select(found, _named(TASKS[0]))
    of_task = of_task[of_task.runs > 0]
    columns = {}
    for number in ("AUC MAE", "last NLL"):
        rows = of_task[of_task.number == number].set_index("agent")
        columns[number] = _with_error(rows["mean"], rows.se, DIGITS[number[-3:]])
        columns[f"published {number}"] = rows.published
    agents = of_task.agent.unique()
    return pd.DataFrame(columns).loc[agents].fillna("").rename_axis("agent").reset_index()


def _with_error(mean: pd.Series, error: pd.Series, digits: int, sign: str = "") -> pd.Series:
    texts = [f"{m:{sign}.{digits}f} ± {e:.{digits}f}" for m, e in zip(mean, error, strict=True)]
    return pd.Series(texts, mean.index).where(mean.notna())


def ablation() -> pd.DataFrame:
    """What each fault adds to the AUC of NLL: a row a fault, a column an agent."""
    table = select(pd.read_csv(HERE / "ablation.csv"), {"number": "AUC NLL"})
    table = table[table.protocol != "corrected"]
    fault = table.protocol.str.removeprefix("corrected-but-").str.removeprefix("training-")
    text = _with_error(table.difference, table["se of difference"], DIGITS["NLL"], "+")
    named = table.assign(fault="`" + fault + "`", text=text)
    wide = named.pivot(index="fault", columns="agent", values="text")
    order = wide.index[np.argsort(wide.index != "`training`", kind="stable")]
    return wide.loc[order, ["random", "coreset", "balsa_kl_pairs"]].fillna("").reset_index()


def main() -> None:
    """Writes the numbers, each table between its two lines of the page, and the picture."""
    curves = load_results(None, ROOT / "results").curves
    found = all_numbers(curves)
    text = found.to_csv(index=False, float_format="%.5f", lineterminator="\n")
    write_file(NUMBERS, lambda path: path.write_text(text, encoding="utf-8"))
    tables = {
        "Beside the published figures": beside_published(found),
        "Ablation": ablation(),
    }
    for name, table in tables.items():
        write_between(PAGE, FIRST.format(name), LAST, markdown(table))
    title = "Parkinsons, query size 1, published protocol"
    figure = learning_curves(task(curves, *TASKS[0]), "nll", title)
    save(figure, ROOT / "docs/figures/reproduction.png")
    print(f"reproduction: {PAGE}")


if __name__ == "__main__":
    run_script(main)

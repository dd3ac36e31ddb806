"""Writes the tables and the picture of docs/REPRODUCTION.md.

    python reproduction/tables.py

They come from the store and from files here: `published.csv` has the published figures; `ablation.csv` is
made by ablation.py; `upper_bound/` by `python compute_upper_bound.py --dataset pakinsons --restarts 5`.
"""

import pandas as pd
import statements
from ablation import numbers
from project import ROOT
from statements import DIGITS, task, with_error

from core import load_results
from core.cli import run_script
from core.report.curves import learning_curves
from core.report.load import areas, select
from core.report.page import markdown, write_between
from core.report.plots import save
from core.report.statistics import paired_differences, task_blocks

PAGE, TABLES = ROOT / "docs/REPRODUCTION.md", ROOT / "reproduction"
FIRST, LAST = "<!-- {} by python reproduction/tables.py: -->", "<!-- (until here) -->"
FULL = "full data set"


def beside_published(curves: pd.DataFrame) -> pd.DataFrame:
    """A row an agent: mean and standard error over the runs, the published figure, how far ours lies off.

    Runs of one id share seed set and validation data, so the differences to `random` are of the same runs.
    """
    published = published_figures("pakinsons")
    found = numbers(curves)
    areas_of_mae = found[found.number == "AUC MAE"].pivot(index="run", columns="agent", values="value")
    rows = []
    for agent, line in published.drop(index=FULL).iterrows():
        ours = found[found.agent == agent]
        row: dict[str, object] = {"agent": f"`{agent}`", "runs": ours.run.nunique()}
        for shown, name in (("AUC MAE", "AUC MAE"), ("final MAE", "last MAE"), ("final NLL", "last NLL")):
            values = ours[ours.number == name].value
            text = str(line[shown])
            theirs = float(text.lstrip("~"))
            row[f"{shown}: ours"] = with_error(values, DIGITS[shown[-3:]]) if len(values) else "not run"
            row["published " + shown] = text
            if shown == "AUC MAE":
                row["difference"] = f"{100 * (values.mean() / theirs - 1):+.0f} %" if len(values) else ""
                row["less `random`: ours"] = row["published, less `random`"] = ""
                if agent == "random":
                    continue
                row["published, less `random`"] = (
                    f"{theirs - float(str(published.loc['random', shown])):+.4f}"
                )
                if len(values):
                    less = (areas_of_mae[agent] - areas_of_mae["random"]).dropna()
                    row["less `random`: ours"] = with_error(less, DIGITS["MAE"], "+")
        rows.append(row)
    return pd.DataFrame([*rows, full_data_set(published.loc[FULL])]).fillna("")


def published_figures(dataset: str) -> pd.DataFrame:
    """As texts, `~` where lines overlap; indexed by agent."""
    table = pd.read_csv(TABLES / "published.csv", dtype=str)
    return select(table, {"dataset": dataset}).set_index("agent")


def ends_beside_published(curves: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """A row an agent: the mean of its last 20 points (the published curves are smoothed), and the figure."""
    published = published_figures(dataset)
    of_task = task(curves, "published", 1, dataset).astype({"agent": str})
    last = of_task[of_task.labelled > of_task.labelled.max() - 20]
    ours = last.groupby(["agent", "metric", "run"], observed=True)["value"].mean()
    rows = []
    for agent in (agent for agent in published.index if agent in set(last.agent)):
        row: dict[str, object] = {"agent": f"`{agent}`", "runs": ours[agent]["mae"].size}
        for metric in ("MAE", "NLL"):
            row[f"last {metric}: ours"] = with_error(ours[agent][metric.lower()], DIGITS[metric])
            row[f"published last {metric}"] = published.loc[agent, f"final {metric}"]
        rows.append(row)
    return pd.DataFrame(rows)


def full_data_set(published: pd.Series) -> dict[str, object]:
    """The row of the model that was trained on the whole train part: its last epoch."""
    row: dict[str, object] = {"agent": FULL}
    for shown, name in (("final MAE", "accuracies.csv"), ("final NLL", "likelihoods.csv")):
        curves = pd.read_csv(TABLES / "upper_bound" / name, index_col="epoch")
        row["runs"] = curves.shape[1]
        row[f"{shown}: ours"] = with_error(curves.ffill().iloc[-1], DIGITS[shown[-3:]])
        row["published " + shown] = published[shown]
    return row


def ranking(curves: pd.DataFrame) -> pd.DataFrame:
    """Place and mean AUC of the agents that both protocols have, at the query sizes there are."""
    tasks = {
        f"{protocol}, {size}": task(curves, protocol, size)
        for protocol, size in (("published", 1), ("published", 50), ("corrected", 50))
    }
    tasks = {name: table for name, table in tasks.items() if len(table)}
    common = set.intersection(*(set(table.agent) for table in tasks.values()))
    columns = {}
    for name, table in tasks.items():
        area = areas(table[table.agent.isin(common)])
        for metric in ("mae", "nll"):
            mean = area[area.metric == metric].groupby("agent", observed=True)["area"].mean()
            digits = DIGITS[metric.upper()]
            places = mean.rank().astype(int)
            columns[f"{metric.upper()} {name}"] = places.map(str) + mean.map(
                lambda v, d=digits: f" ({v:.{d}f})"
            )
    table = pd.DataFrame(columns)
    last = list(table)[-1]
    order = table[last].str.split().str[0].astype(int).sort_values().index
    return table.loc[order].rename_axis("agent").reset_index()


def over_data_sets(curves: pd.DataFrame) -> pd.DataFrame:
    """AUC less that of `random`'s run of the same id, of the agents that all data sets have, and mean ranks.

    Each data set counts alike, however many runs it has; the ranks are of means over the runs that all
    agents have there.
    """
    found = areas(select(curves, {"variation": "nf", "protocol": "published", "query_size": 1}))
    columns = {}
    for metric in ("NLL", "MAE"):
        means = task_blocks(found, metric.lower()).table
        common = found[found.agent.isin(means.columns)]
        for dataset, of_dataset in common.groupby("dataset", observed=True):
            less = paired_differences(of_dataset, metric.lower(), share=False)
            columns[f"{metric} {dataset}"] = less.groupby("agent", observed=True)["area"].agg(
                with_error, digits=DIGITS[metric], sign="+"
            )
        columns[f"mean rank {metric}"] = means.rank(axis=1).mean()
    table = pd.DataFrame(columns).sort_values(["mean rank NLL", "mean rank MAE"], kind="stable")
    shown = table.map(lambda v: f"{v:.2f}" if isinstance(v, float) else v, na_action="ignore").fillna("")
    return shown.rename_axis("agent").reset_index()


def ablation() -> pd.DataFrame:
    """A row an agent and fault: mean AUC and last values, and the difference to the corrected protocol."""
    table = pd.read_csv(TABLES / "ablation.csv")
    digits = table.number.str[-3:].map(DIGITS)
    table["text"] = [
        f"{row.mean:.{d}f}"
        + (f" ({row.difference:+.{d}f} ± {row.error:.{d}f})" if row.protocol != "corrected" else "")
        for d, row in zip(
            digits, table.rename(columns={"se of difference": "error"}).itertuples(index=False), strict=True
        )
    ]
    wide = table.pivot(index=["agent", "protocol", "runs"], columns="number", values="text").reset_index()
    order = wide.protocol.map(lambda name: (name != "corrected") + 2 * (name == "published"))
    return wide.iloc[order.argsort(kind="stable")].sort_values("agent", kind="stable")


def tables(curves: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The tables of the page, by what its lines call them."""
    published = task(curves, "published", 1)
    return {
        "Beside the published figures": beside_published(published),
        "Ablation": ablation(),
        "Rankings": ranking(curves),
        "Over the data sets": over_data_sets(curves),
        "Published figures, diamonds": ends_beside_published(curves, "diamonds"),
        "Published figures, superconductors": ends_beside_published(curves, "superconductors"),
        **statements.tables(curves),
    }


def main() -> None:
    """Writes each table between its two lines of the page, and the picture."""
    curves = load_results(None, ROOT / "results").curves
    for name, table in tables(curves).items():
        write_between(PAGE, FIRST.format(name), LAST, markdown(table))
    published = task(curves, "published", 1)
    # Of later points every 20th: the noise of all of them would fill the gaps of dashed lines.
    drawn = published[(published.labelled <= 220) | (published.labelled % 20 == 0)]
    figure = learning_curves(drawn, title="pakinsons, query size 1, published protocol")
    save(figure, ROOT / "docs/figures/reproduction.png")
    print(f"reproduction: {PAGE}")


if __name__ == "__main__":
    run_script(main)

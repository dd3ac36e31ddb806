"""Pictures of results.

    python -m core.plots runs/Diabetes/5 --out learning_curve.png

draws the learning curves of all agents below a folder `<dataset>/<query_size>`.
"""

from pathlib import Path

from matplotlib.figure import Figure

from .cli import ArgumentParser, run_script
from .errors import UserError
from .results import read_curves

__all__ = ["learning_curves"]

_PANELS = {"accuracies.csv": "MAE", "likelihoods.csv": "NLL", "crps.csv": "CRPS"}
# Okabe & Ito: told apart by the colour-blind as well.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")


def learning_curves(folder: Path) -> Figure:
    """MAE, NLL and CRPS over the points added, for all agents below `<dataset>/<query_size>`.

    A line is the mean over an agent's runs, the band around it one standard deviation.

    Raises:
        UserError: there are no results below the folder.
    """
    agents = sorted(path.parent for path in folder.glob("*/accuracies.csv"))
    if not agents:
        raise UserError(f"no results in {folder}: a folder <dataset>/<query_size> of finished runs is wanted")
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    panels = figure.subplots(1, len(_PANELS), sharex=True)
    for axes, (file, metric) in zip(panels, _PANELS.items(), strict=True):
        for i, agent in enumerate(agents):
            curves = read_curves(agent / file).dropna(how="all")
            mean, colour = curves.mean(axis=1), _COLOURS[i % len(_COLOURS)]
            label = f"{agent.name} ({curves.shape[1]} run{'s' * (curves.shape[1] > 1)})"
            axes.plot(mean.index, mean, color=colour, label=label)
            if curves.shape[1] > 1:
                spread = curves.std(axis=1)
                axes.fill_between(
                    mean.index, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0
                )
        axes.set(xlabel="points added to the seed set", ylabel=f"{metric} on the scaled target")
        axes.grid(alpha=0.3)
    figure.suptitle(f"{folder.parent.name}, query size {folder.name}")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False)
    return figure


def main() -> None:
    parser = ArgumentParser(prog="core.plots", description="Draws learning curves.")
    parser.add_argument("folder", type=Path, help="a folder <dataset>/<query_size> of results")
    parser.add_argument("--out", type=Path, default=Path("learning_curves.png"), help="PNG, PDF or SVG")
    args = parser.parse_args()
    figure = learning_curves(args.folder)
    try:
        figure.savefig(args.out, dpi=150)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot write {args.out}: {' '.join(str(error).split())}") from error
    print(f"learning curves: {args.out}")


if __name__ == "__main__":
    run_script(main)

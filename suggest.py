"""Suggests which rows of a pool to measure next, given the rows already measured.

    python suggest.py --labelled done.csv --pool candidates.csv --target y --agent balsa_kl_pairs --count 20

--out gets the chosen rows in order, with score, predicted median, 50 % and 90 % interval, and a picture of
the same name. Add what you measure to the labelled rows and run it again. docs/OWN_DATA.md says more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli import ArgumentParser, at_least, pick_device, run_script, set_threads
from core.errors import UserError, check_known
from core.files import write_file
from core.options import DECISIONS, add_options, options_of

if TYPE_CHECKING:
    from core import Seeds
    from core.suggestion import model, tables


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="suggest.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = ".csv, .parquet, .arff, also .gz"
    parser.add("labelled", None, f"table of measured rows ({kinds})", type=Path, required=True)
    said = "table of candidates, same columns; if not given, the rows of --labelled with an empty target"
    parser.add("pool", None, said, type=Path)
    parser.add("target", None, "column that is measured; the pool may lack it", required=True)
    parser.add("agent", "balsa_kl_pairs", "name of the agent that chooses")
    parser.add("count", 20, "rows to choose", type=at_least(1))
    add_options(parser, (*DECISIONS, "variation"))
    said = "rows of the pool that are equal in all features are candidates each"
    parser.add_argument("--replicates", action="store_true", help=said)
    parser.add_argument("--verbose", action="store_true", help="say more of each column")
    parser.add("out", Path("next.csv"), "the chosen rows; a picture lies beside them", type=Path)
    parser.add("seed", 1, "the same seed makes the same choice", type=at_least(0))
    parser.add("device", "auto", "auto, cpu, cuda, cuda:1, ...")
    parser.add("threads", 1, "threads of this process", type=at_least(1, 1024))
    args = parser.parse_args(arguments)
    if args.out.suffix != ".csv":
        parser.error(f"argument --out: its name must end in .csv, got '{args.out}'")
    return args


def check(args: argparse.Namespace) -> None:
    """Raises a UserError if agent or model are unknown, or the agent does not score the model."""
    from core.agent import check_scores
    from core.models.variations import VARIATIONS

    check_known("variation", args.variation, VARIATIONS)
    check_scores(args.agent, args.variation)


def print_notes(args: argparse.Namespace, problem: tables.Problem) -> None:
    """What each column became, and what else the user should know of the tables."""
    from core import AGENTS

    for line in problem.lines:
        print(line)
    for note in problem.notes:
        print(f"note: {note}")
    most = max(AGENTS[args.agent].candidates, args.count)
    if len(problem.pool) > most:
        print(f"note: {most:,} of the {len(problem.pool):,} rows of the pool, drawn at random, are scored")


def train(args: argparse.Namespace, problem: tables.Problem, seeds: Seeds) -> model.Trained:
    from core.suggestion import model

    print("training", file=sys.stderr)
    try:
        made = model.train(problem, args.agent, args.variation, seeds, pick_device(args.device))
    except FloatingPointError as error:
        raise UserError(f"{args.labelled}: {error}; another --seed may help") from error
    done = made.fit
    epochs = f" for {done.epochs} epochs" * bool(done.epochs)
    print(f"trained{epochs}, held-out NLL {done.validation_nll:.3f}", file=sys.stderr)
    if done.fits_at_limit:
        print("warning: the held-out error was still improving when training ended", file=sys.stderr)
    print(f"{made.held_out} held-out rows: R2 {made.r2:.3f}, calibration error {made.calibration:.3f}")
    if not made.r2 > 0:
        print(
            "warning: the model is no better than predicting the mean, "
            "and the choice hardly better than a random one"
        )
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_arguments(arguments)
    check(args)
    set_threads(args.threads)

    from core import Seeds
    from core.data.frames import read_frame
    from core.files import check_target
    from core.report.plots import chosen_rows, save
    from core.suggestion import model, tables

    check_target(args.out, args.labelled, args.pool or args.labelled)
    labelled = read_frame(args.labelled)
    if args.pool:
        pool = read_frame(args.pool)
    else:
        labelled, pool = tables.split_by_target(labelled, args.target)
    decisions = {name: options_of(args)[name] for name in DECISIONS}
    problem = tables.make_problem(labelled, pool, args.target, decisions, args.replicates, args.verbose)
    print_notes(args, problem)
    if len(problem.pool) < args.count:
        raise UserError(f"{pool.where}: {args.count} rows are to be chosen, and {len(problem.pool)} are left")
    seeds = Seeds(1, args.seed, args.seed, args.seed)
    trained = train(args, problem, seeds)
    print(f"{args.agent} chooses {args.count} of {len(problem.pool):,} rows", file=sys.stderr)
    chosen, scores = model.choose(problem, trained, args.agent, args.count, seeds)
    predicted = model.quantiles(problem, trained)
    made = tables.next_rows(pool, problem, chosen, scores, predicted)
    write_file(args.out, lambda path: made.to_csv(path, index=False))
    picture = args.out.with_suffix(".png")
    save(chosen_rows(predicted, chosen, problem.x, problem.pool, args.target), picture)
    print(f"{len(made)} rows to measure next: {args.out}\npicture: {picture}")


if __name__ == "__main__":
    run_script(main)

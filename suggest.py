"""Suggests which rows of a pool to measure next, given those already measured.

    python suggest.py --labelled done.csv --pool candidates.csv --target y --count 20

This writes the chosen rows in order, with score, predicted median, 50 % and 90 % interval, to next.csv
(--out), and a picture to next.png. Add what you measure to the labelled rows and run it again. See
docs/OWN_DATA.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli import ArgumentParser, at_least, pick_device, run_script, set_threads
from core.errors import UserError
from core.options import DECISIONS, add_options, options_of

if TYPE_CHECKING:
    from core import Seeds
    from core.suggestion.model import Fitted
    from core.suggestion.tables import Problem

#: The default of --agent.
AGENT = "lcmd"


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(prog="suggest.py", description=__doc__)
    kinds = ".csv, .parquet, .arff, also .gz"
    parser.add("labelled", None, f"table of measured rows ({kinds})", type=Path)
    said = "table of candidates, same columns; if not given, the rows of --labelled with an empty target"
    parser.add("pool", None, said, type=Path)
    parser.add("target", None, "the measured column; the pool need not have it")
    parser.add("agent", AGENT, "name of the agent that chooses")
    parser.add("count", 20, "rows to choose; 0: predict only", type=at_least(0))
    add_options(parser, DECISIONS)
    said = "each of several equal rows of the pool is a candidate of its own"
    parser.add_argument("--replicates", action="store_true", help=said)
    parser.add_argument("--verbose", action="store_true", help="say more about each column")
    parser.add("variation", "auto", "the model; auto: the best of forest, gp and ensemble")
    parser.add("out", Path("next.csv"), "file for the chosen rows; a picture is saved next to it", type=Path)
    parser.add("scores", None, ".csv file for score and predictions of all candidates", type=Path)
    parser.add("save_model", None, "folder for the model, to predict later without training", type=Path)
    parser.add("model", None, "a folder of --save_model, instead of --labelled and --target", type=Path)
    parser.add("seed", 1, "the same seed makes the same choice", type=at_least(0))
    parser.add("device", "auto", "auto, cpu, cuda, cuda:1, ...")
    parser.add("threads", 1, "threads of this process", type=at_least(1, 1024))
    args = parser.parse_args(arguments)
    for name in ("out", "scores"):
        if (path := getattr(args, name)) and path.suffix != ".csv":
            parser.error(f"argument --{name}: its name must end in .csv, got '{path}'")
    if args.scores and args.count and args.scores.resolve() == args.out.resolve():
        parser.error("--scores and --out must be different files")
    if not args.count and not args.scores:
        parser.error("--count 0 chooses nothing: --scores FILE is needed for the predictions")
    if args.model:
        of_training = ("labelled", "target", "save_model", "verbose", *DECISIONS, "variation")
        known = [name for name in of_training if getattr(args, name) != parser.get_default(name)]
        if known or not args.pool:
            parser.error(f"--model needs --pool, and no --{known[0]}" if known else "--model needs --pool")
    elif not (args.labelled and args.target):
        parser.error("--labelled and --target are needed, or --model")
    return args


def print_notes(args: argparse.Namespace, problem: Problem) -> None:
    """Prints what each column became, and what else you should know about the tables."""
    from core import AGENTS

    for line in problem.lines:
        print(line)
    for note in problem.notes:
        print(f"note: {note}")
    left, where = len(problem.pool), problem.table.where
    most = max(AGENTS[args.agent].candidates, args.count)
    if args.count and left > most:
        print(f"note: {most:,} of the {left:,} pool rows, drawn at random, are candidates")
    if not left:
        raise UserError(f"{where}: no row of the pool is left")
    if left < args.count:
        raise UserError(f"{where}: cannot choose {args.count} rows, only {left} are left")


def print_quality(fitted: Fitted) -> None:
    """Prints which model was chosen, and how good it is."""
    from core.suggestion.calibration import likely

    found, best = fitted.quality, fitted.variation
    ranked = sorted(fitted.nll.items(), key=itemgetter(1))
    others = "".join(f", {name} {nll:.3f}" for name, nll in ranked[1:])
    learned = f"{fitted.model.target.words}{fitted.problem.target}"
    print(f"{best} of {learned}: held-out NLL {fitted.nll[best]:.3f}{others}")
    mae = f"MAE of the median {found.mae:.4g}, of a constant {found.constant_mae:.4g}"
    print(f"{found.rows} rows, each left out once: R2 {found.r2:.3f}; {mae}")
    for share, held in found.held.items():
        low, high = (100 * of_new for of_new in likely(share, found.settings))
        said = f"{100 * share:.0f} % interval: held {held} of {found.rows} rows that were left out"
        print(f"{said}; it should hold {low:.0f} to {high:.0f} % of new ones")
    if not found.r2 > 0:
        said = "and the choice hardly better than a random one"
        print(f"warning: the model is no better than predicting the mean, {said}")


def print_last_round(fitted: Fitted, seeds: Seeds) -> None:
    """Prints whether the rows measured last still helped, if the labelled table says which those are."""
    from core.suggestion.model import last_round

    change, rounds = last_round(fitted, seeds), fitted.problem.rounds
    if change is None:
        return
    mean, low, high = change
    rows = f"the last {(rounds == rounds.max()).sum()} rows"
    if low <= 0 <= high:
        said = f"made no visible difference to the held-out NLL ({low:+.3f} to {high:+.3f})"
        print(f"{rows} {said}; consider stopping")
        return
    low, high = sorted((abs(low), abs(high)))
    said = f"{'lowered' if mean < 0 else 'raised'} the held-out NLL by {abs(mean):.3f}"
    print(f"{rows} {said} (95 % interval {low:.3f} to {high:.3f})")


def train(args: argparse.Namespace, seeds: Seeds) -> Fitted:
    """A model of the labelled rows."""
    from core.data.frames import read_frame
    from core.suggestion import model, tables

    labelled = read_frame(args.labelled)
    if args.pool:
        pool = read_frame(args.pool)
    else:
        labelled, pool = tables.split_by_target(labelled, args.target)
    decisions = {name: options_of(args)[name] for name in DECISIONS}
    problem = tables.make_problem(labelled, pool, args.target, decisions, args.replicates, args.verbose)
    print_notes(args, problem)
    names = model.variations(args.agent, args.variation, len(problem.y))
    print(f"trying {', '.join(names)}", file=sys.stderr)
    try:
        return model.fit(problem, names, seeds, pick_device(args.device), args.agent)
    except FloatingPointError as error:
        raise UserError(f"{args.labelled}: {error}; another --seed may help") from error


def load(args: argparse.Namespace) -> Fitted:
    """A saved model, with the rows to predict as its pool."""
    from core.agent import check_scores
    from core.data.frames import read_frame
    from core.suggestion import saved, tables

    fitted, differ = saved.load(args.model, pick_device(args.device))
    check_scores(args.agent, fitted.variation)
    if differ:
        print(f"note: {args.model} was made with {differ}: its predictions may have changed since")
    pool = read_frame(args.pool)
    problem = tables.with_pool(fitted.problem, pool, args.replicates, every_row=not args.count)
    print_notes(args, problem)
    return replace(fitted, problem=problem)


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_arguments(arguments)
    set_threads(args.threads)

    from core import Seeds
    from core.files import check_target, check_writable
    from core.report.plots import save
    from core.suggestion import model, saved, tables
    from core.suggestion.figure import chosen_rows

    if not args.model:
        model.variations(args.agent, args.variation, 0)  # wrong names are refused before any file is read
    read = [path for path in (args.labelled, args.pool) if path]
    for path in filter(None, (args.out, args.scores)):
        check_target(path, *read)
    if args.save_model:
        check_writable(args.save_model)
    seeds = Seeds(1, args.seed, args.seed, args.seed)
    fitted = load(args) if args.model else train(args, seeds)
    problem = fitted.problem
    print_quality(fitted)
    if not args.model:
        print_last_round(fitted, seeds)
    predicted = model.quantiles(fitted, problem.pool)
    if args.save_model:
        saved.save(args.save_model, fitted)
        print(f"model: {args.save_model}")
    if args.scores:
        scores = model.score(fitted, args.agent, seeds)
        every = predicted.assign(pool_row=problem.file_rows, score=scores)
        problem.write(args.scores, every[["pool_row", "score", *predicted]])
        print(f"{len(every):,} candidates: {args.scores}")
    if not args.count:
        return
    print(f"{args.agent} chooses {args.count} of {len(problem.pool):,} rows", file=sys.stderr)
    chosen, scores = model.choose(fitted, args.agent, args.count, seeds)
    problem.write(args.out, tables.next_rows(problem, chosen, scores, predicted))
    picture = args.out.with_suffix(".png")
    save(chosen_rows(fitted, predicted, chosen, model.importance(fitted, seeds)), picture)
    print(f"{len(chosen)} rows to measure next: {args.out}\npicture: {picture}")
    if args.agent == AGENT and fitted.quality.r2 > 0:
        print(f"on five tables, {AGENT} needed 19 to 57 % fewer rows than random choice (docs/OWN_DATA.md)")


if __name__ == "__main__":
    run_script(main)

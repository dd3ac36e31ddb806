"""What the runs of an experiment have in common, and what is noted of each of them."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from filelock import FileLock

from ..errors import UserError
from ..files import write_file
from . import checkpoint
from .collecting import collect
from .layout import claimed, discard, finished_runs, id_of, is_finished, run_folders

__all__ = ["agree_on_settings", "check_settings", "read_meta", "write_meta"]


def agree_on_settings(
    experiment: Path, settings: Mapping[str, object], run_ids: Sequence[int], overwrite: bool
) -> None:
    """Sees to it that all runs of an experiment have the same settings: those in its `settings.txt`.

    They are written before the first run begins, and compared ever after, under a lock.

    Args:
        settings: as of `write_meta`, of the runs to come; only these names are compared.
        run_ids: the runs to come.
        overwrite: they are made anew. Those of other settings count as never begun from now on.

    Raises:
        UserError: a run that stays was made, or begun, with other settings.
    """
    wanted = {name: str(value) for name, value in settings.items()}
    experiment.mkdir(parents=True, exist_ok=True)
    with FileLock(experiment / ".lock"):
        path = experiment / "settings.txt"
        agreed = {experiment: read_meta(path)} if path.exists() else {}
        made = {}
        for folder in finished_runs(experiment):
            with suppress(FileNotFoundError):  # its process makes it anew
                made[folder] = read_meta(folder / "meta.txt")
        differing = [
            difference
            for folder, found in (made | agreed).items()
            if (difference := _difference(folder, found, wanted))
        ]
        if differing:
            runs = _begun(experiment) if overwrite else []
            if not overwrite or any(id_of(folder) not in run_ids for folder in runs):
                raise UserError(differing[0] + _ADVICE)
            with ExitStack() as claims:
                if not all([claims.enter_context(claimed(folder)) for folder in runs]):
                    raise UserError(f"{differing[0]}another process is at a run")
                for folder in runs:
                    discard(folder)
            collect(experiment)
        if differing or not agreed:
            write_meta(path, wanted)


_ADVICE = "take another --runs_folder, remove it, or make all its runs anew with --overwrite 1"


def check_settings(experiment: Path, settings: Mapping[str, object]) -> None:
    """Raises a UserError if others than these have been agreed on."""
    found = read_meta(experiment / "settings.txt")
    if difference := _difference(experiment, found, {name: str(value) for name, value in settings.items()}):
        raise UserError(difference + _ADVICE)


def _difference(folder: Path, found: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """The first setting that differs, in words; nothing if none does."""
    for name, value in wanted.items():
        if found.get(name) != value:
            return f"{folder} was made with {name} {found.get(name)}, not {value}: "
    return ""


def _begun(experiment: Path) -> list[Path]:
    """The folders of all runs that are finished, can go on, or are at work."""
    begun = []
    for folder in run_folders(experiment):
        if is_finished(folder) or (folder / checkpoint.FILE).exists():
            begun.append(folder)
        else:
            with claimed(folder) as mine:
                if not mine:
                    begun.append(folder)
    return begun


def write_meta(path: Path, settings: Mapping[str, object]) -> None:
    """Writes `meta.txt` or `settings.txt`: a line `name: value` for each setting."""
    text = "".join(f"{name}: {value}\n" for name, value in settings.items())
    # Paths may hold bytes that are no text.
    write_file(path, lambda beside: beside.write_text(text, encoding="utf-8", errors="surrogateescape"))


def read_meta(path: Path) -> dict[str, str]:
    """The settings in a file that `write_meta` wrote."""
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line)

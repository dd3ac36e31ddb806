"""Fetching files into a data folder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pooch
import requests
from filelock import FileLock
from tqdm import tqdm

from .rawfiles import one_line

__all__ = ["DownloadError", "fetch", "is_writable", "writing_alone"]

#: How often a download that broke off is tried again; pooch waits 1, 2, 3 seconds before.
RETRIES = 3
#: Seconds to wait for a connection, and for the next bytes.
TIMEOUT = (10, 30)


class DownloadError(Exception):
    """An address did not give its file; the text says why, on one line."""


class _RefusedError(OSError):
    """The server has answered for good; no RequestException, so that pooch does not try again."""


def is_writable(folder: Path) -> bool:
    """Whether files may be made in `folder`, or the folder itself where it is missing.

    A folder without any write bit counts as read-only for root too, whom the system lets write.
    """
    while not folder.exists():
        folder = folder.parent
    return folder.is_dir() and bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK | os.X_OK)


@contextmanager
def writing_alone(target: Path) -> Iterator[None]:
    """Keeps other processes from making `target` at the same time (they wait); makes its folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path = target.with_name(f".{target.name}.lock")
    with FileLock(path):
        try:
            yield
        finally:
            # Removed while it is held: who waits on it sees that (filelock 3.25) and makes a new one.
            with suppress(PermissionError):  # Windows removes no open file
                path.unlink(missing_ok=True)


def fetch(url: str, target: Path) -> None:
    """Downloads `url` to `target`, again where the answer breaks off, with a progress bar on a terminal.

    Raises:
        DownloadError: the address does not answer, refuses, or gives no whole file; no file is left.
    """
    print(f"downloading {url}", file=sys.stderr)
    pooch.get_logger().setLevel("ERROR")  # its log names the temporary file only
    store = pooch.create(
        path=target.parent,
        base_url="",
        registry={target.name: None},
        urls={target.name: url},
        retry_if_failed=RETRIES,
    )
    try:
        store.fetch(target.name, downloader=_download)
        target.chmod(0o644)  # pooch leaves it readable by its owner alone
    except (OSError, ValueError) as error:  # requests' own errors are OSErrors
        raise DownloadError(_reason(error)) from error


def _download(url: str, output_file: str, store: object) -> None:
    """One attempt, for pooch."""
    # total=1: pooch asks for the truth value of the bar, which a bar without a total has not.
    with tqdm(total=1, unit="B", unit_scale=True, leave=False, disable=None) as bar:
        http = pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16, timeout=TIMEOUT)
        try:
            http(url, output_file, store)
        except requests.HTTPError as error:
            status = error.response.status_code
            if 400 <= status < 500 and status not in (408, 425, 429):  # these three may pass
                raise _RefusedError(f"HTTP status {status}") from error
            raise


def _reason(error: Exception) -> str:
    """What the user should read: requests' own texts are long and name its insides."""
    if isinstance(error, requests.HTTPError):
        return f"HTTP status {error.response.status_code}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the answer broke off"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return f"no connection ({type(error).__name__})"
    return one_line(error)

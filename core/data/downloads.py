"""Fetching files into a data folder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep
from urllib.parse import urlsplit

import requests
from filelock import FileLock
from tqdm import tqdm

from ..files import beside, commit, one_line

__all__ = ["DownloadError", "fetch", "is_writable", "writing_alone"]

#: How often a download that broke off is tried again, after 1, 2, 3 seconds.
RETRIES = 3
#: Seconds to wait for a connection, and for the next bytes.
TIMEOUT = (10, 30)
#: Answers of a server that may pass, beside those from 500.
PASSING = (408, 425, 429)


class DownloadError(Exception):
    """An address did not give its file; the text says why, on one line."""


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
    """Downloads `url` to `target` over https, again where the answer breaks off; a bar on a terminal.

    Raises:
        DownloadError: the address does not answer, refuses, or gives no whole file; no file is left.
    """
    if not _is_secure(url):
        raise DownloadError("not an https address")
    tqdm.write(f"downloading {url}", file=sys.stderr)  # above the bars that there are
    for attempt in range(RETRIES + 1):
        try:
            with beside(target) as part:
                _download(url, part)
                commit({part: target})
            return
        except OSError as error:  # requests' own errors are OSErrors
            if attempt == RETRIES or not _may_pass(error):
                raise DownloadError(_reason(error)) from error
        sleep(attempt + 1)


def _download(url: str, target: Path) -> None:
    with requests.get(url, stream=True, timeout=TIMEOUT) as answer:
        if insecure := [one.url for one in (*answer.history, answer) if not _is_secure(one.url)]:
            raise DownloadError(f"led to {insecure[0]}, which is not https")
        answer.raise_for_status()
        size = int(answer.headers.get("Content-Length", 0)) or None
        with (
            target.open("wb") as file,
            tqdm(total=size, unit="B", unit_scale=True, leave=False, disable=None) as bar,
        ):
            for piece in answer.iter_content(1 << 16):
                file.write(piece)
                bar.update(len(piece))


def _is_secure(url: str) -> bool:
    """Whether nobody on the way can change what comes from there: https, or this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in ("127.0.0.1", "::1", "localhost")


def _may_pass(error: OSError) -> bool:
    """Whether another attempt may succeed: not if the server has answered for good, or the disk is full."""
    if isinstance(error, requests.HTTPError):
        return error.response.status_code >= 500 or error.response.status_code in PASSING
    lost = requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError
    return isinstance(error, lost)


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

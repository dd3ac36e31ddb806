"""Fetching files into a data folder.

By requests, not by pooch, which tries a 404 again and follows a redirect to plain http.
"""

import os
import sys
from pathlib import Path
from time import sleep
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

from ..files import one_line

#: How often a download that broke off is tried again, after 1, 2, 3 seconds.
RETRIES = 3
#: Seconds to wait for a connection, and for the next bytes.
TIMEOUT = (10, 30)
#: Answers of a server that may pass, beside those from 500.
PASSING = (408, 425, 429)
#: Errors that may pass, and what the user reads: their own texts are long and name requests' insides.
BROKEN = {
    requests.exceptions.ChunkedEncodingError: "the answer broke off",
    requests.Timeout: "no answer in time",
    requests.ConnectionError: "no connection",
}


class DownloadError(Exception):
    """An address did not give its file; the text says why, on one line."""


def is_writable(folder: Path) -> bool:
    """Whether files may be made in `folder`, or the folder itself where it is missing.

    A folder without any write bit counts as read-only for root too, whom the system lets write.
    """
    while not folder.exists():
        folder = folder.parent
    return folder.is_dir() and bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK | os.X_OK)


def fetch(url: str, part: Path) -> None:
    """Downloads `url` over https, again where the answer breaks off; a bar on a terminal.

    Args:
        part: the file to write, which is whole only if no error is raised.

    Raises:
        DownloadError: the address does not answer, refuses, or gives no whole file.
    """
    if not _is_secure(url):
        raise DownloadError("not an https address")
    tqdm.write(f"downloading {url}", file=sys.stderr)  # above the bars that there are
    for attempt in range(RETRIES + 1):
        try:
            return _get(url, part)
        except OSError as error:  # requests' own errors are OSErrors
            reason, may_pass = _reason(error)
            if attempt == RETRIES or not may_pass:
                raise DownloadError(reason) from error
        sleep(attempt + 1)


def _get(url: str, target: Path) -> None:
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
                bar.update(file.write(piece))


def _is_secure(url: str) -> bool:
    """Whether nobody on the way can change what comes from there: https, or this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in ("127.0.0.1", "::1", "localhost")


def _reason(error: OSError) -> tuple[str, bool]:
    """What the user should read, and whether another attempt may succeed."""
    if isinstance(error, requests.HTTPError):
        status = error.response.status_code
        return f"HTTP status {status}", status >= 500 or status in PASSING
    for kind, text in BROKEN.items():
        if isinstance(error, kind):
            return text, True
    return one_line(error), False

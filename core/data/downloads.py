"""Fetching files into a data folder.

By requests, not by pooch, which tries a 404 again and follows a redirect to plain http.
"""

import sys
from pathlib import Path
from time import sleep

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm

from ..files import UnusableError, one_line

#: How often a download that failed is tried again, after 1, 2, 3 seconds.
RETRIES = 3
#: Seconds to wait for a connection, and for the next bytes.
TIMEOUT = (10, 30)
#: What the user reads of errors: their own texts are long and name requests' insides.
_REASONS = {
    requests.exceptions.ChunkedEncodingError: "the answer broke off",
    requests.Timeout: "no answer in time",
    requests.ConnectionError: "no connection",
    requests.exceptions.InvalidSchema: "only https is read",
}


def fetch(url: str, part: Path) -> None:
    """Downloads `url` over https, again if that fails for a reason that may pass; a bar on a terminal.

    Args:
        part: the file to write, which is whole only if no error is raised.

    Raises:
        UnusableError: the address does not answer, refuses, or gives no whole file.
    """
    tqdm.write(f"downloading {url}", file=sys.stderr)  # above the bars that there are
    for attempt in range(RETRIES + 1):
        try:
            return _get(url, part)
        except requests.RequestException as error:
            status = 0 if error.response is None else error.response.status_code
            # These three client errors mean that the server is slow or busy; all others are final.
            final = isinstance(error, ValueError) or (400 <= status < 500 and status not in (408, 425, 429))
            if attempt == RETRIES or final:
                said = (text for kind, text in _REASONS.items() if isinstance(error, kind))
                reason = f"HTTP status {status}" if status else next(said, one_line(error))
                raise UnusableError(f"{url}: {reason}") from error
        sleep(attempt + 1)


def _get(url: str, part: Path) -> None:
    session = requests.Session()
    # The file must not be altered in transit: only https, after redirects too, or this machine.
    del session.adapters["http://"]
    for host in ("127.0.0.1:", "localhost:"):
        session.mount(f"http://{host}", HTTPAdapter())
    with session, session.get(url, stream=True, timeout=TIMEOUT) as answer:
        answer.raise_for_status()
        size = int(answer.headers.get("Content-Length", 0)) or None
        bar = tqdm(total=size, unit="B", unit_scale=True, leave=False, disable=None)
        with part.open("wb") as file, bar:
            for piece in answer.iter_content(1 << 16):
                bar.update(file.write(piece))

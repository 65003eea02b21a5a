"""Downloads each data file once, from the first mirror that works, and keeps it only if its hash is right."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

CONNECT_TIMEOUT_S = 3.05
READ_TIMEOUT_S = 20.0
SYSTEM_FOLDER = Path("/usr/share/datasets")


def cache_folder() -> Path:
    """Return minigan's folder in the user's cache (``~/.cache/minigan`` on Linux); it may not exist yet."""
    import pooch

    return Path(pooch.os_cache("minigan"))


def search_folders() -> list[Path]:
    """Return the folders searched for data sets: ``MINIGAN_DATA`` if set, the user's cache, /usr/share/datasets."""
    own = os.environ.get("MINIGAN_DATA")
    return [*([Path(own).expanduser()] if own else []), cache_folder(), SYSTEM_FOLDER]


def fetch(files: Mapping[str, str], *, mirrors: Sequence[str], folder: Path, instead: str) -> list[Path]:
    """Download files to a folder, trying each mirror in turn.

    A mirror that fails once, for whatever reason, is not tried again: without a network, the first file settles it.

    Parameters
    ----------
    files : mapping of str to str
        File name to SHA-256, in hexadecimal.
    mirrors : sequence of str
        URLs to which a file name can be appended.
    folder : Path
        Where the files go; created if missing. A file appears there only when it is complete and its hash is right.
    instead : str
        What the user can do without a download; ends the error message.

    Returns
    -------
    list of Path
        One path for each file, in order.

    Raises
    ------
    FileNotFoundError
        If no mirror delivers a file; names every mirror, what went wrong there, and `instead`.
    """
    import pooch
    import requests

    downloader = pooch.HTTPDownloader(timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S), progressbar=True)
    left, failures, paths = list(mirrors), [], []
    for name, sha256 in files.items():
        path = None
        while left and path is None:
            url = left[0].rstrip("/") + "/" + name
            try:
                path = pooch.retrieve(url, f"sha256:{sha256}", fname=name, path=folder, downloader=downloader)
            # pooch raises ValueError for a wrong hash. A full disk is not the mirror's fault: its OSError propagates.
            except (requests.RequestException, ValueError) as error:
                failures.append(f"  {url}: {_reason(error)}")
                left.pop(0)
        if path is None:
            tried = "\n".join(failures)
            raise FileNotFoundError(f"{name} could not be downloaded. Tried:\n{tried}\n{instead}")
        paths.append(Path(path))
    return paths


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, ValueError) and "hash" in str(error):
        return "the file has the wrong SHA-256 and was discarded"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut before the file was complete"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return f"{type(error).__name__}: {error}"

"""So that a kernel is compiled once: results of compilers lie on disk under the hash of everything they came from."""

import hashlib
import os
import tempfile
from pathlib import Path


def folder() -> Path:
    """Return where compiled kernels lie: ``MINIGAN_CACHE`` if set, else the user's cache folder; made if missing."""
    own = os.environ.get("MINIGAN_CACHE")
    if not own:
        import pooch

        own = pooch.os_cache("minigan")
    path = Path(own).expanduser() / "kernels"
    path.mkdir(parents=True, exist_ok=True)
    return path


def key(*parts) -> str:
    """Hash strings and bytes; the lengths count too, so that no two lists of parts look the same."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:40]


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: under a temporary name first, so that two processes never meet halfway."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise

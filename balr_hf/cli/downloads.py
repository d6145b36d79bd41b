"""Files that commands take from the web: each is fetched once, and checked by its sha256."""

import hashlib
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit

from balr_hf.errors import UserError, reason_of


def checked_file(source: str, sha256: str) -> Path:
    """Find a file on this machine or download it, and check that it is the one that is meant.

    Args:
        source (str): a path, or an address (`https://...`), whose file is kept in the cache of `torch.hub`.
        sha256 (str): the sha256 of the file, as 64 hexadecimal digits.

    Returns:
        the path of the file.

    Raises:
        UserError: there is no such file, it cannot be downloaded, or it is another one.
    """
    if not source.startswith(("http://", "https://")):
        path = Path(source)
        if not path.is_file():
            raise UserError(f"no file at {source}")
        found = _sha256(path)
        if found != sha256:
            raise UserError(f"{source} is another file than is meant: its sha256 is {found}, expected {sha256}")
        return path
    import torch

    path = Path(torch.hub.get_dir()) / "checkpoints" / f"{sha256}{Path(urlsplit(source).path).suffix}"
    if path.is_file() and _sha256(path) == sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(source, str(path), hash_prefix=sha256)
    except RuntimeError as error:  # that of another sha256
        raise UserError(f"{source} is another file than is meant, or was damaged on its way: {error}") from error
    except (URLError, OSError, ValueError) as error:
        raise UserError(
            f"cannot download {source} ({reason_of(error)}): where there is no connection, give the path of a copy"
        ) from error
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

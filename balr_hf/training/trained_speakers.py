"""On whom an autoencoder was trained: kept with it as digests, by which a name is recognised, but cannot be read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from balr_hf.scoring.counts import name_digests

# The key of the record that `config.training` is.
KEY = "speaker_digests"


def pack_speakers(names: Iterable[str]) -> str:
    """The digests of speakers' names in text for a configuration: 64 bits each, sorted, in base64.

    Args:
        names (Iterable[str]): the names, each once or more.
    """
    digests = np.unique(name_digests(names).numpy()).astype("<i8")
    return base64.b64encode(digests.tobytes()).decode("ascii")


def trained_on(record: Mapping[str, Any] | None, names: Iterable[str]) -> list[str] | None:
    """Find those of some speakers who are in the sets that an autoencoder was trained and validated on.

    Args:
        record (dict, *optional*): `config.training` of the autoencoder.
        names (Iterable[str]): speakers' names.

    Returns:
        list[str]: the names that are known, sorted; None where the autoencoder does not tell.
    """
    packed = record.get(KEY) if isinstance(record, Mapping) else None
    try:
        known = set(np.frombuffer(base64.b64decode(packed or "", validate=True), dtype="<i8").tolist())
    except (binascii.Error, TypeError, ValueError):  # what somebody else wrote there tells nothing
        return None
    if not known:
        return None
    names = sorted(set(names))
    return [name for name, digest in zip(names, name_digests(names).tolist(), strict=True) if digest in known]

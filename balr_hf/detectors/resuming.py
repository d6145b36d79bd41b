"""Keeping what was computed of recordings that were made, so that a fit that was interrupted goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from balr_hf.files import atomic_path


class Block:
    """What was computed of the recordings of one block, in a file.

    Args:
        folder: where the blocks of a fit are kept; None to keep nothing.
        number (int): of the block.
    """

    def __init__(self, folder: Path | None, number: int):
        self._path = None if folder is None else folder / f"{number:06d}.safetensors"

    def load(self) -> dict[int, tuple[float, np.ndarray]]:
        """Seconds and statistics `(num_statistics,)` by the number of the recording; nothing without a whole file."""
        from safetensors.numpy import load_file

        if self._path is None or not self._path.is_file():
            return {}
        try:
            found = load_file(self._path)
            numbers, seconds, statistics = (found[name] for name in ("numbers", "seconds", "statistics"))
        except (OSError, SafetensorError, KeyError):  # damaged: it is computed anew
            return {}
        rows = zip(numbers.tolist(), seconds.tolist(), statistics, strict=True)
        return {number: (length, row) for number, length, row in rows}

    def save(self, computed: Mapping[int, tuple[float, np.ndarray]]) -> None:
        """Keep what was computed, in the form of [`Block.load`]."""
        from safetensors.numpy import save

        if self._path is None or not computed:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(self._path) as temporary:
            arrays: dict[str, np.ndarray] = {
                "numbers": np.array(list(computed), dtype=np.int64),
                "seconds": np.array([seconds for seconds, _ in computed.values()], dtype=np.float64),
                "statistics": np.stack([row for _, row in computed.values()]).astype(np.float32),
            }
            temporary.write_bytes(save(arrays))  # not `save_file`, whose file nobody else may read

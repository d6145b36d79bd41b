"""Cutting recordings into segments, for corpora with too few recordings per speaker."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from balr_hf.audio import SAMPLING_RATE
from balr_hf.errors import ConfigError, UserError
from balr_hf.quality import load_speech

if TYPE_CHECKING:
    import datasets


def segments(corpus: datasets.Dataset, shortest: float = 2.0, longest: float = 4.0, seed: int = 0) -> datasets.Dataset:
    """Cut every recording into segments of random lengths that follow one another; the remainder is left out.

    Args:
        corpus (`datasets.Dataset`): with the columns `id`, `audio` and `speaker`.
        shortest (float): the least length, in seconds.
        longest (float): the greatest length, in seconds.
        seed (int): of the random lengths.

    Returns:
        `datasets.Dataset` with one row per segment: `id` (`RECORDING@FIRST_SAMPLE`), `speaker` and decoded `audio`
        at 16 kHz.

    Raises:
        AudioError: a recording cannot be read.
        UserError: the corpus lacks a column.
        ConfigError: the lengths are none that segments can have.
    """
    import datasets

    if not 1 / SAMPLING_RATE <= shortest <= longest < math.inf:
        raise ConfigError(
            f"shortest={shortest}, longest={longest}: expected seconds above 0, and the longest not below the shortest"
        )
    lacking = [name for name in ("id", "audio", "speaker") if name not in corpus.column_names]
    if lacking:
        raise UserError(f"the corpus has no column {', '.join(lacking)}: load_corpus gives ids to a corpus without")
    corpus = corpus.with_format(None)
    if isinstance(corpus.features["audio"], datasets.Audio):
        corpus = corpus.cast_column("audio", datasets.Audio(decode=False))
    rng = np.random.default_rng(seed)
    rows = []
    for row in corpus:
        samples, start = load_speech(row["audio"]), 0
        while True:
            end = start + int(rng.uniform(shortest, longest) * SAMPLING_RATE)
            if end > len(samples):
                break
            audio = {"array": samples[start:end], "sampling_rate": SAMPLING_RATE}
            rows.append({"id": f"{row['id']}@{start}", "speaker": row["speaker"], "audio": audio})
            start = end
    return datasets.Dataset.from_list(rows)

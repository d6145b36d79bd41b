"""Duration: a stretch of a recording with a given length of net speech."""

import numpy as np

from balr_hf.audio import SAMPLING_RATE, AudioError
from balr_hf.quality.net_speech import net_speech


def cut_to(
    speech: list[tuple[float, float]], seconds: float, generator: np.random.Generator
) -> tuple[tuple[float, float], list[tuple[float, float]]]:
    """Choose a stretch with so many seconds of speech; its pauses stay.

    Args:
        speech: `(start, end)` of each stretch of speech, in seconds.
        seconds (float): the wanted net speech.
        generator: draws where the stretch begins, evenly over all that leave enough speech.

    Returns:
        `((start, end), speech)`: the stretch in seconds, and the speech in it, counted from its start.

    Raises:
        AudioError: the recording has less speech.
    """
    held = net_speech(speech)
    if held < seconds:
        raise AudioError(f"too little speech: {held:.1f} s of the wanted {seconds:g} s")
    skipped = generator.uniform(0, held - seconds)
    kept: list[tuple[float, float]] = []
    wanted = seconds
    for start, end in speech:
        if skipped >= end - start:
            skipped -= end - start
            continue
        start, skipped = start + skipped, 0.0
        end = min(end, start + wanted)
        wanted -= end - start
        kept.append((start, end))
        if wanted <= 1e-9:
            break
    first = kept[0][0]
    return (first, kept[-1][1]), [(start - first, end - first) for start, end in kept]


def cut(samples: np.ndarray, stretch: tuple[float, float]) -> np.ndarray:
    """The samples `(samples,)` at 16 kHz from `start` to `end`, in seconds."""
    return samples[round(stretch[0] * SAMPLING_RATE) : round(stretch[1] * SAMPLING_RATE)]

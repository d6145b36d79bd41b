"""The measures of a recording that is too long to be held in memory: it is gone through three times.

The first time tells its length, level and extremes, the second time where there is speech, and the third time what the
spectrum of the speech is. What grows with the recording are two numbers for each 32 ms: 1.4 MB an hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from balr_hf.audio import SAMPLING_RATE, AudioError, LongAudio, Resampler
from balr_hf.quality.bandwidth import LongTermSpectrum
from balr_hf.quality.clipping import FlatTops
from balr_hf.quality.decay import Decays
from balr_hf.quality.level import Moments
from balr_hf.quality.net_speech import FRAME, SpeechProbabilities, gain, net_speech, segments_of
from balr_hf.quality.pauses import Stretch, frame_variances, heard_stretches
from balr_hf.quality.recording_quality import RecordingQuality, frames_of
from balr_hf.quality.snr import Amplitudes, are_silent, frame_powers, snr
from balr_hf.quality.tone import Spectra
from balr_hf.quality.windows import Windows


class Block(NamedTuple):
    """Some samples of a recording: as they are in the file, and at 16 kHz."""

    original: np.ndarray
    heard: np.ndarray


def blocks_of(audio: LongAudio) -> Iterator[Block]:
    """Go through a recording once."""
    resampler = Resampler(audio.sampling_rate, SAMPLING_RATE)
    for original in audio.blocks():
        yield Block(original, resampler.add(original))
    yield Block(np.zeros(0, dtype=np.float32), resampler.finish())


def measure_long(audio: LongAudio) -> tuple[RecordingQuality, list[tuple[float, float]], list[Stretch]]:
    """Do what [`measure_recording`] does, for a recording that is not in memory.

    Args:
        audio: the recording.

    Returns:
        `(quality, segments, stretches)`: as [`measure_recording`], whose figures are the same up to rounding, and
        the stretches that are heard, as [`heard_stretches`].

    Raises:
        AudioError: it cannot be decoded, or changes while it is read.
    """
    whole, heard = Moments(), Moments()
    for block in blocks_of(audio):
        whole.add(block.original)
        heard.add(block.heard)

    offset = np.float32(heard.mean)
    speech, amplitudes = SpeechProbabilities(gain(heard.power())), Amplitudes()
    tops, spectra = FlatTops(whole.lowest, whole.highest), Spectra(heard.count)
    decays = Decays(heard.count)
    frames, powers, variances, taken = Windows(FRAME, FRAME), [], [], 0

    def look_at(samples: np.ndarray) -> None:
        powers.append(frame_powers(samples))
        variances.append(frame_variances(samples))
        amplitudes.add(samples, are_silent(variances[-1]))

    for block in blocks_of(audio):
        taken += len(block.original)
        centred = block.heard - offset
        speech.add(block.heard)
        if len(block.original):
            tops.add(block.original)
        spectra.add(centred)
        decays.add(centred)
        look_at(frames.add(centred).reshape(-1))
    if frames.rest.size:
        look_at(frames.rest)
    if taken != whole.count:
        raise AudioError(f"changed while it was read: it had {whole.count} samples, and then {taken}")
    segments = segments_of(speech.all(), heard.count)
    power, variance = np.concatenate(powers), np.concatenate(variances)
    ratio, method = snr(amplitudes, power, frames_of(segments, len(power)), are_silent(variance))
    tone, share = spectra.dominant_tone()
    quality = RecordingQuality(
        duration=whole.count / audio.sampling_rate,
        net_speech=net_speech(segments),
        level=whole.level(),
        peak=whole.peak(),
        snr=ratio,
        snr_method=method,
        bandwidth=_bandwidth(audio, segments, offset) if segments else None,
        clipping=tops.share(),
        tone=tone,
        tone_share=share,
        dc_offset=whole.mean,
        sampling_rate=audio.sampling_rate,
        decay=decays.fastest() if segments else None,
    )
    return quality, segments, heard_stretches(segments, variance, heard.count)


def _bandwidth(audio: LongAudio, segments: list[tuple[float, float]], offset: np.float32) -> float | None:
    """The bandwidth of the speech of a recording."""
    edges = np.array([[round(start * SAMPLING_RATE), round(end * SAMPLING_RATE)] for start, end in segments])
    spectrum, place = LongTermSpectrum(), 0
    for block in blocks_of(audio):
        end = place + len(block.heard)
        inside = edges[np.searchsorted(edges[:, 1], place, "right") : np.searchsorted(edges[:, 0], end)]
        parts = [block.heard[max(0, first - place) : last - place] for first, last in inside]
        if parts:
            spectrum.add(np.concatenate(parts) - offset)
        place = end
    return spectrum.bandwidth()

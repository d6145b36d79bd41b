"""All measures of one recording together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from balr_hf.audio import SAMPLING_RATE
from balr_hf.quality.bandwidth import bandwidth
from balr_hf.quality.clipping import clipping
from balr_hf.quality.decay import decay
from balr_hf.quality.level import dc_offset, level, peak
from balr_hf.quality.net_speech import FRAME, net_speech, speech_segments
from balr_hf.quality.pauses import frame_variances
from balr_hf.quality.snr import Amplitudes, are_silent, frame_powers, snr
from balr_hf.quality.tone import dominant_tone


@dataclass(frozen=True)
class RecordingQuality:
    """What is in a recording.

    Attributes:
        duration: seconds.
        net_speech: seconds of speech, by the voice-activity model silero-vad.
        level: root mean square in dB relative to full scale, without the DC offset.
        peak: the largest absolute sample, likewise.
        snr: signal-to-noise ratio of the speech in dB, from -20 to 60; None where there is no speech.
        snr_method: `pauses` (measured in pauses of 0.3 s and more) or `wada` (from the distribution of amplitudes,
            which is rougher); None where there is no speech.
        bandwidth: Hz, where the spectrum of the speech breaks off; 8,000 if it does not; None where there is none.
        clipping: share of the samples that stand on a flat top, from 0 to 1.
        tone: Hz of the strongest steady tone or hum; None if there is none.
        tone_share: its share of the recording's power, from 0 to 1.
        dc_offset: mean of the samples, as a share of full scale.
        sampling_rate: Hz, of the file.
        decay: dB per second, how fast its fastest sounds end: the less, the more reverberant or noisy it is; None
            where there is no speech, and where it was measured before this measure was there.
    """

    duration: float
    net_speech: float
    level: float
    peak: float
    snr: float | None
    snr_method: str | None
    bandwidth: float | None
    clipping: float
    tone: float | None
    tone_share: float
    dc_offset: float
    sampling_rate: int
    decay: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The measures by name, for JSON and tables."""
        return asdict(self)

    def describe(self) -> str:
        """The measures in a line of words."""
        parts = [f"{self.duration:.1f} s, {self.net_speech:.1f} s of speech", f"level {self.level:.0f} dBFS"]
        if self.snr is not None:
            parts.append(f"SNR {self.snr:.0f} dB" + (" (WADA)" if self.snr_method == "wada" else ""))
        if self.bandwidth is not None:
            parts.append(f"bandwidth {self.bandwidth / 1000:.1f} kHz")
        if self.decay is not None:
            parts.append(f"decays of {self.decay:.0f} dB/s")
        if self.clipping >= 0.0001:
            parts.append(f"{self.clipping:.2%} clipped")
        if self.tone is not None:
            parts.append(f"a tone of {self.tone:.0f} Hz with {self.tone_share:.1%} of the power")
        if abs(self.dc_offset) >= 0.01:
            parts.append(f"DC offset {self.dc_offset:+.1%}")
        return ", ".join(parts)


def measure_recording(
    samples: np.ndarray, original: np.ndarray | None = None, sampling_rate: int = SAMPLING_RATE
) -> tuple[RecordingQuality, list[tuple[float, float]]]:
    """Measure one recording.

    Args:
        samples (`(samples,)`): float32 at 16 kHz, not empty.
        original (`(samples,)`, *optional*): the same before it was resampled, as [`decode_audio`] gives it: clipping,
            peak and DC offset are measured there.
        sampling_rate (int): of `original`, in Hz.

    Returns:
        `(quality, segments)`: the measures, and `(start, end)` of each stretch of speech in seconds.
    """
    original = samples if original is None else original
    segments = speech_segments(samples)
    centred = samples - np.float32(np.mean(samples, dtype=np.float64))
    marked = _marked(segments, len(samples))
    ratio, method = snr_in_memory(samples, centred, partial(frames_of, segments))
    tone, share = dominant_tone(centred)
    quality = RecordingQuality(
        duration=len(original) / sampling_rate,
        net_speech=net_speech(segments),
        level=level(original),
        peak=peak(original),
        snr=ratio,
        snr_method=method,
        bandwidth=bandwidth(centred[marked]) if marked.any() else None,
        clipping=clipping(original),
        tone=tone,
        tone_share=share,
        dc_offset=dc_offset(original),
        sampling_rate=sampling_rate,
        decay=decay(centred) if marked.any() else None,
    )
    return quality, segments


def snr_in_memory(
    samples: np.ndarray, centred: np.ndarray, speech: Callable[[int], np.ndarray]
) -> tuple[float | None, str | None]:
    """The signal-to-noise ratio in dB of a recording that is in memory, and how it was measured: see [`snr`].

    Args:
        samples (`(samples,)`): float32 at 16 kHz.
        centred (`(samples,)`): the same without DC offset.
        speech: gives, for a number of frames of 32 ms, which of them are speech, bool `(frames,)`.
    """
    powers, silent, amplitudes = frame_powers(centred), are_silent(frame_variances(samples)), Amplitudes()
    amplitudes.add(centred, silent)
    return snr(amplitudes, powers, speech(len(powers)), silent)


def _marked(segments: list[tuple[float, float]], num_samples: int) -> np.ndarray:
    """Which samples are speech: bool `(samples,)`."""
    marked = np.zeros(num_samples, dtype=bool)
    for start, end in segments:
        marked[round(start * SAMPLING_RATE) : round(end * SAMPLING_RATE)] = True
    return marked


def frames_of(segments: list[tuple[float, float]], frames: int) -> np.ndarray:
    """Which frames of 32 ms are speech, bool `(frames,)`: those of which a part is in a segment."""
    marked = np.zeros(frames, dtype=bool)
    for start, end in segments:
        first, last = round(start * SAMPLING_RATE), round(end * SAMPLING_RATE)
        if last > first:
            marked[first // FRAME : (last - 1) // FRAME + 1] = True
    return marked

"""All measures of one voice together."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from balr_hf.audio import SAMPLING_RATE
from balr_hf.phonetics.cepstrum import cpp_track
from balr_hf.phonetics.dynamics import level_range, level_track
from balr_hf.phonetics.formants import CEILING, dispersion, formant_track
from balr_hf.phonetics.frames import STEP, within
from balr_hf.phonetics.harmonicity import hnr_track
from balr_hf.phonetics.periods import glottal_pulses, jitter, shimmer
from balr_hf.phonetics.pitch import PitchTrack, f0_range, f0_slope, pitch_track
from balr_hf.phonetics.spectrum import alpha_ratio, band_levels, hammarberg_index, mean_spectrum, spectral_tilt
from balr_hf.phonetics.syllables import syllable_nuclei
from balr_hf.quality import speech_segments
from balr_hf.quality.bandwidth import bandwidth as measure_bandwidth

# Seconds of voiced speech below which nothing is told of the voice.
LEAST_VOICED = 0.1
# Hz: up to where measures look. If the recording's channel lets through less than this share of it, a telephone's for
# one, they would describe the channel and not the voice, so there is no figure.
LOOKS_UP_TO = {
    **dict.fromkeys(("f1", "f2", "f3", "f4", "formant_dispersion"), float(CEILING)),
    **dict.fromkeys(("spectral_tilt", "alpha_ratio", "hammarberg_index"), 5_000.0),
    "band_2000_4000": 4_000.0,
    "band_4000_8000": 8_000.0,
}
LEAST_OF_BAND = 0.95


def _measure(unit: str, label: str) -> Any:
    """A field of [`VoiceMeasures`] with its unit, and its name in a phonetician's words."""
    return field(metadata={"unit": unit, "label": label})


@dataclass(frozen=True)
class VoiceMeasures:
    """What a phonetician would measure of a voice, in one recording.

    All but the first three rest on the voiced frames of 10 ms inside speech, and are None where those are less than
    0.1 s, or too few for the measure. Formants and spectral balance are None as well where the recording's bandwidth
    is less than what they look at. How each is computed stands in the module of its name, with its source.

    Attributes:
        speech: seconds of speech.
        voiced: seconds of speech that are voiced: what the other measures rest on.
        voiced_share: share of the frames of speech that are voiced, from 0 to 1; None without speech.
        f0_median: median of the fundamental frequency, in Hz.
        f0_range: from the 10th to the 90th percentile of F0, in semitones.
        f0_slope: how fast F0 rises (if negative: falls) within voiced stretches, in semitones per second.
        f1, f2, f3, f4: medians of the formants, in Hz, of up to five formants below 5.5 kHz.
        formant_dispersion: mean distance of neighbouring formants, in Hz: `(f4 - f1) / 3`.
        hnr: mean harmonics-to-noise ratio, in dB.
        jitter: mean difference of two neighbouring periods' lengths over the mean length (local), in percent.
        shimmer: the same of their amplitudes (local), in percent.
        cpp: mean smoothed cepstral peak prominence, in dB.
        spectral_tilt: slope of the long-term spectrum from 125 Hz to 5 kHz, in dB per octave.
        alpha_ratio: energy from 1 to 5 kHz over that from 50 Hz to 1 kHz, in dB.
        hammarberg_index: strongest line up to 2 kHz over the strongest from 2 to 5 kHz, in dB.
        band_50_500, band_500_1000, band_1000_2000, band_2000_4000, band_4000_8000: energy of a band (Hz) over that
            of all five, in dB.
        level_range: from the 10th to the 90th percentile of the level of voiced frames, in dB.
        syllable_rate: syllable nuclei per second of speech.
    """

    speech: float = _measure("s", "speech")
    voiced: float = _measure("s", "voiced speech")
    voiced_share: float | None = _measure("", "voiced share")
    f0_median: float | None = _measure("Hz", "F0, median")
    f0_range: float | None = _measure("semitones", "F0, range")
    f0_slope: float | None = _measure("semitones/s", "F0, slope")
    f1: float | None = _measure("Hz", "F1")
    f2: float | None = _measure("Hz", "F2")
    f3: float | None = _measure("Hz", "F3")
    f4: float | None = _measure("Hz", "F4")
    formant_dispersion: float | None = _measure("Hz", "formant dispersion")
    hnr: float | None = _measure("dB", "HNR")
    jitter: float | None = _measure("%", "jitter (local)")
    shimmer: float | None = _measure("%", "shimmer (local)")
    cpp: float | None = _measure("dB", "CPP")
    spectral_tilt: float | None = _measure("dB/octave", "spectral tilt")
    alpha_ratio: float | None = _measure("dB", "alpha ratio")
    hammarberg_index: float | None = _measure("dB", "Hammarberg index")
    band_50_500: float | None = _measure("dB", "energy 0.05-0.5 kHz")
    band_500_1000: float | None = _measure("dB", "energy 0.5-1 kHz")
    band_1000_2000: float | None = _measure("dB", "energy 1-2 kHz")
    band_2000_4000: float | None = _measure("dB", "energy 2-4 kHz")
    band_4000_8000: float | None = _measure("dB", "energy 4-8 kHz")
    level_range: float | None = _measure("dB", "level range")
    syllable_rate: float | None = _measure("1/s", "syllable nuclei")

    def to_dict(self) -> dict[str, float | None]:
        """The measures by name, for JSON and tables."""
        return asdict(self)

    def describe(self) -> str:
        """The best known measures in a line of words."""
        if self.f0_median is None:
            return f"no voice to measure in {self.speech:.1f} s of speech"
        parts = [f"{self.voiced:.1f} s of voiced speech", f"F0 {self.f0_median:.0f} Hz"]
        if self.f1 is not None:
            parts.append(f"F1 to F4 {self.f1:.0f}, {self.f2:.0f}, {self.f3:.0f}, {self.f4:.0f} Hz")
        if self.hnr is not None:
            parts.append(f"HNR {self.hnr:.0f} dB")
        return ", ".join(parts)


@dataclass(frozen=True)
class VoiceTracks:
    """The measures that change over time, one value every 10 ms.

    Attributes:
        times: float64 `(frames,)`, the centres of the frames in seconds.
        f0: float64 `(frames,)`, in Hz; NaN where there is no voice, or no speech.
        formants: float64 `(frames, 4)`, F1 to F4 in Hz; NaN likewise.
    """

    times: np.ndarray
    f0: np.ndarray
    formants: np.ndarray


def measure_voice(
    samples: np.ndarray, speech: list[tuple[float, float]] | None = None, bandwidth: float | None = None
) -> tuple[VoiceMeasures, VoiceTracks]:
    """Measure one voice.

    Args:
        samples (`(samples,)`): float32 at 16 kHz, finite; one speaker.
        speech (list of two float, *optional*): `(start, end)` of each stretch of speech in seconds, as
            [`speech_segments`] finds them where they are not given.
        bandwidth (float, *optional*): of the recording, in Hz, see [`RecordingQuality`]; it is measured where it is
            not given.

    Returns:
        `(measures, tracks)`; the tracks have the formants even where their medians are not given.

    Raises:
        ValueError: the samples are not one-dimensional, or not finite.
    """
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise ValueError(f"expected finite samples of shape (samples,), got shape {samples.shape}")
    speech = speech_segments(samples) if speech is None else speech
    if samples.size:
        samples = samples - samples.dtype.type(np.mean(samples, dtype=np.float64))  # an offset is no part of the voice
    track = pitch_track(samples)
    spoken = within(track.times, speech)
    chosen = spoken & track.voiced
    times = track.times[chosen]
    seconds, voiced = float(sum(end - start for start, end in speech)), len(times) * STEP
    measures: dict[str, float | None] = {}
    tracks = VoiceTracks(track.times, np.where(chosen, track.f0, np.nan), np.full((len(chosen), 4), np.nan))
    if voiced >= LEAST_VOICED - 1e-9:
        formants = formant_track(samples, times)
        tracks.formants[chosen] = formants
        measures = (
            _pitch_measures(track, chosen)
            | _formant_measures(formants)
            | _voice_quality_measures(samples, times, tracks)
            | _spectral_measures(mean_spectrum(samples, times))
            | _dynamic_measures(level_track(samples, track.times), chosen, seconds)
        )
        highest = bandwidth or measure_bandwidth(_joined(samples, speech)) or 0.0
        for name, needed in LOOKS_UP_TO.items():
            if highest < LEAST_OF_BAND * needed:
                measures[name] = None
    share = float(chosen.sum() / spoken.sum()) if spoken.any() else None
    measures["voiced_share"] = share
    others = {item.name: measures.get(item.name) for item in fields(VoiceMeasures)[2:]}
    return VoiceMeasures(speech=seconds, voiced=voiced, **others), tracks


def _joined(samples: np.ndarray, speech: list[tuple[float, float]]) -> np.ndarray:
    """The samples inside the stretches of speech."""
    parts = [samples[round(start * SAMPLING_RATE) : round(end * SAMPLING_RATE)] for start, end in speech]
    return np.concatenate(parts)


def _pitch_measures(track: PitchTrack, chosen: np.ndarray) -> dict[str, float | None]:
    f0 = track.f0[chosen]
    return {"f0_median": float(np.median(f0)), "f0_range": f0_range(f0), "f0_slope": f0_slope(track, chosen)}


def _formant_measures(formants: np.ndarray) -> dict[str, float | None]:
    """Medians of the frames that have all four: otherwise a missing formant would shift the count of the others."""
    whole = formants[np.isfinite(formants).all(1)]
    if not len(whole):
        return {}
    medians = np.median(whole, axis=0)
    return {"formant_dispersion": dispersion(medians), **{f"f{n + 1}": float(medians[n]) for n in range(len(medians))}}


def _voice_quality_measures(samples: np.ndarray, times: np.ndarray, tracks: VoiceTracks) -> dict[str, float | None]:
    points = glottal_pulses(samples, tracks.times, tracks.f0)
    ratios = hnr_track(samples, times)
    return {
        "hnr": float(np.nanmean(ratios)) if np.isfinite(ratios).any() else None,
        "jitter": jitter(points),
        "shimmer": shimmer(samples, points),
        "cpp": float(cpp_track(samples, times).mean()),
    }


def _spectral_measures(power: np.ndarray) -> dict[str, float | None]:
    bands = ("band_50_500", "band_500_1000", "band_1000_2000", "band_2000_4000", "band_4000_8000")
    return {
        "spectral_tilt": spectral_tilt(power),
        "alpha_ratio": alpha_ratio(power),
        "hammarberg_index": hammarberg_index(power),
        **dict(zip(bands, band_levels(power), strict=True)),
    }


def _dynamic_measures(levels: np.ndarray, chosen: np.ndarray, speech: float) -> dict[str, float | None]:
    return {
        "level_range": level_range(levels[chosen]),
        "syllable_rate": len(syllable_nuclei(levels, chosen)) / speech,
    }

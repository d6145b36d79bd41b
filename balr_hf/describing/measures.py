"""The measures that attributes are described by: what each is called, and what a high and a low figure sound like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np


class Group(StrEnum):
    """What an attribute is mostly about, as far as measures tell."""

    F0_AND_SEX = "F0 and sex"
    VOCAL_TRACT = "vocal tract"
    VOICE_QUALITY = "voice quality"
    SPECTRAL_BALANCE = "spectral balance"
    RATE = "rate and dynamics"
    RECORDING = "recording"
    UNDESCRIBED = "undescribed"


@dataclass(frozen=True)
class Measure:
    """One measure in the words of a phonetician.

    Attributes:
        name: that of the field of [`VoiceMeasures`] or [`RecordingQuality`].
        label: what it is called in a sentence.
        group: the family that it belongs to.
        higher: what goes with a high figure.
        lower: what goes with a low one.
        unit: of the figures as they are shown; empty if there is none.
        decimals: of the figures as they are shown.
        factor: from the field's unit to that which is shown.
    """

    name: str
    label: str
    group: Group
    higher: str
    lower: str
    unit: str = ""
    decimals: int = 0
    factor: float = 1.0

    @property
    def is_of_recording(self) -> bool:
        """Whether it is a measure of the recording rather than of the voice."""
        return self.group is Group.RECORDING

    @property
    def is_amount(self) -> bool:
        """Whether it is how long a recording is, or how much is spoken in it: a matter of how it was cut."""
        return self.name in ("duration", "net_speech", "voiced")

    def shown(self, value: float) -> str:
        """A value as it is shown, without its unit."""
        return f"{value * self.factor:z,.{self.decimals}f}"

    def with_unit(self, value: float) -> str:
        """A value with its unit: `192 Hz`."""
        return f"{self.shown(value)} {self.unit}".rstrip()


def _band(name: str, label: str) -> Measure:
    return Measure(
        name, f"energy {label}", Group.SPECTRAL_BALANCE, f"more energy {label}", f"less energy {label}", "dB", 1
    )


# Of the voice. How long somebody spoke is a matter of the recording, see below.
VOICE = (
    Measure("f0_median", "median F0", Group.F0_AND_SEX, "a higher voice", "a lower voice", "Hz"),
    Measure(
        "f0_range", "range of F0", Group.F0_AND_SEX, "a livelier intonation", "a flatter intonation", "semitones", 1
    ),
    Measure(
        *("f0_slope", "slope of F0", Group.F0_AND_SEX, "an F0 that falls less or rises"),
        *("an F0 that falls more steeply", "semitones/s", 1),
    ),
    Measure("f1", "F1", Group.VOCAL_TRACT, "a higher F1", "a lower F1", "Hz"),
    Measure("f2", "F2", Group.VOCAL_TRACT, "a higher F2", "a lower F2", "Hz"),
    Measure(
        *("f3", "F3", Group.VOCAL_TRACT, "a higher F3, as with a shorter vocal tract"),
        *("a lower F3, as with a longer vocal tract", "Hz"),
    ),
    Measure(
        *("f4", "F4", Group.VOCAL_TRACT, "a higher F4, as with a shorter vocal tract"),
        *("a lower F4, as with a longer vocal tract", "Hz"),
    ),
    Measure(
        *("formant_dispersion", "formant dispersion", Group.VOCAL_TRACT),
        *("formants further apart, as with a shorter vocal tract", "formants closer, as with a longer vocal tract"),
        "Hz",
    ),
    Measure(
        *("hnr", "HNR", Group.VOICE_QUALITY, "a less noisy voice"),
        *("a noisier voice, as with breathiness or hoarseness", "dB", 1),
    ),
    Measure("jitter", "jitter", Group.VOICE_QUALITY, "less regular periods", "more regular periods", "%", 2),
    Measure(
        "shimmer", "shimmer", Group.VOICE_QUALITY, "periods less even in level", "periods more even in level", "%", 1
    ),
    Measure(
        *("cpp", "CPP", Group.VOICE_QUALITY, "a more periodic voice"),
        *("a less periodic voice, as with breathiness or hoarseness", "dB", 1),
    ),
    Measure(
        *("voiced_share", "voiced share", Group.VOICE_QUALITY, "more of the speech voiced"),
        *("less of the speech voiced", "%", 0, 100.0),
    ),
    Measure(
        *("spectral_tilt", "spectral tilt", Group.SPECTRAL_BALANCE, "a spectrum that falls less steeply"),
        *("a spectrum that falls more steeply", "dB/octave", 1),
    ),
    Measure(
        *("alpha_ratio", "alpha ratio", Group.SPECTRAL_BALANCE, "more energy above 1 kHz, as in a brighter voice"),
        *("less energy above 1 kHz, as in a darker voice", "dB", 1),
    ),
    Measure(
        *("hammarberg_index", "Hammarberg index", Group.SPECTRAL_BALANCE, "weaker partials from 2 to 5 kHz"),
        *("stronger partials from 2 to 5 kHz", "dB", 1),
    ),
    _band("band_50_500", "from 50 to 500 Hz"),
    _band("band_500_1000", "from 0.5 to 1 kHz"),
    _band("band_1000_2000", "from 1 to 2 kHz"),
    _band("band_2000_4000", "from 2 to 4 kHz"),
    _band("band_4000_8000", "from 4 to 8 kHz"),
    Measure(
        "level_range", "level range", Group.RATE, "a wider range of levels", "a narrower range of levels", "dB", 1
    ),
    Measure("syllable_rate", "syllable nuclei", Group.RATE, "faster syllables", "slower syllables", "per second", 1),
)
# Of the recording, with how much of it is speech.
RECORDING = (
    Measure("duration", "length", Group.RECORDING, "a longer recording", "a shorter recording", "s", 1),
    Measure(
        "net_speech", "speech", Group.RECORDING, "more speech in the recording", "less speech in the recording", "s", 1
    ),
    Measure("voiced", "voiced speech", Group.RECORDING, "more voiced speech", "less voiced speech", "s", 1),
    Measure("level", "level", Group.RECORDING, "a louder recording", "a softer recording", "dBFS", 1),
    Measure("peak", "peak level", Group.RECORDING, "a higher peak level", "a lower peak level", "dBFS", 1),
    Measure("snr", "SNR", Group.RECORDING, "a cleaner recording", "a noisier recording", "dB"),
    Measure(
        *("bandwidth", "bandwidth", Group.RECORDING, "a wider frequency band"),
        *("a narrower frequency band", "kHz", 1, 0.001),
    ),
    Measure("clipping", "clipped samples", Group.RECORDING, "more clipping", "less clipping", "%", 2, 100.0),
    Measure(
        *("tone_share", "power of a steady tone", Group.RECORDING, "a stronger hum or tone"),
        *("a weaker hum or tone", "%", 2, 100.0),
    ),
    Measure("dc_offset", "DC offset", Group.RECORDING, "a higher DC offset", "a lower DC offset", "%", 2, 100.0),
    Measure(
        *("sampling_rate", "sampling rate of the file", Group.RECORDING, "a file with a higher sampling rate"),
        *("a file with a lower sampling rate", "kHz", 1, 0.001),
    ),
)
MEASURES = {measure.name: measure for measure in (*VOICE, *RECORDING)}


def figures(voice: Mapping[str, Any], quality: Mapping[str, Any]) -> dict[str, float | None]:
    """All measures of one recording by name, None where there is no figure.

    Args:
        voice: as [`VoiceMeasures.to_dict`] gives it.
        quality: as [`RecordingQuality.to_dict`] gives it.
    """
    both = {**quality, **voice}
    return {name: None if both.get(name) is None else float(both[name]) for name in MEASURES}


def matrix(rows: list[dict[str, float | None]], measures: tuple[Measure, ...]) -> np.ndarray:
    """The measures of recordings as float64 `(recordings, measures)`, NaN where there is no figure."""
    values = [[row[measure.name] for measure in measures] for row in rows]
    return np.array(values, dtype=np.float64).reshape(len(rows), len(measures))

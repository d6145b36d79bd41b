"""What a side of a case is like, and to which condition calibration recordings are brought for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from balr_hf.conditions import Condition
from balr_hf.conditions.noise import HIGHEST as HIGHEST_SNR
from balr_hf.conditions.noise import LOWEST as LOWEST_SNR
from balr_hf.domain.limits import NARROW
from balr_hf.errors import UserError
from balr_hf.matching.copies import CLEAN

# kHz: a case with a higher bandwidth counts as wide-band. Up to the second, it is a telephone call; up to `NARROW`,
# one at a sampling rate of 8 kHz that kept its low frequencies.
WIDE, TELEPHONE = 7.5, 3.75
# Shares of 1: less clipping, or a tone with less of the power, is nothing that could be matched or would matter.
CLIPPED, TONE = 0.001, 0.02


@dataclass(frozen=True)
class Wanted:
    """What one side of a case is like.

    Attributes:
        recordings (int): how many recordings it has.
        net_speech (float): seconds of speech of each of them, the median.
        snr (float): their signal-to-noise ratio in dB, the median.
        bandwidth (float): their bandwidth in kHz, the median.
        unmatched (tuple of str): what of the side is not brought about in calibration recordings, in words.
    """

    recordings: int
    net_speech: float
    snr: float
    bandwidth: float
    unmatched: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, quality: Sequence[Mapping[str, Any]], recordings: int) -> Wanted:
        """Describe a side by what was measured of its recordings.

        Args:
            name (str): `A` or `B`.
            quality: the measures of each recording, as [`RecordingQuality.to_dict`] gives them.
            recordings (int): how many recordings the side has.

        Raises:
            UserError: something was not measured.
        """
        values = [[row[measure] for measure in ("net_speech", "snr", "bandwidth")] for row in quality]
        if len(values) < recordings or any(value is None for row in values for value in row):
            raise UserError(
                f"the conditions of {name} are not known, since not all its recordings were measured: a calibration "
                "can only be matched to recordings whose audio is there"
            )
        net_speech, snr, bandwidth = np.median(np.array(values, dtype=np.float64), axis=0).tolist()
        unmatched = []
        clipping = max(row["clipping"] for row in quality)
        tone = max(row["tone_share"] for row in quality)
        if clipping >= CLIPPED:
            unmatched.append(f"{clipping:.1%} of the samples of {name} are clipped")
        if tone >= TONE:
            unmatched.append(f"{name} has {tone:.0%} of its power in a steady tone")
        spread = np.ptp(np.array(values, dtype=np.float64), axis=0)
        if spread[1] > 10 or spread[2] > 1_000:
            unmatched.append(
                f"the recordings of {name} differ from each other, and their median conditions were taken"
            )
        return cls(recordings, net_speech, snr, bandwidth / 1000, tuple(unmatched))

    @property
    def condition(self) -> Condition:
        """The condition of calibration recordings for this side; coarse, so that similar cases share copies."""
        return Condition(
            duration=float(f"{max(self.net_speech, 0.5):.2g}"),
            snr=None if self.snr > CLEAN else float(round(min(max(self.snr, LOWEST_SNR), HIGHEST_SNR))),
            band=self._band(),
        )

    @property
    def order(self) -> tuple[float, float, str, int]:
        """By which the two sides of a case are put in an order that does not depend on what they are called."""
        condition = self.condition
        snr = math.inf if condition.snr is None else condition.snr
        return -snr, -(condition.duration or 0.0), str(condition), self.recordings

    def _band(self) -> str | None:
        if self.bandwidth > WIDE:
            return None
        if self.bandwidth <= TELEPHONE:
            return "telephone"
        return "3900" if self.bandwidth <= NARROW else f"{round(self.bandwidth * 8) * 125}"

    def describe(self) -> str:
        """The side in words."""
        recordings = "1 recording" if self.recordings == 1 else f"{self.recordings} recordings"
        return f"{recordings}, {self.net_speech:.1f} s of speech, SNR {self.snr:.0f} dB, {self.bandwidth:.1f} kHz"

"""The same recording twice: copies in another format or level, backwards or at another speed, and excerpts.

They are recognised by their waveforms, or, where these differ, by how loud their bands are over time (`speeds.py`).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from balr_hf.audio import SAMPLING_RATE, AudioError, LongAudio
from balr_hf.quality import speeds

# Waveforms are compared below 2 kHz, a part that telephones and lossy coders keep.
RATE = 4_000
# Coefficients of the filter that takes away what is below 500 Hz.
TAPS = 65
# Seconds: pieces of the shorter recording are looked for in the longer one.
PIECE = 1.0
# The normalised cross-correlation from which a piece is the same sound. In 500 pairs of recordings of one speaker the
# largest was 0.65, and 0.62 backwards; pieces of copies in MP3 of 16 kbit/s or Opus of 12 kbit/s were above 0.86.
SAME = 0.8
# Pieces that are quieter than the recording by so many dB are pauses, and tell nothing. So do beeps, which have more
# than this share of their power within so many Hz: those of one recorder are in all of its recordings.
PAUSE, TONE, TONE_WIDTH = 20.0, 0.5, 10

# From which share of its pieces on a recording is a copy or an excerpt, and does not only share a part; which share
# may lie elsewhere than the others; and by how many seconds: more than the clocks of two recorders drift in an hour.
WHOLE, ELSEWHERE, MOVED = 0.9, 0.1, 0.5

# Samples at 4 kHz (17 minutes) of a longer recording that are compared with a piece at once, and of how many pieces of
# a recording that is not held in memory, evenly spread, copies are looked for.
AT_ONCE, MOST_PIECES = 2**22, 600

Audio = np.ndarray | LongAudio

NOTHING = "that says nothing about speakers."
DOUBT = "listen to both. One text that is read twice, and turns with silent pauses, can seem so, too."


@dataclass(frozen=True)
class Copy:
    """What two recordings share.

    Attributes:
        share: of the shorter recording's sounding pieces, how many are in the longer one too, from 0 to 1.
        seconds: how much sound that is; extrapolated, where only some of the pieces were looked for.
        offset: where the shorter one starts in the longer one, in seconds.
        whole: whether the two are of one length, so that one is a copy of the other rather than an excerpt.
        exact: whether all samples are equal.
        backwards: whether one of them plays it backwards.
        speed (*optional*): how much faster the longer one plays it, from 0.9 to 1.1, where not the waveforms but the
            levels of bands are alike; the other figures are then those of the one piece that was looked for.
        scattered: whether the pieces do not follow each other alike in the two, as where something was cut out of one,
            put into it or moved.
    """

    share: float
    seconds: float
    offset: float
    whole: bool
    exact: bool
    backwards: bool = False
    speed: float | None = None
    scattered: bool = False

    @property
    def is_certain(self) -> bool:
        """Whether it is the same sound; levels of bands that are alike are no proof."""
        return self.speed is None

    def describe(self) -> str:
        """What the two have to do with each other, in words that follow "A and B"."""
        if self.exact:
            return "are the same recording, sample for sample"
        if self.speed is not None:
            return self._describe_speed(self.speed)
        if self.backwards:
            shared = "are" if self.whole else f"share {self.seconds:.1f} s of"
            return f"{shared} the same recording, played backwards in one of them"
        if self.whole:
            return "are the same recording, in another format or at another level"
        if self.share >= WHOLE and not self.scattered:
            return f"are the same recording: one is an excerpt of the other, from {self.offset:.1f} s on"
        differently = ", which does not lie alike in the two" if self.scattered else ""
        return f"share {self.seconds:.1f} s of the same recording{differently}"

    def _describe_speed(self, speed: float) -> str:
        percent = round(100 * abs(speed - 1))
        ways = ["played backwards"] * self.backwards + [f"at another speed (by about {percent} %)"] * (percent > 0)
        if not ways:
            return "may hold the same speech, as a processed copy or a second microphone does"
        return f"may hold the same speech, in one of them {' and '.join(ways)}"


def find_copy(a: Audio, b: Audio) -> Copy | None:
    """Whether two recordings hold the same stretch of sound.

    Each sounding piece of one second of the shorter recording is looked for in the longer one, as it is and backwards,
    by normalised cross-correlation below 2 kHz; if none is there, one piece of 4 s by [`find_speed`].

    Args:
        a, b (`(samples,)`): at 16 kHz; or recordings that are not held in memory. Of the shorter one, if it is such,
            at most 600 pieces are looked for. A recording takes 58 MB an hour.

    Returns:
        what they share; None if nothing.
    """
    equal = _equal(a, b)
    if equal is not None:
        return Copy(1.0, equal / SAMPLING_RATE, 0.0, True, True)
    short, long = sorted((_lowered(a), _lowered(b)), key=len)
    pieces, starts = _pieces(short)
    number = len(pieces)
    if isinstance(a, LongAudio) and isinstance(b, LongAudio) and len(pieces) > MOST_PIECES:
        chosen = np.linspace(0, len(pieces) - 1, MOST_PIECES).round().astype(int)
        pieces, starts = pieces[chosen], starts[chosen]
    if not len(pieces) or len(long) < pieces.shape[1]:
        return None
    for backwards, (best, places) in enumerate(_best_matches(pieces, long)):
        same = best >= SAME
        if not same.any():
            continue
        if backwards:  # the filter delays what is played backwards the other way
            starts = len(short) - pieces.shape[1] - starts + TAPS - 1
        offsets = (places[same] - starts[same]) / RATE
        offset, share = float(np.median(offsets)), float(same.mean())
        scattered = bool(np.mean(np.abs(offsets - offset) > MOVED) > ELSEWHERE)
        # One piece at an end may be lost where one is played backwards.
        all_there = share > 0.5 and (share >= WHOLE or np.count_nonzero(~same) <= 1) and not scattered
        whole = bool(abs(len(short) - len(long)) <= 0.1 * RATE and abs(offset) <= 0.1 and all_there)
        seconds = share * number * PIECE
        return Copy(share, seconds, max(0.0, offset), whole, False, bool(backwards), scattered=scattered)
    faster = speeds.find_speed(short, long)
    if faster is None:
        return None
    share = min(1.0, speeds.PIECE * RATE / len(short))
    return Copy(share, speeds.PIECE, 0.0, False, False, backwards=faster[1], speed=faster[0])


def describe_copies(
    first: Mapping[str, Audio], second: Mapping[str, Audio]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A sentence for each pair of recordings of the two sides that hold the same sound, or may do so.

    Args:
        first, second: the samples of each side's recordings at 16 kHz, by their names. A recording is not compared
            with itself.

    Returns:
        `(copies, doubts)`: of those that do, and of those that may.
    """
    pairs = [(a, b, find_copy(first[a], second[b])) for a in first for b in second if a != b]
    found = [(f"{a} and {b} {copy.describe()}", copy.is_certain) for a, b, copy in pairs if copy is not None]
    copies = tuple(f"{text}: {NOTHING}" for text, is_certain in found if is_certain)
    return copies, tuple(f"{text}: {DOUBT}" for text, is_certain in found if not is_certain)


def copies_within(side: Mapping[str, Audio]) -> Iterator[tuple[str, str, Copy]]:
    """Go through the pairs of recordings of one side that hold the same sound: their names, and what they share.

    Args:
        side: the samples of its recordings at 16 kHz, by their names.
    """
    for (a, first), (b, second) in itertools.combinations(side.items(), 2):
        copy = find_copy(first, second)
        if copy is not None:
            yield a, b, copy


def refuse_copies(side: Mapping[str, Audio]) -> None:
    """Refuse a side of a comparison that holds the same sound twice, which would count twice.

    Args:
        side: as for [`copies_within`].

    Raises:
        AudioError: two of them hold the same stretch of sound.
    """
    for a, b, copy in copies_within(side):
        if copy.is_certain:
            raise AudioError(f"{a} and {b} {copy.describe()}: it would count twice, so give it once")


def _equal(a: Audio, b: Audio) -> int | None:
    """How many samples at 16 kHz two recordings have that are equal in every sample; None if they are not."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return len(a) if np.array_equal(a, b) else None
    if isinstance(a, LongAudio) and isinstance(b, LongAudio):
        (digest, count), (other, _) = _digest(a), _digest(b)
        return count if digest == other else None
    return None


def _digest(audio: LongAudio) -> tuple[bytes, int]:
    """A digest of the samples at 16 kHz, and how many there are."""
    digest, count = hashlib.blake2b(digest_size=16), 0
    for samples in audio.resampled(SAMPLING_RATE):
        digest.update(np.ascontiguousarray(samples).data)
        count += len(samples)
    return digest.digest(), count


def _lowered(samples: Audio) -> np.ndarray:
    """Samples at 4 kHz, from 500 Hz: below, voices of one pitch resemble each other, and filters differ."""
    from scipy.signal import firwin, lfilter, oaconvolve, resample_poly

    # Symmetric, so that what is played backwards passes it as what is not.
    highpass = firwin(TAPS, 500, pass_zero=False, fs=RATE)
    if isinstance(samples, LongAudio):
        state, parts = np.zeros(TAPS - 1), []
        for part in samples.resampled(RATE):
            filtered, state = lfilter(highpass, 1.0, part.astype(np.float64), zi=state)
            parts.append(filtered.astype(np.float32))
        return np.concatenate(parts)
    low = resample_poly(samples.astype(np.float64), RATE, SAMPLING_RATE)
    return oaconvolve(low, highpass)[: len(low)]


def _pieces(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sounding pieces of a second, each of unit energy, `(pieces, samples)`, and where they start `(pieces,)`."""
    size = min(round(PIECE * RATE), len(samples))
    if size < RATE // 4:
        return np.zeros((0, size)), np.zeros(0, dtype=int)
    starts = np.arange(0, len(samples) - size + 1, size)
    pieces = samples[: len(starts) * size].reshape(len(starts), size)
    energies = np.square(pieces).sum(1, dtype=np.float64)
    sounding = energies > max(1e-20, energies.max() * 10 ** (-PAUSE / 10))
    sounding &= ~_are_tones(pieces)
    return pieces[sounding] / np.sqrt(energies[sounding])[:, None], starts[sounding]


def _are_tones(pieces: np.ndarray) -> np.ndarray:
    """Which pieces are hardly more than a steady tone: bool `(pieces,)`."""
    from scipy.fft import rfft

    power = np.square(np.abs(rfft(pieces * np.hanning(pieces.shape[1]), axis=1)), dtype=np.float64)
    width = max(1, round(TONE_WIDTH * pieces.shape[1] / RATE))  # in lines of the spectrum
    sums = np.cumsum(np.pad(power, ((0, 0), (1, 0))), axis=1)
    return (sums[:, width:] - sums[:, :-width]).max(axis=1, initial=0.0) > TONE * sums[:, -1]


def _best_matches(pieces: np.ndarray, long: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """The largest correlation of each piece with any stretch of the longer recording, and its place.

    Returns:
        `(correlations, places)`, each `(pieces,)`: of the pieces as they are, and of the pieces backwards.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    width = pieces.shape[1]
    pieces, long = pieces.astype(np.float32), long.astype(np.float32)
    stretches = [slice(start, start + AT_ONCE + width - 1) for start in range(0, len(long) - width + 1, AT_ONCE)]
    loudest = max(_energies(long[stretch], width).max() for stretch in stretches)
    best, places = np.zeros((2, len(pieces))), np.zeros((2, len(pieces)), dtype=int)
    for stretch in stretches:
        part = long[stretch]
        size = next_fast_len(len(part) + width, real=True)
        spectrum = rfft(part, size)
        norms = np.sqrt(np.maximum(_energies(part, width), loudest * 1e-6 + 1e-30)).astype(np.float32)
        for row, piece in enumerate(pieces):
            one = rfft(piece, size)
            for way, product in enumerate((spectrum * one.conj(), spectrum * one)):
                start = (width - 1) * way
                correlation = np.abs(irfft(product, size)[start : start + len(norms)]) / norms
                place = int(correlation.argmax())
                if correlation[place] > best[way, row]:
                    best[way, row], places[way, row] = correlation[place], stretch.start + place
    return (best[0], places[0]), (best[1], places[1])


def _energies(samples: np.ndarray, width: int) -> np.ndarray:
    """The energies of all stretches of so many samples, float64 `(samples - width + 1,)`."""
    power = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    return power[width:] - power[:-width]

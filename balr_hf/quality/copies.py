"""The same recording twice: copies in another format or level, and excerpts, recognised by their waveforms."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from balr_hf.audio import SAMPLING_RATE, AudioError, LongAudio

# Waveforms are compared below 2 kHz, a part that telephones and lossy coders keep.
RATE = 4_000
# Seconds: pieces of the shorter recording are looked for in the longer one.
PIECE = 1.0
# The normalised cross-correlation from which a piece is the same sound. In 722 pairs of recordings of one speaker the
# largest was 0.70; pieces of copies in MP3 of 16 kbit/s or Opus of 12 kbit/s were above 0.9.
SAME = 0.8
# Pieces that are quieter than the recording by so many dB are pauses, and tell nothing.
PAUSE = 20.0

# Samples at 4 kHz (17 minutes) of a longer recording that are compared with a piece at once, and of how many pieces of
# a recording that is not held in memory, evenly spread, copies are looked for.
AT_ONCE, MOST_PIECES = 2**22, 600

Audio = np.ndarray | LongAudio

NOTHING = "that says nothing about speakers."


@dataclass(frozen=True)
class Copy:
    """What two recordings share.

    Attributes:
        share: of the shorter recording's sounding pieces, how many are in the longer one too, from 0 to 1.
        seconds: how much sound that is.
        offset: where the shorter one starts in the longer one, in seconds.
        whole: whether the two are of one length, so that one is a copy of the other rather than an excerpt.
        exact: whether all samples are equal.
    """

    share: float
    seconds: float
    offset: float
    whole: bool
    exact: bool

    def describe(self) -> str:
        """What the two have to do with each other, in words that follow "A and B"."""
        if self.exact:
            return "are the same recording, sample for sample"
        if self.whole:
            return "are the same recording, in another format or at another level"
        if self.share >= 0.9:
            return f"are the same recording: one is an excerpt of the other, from {self.offset:.1f} s on"
        return f"share {self.seconds:.1f} s of the same recording"


def find_copy(a: Audio, b: Audio) -> Copy | None:
    """Whether two recordings hold the same stretch of sound.

    Each sounding piece of one second of the shorter recording is looked for in the longer one, by normalised
    cross-correlation below 2 kHz.

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
    if isinstance(a, LongAudio) and isinstance(b, LongAudio) and len(pieces) > MOST_PIECES:
        chosen = np.linspace(0, len(pieces) - 1, MOST_PIECES).round().astype(int)
        pieces, starts = pieces[chosen], starts[chosen]
    if not len(pieces) or len(long) < pieces.shape[1]:
        return None
    best, places = _best_matches(pieces, long)
    same = best >= SAME
    if not same.any():
        return None
    offset = float(np.median(places[same] - starts[same])) / RATE
    whole = abs(len(short) - len(long)) <= 0.1 * RATE and abs(offset) <= 0.1
    return Copy(float(same.mean()), float(same.sum() * PIECE), max(0.0, offset), whole and same.mean() > 0.5, False)


def describe_copies(first: Mapping[str, Audio], second: Mapping[str, Audio]) -> tuple[str, ...]:
    """A sentence for each pair of recordings of the two sides that hold the same sound.

    Args:
        first, second: the samples of each side's recordings at 16 kHz, by their names. A recording is not compared
            with itself.
    """
    pairs = ((a, b, find_copy(first[a], second[b])) for a in first for b in second if a != b)
    return tuple(f"{a} and {b} {copy.describe()}: {NOTHING}" for a, b, copy in pairs if copy is not None)


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
    from scipy.signal import butter, resample_poly, sosfilt

    if isinstance(samples, LongAudio):
        filters = butter(2, 500, "highpass", fs=RATE, output="sos")
        state, parts = np.zeros((len(filters), 2)), []
        for part in samples.resampled(RATE):
            filtered, state = sosfilt(filters, part.astype(np.float64), zi=state)
            parts.append(filtered.astype(np.float32))
        return np.concatenate(parts)
    low = resample_poly(samples.astype(np.float64), RATE, SAMPLING_RATE)
    return sosfilt(butter(2, 500, "highpass", fs=RATE, output="sos"), low)


def _pieces(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sounding pieces of a second, each of unit energy, `(pieces, samples)`, and where they start `(pieces,)`."""
    size = min(round(PIECE * RATE), len(samples))
    if size < RATE // 4:
        return np.zeros((0, size)), np.zeros(0, dtype=int)
    starts = np.arange(0, len(samples) - size + 1, size)
    pieces = samples[: len(starts) * size].reshape(len(starts), size)
    energies = np.square(pieces).sum(1, dtype=np.float64)
    sounding = energies > max(1e-20, energies.max() * 10 ** (-PAUSE / 10))
    return pieces[sounding] / np.sqrt(energies[sounding])[:, None], starts[sounding]


def _best_matches(pieces: np.ndarray, long: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest correlation of each piece with any stretch of the longer recording, and its place."""
    from scipy.fft import irfft, next_fast_len, rfft

    width = pieces.shape[1]
    stretches = [slice(start, start + AT_ONCE + width - 1) for start in range(0, len(long) - width + 1, AT_ONCE)]
    loudest = max(_energies(long[stretch], width).max() for stretch in stretches)
    best, places = np.zeros(len(pieces)), np.zeros(len(pieces), dtype=int)
    for stretch in stretches:
        part = long[stretch]
        size = next_fast_len(len(part) + width, real=True)
        spectrum = rfft(part, size)
        norms = np.sqrt(np.maximum(_energies(part, width), loudest * 1e-6 + 1e-30))
        for row, piece in enumerate(pieces):
            correlation = np.abs(irfft(spectrum * np.conj(rfft(piece, size)), size)[: len(norms)]) / norms
            place = int(correlation.argmax())
            if correlation[place] > best[row]:
                best[row], places[row] = correlation[place], stretch.start + place
    return best, places


def _energies(samples: np.ndarray, width: int) -> np.ndarray:
    """The energies of all stretches of so many samples, float64 `(samples - width + 1,)`."""
    power = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    return power[width:] - power[:-width]

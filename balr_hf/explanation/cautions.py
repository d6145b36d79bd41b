"""What a reader must know before relying on a likelihood ratio: the cautions of a report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from balr_hf.domain import HIGHEST_SNR, Deviation, describe_sessions, describe_unlike
from balr_hf.explanation.described import GroupEvidence, recording_caution
from balr_hf.explanation.heard import KINDS, HeardOfSides, everything, heard_of
from balr_hf.explanation.heard import NEEDED as TO_LISTEN
from balr_hf.explanation.verbal_scale import degree
from balr_hf.explanation.voices import NEEDED, OneVoice
from balr_hf.explanation.wording import (
    CUT,
    EASIER,
    FEW_SPEAKERS,
    MEASURE,
    NARROWER,
    OTHER_SESSIONS,
    REMEDY,
    UNKNOWN_DOMAIN,
    WHY,
    WIDER,
    describe_amount,
    fewest_speakers,
    includes_one,
    is_one,
    ratio,
)

# What the rounding to 16 bits adds to a recording, in dB of full scale: a step over the square root of 12. A recording
# that is less than so many dB above it is said to be faint.
ROUNDING, LEAST_ABOVE_ROUNDING = -101.1, 25.0
# Seconds of speech above which it is told that a recording was not looked at for a second voice.
UNLOOKED_SPEECH = 7.0
# Signal-to-noise ratios, in dB, that differ by so much are told.
UNLIKE = 12.0


# What a scorer was made with, in words that follow the name of a recording.
MADE_WITH = {
    "reference": "is in the scorer's reference population",
    "calibration": "is one that the scorer was calibrated on",
}


# Why there may be no verdict by limits that can be set.
BY_LIMITS = {"outside", "voices", *(kind.name for kind in KINDS)}
# Of a calibration whose record lacks the digest that would tell of an edit.
UNCHECKED = (
    "The calibration has no digest: whether its record (bounds, ranges of its recordings, kind of speech, ...) is as "
    "it was saved, or was edited since, is unknown."
)


class KnowsRecordings(Protocol):
    """What knows the recordings that it was made with; a [`Scorer`] does."""

    def known_recordings(self, digests: np.ndarray, role: str) -> np.ndarray: ...


class KnowsSpeakers(Protocol):
    """What knows the names of the speakers whom it was made with; a [`Scorer`] does."""

    def known_speakers(self, names: Iterable[str], role: str) -> list[str]: ...


class Result(Protocol):
    """What cautions are found in; [`Findings`] has it, and says what each of these is."""

    bounds: tuple[float, float] | None
    calibration: dict[str, Any] | None
    copies: tuple[str, ...]
    counts: np.ndarray
    deviations: tuple[Deviation, ...]
    domain_known: bool
    interval: tuple[float, float] | None
    left_raw: bool
    quality: tuple[tuple[Mapping[str, Any], ...], tuple[Mapping[str, Any], ...]]
    quality_terms: tuple[tuple[str, float], ...]
    remarks: tuple[str, ...]
    similarity: bool
    terms: np.ndarray
    voices: tuple[tuple[OneVoice | None, ...], tuple[OneVoice | None, ...]]
    heard: HeardOfSides
    within_default_limits: bool

    @property
    def compared_voices(self) -> Sequence[OneVoice]: ...

    @property
    def constant(self) -> float | None: ...

    @property
    def has_verdict(self) -> bool: ...

    @property
    def is_bounded(self) -> bool: ...

    @property
    def is_calibrated(self) -> bool: ...

    @property
    def is_llr(self) -> bool: ...

    @property
    def llr(self) -> float: ...

    @property
    def no_verdict(self) -> Sequence[str]: ...

    @property
    def unbounded_llr(self) -> float: ...

    def groups(self) -> list[GroupEvidence]: ...


def known_recordings(scorer: KnowsRecordings, names: Sequence[str], digests: np.ndarray) -> list[str]:
    """Caution of the recordings of a case that a scorer was made with, whoever is said to speak in them.

    Args:
        scorer ([`Scorer`]): the scorer.
        names: what the recordings are called.
        digests (int32 `(recordings, 18)`): see [`balr_hf.data.recording_digests`].

    Returns:
        one sentence for each of them and each role.
    """
    return [
        f"{name} {made_with}, as a recording: the figure flatters the scorer."
        for role, made_with in MADE_WITH.items()
        for name, known in zip(names, scorer.known_recordings(digests, role), strict=True)
        if known
    ]


def known_speakers(scorer: KnowsSpeakers, speakers: Sequence[str | None]) -> list[str]:
    """Caution of the speakers of a case whom a scorer was made with, by their names.

    Args:
        scorer ([`Scorer`]): the scorer.
        speakers: the names of the two sides' speakers; None for a speaker who is not known.

    Returns:
        one sentence for each of them and each role.
    """
    names = [name for name in dict.fromkeys(speakers) if name is not None]
    return [
        f"Speaker {name} {made_with}: the figure flatters the scorer."
        for role, made_with in MADE_WITH.items()
        for name in scorer.known_speakers(names, role)
    ]


def unknown_people(scorer: Any, roles: Sequence[str] = ("reference", "calibration")) -> list[str]:
    """Caution that nobody would be noticed whom a scorer was made with, where it keeps no digests of them.

    That is so by `forget_people`, or where it was fitted in Python and nobody was named.

    Args:
        scorer ([`Scorer`]): the scorer.
        roles: those that are looked at.

    Returns:
        a sentence, or none.
    """
    made_with = {
        "reference": ("reference population", scorer.config.num_reference_speakers is not None),
        "calibration": ("calibration", scorer.is_calibrated),
    }
    unknown = [made_with[role][0] for role in roles if made_with[role][1] and not scorer.knows_people(role)]
    if not unknown:
        return []
    return [
        f"Who is in the scorer's {' and in its '.join(unknown)} is not known, since it keeps no digests of them: any "
        "who are compared here would not be noticed, and the figures would flatter it."
    ]


def cautions_of(found: Result) -> list[str]:
    """What a reader must know before relying on a result, one text per caution.

    Args:
        found ([`Findings`]): the result.
    """
    decisive = [one.text for one in found.deviations if one.is_beyond]
    others = [one.text for one in found.deviations if not one.is_beyond]
    texts = [*(f"{WHY} {text}" for text in decisive), *others, *_voices(found), *_heard(found)]
    texts = [*found.copies, *sorted(texts, key=lambda text: not text.startswith(WHY))]  # reasons before cautions
    texts += [*_unlike(found), *_faint(found), *found.remarks, *_saved(found.calibration or {})]
    allowed = [one.is_allowed for one in found.deviations] + [one.is_allowed for one in found.compared_voices]
    if any(allowed) or any(one.is_allowed for one in everything(found.heard)):
        texts.insert(0, WIDER)
    if found.within_default_limits and set(found.no_verdict) & BY_LIMITS and not set(found.no_verdict) - BY_LIMITS:
        texts.insert(0, NARROWER)
    recording = recording_caution(found.groups(), found.is_llr)
    if recording is not None:
        texts.append(recording)
    if found.calibration is None:
        what = (
            "a similarity, not a likelihood ratio"
            if found.similarity
            else "a sum over attributes that depend on each other, and overconfident: it is not a likelihood "
            "ratio, and the verbal scale does not apply to it"
        )
        remedy = "Calibrate the scorer with balr score calibrate."
        if found.left_raw:
            remedy = "The scorer has a calibration, which was left out on request."
        return [f"Not calibrated. This is {what}. {remedy}", *texts]
    if found.calibration.get("speech"):
        texts.append(f"The calibration is of {found.calibration['speech']}: it holds for such speech only.")
    texts += _several(found)
    if fewest_speakers(found.calibration) < FEW_SPEAKERS:
        texts.append(f"Calibrated on {describe_amount(found.calibration)}.")
    if "domain" in found.no_verdict:
        texts.append("balr score calibrate records which recordings a calibration is of: calibrate the scorer anew.")
    elif "unmeasured" in found.no_verdict:
        which = "not all of them were measured" if any(found.quality) else "they were not measured"
        texts.insert(0, f"{WHY} {UNKNOWN_DOMAIN}: {which}. {MEASURE}")
    elif not found.domain_known:
        texts.append(f"{UNKNOWN_DOMAIN[0].upper()}{UNKNOWN_DOMAIN[1:]}: those of the calibration were not measured.")
    sessions = describe_sessions(found.calibration.get("domain"), " of the calibration")
    if sessions is not None:
        texts.append(f"{sessions}. {OTHER_SESSIONS}")
    known = (found.calibration.get("domain") or {}).get("unlike")
    unlike = known and describe_unlike(known["different_speaker"], known["columns"], " of the calibration")
    if unlike:
        texts.append(f"{unlike}. {EASIER}")
    if found.bounds is None:
        texts.insert(
            0,
            "The calibration keeps no bounds, as where it has too few trials: how large a likelihood ratio it can "
            "vouch for is unknown. Calibrate on trials of more speakers.",
        )
    if "outside" in found.no_verdict and not found.calibration.get("matched"):
        texts.append(REMEDY)
    texts += _too_long(found)
    if found.is_bounded and found.bounds is not None:
        texts.append(_bounded(found, found.bounds))
    if found.has_verdict and found.interval is not None and includes_one(found.interval) and degree(found.llr):
        far = found.interval[0] if found.llr > 0 else found.interval[1]
        other = ", or the other one" if far * found.llr < 0 and not is_one(far) else ""
        texts.append(
            "The 95 % interval of the LR includes 1: calibrated on other speakers, the same findings could "
            f"support neither proposition{other}."
        )
    attributes = float(found.terms.sum())
    if found.constant is not None and attributes * found.unbounded_llr < 0:
        reverses = "offset and the quality of the recordings reverse" if found.quality_terms else "offset reverses"
        texts.append(
            f"The {reverses} the attributes: they sum to {attributes:+.2f}, and the calibration adds "
            f"{found.constant:+.2f}."
        )
    return texts


def _saved(calibration: Mapping[str, Any]) -> list[str]:
    """What was said of the case that a calibration was matched to and saved for; nothing of any other."""
    if "saved_for" not in calibration:
        return []
    a, b = calibration["matched"]
    return [
        f"The calibration was matched to one case, and saved for it (A was {a}, B was {b}): for other recordings, "
        "match anew.",
        *(f"Said when the calibration was matched: {text}" for text in calibration["saved_for"]),
    ]


def _several(found: Result) -> list[str]:
    """That recordings of a side count as separate ones, of each side that has several."""
    numbers = found.counts.sum(-1).max(1).astype(int).tolist()
    return [
        f"The {number} recordings of {side} count as separate ones. If they are stretches of one recording, the "
        "likelihood ratio is too far from 1, unless those of the calibration are such stretches too."
        for side, number in zip("AB", numbers, strict=True)
        if number > 1
    ]


def _bounded(found: Result, bounds: tuple[float, float]) -> str:
    """What the sum of the terms would be without the calibration's bounds, and for what these vouch."""
    parts = "The attributes and the offset"
    if found.quality_terms:
        parts = "The attributes, the offset and the quality of the recordings"
    without, bound = ratio(found.unbounded_llr), ratio(found.llr)
    if without == bound:  # by what two digits cannot show
        without = f"a little {'more' if found.unbounded_llr > found.llr else 'less'} than {bound}"
    low, high = map(ratio, bounds)
    return (
        f"{parts} give an LR of {without} before it is held at the bound; the trials of the calibration vouch for "
        f"{low} to {high} only."
    )


def _too_long(found: Result) -> list[str]:
    """How stretches of recordings with too much speech can be compared, where nothing else prevents a verdict."""
    decisive = [one for one in found.deviations if one.is_beyond]
    if found.no_verdict != ["outside"] or any(one.measure != "net_speech" or one.value < one.high for one in decisive):
        return []
    low, high = decisive[0].low, decisive[0].high
    seconds = math.floor(high) if math.floor(high) >= low else math.floor(10 * high) / 10
    return [CUT.format(sides=" and of ".join(one.side for one in decisive), seconds=f"{seconds:g}")]


def _voices(found: Result) -> list[str]:
    """Which recordings may hold more than one voice, and which were not looked at."""
    unlooked = [side for side, recordings in zip("AB", found.voices, strict=True) if not recordings]
    texts, short = [], []
    if found.is_calibrated and unlooked:
        each = "A and of B" if len(unlooked) == 2 else unlooked[0]
        texts.append(f"Whether each recording of {each} holds one voice was not looked at: {NEEDED}.")
    for side, recordings, qualities in zip("AB", found.voices, found.quality, strict=True):
        for number, (one, measured) in enumerate(zip(recordings, qualities, strict=False), 1):
            which = side if len(recordings) == 1 else f"recording {number} of {side}"
            if one is not None and one.is_doubtful:
                why = f"{WHY} " if one.is_beyond else ""
                texts.append(why + one.describe(f"{which[0].upper()}{which[1:]}"))
            elif one is None and measured["net_speech"] > UNLOOKED_SPEECH:
                texts.append(
                    f"Whether {which} holds one voice was not looked at: each of its two parts would need as much "
                    "speech as the calibration's recordings have."
                )
            elif one is None:
                short.append(which)
    if short:
        named, are = " and ".join(filter(None, [", ".join(short[:-1]), short[-1]])), len(short) > 1
        texts.append(
            f"{named[0].upper()}{named[1:]} {'are' if are else 'is'} too short to be searched for a second voice "
            f"before or after the first: listen to {'them' if are else 'it'}."
        )
    return texts


def _heard(found: Result) -> list[str]:
    """Which recordings sound like something that detectors listen for, and which were not listened to.

    Nothing is added of a side of which it was said already that nobody looked for a second voice.
    """
    texts = [
        f"Whether in recordings of {each} {', '.join(kinds[:-1])}{' or ' * (len(kinds) > 1)}{kinds[-1]} was not "
        f"looked at: {TO_LISTEN}."
        for each, kinds in (_unlooked(found).items() if found.is_calibrated else ())
    ]
    for kind in KINDS:
        for side, recordings in zip("AB", heard_of(found.heard, kind), strict=True):
            for number, one in enumerate(recordings, 1):
                if one.is_doubtful:
                    which = side if len(recordings) == 1 else f"Recording {number} of {side}"
                    texts.append((f"{WHY} " if one.is_beyond else "") + one.describe(which))
    return texts


def _unlooked(found: Result) -> dict[str, list[str]]:
    """What was not listened for, by the sides that it was not listened for in."""
    unlooked: dict[str, list[str]] = {}
    for kind in KINDS:
        sides = zip("AB", heard_of(found.heard, kind), found.voices, strict=True)
        names = [side for side, recordings, parts in sides if parts and not recordings]
        if names:
            each = "A and of B" if len(names) == 2 else names[0]
            unlooked.setdefault(each, []).append(kind.unlooked)
    return unlooked


def _unlike(found: Result) -> list[str]:
    """Whether one side is much noisier than the other, which makes voices of one speaker seem different.

    A calibration that was matched to the case, or that has terms of the noise, knows that and is not doubted for it.
    """
    known = found.calibration or {}
    told = any(one.measure == "snr_difference" for one in found.deviations)
    if told or known.get("matched") or known.get("method") == "quality":
        return []
    ratios = [[one["snr"] for one in side if one["snr"] is not None] for side in found.quality]
    if not all(ratios):
        return []
    a, b = (min(side) for side in ratios)
    if abs(min(a, HIGHEST_SNR) - min(b, HIGHEST_SNR)) < UNLIKE:
        return []
    return [
        f"A has a signal-to-noise ratio of {a:.0f} dB, B of {b:.0f} dB: where one recording only is noisy, voices of "
        "one speaker seem different."
    ]


def _faint(found: Result) -> list[str]:
    """Which recordings are so faint that the rounding of their samples is a noise of its own."""
    texts = []
    for side, recordings in zip("AB", found.quality, strict=True):
        for measured in recordings:
            below = measured["level"] - ROUNDING
            if below < LEAST_ABOVE_ROUNDING:
                which = side if len(recordings) == 1 else f"One of {side}'s recordings"
                texts.append(
                    f"{which} has a level of {measured['level']:.0f} dBFS: in a file of 16 bits, the rounding of "
                    f"its samples is a noise only {below:.0f} dB below it."
                )
    return texts

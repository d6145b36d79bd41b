"""What an attribute means, as far as measures tell: numbers, and the class that they put it in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from balr_hf.describing.association import Areas, Ranks, chance
from balr_hf.describing.prediction import ceiling, elsewhere, singly, together

# Areas on held-out speakers: from which an attribute counts as described, and as weakly described.
DESCRIBED, WEAKLY = 0.70, 0.60
# The false-discovery rate below which an association is taken for real.
FALSE_DISCOVERIES = 0.05
# Fewest recordings in either state that anything is told from, and fewest speakers of a group.
FEWEST = 10


class Meaning(StrEnum):
    """The class of an attribute."""

    DESCRIBED = "described"
    WEAKLY_DESCRIBED = "weakly described"
    FOLLOWS_RECORDING = "follows the recording"
    UNDESCRIBED = "undescribed"


@dataclass(frozen=True)
class Association:
    """How one measure goes with one attribute.

    Attributes:
        measure: its name.
        auc: on held-out speakers, from 0 to 1; below 0.5 where the direction does not hold for them.
        higher: whether the measure is higher when the attribute is active.
        active: quartiles (25, 50 and 75 %) of the measure in recordings where the attribute is active.
        inactive: the same where it is not.
    """

    measure: str
    auc: float
    higher: bool
    active: tuple[float, float, float]
    inactive: tuple[float, float, float]


@dataclass(frozen=True)
class AttributeDescription:
    """What the measures tell of one attribute.

    Attributes:
        attribute: its number.
        meaning: its class.
        share: share of the recordings in which it is active.
        q: the false-discovery rate at which the strongest association with any measure is found; 1 if there is none.
        associations: all measures that have an area, best first. The first one's area is a little too good, since it
            is the best of many; `q` is corrected for that.
        voice_auc: of all measures of the voice together, on held-out speakers; None where it cannot be had.
        recording_auc: of all measures of the recording together, likewise.
        within: of all measures of the voice together among the speakers of each group, women and men for instance.
        ceiling: of the same speaker's other recordings.
        shares: share of the recordings of each group in which it is active.
        elsewhere: of all measures of the voice together among the recordings of each source, fitted on those of all
            other sources; empty where there is one source only.
        recording_elsewhere: of all measures of the recording together, likewise, on the average of the sources.
        intervals: of these areas, 95 % over the speakers tested on, by their names: `voice_auc`, `recording_auc`,
            `ceiling`, `elsewhere` and `recording_elsewhere` (on the average of the sources), and `within.` with the
            name of a group. Those that cannot be told are missing.
    """

    attribute: int
    meaning: Meaning
    share: float
    q: float
    associations: tuple[Association, ...]
    voice_auc: float | None
    recording_auc: float | None
    within: dict[str, float | None]
    ceiling: float | None
    shares: dict[str, float] = field(default_factory=dict)
    elsewhere: dict[str, float | None] = field(default_factory=dict)
    recording_elsewhere: float | None = None
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)


def describe_attributes(
    active: np.ndarray,
    voice: np.ndarray,
    recording: np.ndarray,
    speakers: Sequence[str],
    names: tuple[Sequence[str], Sequence[str]],
    groups: Sequence[str | None] | None = None,
    sources: Sequence[str | None] | None = None,
    permutations: int = 1_000,
    seed: int = 0,
) -> list[AttributeDescription]:
    """Describe each attribute by the measures that go with it on speakers who were not fitted on.

    An attribute *follows the recording* if the measures of the recording tell at least 0.60 of it together, and more
    than those of the voice. Otherwise it is *described* if those of the voice tell 0.70 or more, and *weakly
    described* from 0.60 on. Where the recordings are of several sources, voice and recording must tell as much on the
    average of the sources, each of which is left out of what is fitted. In each case, the strongest association with
    a measure must be real at a false-discovery rate of 5 % over all attributes; whatever else is *undescribed*.

    Args:
        active (`(recordings, attributes)`): bool.
        voice (`(recordings, voice measures)`): float, NaN where there is no figure; see [`VoiceMeasures`].
        recording (`(recordings, recording measures)`): likewise, see [`RecordingQuality`].
        speakers (`(recordings,)`): who speaks.
        names: of the columns of `voice` and of `recording`.
        groups (`(recordings,)`, *optional*): such as the speakers' sex, within which descriptions are checked; None
            where it is not known. Groups of fewer than ten speakers are left out.
        sources (`(recordings,)`, *optional*): where each recording is from, such as its corpus; None where it is not
            known. Sources of fewer than ten speakers are not tested on.
        permutations (int): of the speakers. The smallest probability is about one over it, so there should be at
            least as many as attributes.
        seed (int): of the permutations.

    Returns:
        one description per attribute, in their order.

    Raises:
        ValueError: the shapes do not fit, or there are fewer than two speakers.
    """
    from scipy.stats import false_discovery_control

    _check(active, voice, recording, speakers, names, groups, sources)
    measures = np.concatenate([voice, recording], axis=1).astype(np.float64)
    labels = [*names[0], *names[1]]
    codes = np.unique(np.asarray(speakers), return_inverse=True)[1]
    ranks = Ranks(measures)
    areas = ranks.areas(active)
    enough = np.minimum(active.sum(0), (~active).sum(0)) >= FEWEST
    probabilities = np.ones(active.shape[1])
    if enough.any():
        probabilities[enough] = false_discovery_control(
            chance(areas[enough], ranks, active[:, enough], codes, permutations, seed)
        )
    held_out = singly(measures, active, codes)
    by_voice, by_recording = together(voice, active, codes), together(recording, active, codes)
    members = {} if groups is None else _members(codes, groups)
    within = {group: together(voice[rows], active[rows], codes[rows]) for group, rows in members.items()}
    others, of_recording = (
        {} if sources is None else elsewhere(family, active, codes, sources, FEWEST) for family in (voice, recording)
    )
    voice_there, recording_there = (Areas.mean([*areas.values()], active.shape[1]) for areas in (others, of_recording))
    best = ceiling(active, codes)
    figures = {"voice_auc": by_voice, "recording_auc": by_recording, "ceiling": best, "elsewhere": voice_there}
    figures |= {"recording_elsewhere": recording_there}
    figures |= {f"within.{group}": areas for group, areas in within.items()}
    return [
        AttributeDescription(
            attribute=n,
            meaning=_meaning(
                np.fmin(by_voice.values[n], voice_there.values[n]),
                np.fmin(by_recording.values[n], recording_there.values[n]),
                probabilities[n],
            ),
            share=float(active[:, n].mean()),
            q=float(probabilities[n]),
            associations=_associations(measures, active[:, n], areas[n], held_out[n], labels) if enough[n] else (),
            voice_auc=by_voice.value(n),
            recording_auc=by_recording.value(n),
            within={group: found.value(n) for group, found in within.items()},
            ceiling=best.value(n),
            elsewhere={source: found.value(n) for source, found in others.items()},
            recording_elsewhere=recording_there.value(n),
            shares={group: float(active[rows, n].mean()) for group, rows in members.items()},
            intervals=_intervals(figures, n),
        )
        for n in range(active.shape[1])
    ]


def _intervals(figures: dict[str, Areas], attribute: int) -> dict[str, tuple[float, float]]:
    """The intervals of one attribute's figures that can be told, by their names."""
    found = {name: areas.interval(attribute) for name, areas in figures.items()}
    return {name: interval for name, interval in found.items() if interval is not None}


def _meaning(voice: float, recording: float, q: float) -> Meaning:
    voice, recording = np.nan_to_num([voice, recording])
    if q > FALSE_DISCOVERIES or max(voice, recording) < WEAKLY:
        return Meaning.UNDESCRIBED
    if recording > voice:
        return Meaning.FOLLOWS_RECORDING
    return Meaning.DESCRIBED if voice >= DESCRIBED else Meaning.WEAKLY_DESCRIBED


def _members(speakers: np.ndarray, groups: Sequence[str | None]) -> dict[str, np.ndarray]:
    """Which recordings are of each group that has enough speakers."""
    names = sorted({group for group in groups if group is not None})
    rows = {name: np.array([group == name for group in groups]) for name in names}
    return {name: mask for name, mask in rows.items() if len(np.unique(speakers[mask])) >= FEWEST}


def _associations(
    measures: np.ndarray, active: np.ndarray, areas: np.ndarray, held_out: np.ndarray, labels: list[str]
) -> tuple[Association, ...]:
    """All measures of one attribute that have an area, best first."""
    usable = np.flatnonzero(np.isfinite(areas) & np.isfinite(held_out))
    on, off = quartiles(measures[active]), quartiles(measures[~active])
    return tuple(
        Association(
            labels[place], float(held_out[place]), bool(areas[place] >= 0.5), _three(on[place]), _three(off[place])
        )
        for place in usable[np.argsort(-held_out[usable], kind="stable")].tolist()
    )


def quartiles(measures: np.ndarray) -> np.ndarray:
    """The quartiles of each measure, linear between neighbours as those of `numpy.percentile`.

    Args:
        measures (`(recordings, measures)`): float, NaN where there is no figure.

    Returns:
        float64 `(measures, 3)`: 25, 50 and 75 %; NaN where no recording has a figure.
    """
    ordered = np.sort(measures, axis=0)  # those without a figure come last
    last = np.isfinite(measures).sum(0) - 1
    places = np.maximum(last, 0) * np.array([[0.25], [0.5], [0.75]])
    below = np.floor(places).astype(int)
    above, columns = np.minimum(below + 1, np.maximum(last, 0)), np.arange(measures.shape[1])
    low, high = ordered[below, columns], ordered[above, columns]
    return (low + (high - low) * (places - below)).T


def _three(values: np.ndarray) -> tuple[float, float, float]:
    low, middle, high = values.tolist()
    return low, middle, high


def _check(
    active: np.ndarray,
    voice: np.ndarray,
    recording: np.ndarray,
    speakers: Sequence[str],
    names: tuple[Sequence[str], Sequence[str]],
    groups: Sequence[str | None] | None,
    sources: Sequence[str | None] | None,
) -> None:
    rows = {"active": len(active), "voice": len(voice), "recording": len(recording), "speakers": len(speakers)}
    rows |= {name: len(of) for name, of in (("groups", groups), ("sources", sources)) if of is not None}
    if len(set(rows.values())) > 1:
        raise ValueError(f"expected one row per recording everywhere, got {rows}")
    if (voice.shape[1], recording.shape[1]) != (len(names[0]), len(names[1])):
        raise ValueError(
            f"{voice.shape[1]} measures of the voice and {recording.shape[1]} of the recording, but "
            f"{len(names[0])} and {len(names[1])} names"
        )
    if active.dtype != bool:
        raise ValueError(f"expected attributes of type bool, got {active.dtype}")

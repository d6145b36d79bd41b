"""The attributes of the windows of a recording, and how far they agree with those of the whole recording."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.errors import ConfigError
from balr_hf.quality import MIN_SPEECH
from balr_hf.timeline.windows import Outline, cut, speech_shares

if TYPE_CHECKING:
    from balr_hf.timeline.activations import Activations, System
    from balr_hf.timeline.recordings import Recording

# Seconds: the length of a window, which is about as short as an embedder can tell voices apart in, and the step from
# one to the next, so that each moment lies in four windows.
WINDOW, HOP = 1.0, 0.25
# Shorter windows, in seconds, have too few frames for the mean and the deviation over time that embedders rest on.
SHORTEST = 0.25
# The least share of a window that must be speech. What is found in less describes pauses.
LEAST_SPEECH = 0.5
# How many windows are computed together, and in how many parts a waveform is drawn at most.
WINDOWS_TOGETHER, PARTS = 256, 1_500


@dataclass(frozen=True, eq=False)
class AttributeTimeline:
    """The attributes of a recording in overlapping windows. Each window is taken for a recording of its own.

    Attributes:
        window (float): the length of a window in seconds.
        hop (float): from the start of one window to that of the next, in seconds; the last step may differ.
        duration (float): of the recording, in seconds.
        speech (tuple of two float): `(start, end)` of each stretch of speech, in seconds.
        starts (float64 of shape `(windows,)`): where the windows start, in seconds.
        heard (bool of shape `(windows,)`): whether at least half of a window is speech. Windows with less have no
            attributes.
        activations (float32 of shape `(windows, attributes)`): the values whose sign is the attribute; NaN in windows
            with too little speech.
        whole_activations (float32 of shape `(attributes,)`): those of the whole recording, as it is compared: of what
            is left of it when its long pauses are shortened.
        waveform (float32 of shape `(parts, 2)`): the lowest and the highest sample of equal parts of the recording, to
            draw it.
        waveform_step (float): the length of such a part, in seconds.
    """

    window: float
    hop: float
    duration: float
    speech: tuple[tuple[float, float], ...]
    starts: np.ndarray
    heard: np.ndarray
    activations: np.ndarray
    whole_activations: np.ndarray
    waveform: np.ndarray
    waveform_step: float

    @property
    def active(self) -> np.ndarray:
        """The attributes of the windows, bool of shape `(windows, attributes)`; False in windows without speech."""
        return self.activations > 0

    @property
    def whole(self) -> np.ndarray:
        """The attributes of the whole recording, bool of shape `(attributes,)`."""
        return self.whole_activations > 0

    @property
    def ends(self) -> np.ndarray:
        """Where the windows end, float64 of shape `(windows,)`, in seconds."""
        return np.minimum(self.starts + self.window, self.duration)

    @property
    def is_one_window(self) -> bool:
        """Whether the recording is no longer than a window, so that its windows cannot be compared with it."""
        return len(self.starts) == 1

    @property
    def num_heard(self) -> int:
        """The number of windows with enough speech."""
        return int(self.heard.sum())

    @property
    def stability(self) -> np.ndarray:
        """For each attribute, the share of windows with speech that agree with the whole recording.

        Returns:
            float64 of shape `(attributes,)`, each from 0 to 1; NaN where there is nothing to compare: no window has
            enough speech, or the only window is the recording itself.
        """
        return self.agreement_with(self.whole)

    @property
    def agreement(self) -> float | None:
        """The mean of `stability` over all attributes; None where there is nothing to compare."""
        return None if not self.can_be_compared else float(self.stability.mean())

    @property
    def can_be_compared(self) -> bool:
        """Whether there are windows with speech that are shorter than the recording."""
        return self.num_heard > 0 and not self.is_one_window

    def agreement_with(self, attributes: np.ndarray) -> np.ndarray:
        """For each attribute, the share of windows with speech that agree with the attributes of any recording.

        Args:
            attributes (bool of shape `(attributes,)`): those of a recording.

        Returns:
            float64 of shape `(attributes,)`, each from 0 to 1; NaN where there is nothing to compare.

        Raises:
            ValueError: there are more or fewer attributes than the windows have.
        """
        if np.shape(attributes) != self.whole_activations.shape:
            raise ValueError(
                f"attributes of shape {np.shape(attributes)}: expected {self.whole_activations.shape}, those of a "
                "recording that the same system made"
            )
        if not self.can_be_compared:
            return np.full(len(attributes), np.nan)
        return (self.active[self.heard] == np.asarray(attributes)).mean(0)

    def stretches(self, attribute: int) -> list[tuple[float, float, bool]]:
        """Successive windows with speech in which an attribute does not change, joined.

        Args:
            attribute (int): its number.

        Returns:
            list of `(start, end, active)`: from the start of the first window to the end of the last one, in seconds.
            Neighbouring stretches overlap, as their windows do.
        """
        states = np.where(self.heard, self.active[:, attribute], -1)
        firsts = np.flatnonzero(np.diff(states, prepend=-2))
        lasts = np.append(firsts[1:], len(states)) - 1
        return [
            (float(self.starts[first]), float(self.ends[last]), bool(states[first]))
            for first, last in zip(firsts, lasts, strict=True)
            if states[first] >= 0
        ]


def attribute_timeline(
    system: System, recording: Any, window: float = WINDOW, hop: float = HOP, min_speech: float = MIN_SPEECH
) -> AttributeTimeline:
    """Find the attributes of a recording in overlapping windows.

    A window is taken for a recording of its own, with features normalised over the window. The embedder takes 256
    windows at once, and a recording of more than 17 minutes is not held in memory. Windows of which less than half is
    speech have no attributes.

    It is not shown where in a recording the evidence lies. The likelihood ratio rests on the attributes of the whole
    recording, and windows, which are shorter, give those less reliably: `agreement` says how reliably.

    Args:
        system ([`SpeakerComparisonModel`] or [`SystemParts`]): makes the attributes, on the device that its embedder
            is on.
        recording: as for [`load_audio`], or the samples at the embedder's rate (array or tensor).
        window (float): the length of a window, in seconds, at least 0.25.
        hop (float): from the start of one window to that of the next, in seconds, at least 0.01 and at most `window`.
        min_speech (float): seconds of net speech that the recording needs; 0 takes anything that is not silent.

    Returns:
        [`AttributeTimeline`]

    Raises:
        ConfigError: `window` or `hop` is out of range.
        AudioError: the recording cannot be decoded or used, or is longer than two hours.

    Example:
        >>> from balr_hf import SpeakerComparisonModel
        >>> from balr_hf.defaults import SAMPLE_CORPUS, SYSTEM, resource
        >>> system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
        >>> timeline = attribute_timeline(system, resource(SAMPLE_CORPUS) / "espeak17/espeak17-01.opus")
        >>> timeline.active.shape == (len(timeline.starts), 512)
        True
    """
    from balr_hf.timeline.activations import Activations
    from balr_hf.timeline.recordings import Recording

    check_windows(window, hop)
    activations = Activations(system)
    return timeline_of(activations, Recording.load(recording, activations.extractor, min_speech), window, hop)


def check_windows(window: float, hop: float) -> None:
    """Refuse windows that are too short, and hops that leave gaps.

    Raises:
        ConfigError: `window` or `hop` is out of range.
    """
    if not window >= SHORTEST:
        raise ConfigError(f"window={window}: expected seconds, at least {SHORTEST}, which an embedder needs")
    if not 0.01 <= hop <= window:
        raise ConfigError(
            f"hop={hop}: expected seconds from 0.01 to {window:g}, the length of a window, so that no gaps are left"
        )


def timeline_of(
    activations: Activations, recording: Recording, window: float = WINDOW, hop: float = HOP
) -> AttributeTimeline:
    """Find the attributes of a loaded recording in overlapping windows; see [`attribute_timeline`]."""
    rate = recording.sampling_rate
    length, step = round(window * rate), round(hop * rate)
    outline = Outline(round(recording.duration * rate), PARTS)
    windows = cut(map(outline.add, recording.blocks()), length, step)
    starts: list[np.ndarray] = []
    heard: list[np.ndarray] = []
    found: list[np.ndarray] = []
    while batch := list(islice(windows, WINDOWS_TOGETHER)):
        seconds = np.array([start for start, _ in batch]) / rate
        enough = speech_shares(seconds, min(window, recording.duration), recording.speech) >= LEAST_SPEECH
        rows = np.full((len(batch), activations.num_attributes), np.nan, dtype=np.float32)
        chosen = [samples for (_, samples), keep in zip(batch, enough, strict=True) if keep]
        if chosen:
            rows[enough] = activations.of_waveforms(chosen)
        starts.append(seconds)
        heard.append(enough)
        found.append(rows)
    return AttributeTimeline(
        window=window,
        hop=hop,
        duration=recording.duration,
        speech=recording.speech,
        starts=np.concatenate(starts),
        heard=np.concatenate(heard),
        activations=np.concatenate(found),
        whole_activations=activations.of_waveforms([recording.embedded])[0],
        waveform=outline.finish(),
        waveform_step=outline.samples_per_part / rate,
    )

"""The attributes over time of all recordings of a comparison, as text, JSON and figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.audio import AudioError
from balr_hf.explanation import AttributeEvidence, Findings
from balr_hf.quality import MIN_SPEECH
from balr_hf.tables import aligned
from balr_hf.timeline import wording
from balr_hf.timeline.occlusion import OcclusionMap, map_of
from balr_hf.timeline.sound import wav
from balr_hf.timeline.tracks import AttributeTimeline, timeline_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from balr_hf.timeline.activations import System
    from balr_hf.timeline.recordings import Recording

# How many attributes are shown that speak for the same speaker, and how many for different speakers; in maps, which
# have a panel for each.
TRACKS, MAPS = 5, 2
# How many recordings of a side are drawn. What is said of the others is said in words.
MOST_DRAWN = 3
# Seconds of the longest recording whose sound a page holds: 13 MB.
LONGEST_SOUND = 300.0


@dataclass(frozen=True, eq=False)
class RecordingTimeline:
    """A recording of a comparison, and what was found of it.

    Attributes:
        side (str): `A` or `B`.
        name (str): of the recording.
        timeline ([`AttributeTimeline`]): its attributes over time.
        occlusion ([`OcclusionMap`], *optional*): what they change with, if that was asked for. Of several recordings
            of a side, only that with most speech has it.
        sound (bytes, *optional*): a WAV file of the recording, for a page that plays it.
    """

    side: str
    name: str
    timeline: AttributeTimeline
    occlusion: OcclusionMap | None = None
    sound: bytes | None = None


@dataclass(frozen=True, eq=False)
class ComparedTimelines:
    """The recordings of a comparison over time, for the attributes that weigh most in it.

    Attributes:
        recordings (tuple of [`RecordingTimeline`]): those of side A, then those of side B.
        evidence (tuple of [`AttributeEvidence`]): the attributes that are shown, those for the same speaker first.
        unit (str): the unit of their terms.
    """

    recordings: tuple[RecordingTimeline, ...]
    evidence: tuple[AttributeEvidence, ...]
    unit: str

    @classmethod
    def of(
        cls,
        system: System,
        sides: Sequence[Sequence[tuple[str, Any]]],
        findings: Findings,
        tracks: int = TRACKS,
        occlusion: bool = False,
        sound: bool = False,
        min_speech: float = MIN_SPEECH,
    ) -> ComparedTimelines:
        """Look at the recordings of a comparison.

        Args:
            system ([`SpeakerComparisonModel`] or [`SystemParts`]): what made the attributes that were compared.
            sides (two sequences of name and recording): as for [`load_audio`], or samples at the embedder's rate.
            findings ([`Explanation`]): of the comparison, which tells which attributes weigh most.
            tracks (int): how many attributes to show that speak for the same speaker, and for different speakers.
            occlusion (bool): also find which bands and stretches of time they change with.
            sound (bool): also keep the sound, for a page that plays it.
            min_speech (float): seconds of net speech that a recording needs.

        Raises:
            AudioError: a recording cannot be decoded or used, or is longer than two hours.
        """
        from balr_hf.timeline.activations import Activations
        from balr_hf.timeline.recordings import Recording

        activations = Activations(system)
        found = []
        for side, recordings in zip("AB", sides, strict=True):
            most, of_side = 0.0, []
            for number, (name, source) in enumerate(recordings):
                try:
                    loaded = Recording.load(source, activations.extractor, min_speech)
                except AudioError as error:
                    raise AudioError(f"{name}: {error}") from error
                heard = _wav_of(loaded) if sound and number < MOST_DRAWN else None
                of_side.append(RecordingTimeline(side, name, timeline_of(activations, loaded), None, heard))
                speech = sum(end - start for start, end in loaded.speech)
                if occlusion and (not number or speech > most):
                    most, chosen, with_most = speech, number, loaded
            if occlusion:
                before = of_side[chosen]
                found_map = map_of(activations, with_most)
                of_side[chosen] = RecordingTimeline(side, before.name, before.timeline, found_map, before.sound)
            found += of_side
        same, different = findings.strongest(tracks)
        return cls(tuple(found), (*same, *different), findings.term_unit)

    @property
    def drawn(self) -> list[RecordingTimeline]:
        """The recordings that figures show: the first three of either side."""
        return [recording for side in "AB" for recording in self._of_side(side)[:MOST_DRAWN]]

    def _of_side(self, side: str) -> list[RecordingTimeline]:
        return [recording for recording in self.recordings if recording.side == side]

    def _agreement_with_others(self, recording: RecordingTimeline) -> float | None:
        """How far the windows of a recording agree with the recordings of the other side."""
        if not recording.timeline.can_be_compared:
            return None
        others = self._of_side("AB"[recording.side == "A"])
        return float(np.mean([recording.timeline.agreement_with(other.timeline.whole) for other in others]))

    def describe(self) -> list[tuple[str, str]]:
        """What the windows of each recording are worth: rows of its name with its side, and words."""
        return [
            (
                f"{self.label(recording)}: {recording.name}",
                wording.describe_agreement(
                    *(recording.timeline, self._agreement_with_others(recording)), side="AB"[recording.side == "A"]
                ),
            )
            for recording in self.recordings
        ]

    def notes(self) -> list[str]:
        """What must be known of what is shown, and what is not shown, one sentence each."""
        notes = []
        for name, recording in zip(self.columns()[2:], self.drawn, strict=True):
            stability = recording.timeline.stability  # NaN, which is not less than anything, if nothing is known
            unsteady = [str(e.attribute) for e in self.evidence if stability[e.attribute] < 0.5]
            if unsteady:
                what = f"attribute{'s' if len(unsteady) > 1 else ''} {', '.join(unsteady)}"
                notes.append(f"In {name}, fewer than half of the windows are in the state of the whole in {what}.")
        hidden = len(self.recordings) - len(self.drawn)
        if hidden:
            notes.append(f"Figures show the first {MOST_DRAWN} recordings of a side; {hidden} are not drawn.")
        with_map = [recording for recording in self.recordings if recording.occlusion is not None]
        if with_map and len(with_map) < len(self.recordings):
            notes.append("The map of what attributes change with is of the recording of each side with most speech.")
        for recording in with_map:
            found = recording.occlusion
            if found is not None and found.is_excerpt:
                notes.append(
                    f"Of {recording.name}, the map looks at {found.stretches[0]:.0f} to {found.stretches[-1]:.0f} s, "
                    "which have most speech. Its attributes are those of that part."
                )
        return notes

    def rows(self) -> list[list[str]]:
        """A table: for each attribute that is shown its number, its term, and what it is in each recording drawn."""
        return [
            [
                str(e.attribute),
                f"{e.llr:+.3f}",
                *(wording.describe_state(recording.timeline, e.attribute) for recording in self.drawn),
            ]
            for e in self.evidence
        ]

    def columns(self) -> list[str]:
        """The names of the columns of `rows`."""
        return ["attribute", self.unit, *map(self.label, self.drawn)]

    def label(self, recording: RecordingTimeline) -> str:
        """A recording in short: its side, with its number where there are several of that side, such as `B2`."""
        of_side = self._of_side(recording.side)
        return f"{recording.side}{of_side.index(recording) + 1}" if len(of_side) > 1 else recording.side

    def windows(self) -> str:
        """What the windows are: `windows of 1 s, one every 0.25 s`."""
        return wording.describe_windows(self.recordings[0].timeline)

    def figure(self) -> Figure | None:
        """The waveforms of the recordings with the tracks of the attributes; None if no attribute weighs anything."""
        return self.figure_of(self.drawn) if self.evidence else None

    def figure_of(self, recordings: Sequence[RecordingTimeline], links: Sequence[str | None] | None = None) -> Figure:
        """The waveforms of some of the recordings with the tracks of the attributes.

        Args:
            recordings (sequence of [`RecordingTimeline`]): from top to bottom.
            links (sequence of str, *optional*): as for [`balr_hf.figures.timeline.timeline`].
        """
        from balr_hf.figures.timeline import timeline

        return timeline(
            [recording.timeline for recording in recordings],
            [_title(recording, self.label(recording)) for recording in recordings],
            [e.attribute for e in self.evidence],
            [e.llr for e in self.evidence],
            self.unit,
            links,
        )

    def occlusion_figure(self, attributes: int = MAPS) -> Figure | None:
        """What the attributes change with; None if that was not asked for, or no attribute weighs anything.

        Args:
            attributes (int): how many are drawn that speak for the same speaker, and how many for different speakers.
        """
        from balr_hf.figures.timeline import occlusion

        shown = [e for e in self.evidence if e.llr > 0][:attributes] + [e for e in self.evidence if e.llr < 0][
            :attributes
        ]
        with_map = [recording for recording in self.recordings if recording.occlusion is not None]
        if not shown or not with_map:
            return None
        return occlusion(
            [recording.occlusion for recording in with_map if recording.occlusion is not None],
            [f"{self.label(recording)}: {recording.name}" for recording in with_map],
            [e.attribute for e in shown],
            [e.llr for e in shown],
        )

    def to_text(self) -> str:
        """All that figures show, in words and as a table."""
        lines = [f"{wording.TITLE} ({self.windows()})"]
        for name, words in self.describe():
            lines += [f"  {name}", f"     {words}"]
        if self.evidence:
            table = [self.columns(), *self.rows()]
            lines += ["", wording.STATES, *aligned(table, words=range(2, len(table[0])), indent=2)]
        lines += self.notes()
        return "\n".join([*lines, "", wording.LIMITS, *([wording.LIMITS_OF_THE_MAP] if self.has_maps else [])])

    @property
    def has_maps(self) -> bool:
        """Whether maps of what the attributes change with were asked for."""
        return any(recording.occlusion is not None for recording in self.recordings)

    def to_dict(self) -> dict[str, Any]:
        """Everything in a form that JSON can hold: the stability of all attributes, the tracks of those shown."""
        shown = [e.attribute for e in self.evidence]
        return {
            "recordings": [_recording_dict(recording, shown) for recording in self.recordings],
            "limits": wording.LIMITS,
            "notes": self.notes(),
        }


def _title(recording: RecordingTimeline, label: str) -> str:
    timeline = recording.timeline
    title = f"{label}: {recording.name}; {timeline.num_heard} of {len(timeline.starts)} windows have speech"
    if timeline.agreement is None:
        return title
    return f"{title}, and agree with the whole recording in {100 * timeline.agreement:.0f} % of all attributes"


def _wav_of(recording: Recording) -> bytes | None:
    """The sound of a recording, unless it is too long for a page."""
    if recording.duration > LONGEST_SOUND or not isinstance(recording.samples, np.ndarray):
        return None
    return wav(recording.samples, recording.sampling_rate)


def _recording_dict(recording: RecordingTimeline, shown: Iterable[int]) -> dict[str, Any]:
    timeline, found = recording.timeline, recording.occlusion
    states = np.where(timeline.heard[:, None], timeline.active, -1)
    numbers = {-1: None, 0: False, 1: True}
    compared = timeline.can_be_compared
    result: dict[str, Any] = {
        "side": recording.side,
        "name": recording.name,
        "window": timeline.window,
        "hop": timeline.hop,
        "starts": timeline.starts.tolist(),
        "heard": timeline.heard.tolist(),
        "agreement": timeline.agreement,
        "stability": timeline.stability.tolist() if compared else None,
        "tracks": [
            {
                "attribute": attribute,
                "whole": bool(timeline.whole[attribute]),
                "stability": float(timeline.stability[attribute]) if compared else None,
                "active": [numbers[int(state)] for state in states[:, attribute]],
            }
            for attribute in shown
        ],
    }
    if found is not None:
        result["occlusion"] = {
            "bands": found.bands.tolist(),
            "stretches": found.stretches.tolist(),
            "attributes": [
                {
                    "attribute": attribute,
                    "activation": float(found.activations[attribute]),
                    "cells": found.cells[attribute].tolist(),
                    "whole_bands": found.whole_bands[attribute].tolist(),
                    "whole_stretches": found.whole_stretches[attribute].tolist(),
                }
                for attribute in shown
            ],
        }
    return result

"""What is said of attributes over time, in the same words in text, page and documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from balr_hf.explanation.wording import percent

if TYPE_CHECKING:
    from balr_hf.timeline.tracks import AttributeTimeline

TITLE = "Attributes over time"
THE_MAP = "What the attributes change with"

LIMITS = (
    "What the tracks do not show: what an attribute means, or where in a recording the evidence lies. The likelihood "
    "ratio rests on the attributes of whole recordings. Windows are shorter, and their attributes less reliable. "
    "Where an attribute is active, there need be nothing that can be heard. How far windows agree with a recording "
    "does not tell who speaks."
)

HOW_TO_READ = (
    "Below each waveform (bars: speech), a track shows the windows in which an attribute is active (in colour) and "
    "those in which it is not (grey). The colour is that of the whole track, by what the attribute speaks for in the "
    "whole comparison (blue: the same speaker, orange: different speakers), also where both sides lack it: a coloured "
    "stretch speaks for nothing by itself. A window is drawn at its centre; there is none within half a window of the "
    "ends, and those with too little speech are left out. At the right: the state of the attribute in the whole "
    "recording, and the share of windows in that state."
)

STATES = "The state of an attribute in the whole recording, and how many of its windows with speech are in that state"

HOW_TO_PLAY = (
    "Click a stretch of a track to hear it, from the start of its first window to the end of its last, or the "
    "waveform to hear the recording from there. By keyboard: Tab to the tracks, arrow keys to move, Enter or Space to "
    "play, Escape to stop. This page holds the sound of the recordings."
)

HOW_TO_READ_THE_MAP = (
    "The features of one band in one stretch of time are replaced by their mean. A change of -1 brings the attribute "
    "to its threshold, a cross marks where it flips, a plus where it becomes stronger by a quarter or more. "
    "Attributes that are close to their threshold change most."
)

LIMITS_OF_THE_MAP = (
    "What the map does not show: what an attribute means. The embedder never saw recordings with such holes, louder "
    "stretches change more than others, and a band may matter because of the channel. If an attribute changes most "
    "with a band that a telephone or a microphone removes, that is a warning."
)

TOO_LONG_TO_PLAY = "The sound of this recording is not in this page, since it is longer than five minutes."

NOTHING_TO_SAY = "so that nothing can be said of its stretches"


def describe_windows(timeline: AttributeTimeline) -> str:
    """What the windows are: `windows of 1 s, one every 0.25 s`."""
    return f"windows of {timeline.window:g} s, one every {timeline.hop:g} s"


def describe_agreement(timeline: AttributeTimeline, others: float | None, side: str) -> str:
    """How many windows there are, and how far they agree with the whole recording, in a sentence or two.

    Args:
        timeline ([`AttributeTimeline`]): of the recording.
        others (float, *optional*): how far they agree with the recordings of the other side, from 0 to 1.
        side (str): the name of the other side, `A` or `B`.
    """
    if timeline.is_one_window:
        return (
            f"It has {timeline.duration:.1f} s: room for one window of {timeline.window:g} s only, {NOTHING_TO_SAY}."
        )
    heard, windows = timeline.num_heard, len(timeline.starts)
    if not heard:
        return f"None of its {windows} windows is speech for half of its length or more, {NOTHING_TO_SAY}."
    text = f"{heard} of {windows} windows have enough speech. On average, they agree with the whole recording in "
    text += f"{percent(timeline.agreement)} of all attributes"
    return text + ("." if others is None else f", and with those of the other side ({side}) in {percent(others)}.")


def describe_state(timeline: AttributeTimeline, attribute: int) -> str:
    """An attribute in the whole recording and in its windows: `active (12 of 15 windows)`."""
    state = "active" if timeline.whole[attribute] else "inactive"
    if not timeline.can_be_compared:
        return state
    agreeing = round(float(timeline.stability[attribute]) * timeline.num_heard)
    return f"{state} ({agreeing} of {timeline.num_heard} windows)"

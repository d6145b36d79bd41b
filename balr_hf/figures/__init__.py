"""Figures of performance, of what a scorer has learnt, of a comparison and of recordings.

Each function returns a `matplotlib.figure.Figure`.
"""

from balr_hf.figures.attributes import evidence, parameters
from balr_hf.figures.comparison import contributions
from balr_hf.figures.performance import det, ece, pav, tippett
from balr_hf.figures.recording import recording
from balr_hf.figures.spectrograms import spectrograms
from balr_hf.figures.style import figure_svg, save_figure
from balr_hf.figures.timeline import occlusion, timeline
from balr_hf.figures.voice import voice

__all__ = [
    "contributions",
    "det",
    "ece",
    "evidence",
    "figure_svg",
    "occlusion",
    "parameters",
    "pav",
    "recording",
    "save_figure",
    "spectrograms",
    "timeline",
    "tippett",
    "voice",
]

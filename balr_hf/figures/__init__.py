"""Figures of performance, of what a scorer has learnt, and of one comparison, each a `matplotlib.figure.Figure`."""

from balr_hf.figures.attributes import evidence, parameters
from balr_hf.figures.comparison import contributions
from balr_hf.figures.performance import det, ece, pav, tippett
from balr_hf.figures.style import figure_svg, save_figure

__all__ = ["contributions", "det", "ece", "evidence", "figure_svg", "parameters", "pav", "save_figure", "tippett"]

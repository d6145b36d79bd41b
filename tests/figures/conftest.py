import numpy as np
import pytest


@pytest.fixture
def make_trials():
    """Makes calibrated LLRs, normally distributed, times a factor."""

    def make(trials: int, variance: float = 8.0, factor: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        labels = rng.random(trials) < 0.3
        labels[:2] = True, False
        llrs = np.where(labels, variance, -variance) / 2 + np.sqrt(variance) * rng.normal(size=trials)
        return factor * llrs, labels

    return make


@pytest.fixture
def texts():
    """All the text that a figure shows."""

    def read(figure) -> str:
        from matplotlib.text import Text

        figure.draw_without_rendering()
        return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_visible())

    return read

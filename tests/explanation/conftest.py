"""What tests of explanations share."""

import numpy as np
import pytest

from balr_hf.scoring.auto import build_scorer

WIDTH = 12

# What the calibrations say of their recordings, in which nothing was measured.
DOMAIN = {"recordings": 400, "speakers": 40, "recordings_a_side": [1, 99], "measures": {}, "counts": {}}


@pytest.fixture(scope="module")
def scorer():
    """A scorer that was fitted to, and calibrated on, speakers with one recording a side."""
    rng = np.random.default_rng(0)
    likely = rng.beta(0.3, 0.3, (40, WIDTH))
    counts = rng.binomial(8, likely).astype(np.float64)
    scorer = build_scorer("beta", num_attributes=WIDTH).fit(np.stack([counts, 8 - counts], -1))
    bits = (rng.random((2, 40, WIDTH)) < likely).astype(np.float64)
    enroll, test = np.stack([bits, 1 - bits], -1)
    left, right = np.divmod(np.arange(1600), 40)
    names = [np.char.add("s", side.astype(str)) for side in (left, right)]
    scorer.calibrate(enroll[left], test[right], left == right, "affine", *names)
    scorer.config.calibration["domain"] = DOMAIN
    return scorer

"""Fitting a detector: what it finds is measured on speakers who were not fitted on."""

import dataclasses

import numpy as np
import pytest
import torch

from balr_hf import WespeakerConfig, WespeakerModel
from balr_hf.cli.detectors import Options
from balr_hf.detectors.draws import Draw
from balr_hf.detectors.fitting import BANDS, MAKERS, Made, fit_detector, fit_weights
from balr_hf.errors import UserError
from balr_hf.explanation.heard import KINDS, OVERLAPPED, SPEED

RECORD = {"embedder": "me@" + "a" * 64}


def made(count: int, effect: float, seed: int = 0, folds: int = 5) -> list[Made]:
    """Statistics of 20 values, of which a second voice raises two, the less the weaker it is.

    The shorter a recording is, the further its statistics lie apart.
    """
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        ratio, seconds = float(rng.uniform(0, 12)), float(np.exp(rng.uniform(np.log(0.7), np.log(10))))
        second = 0 if number % 2 else None
        draw = Draw(number, second, second, ratio, seconds, "unchanged", number % folds, number)
        row = rng.normal(size=20) * (3 / seconds) ** 0.5
        if number % 2:
            row[:2] += effect * (1 - ratio / 15)
        found.append(Made(draw, seconds, (100 + 3 * row).astype(np.float32)))
    return found


def percentiles(detector, some: list[Made]) -> tuple[np.ndarray, np.ndarray]:
    """The percentile of each, and which have two voices."""
    found = [detector.heard(one.statistics, one.seconds).percentile for one in some]
    return np.array(found), np.array([one.draw.second is not None for one in some])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_can_be_made_saved_and_told_of(kind, root):
    assert kind.name in MAKERS and kind.name in BANDS, "detectors/fitting.py"
    texts = kind.may, kind.marks, kind.amounts
    assert [len(some) for some in texts] == [len(kind.ways)] * len(texts), "each way needs a text of its own"
    assert len({(one.file, one.detector, one.label, one.headline) for one in KINDS}) == len(KINDS)
    helped = {field.name: field.metadata["help"] for field in dataclasses.fields(Options) if "help" in field.metadata}
    assert f"{kind.name} (" in helped["kinds"] and kind.file in helped["save_dir"], "balr detectors --help"
    for page in ("docs/systems.md", "docs/limits.md", "docs/data-formats.md"):
        assert kind.file in (root / page).read_text(encoding="utf-8"), page


def test_what_tells_two_voices_is_weighed_and_the_rest_is_not():
    detector = fit_weights(OVERLAPPED, made(2000, 3.0), RECORD)
    weights = np.abs(detector.weight[0])
    assert weights[:2].min() > 3 * weights[2:].max()
    found, two = percentiles(detector, made(1000, 3.0, seed=1))
    assert (found[~two] < 5).mean() == pytest.approx(0.05, abs=0.03)
    assert (found[two] < 5).mean() > 0.4
    bands = detector.record["found"]
    shares = [band["found"] / band["recordings"] for band in bands]
    assert [band["amount"] for band in bands] == [[0, 4], [4, 8], [8, 12]]
    assert shares[0] > shares[1] > shares[2]


def test_neither_torchs_default_type_nor_its_gradients_decide_what_is_fitted():
    expected = fit_weights(OVERLAPPED, made(200, 3.0), RECORD)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            found = fit_weights(OVERLAPPED, made(200, 3.0), RECORD)
    finally:
        torch.set_default_dtype(default)
    np.testing.assert_array_equal(found.weight, expected.weight)


def test_short_recordings_are_compared_with_short_ones():
    detector, others = fit_weights(OVERLAPPED, made(12_000, 3.0), RECORD), made(6_000, 3.0, seed=1)
    found, two = percentiles(detector, others)
    short = np.array([0.9 < one.seconds < 1.5 for one in others])
    assert (found[short & ~two] < 5).mean() == pytest.approx(0.05, abs=0.03)
    assert (found[~short & ~two] < 5).mean() == pytest.approx(0.05, abs=0.02)


def test_what_cannot_be_told_is_not_said_to_be_found():
    detector = fit_weights(OVERLAPPED, made(1000, 0.0), RECORD)
    found = sum(band["found"] for band in detector.record["found"])
    assert found < 0.05 * sum(band["recordings"] for band in detector.record["found"])


def test_speakers_of_whom_nothing_could_be_made_are_no_evidence():
    with pytest.raises(UserError, match="of a fifth of the speakers, fewer than 5 usual recordings or others"):
        fit_weights(OVERLAPPED, made(1000, 3.0, folds=2), RECORD)


def test_what_was_left_out_and_who_was_heard_is_recorded(monkeypatch, tiny_embedder):
    from balr_hf.detectors import fitting

    def some(kind, model, draws, waveform, progress, work):
        rng = np.random.default_rng(0)
        for draw in draws:
            if draw.first < 18 and draw.seed % 5:
                yield Made(draw, 3.0, rng.normal(size=20).astype(np.float32))

    monkeypatch.setattr(fitting, "_statistics", some)
    names = [f"s{number}" for number in range(30)]
    record = fit_detector(OVERLAPPED, tiny_embedder, lambda number: None, names, [""] * 30, "calls", count=1500).record
    assert sum(record["recordings"]) + sum(record["left_out"]) == 1500
    assert min(record["left_out"]) > 300
    assert 18 <= record["speakers"] <= 30  # the first voices, and the second ones beside them


def test_a_corpus_of_too_little_speech_is_refused(tiny_embedder):
    names = [f"s{number}" for number in range(20)]
    silence = np.zeros(16_000, dtype=np.float32)
    with pytest.raises(
        UserError,
        match=r"of 50 recordings that were to be made, too few could be: 0 usual \(100 needed\), 0 overlapped",
    ):
        fit_detector(OVERLAPPED, tiny_embedder, lambda number: silence, names, [""] * 20, "silence", count=50)


def test_an_embedder_of_another_architecture_has_no_statistics(monkeypatch, tiny_embedder):
    monkeypatch.setattr(type(tiny_embedder), "num_statistics", None)
    with pytest.raises(UserError, match="no ResNet of this package"):
        fit_detector(OVERLAPPED, tiny_embedder, lambda number: np.zeros(1, np.float32), ["a"], [""], "nothing")


def test_statistics_are_those_that_embeddings_are_made_of():
    import torch

    from balr_hf.embeddings.passes import statistics_in_pieces

    torch.manual_seed(0)
    model = WespeakerModel(WespeakerConfig(m_channels=4, num_blocks=[1, 1, 1, 1])).eval()
    features, pooled = torch.randn(400, 80), []
    model.seg_1.register_forward_pre_hook(lambda _, given: pooled.append(given[0]))
    with torch.inference_mode():
        model(features[None])
    whole = statistics_in_pieces(model, [features], torch.device("cpu"))
    parts = statistics_in_pieces(model, features.split(64), torch.device("cpu"))
    assert whole.shape == (model.num_statistics,)
    assert torch.allclose(whole, pooled[0][0], rtol=1e-4, atol=1e-5)
    assert torch.allclose(parts, whole, rtol=1e-4, atol=1e-5)


def test_a_fit_that_was_interrupted_goes_on_to_the_same_detector(tiny_embedder, tmp_path, monkeypatch):
    from balr_hf.detectors import fitting

    monkeypatch.setattr(fitting, "BLOCK", 8)
    monkeypatch.setattr(fitting, "LEAST", 20)
    rng = np.random.default_rng(0)
    voices = [rng.normal(size=16_000).astype(np.float32) * 0.1 for _ in range(20)]
    make = lambda draw, waveform: waveform(draw.first) * np.float32(1 + draw.share)  # noqa: E731
    monkeypatch.setitem(fitting.MAKERS, "overlapped", (fitting.draw_overlapped, make))
    speakers = [f"s{number % 10}" for number in range(20)]
    heard: list[int] = []

    def waveform(number: int, stop_after: int | None = None) -> np.ndarray:
        if len(heard) == stop_after:
            raise KeyboardInterrupt
        heard.append(number)
        return voices[number]

    def fit(work, stop_after=None):
        heard.clear()
        given = (OVERLAPPED, tiny_embedder, lambda number: waveform(number, stop_after), speakers, [""] * 20, "voices")
        return fit_detector(*given, count=80, conditions=("unchanged",), work=work)

    whole = fit(None)
    assert len(heard) == 80
    work = tmp_path / "work"
    with pytest.raises(KeyboardInterrupt):
        fit(work, stop_after=30)
    blocks = sorted(work.iterdir())
    assert [block.name for block in blocks] == [f"{number:06d}.safetensors" for number in range(3)]
    blocks[1].write_bytes(blocks[1].read_bytes()[:100])  # as by a disk that is full
    again = fit(work)
    assert len(heard) == 80 - 16
    np.testing.assert_array_equal(again.weight, whole.weight)
    np.testing.assert_array_equal(again.usual, whole.usual)
    assert again.record["found"] == whole.record["found"]
    fit(work)
    assert not heard


def test_each_way_is_told_from_usual_recordings_by_weights_of_its_own():
    rng = np.random.default_rng(0)
    some = []
    for number in range(3000):
        way = (None, 0, None, 1)[number % 4]
        row = rng.normal(size=20)
        row[0] += {None: 0.0, 0: 4.0, 1: -4.0}[way]
        draw = Draw(number, None, way, float(rng.uniform(1.06, 2)), 3.0, "unchanged", number % 5, number)
        some.append(Made(draw, 3.0, row.astype(np.float32)))
    detector = fit_weights(SPEED, some, RECORD)
    assert detector.weight.shape == (2, 20) and detector.weight[0, 0] > 0 > detector.weight[1, 0]
    heard = [detector.heard(one.statistics, one.seconds) for one in some]
    for way, name in ((0, "faster"), (1, "slower")):
        found = [one for one, of in zip(heard, some, strict=True) if of.draw.way == way and one.is_doubtful]
        assert len(found) > 600 and {one.way for one in found} == {name}
    false = [one.percentile < 5 for one, of in zip(heard, some, strict=True) if of.draw.way is None]
    assert np.mean(false) == pytest.approx(0.05, abs=0.02)
    assert [(band["way"], band["amount"][0]) for band in detector.record["found"]][5] == ("slower", 1.06)


def test_so_few_usual_recordings_that_nothing_could_be_told_are_refused(tiny_embedder, monkeypatch):
    from balr_hf.detectors import fitting

    def some(kind, model, draws, waveform, progress, work):
        usual = [draw for draw in draws if draw.way is None][:150]
        for draw in [*usual, *(draw for draw in draws if draw.way is not None)]:
            yield Made(draw, 3.0, np.zeros(20, dtype=np.float32))

    monkeypatch.setattr(fitting, "_statistics", some)
    names = [f"s{number}" for number in range(30)]
    with pytest.raises(UserError, match=r"150 usual \(200 needed\), 250 faster \(100 needed\), 250 slower"):
        fit_detector(SPEED, tiny_embedder, lambda number: None, names, [""] * 30, "calls", count=1000)

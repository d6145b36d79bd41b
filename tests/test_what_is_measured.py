"""What is measured of recordings, and what of them is embedded, is what it was when files of users were saved.

Measures and embeddings are kept for years, in `quality.csv`, in calibrations and beside vectors, and are compared with
those of today. Where this test fails, old ones would be compared with new ones that mean something else.
"""

import json
import os
import wave
from pathlib import Path

import numpy as np
import pytest

from balr_hf.audio import load_audio
from balr_hf.defaults import SAMPLE_CORPUS, VOICES, resource
from balr_hf.quality import load_measured

# How far a measure may be from the recorded one, and an embedding's values over their root mean square: other versions
# of FFmpeg, NumPy and torch, and other processors, round differently.
TOLERANCES = {"net_speech": 0.07, "snr": 0.25, "tone": 1.0, "decay": 5.0, "level": 0.02, "peak": 0.1}
TOLERANCES |= {"duration": 0.001, "bandwidth": 0.0, "clipping": 0.0005, "tone_share": 0.0005, "dc_offset": 0.0005}
HEARD, EMBEDDING = 0.04, 0.005

WHAT_TO_DO = (
    "What is measured of recordings, or what of them is embedded, has changed: {}. If that was not intended, mend it. "
    'If it was, do what CONTRIBUTING.md says under "Changing what is measured", and record the new values with '
    "UPDATE_MEASURED=1 pytest tests/test_what_is_measured.py."
)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Three recordings as they are, and one with a long pause, digital silence, a tone, clipping and an offset."""
    voice = resource(VOICES) / "1688" / "ls_1688-01.opus"
    made = tmp_path_factory.mktemp("measured") / "edited.wav"
    rate, random = 48_000, np.random.default_rng(0)
    speech = 2.5 * load_audio(voice, rate)
    pause = random.normal(0, 0.003, 4 * rate)
    samples = np.concatenate([speech, pause, speech[::-1], np.zeros(rate), speech])
    samples += np.where(samples == 0, 0, 0.01 + 0.02 * np.sin(2 * np.pi * 400 * np.arange(len(samples)) / rate))
    samples = samples.clip(-0.45, 0.45)
    with wave.open(str(made), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(np.round(32_767 * samples).astype("<i2").tobytes())
    return {
        "a voice with pauses": voice,
        "a voice without": resource(VOICES) / "1998" / "ls_1998-02.opus",
        "a synthetic voice": resource(SAMPLE_CORPUS) / "espeak01" / "espeak01-01.opus",
        "an edited recording": made,
    }


@pytest.fixture(scope="module")
def found(recordings, tiny_embedder):
    """The measures of each, the seconds that are heard of it, and its embedding."""
    import datasets

    from balr_hf.embeddings.extraction import compute_embeddings

    corpus = datasets.Dataset.from_dict({"id": list(recordings), "audio": list(map(str, recordings.values()))})
    corpus = corpus.cast_column("audio", datasets.Audio(decode=False))
    embedded = compute_embeddings(tiny_embedder, corpus)[0]["embedding"]
    values = {}
    for (name, path), embedding in zip(recordings.items(), embedded, strict=True):
        measured = load_measured(path)
        heard = [[start / 16_000, end / 16_000] for start, end in measured.stretches]
        values[name] = {"measures": measured.quality.to_dict(), "heard": heard, "embedding": embedding}
    return values


def differences(found, recorded):
    """In words, what differs by more than rounding."""
    for name, expected in recorded.items():
        now = found[name]
        for measure, value in expected["measures"].items():
            one = now["measures"].get(measure)
            same = one == value
            if isinstance(value, float) and isinstance(one, float):
                same = abs(one - value) <= TOLERANCES[measure]
            if not same:
                yield f"{measure} of {name} was {value}, and is {one}"
        heard, before = np.array(now["heard"]), np.array(expected["heard"])
        if heard.shape != before.shape or np.abs(heard - before).max() > HEARD:
            yield f"of {name} were heard {before.tolist()} s, and are {heard.tolist()}"
        embedding, before = np.array(now["embedding"]), np.array(expected["embedding"])
        off = np.abs(embedding - before).max() / np.sqrt(np.square(before).mean())
        if not off <= EMBEDDING:
            yield f"the embedding of {name} differs by {off:.1e} of its root mean square"


def test_measures_and_embeddings_are_those_that_were_recorded(found, golden):
    path = Path(golden) / "measured.json"
    if os.environ.get("UPDATE_MEASURED"):
        rounded = json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 6))
        path.write_text("{\n" + ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in rounded.items()) + "\n}\n")
    changed = [*differences(found, json.loads(path.read_text(encoding="utf-8")))]
    assert not changed, WHAT_TO_DO.format("; ".join(changed))

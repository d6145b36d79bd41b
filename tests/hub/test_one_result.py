"""A system gives the same likelihood ratios here, from the Hub, without the package, and as ONNX."""

import json

import numpy as np
import pytest

from balr_hf import SpeakerComparisonModel, load_audio, load_scorer, recording_counts
from balr_hf.defaults import SAMPLE_CORPUS, SYSTEM, resource

PAIRS = 100

# Loads the system from the Hub, and compares pairs of recordings.
COMPARES = """
    import json, sys
    import numpy as np
    {package}
    from transformers import AutoModel
    model = AutoModel.from_pretrained("me/system", trust_remote_code={remote})
    waveforms = list(np.load(sys.argv[1]).values())
    bits = model.attributes(model.embed(waveforms, 16000))
    pairs = json.loads(sys.argv[2])
    some = [float(model.compare(waveforms[a], waveforms[b]).calibrated_llr) for a, b in pairs[:3]]
    counts = np.stack([bits.numpy(), ~bits.numpy()], -1).astype(float)
    scores = model._score(*(counts[[pair[side] for pair in pairs]] for side in (0, 1))).calibrated_llr
    np.testing.assert_allclose(scores[:3], some, atol=1e-9)
    print(json.dumps(scores.tolist()))
"""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two recordings of each of ten voices, and a file of them."""
    folder = resource(SAMPLE_CORPUS)
    found = [load_audio(folder / f"espeak{v:02}/espeak{v:02}-{n:02}.opus") for v in range(1, 20, 2) for n in (1, 2)]
    path = tmp_path_factory.mktemp("recordings") / "waveforms.npz"
    np.savez(path, **{f"{number:02}": samples for number, samples in enumerate(found)})
    return found, path


@pytest.mark.slow
def test_a_system_gives_the_same_ratios_wherever_it_is_loaded(hub, recordings, tmp_path):
    waveforms, path = recordings
    rng = np.random.default_rng(0)
    pairs = [sorted(rng.choice(len(waveforms), 2, replace=False).tolist()) for _ in range(PAIRS)]
    here = SpeakerComparisonModel.from_pretrained(resource(SYSTEM)).eval()
    bits = here.attributes(here.embed(waveforms, 16000)).numpy()
    scorer = load_scorer(resource(SYSTEM))

    def ratios(bits):
        sides = recording_counts(bits)[np.array(pairs).T]
        return scorer.score(*sides, calibrated=True).clamp(*scorer.bounds).numpy()

    expected = ratios(bits)
    assert expected.std() > 1 and len(np.unique(expected)) > PAIRS / 2

    push = "from balr_hf import SpeakerComparisonModel as S; S.from_pretrained({!r}).push_to_hub('me/system')"
    hub.run(push.format(str(resource(SYSTEM))))
    without = 'sys.modules["balr_hf"] = None'  # as if it were not installed
    for package, remote in (("import balr_hf", False), (without, True)):
        script = COMPARES.format(package=package, remote=remote)
        printed = hub.run(script, path, json.dumps(pairs)).stdout.splitlines()[-1]
        np.testing.assert_allclose(json.loads(printed), expected, atol=1e-5)

    for name in ("onnx", "onnxscript"):
        pytest.importorskip(name)
    onnxruntime = pytest.importorskip("onnxruntime")
    hub.run("from balr_hf.cli.main import main; assert main(['export', 'me/system', 'onnx']) == 0")
    session = onnxruntime.InferenceSession(hub.folder / "onnx" / "model.onnx")
    of_onnx = []
    for samples in waveforms:
        inputs = {"waveforms": samples[None], "lengths": np.array([len(samples)])}
        of_onnx.append(session.run(["attributes"], inputs)[0][0])
    np.testing.assert_allclose(ratios(np.stack(of_onnx)), expected, atol=1e-5)

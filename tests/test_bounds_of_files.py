"""Files that state more than any real one, read under a limit of memory: one clear error, before memory is taken."""

import json
import wave
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import yaml

from balr_hf import (
    SpeakerComparisonModel,
    WespeakerConfig,
    WespeakerModel,
    load_audio,
)
from balr_hf.attributes.configuration_autoencoder import BinaryAttributeAutoEncoderConfig
from balr_hf.defaults import SYSTEM, resource
from balr_hf.errors import WeightsError
from balr_hf.scoring.configuration_scorers import DirichletMultinomialScorerConfig

HUGE = 10**9

# A process with a limit on its address space reads what it is told to, and prints the errors and what memory it took.
SCRIPT = """
import json, os, resource, sys
from pathlib import Path
from balr_hf.errors import UserError

cases = json.loads(Path(sys.argv[1]).read_text())
if {kind for kind, _ in cases} == {"audio"}:
    import av
    from balr_hf.audio import load_audio

    read = {"audio": load_audio}
else:
    import balr_hf, balr_hf.system.modeling_system, balr_hf.embeddings.wespeaker_checkpoint
    from balr_hf.scoring.auto import load_scorer

    read = {
        "embedder": balr_hf.WespeakerModel.from_pretrained,
        "autoencoder": balr_hf.BinaryAttributeAutoEncoder.from_pretrained,
        "scorer": load_scorer,
        "system": balr_hf.SpeakerComparisonModel.from_pretrained,
    }
used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for kind, path in cases:
    try:
        read[kind](Path(path))
        print("read")
    except UserError as error:
        print(" ".join(str(error).split()))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.fixture
def errors(run_python, tmp_path):
    """Reads files, each as a kind of thing, in a process with 512 MiB to spare, and returns what it says of each."""

    def read(cases: list[tuple[str, str]]) -> list[str]:
        (tmp_path / "cases.json").write_text(json.dumps([(kind, str(path)) for kind, path in cases]))
        *said, megabytes = run_python("-c", SCRIPT, tmp_path / "cases.json").stdout.splitlines()
        assert int(megabytes) < 100
        return said

    return read


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The parts of the shipped system, each in a folder of its own, and the whole."""
    folder = tmp_path_factory.mktemp("models")
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    for name in ("embedder", "autoencoder", "scorer"):
        getattr(system, name).save_pretrained(folder / name)
    system.save_pretrained(folder / "system")
    return folder


ABSURD = [
    ("embedder", {"m_channels": HUGE}, f"m_channels={HUGE}: expected 1 to 65,536"),
    ("embedder", {"m_channels": 5000}, "weights, expected at most 268,435,456"),
    ("embedder", {"m_channels": -1}, "m_channels=-1: expected 1 to"),
    ("embedder", {"m_channels": "many"}, "m_channels='many', expected int"),
    ("embedder", {"embed_dim": HUGE}, f"embed_dim={HUGE}: expected 1 to"),
    ("embedder", {"feat_dim": HUGE}, f"feat_dim={HUGE}: expected 1 to"),
    ("embedder", {"feat_dim": 7}, "feat_dim=7: expected at least 8"),
    ("embedder", {"num_blocks": [HUGE] * 4}, "expected 4 numbers from 1 to 1,000"),
    ("embedder", {"num_blocks": [0] * 4}, "expected 4 numbers from 1 to 1,000"),
    ("embedder", {"num_blocks": [1] * 60}, "expected 4 numbers from 1 to 1,000"),
    ("autoencoder", {"internal_dim": HUGE}, f"internal_dim={HUGE}: about 2,000,000,512,000,000,000 weights"),
    ("autoencoder", {"input_dim": HUGE}, "weights, expected at most 268,435,456"),
    ("autoencoder", {"internal_dim": 0}, "internal_dim=0: expected at least 1"),
    ("autoencoder", {"input_dim": [256]}, r"input_dim=[256], expected int"),
    ("scorer", {"num_attributes": HUGE}, f"num_attributes={HUGE}: expected 1 to 1,048,576"),
    ("scorer", {"num_attributes": -512}, "num_attributes=-512: expected 1 to"),
    ("scorer", {"num_values": HUGE}, f"num_values={HUGE}: expected 1 to"),
    ("scorer", {"num_values": 10**6}, "num_attributes=512 of num_values=1000000 each: expected at most"),
    ("scorer", {"num_reference_speakers": HUGE}, f"num_reference_speakers={HUGE}: expected 0 to 8,388,608"),
    ("scorer", {"calibration.num_speakers": HUGE}, f"calibration.num_speakers={HUGE}: expected 0 to"),
    (
        "scorer",
        {"calibration.num_same_speaker_speakers": HUGE},
        f"calibration.num_same_speaker_speakers={HUGE}: expected 0 to",
    ),
    ("scorer", {"calibration.num_draws": -1}, "calibration.num_draws=-1: expected 0 to"),
    ("system", {"embedder.m_channels": HUGE}, f"m_channels={HUGE}: expected 1 to"),
    ("system", {"autoencoder.internal_dim": HUGE}, "weights, expected at most 268,435,456"),
    ("system", {"scorer.num_attributes": HUGE}, f"num_attributes={HUGE}: expected 1 to"),
]


def test_configurations_of_absurd_sizes_are_refused(models, tmp_path, errors):
    cases = []
    for number, (kind, changes, _) in enumerate(ABSURD):
        folder = tmp_path / str(number)
        folder.mkdir()
        for file in (models / kind).iterdir():
            if file.name != "config.json":
                (folder / file.name).symlink_to(file)
        config = json.loads((models / kind / "config.json").read_text())
        for name, value in changes.items():
            part, _, last = name.rpartition(".")
            (config[part] if part else config)[last] = value
        (folder / "config.json").write_text(json.dumps(config))
        cases.append((kind, folder))
    for (kind, changes, reason), (_, folder), said in zip(ABSURD, cases, errors(cases), strict=True):
        assert said.startswith(f"cannot load {kind} from {folder}: "), (changes, said)
        assert reason in said, (changes, said)


# Each list names the one before ten times, so that there are 10 ** 12 values.
BOMB = "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 13))
MERGED = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 13)
)
RESNET = "model: ResNet18\nmodel_args: "
YAMLS = {
    RESNET + "{m_channels: 1000000000}": f"m_channels={HUGE}: expected 1 to 65,536",
    RESNET + "{m_channels: -3}": "m_channels=-3: expected 1 to",
    RESNET + "{m_channels: many}": "m_channels='many': expected a whole number",
    RESNET + "{embed_dim: 1.5}": "embed_dim=1.5: expected a whole number",
    RESNET + "{feat_dim: 1000000000}": f"feat_dim={HUGE}: expected 1 to",
    RESNET + "[1, 2]": "model_args=[1, 2]: expected names with values",
    RESNET + "{}\ndataset_args: x": "dataset_args='x': expected names with values",
    RESNET + "{}\ndataset_args: {fbank_args: x}": "fbank_args='x': expected names with values",
    RESNET + "{}\ndataset_args: {fbank_args: {num_mel_bins: 1000000000}}": f"num_mel_bins={HUGE}: expected at most",
    BOMB + RESNET + "{m_channels: *a12}": "more than 100,000 values, if each alias is counted",
    BOMB + RESNET + "{}\ndataset_args: {fbank_args: {num_mel_bins: *a12}}": "more than 100,000 values",
    MERGED + RESNET + "*a12": "more than 100,000 values",
    RESNET + "{m_channels: &c [*c]}": "more than 100,000 values",
    "model: " + 5000 * "[" + 5000 * "]": "is not proper YAML: maximum recursion depth",
    "x: [" + 150_000 * "1," + "1]\n" + RESNET + "{}": "bytes: a configuration has at most 262,144",
}


def test_absurd_configurations_of_wespeaker_are_refused(tmp_path, errors):
    cases = []
    for number, text in enumerate(YAMLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "avg_model.pt").write_bytes(b"not read")
        (folder / "config.yaml").write_text(text)
        cases.append(("embedder", folder))
    for (text, reason), (_, folder), said in zip(YAMLS.items(), cases, errors(cases), strict=True):
        assert said.startswith(f"{folder / 'config.yaml'}") and reason in said, (text[-100:], said)


def test_aliases_that_are_few_are_read(tmp_path):
    settings = {"m_channels": 4, "feat_dim": 80, "embed_dim": 16}
    model = WespeakerModel(WespeakerConfig(num_blocks=[2, 2, 2, 2], **settings))
    torch.save(model.state_dict(), tmp_path / "avg_model.pt")
    shared = {"model": "ResNet18", "model_args": settings, "again": settings, "and again": [settings] * 3}
    (tmp_path / "config.yaml").write_text(yaml.dump(shared))
    assert "*id001" in (tmp_path / "config.yaml").read_text()
    assert WespeakerModel.from_pretrained(tmp_path).config.embed_dim == 16


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (
            lambda: WespeakerConfig(block="bottleneck", num_blocks=[10, 20, 64, 3], m_channels=64),
            "ResNet293, 64 channels",
        ),
        (lambda: WespeakerConfig(embed_dim=4096, two_emb_layer=True), "wide embeddings"),
        (lambda: BinaryAttributeAutoEncoderConfig(input_dim=8192, internal_dim=8192), "8,192 attributes"),
        (lambda: DirichletMultinomialScorerConfig(num_attributes=100_000), "100,000 attributes"),
    ],
)
def test_large_models_are_none_of_them(make, most):
    assert make() is not None, most


def test_weights_that_have_no_place_in_the_model_are_an_error(models, tmp_path):
    """Else a configuration with fewer blocks than there are would make other embeddings, without a word."""
    for file in (models / "embedder").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["num_blocks"][2] > 1
    config["num_blocks"][2] -= 1
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        WeightsError, match=r"has weights for which embedder of its config.json has no place: layer3\."
    ):
        WespeakerModel.from_pretrained(tmp_path)


def test_weights_of_wespeaker_that_have_no_place_in_the_model_are_an_error(tmp_path):
    settings = {"m_channels": 4, "embed_dim": 16}
    weights = WespeakerModel(WespeakerConfig(num_blocks=[3, 4, 6, 3], **settings)).state_dict()
    torch.save({**weights, "projection.weight": torch.zeros(2, 2)}, tmp_path / "avg_model.pt")
    for model, fits in (("ResNet34", True), ("ResNet18", False)):
        (tmp_path / "config.yaml").write_text(yaml.dump({"model": model, "model_args": settings}))
        if fits:
            WespeakerModel.from_pretrained(tmp_path)
            continue
        with pytest.raises(WeightsError, match=r"does not fit its configuration, which has no place for layer1\.2\."):
            WespeakerModel.from_pretrained(tmp_path)


def riff(rate: int, channels: int, data: bytes, stated: int | None = None) -> bytes:
    """A wav of 16 bits whose header may state another length."""
    size = len(data) if stated is None else stated
    fmt = np.array([rate, rate * channels * 2], dtype="<u4").tobytes() + np.array([channels * 2, 16], "<u2").tobytes()
    head = b"WAVEfmt " + (16).to_bytes(4, "little") + np.array([1, channels], "<u2").tobytes() + fmt
    return (
        b"RIFF" + min(size + 36, 2**32 - 1).to_bytes(4, "little") + head + b"data" + size.to_bytes(4, "little") + data
    )


def flac(path: Path) -> bytes:
    """A second of sound."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=16_000, layout="mono", format="s16")
        frame = av.AudioFrame.from_ndarray(np.ones((1, 16_000), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


def with_samples(content: bytes, count: int) -> bytes:
    """A FLAC file that states another number of samples, in 36 bits."""
    return content[:21] + bytes([content[21] & 0xF0 | count >> 32]) + (count % 2**32).to_bytes(4, "big") + content[26:]


def test_recordings_with_absurd_headers_are_refused(tmp_path, errors):
    files = {
        "1 Hz": (riff(1, 1, bytes(96_000)), "a sampling rate of 1 Hz: expected 1,000 to 1,000,000 Hz"),
        "7 Hz": (riff(7, 1, bytes(96_000)), "a sampling rate of 7 Hz: expected 1,000"),
        "2 MHz": (riff(2_000_000, 1, bytes(96_000)), "a sampling rate of 2000000 Hz"),
        "100 channels": (riff(16_000, 100, bytes(20_000)), "100 channels: expected at most 64"),
        "1,000 channels": (riff(16_000, 1000, bytes(200_000)), "states no channels, or hundreds: expected 1 to 64"),
        "3 GiB": (riff(16_000, 1, bytes(96_000), 3 * 2**30), f"truncated: 96000 of {3 * 2**30} bytes"),
        "whole": (riff(16_000, 1, bytes(96_000)), "read"),
    }
    content = flac(tmp_path / "whole.flac")
    files["2^31 samples"] = (with_samples(content, 2**31), "truncated: 1.00 s of 134217.73 s")
    files["2^36 samples"] = (with_samples(content, 2**36 - 1), "a duration of 1,193 h: expected at most 168 h")
    for name, (content, _) in files.items():
        (tmp_path / name).write_bytes(content)
    found = errors([("audio", tmp_path / name) for name in files])
    for (name, (_, reason)), said in zip(files.items(), found, strict=True):
        assert reason in said, (name, said)


# Extracts under a limit, in MiB, beyond what is there once a first recording was done; prints how much more memory it
# took at most.
EXTRACT = """
import os, resource, sys
from pathlib import Path
import torch
from balr_hf.cli.main import main

torch.set_num_threads(1)
spare, first, *rest = int(sys.argv[1]), *sys.argv[2:]
assert main(["extract", first, "--save-dir", "first"]) == 0
used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (used + spare * 2**20, used + spare * 2**20))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
status = main(["extract", *rest, "--save-dir", "out", "data.batch_size=4"])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
sys.exit(status)
"""


@pytest.mark.slow
def test_long_recording_under_a_limit_of_memory_leaves_the_others_alone(root, tmp_path, run_python):
    """Fifteen minutes are held in memory, and find none here."""
    some = sorted((root / "resources/data/sample").glob("espeak0*/*.opus"))
    speech = np.concatenate([load_audio(path) for path in some[:6]])
    with wave.open(str(tmp_path / "long.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.resize(speech * 32767, 15 * 60 * 16_000).astype("<i2").tobytes())
    rows = [some[6], tmp_path / "long.wav", some[7], some[8]]
    (tmp_path / "some.csv").write_text("audio\n" + "".join(f"{path}\n" for path in rows))
    done = run_python("-c", EXTRACT, "250", some[9], tmp_path / "some.csv", cwd=tmp_path)
    assert int(done.stdout.splitlines()[-1]) < 250
    assert "4 recordings: 3 embeddings computed" in done.stdout + done.stderr
    skipped = (tmp_path / "out" / "skipped.csv").read_text().splitlines()
    assert len(skipped) == 2 and "long.wav" in skipped[1]
    assert "does not fit into the memory that is free" in skipped[1]

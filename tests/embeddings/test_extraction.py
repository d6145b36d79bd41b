import copy
import multiprocessing
import os
import time
from pathlib import Path

import datasets
import multiprocess
import numpy as np
import pytest
import torch
from scipy.io import wavfile

from balr_hf import load_audio, load_corpus
from balr_hf.data import vector_matrix
from balr_hf.embeddings import extraction, modeling_wespeaker, passes
from balr_hf.embeddings.decoding import script_hidden
from balr_hf.embeddings.extraction import compute_embeddings
from balr_hf.embeddings.passes import FRAMES_PER_PASS
from balr_hf.errors import UserError


@pytest.fixture
def corpus(few):
    return load_corpus(few)


@torch.inference_mode()
def one_by_one(model, corpus):
    extractor = model.feature_extractor
    return np.concatenate(
        [model(extractor([load_audio(row["audio"])])["input_features"]).embeddings.numpy() for row in corpus]
    )


@pytest.mark.parametrize(("batch_size", "frames"), [(64, None), (1, None), (5, 100_000), (1, 400), (64, 2000)])
def test_embeddings_equal_those_of_one_recording_at_a_time(tiny_embedder, corpus, monkeypatch, batch_size, frames):
    """Each on a thread of its own as on CPUs, or in padded passes as on GPUs."""
    if frames is not None:
        monkeypatch.setitem(FRAMES_PER_PASS, "cpu", frames)
    extracted = tiny_embedder.extract_embeddings(corpus, batch_size=batch_size)
    embeddings, present = vector_matrix(extracted, "embedding")
    assert present.all()
    assert list(extracted["id"]) == list(corpus["id"])
    np.testing.assert_allclose(embeddings, one_by_one(tiny_embedder, corpus), atol=1e-4)


@pytest.mark.parametrize("frames", [None, 2000])
def test_bf16_is_close(tiny_embedder, corpus, monkeypatch, frames):
    if frames is not None:
        monkeypatch.setitem(FRAMES_PER_PASS, "cpu", frames)
    exact, rough = (
        vector_matrix(tiny_embedder.extract_embeddings(corpus, precision=p), "embedding")[0] for p in ("fp32", "bf16")
    )
    cosines = (exact * rough).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rough, axis=1)
    assert cosines.min() > 0.999 and not np.array_equal(exact, rough)
    with pytest.raises(UserError, match="fp32, tf32, bf16"):
        compute_embeddings(tiny_embedder, corpus, precision="fp8")


def test_the_next_batch_is_decoded_while_one_is_embedded(tiny_embedder, corpus, monkeypatch):
    """As on GPUs; every recording is decoded once."""
    monkeypatch.setitem(FRAMES_PER_PASS, "cpu", 2000)
    decoded, decoded_before = [], []

    def load(audio, *options, load_usable=extraction.load_usable):
        decoded.append(audio["path"])
        return load_usable(audio, *options)

    def embed(model, extractor, waveforms, *options, embed_each=extraction.embed_each):
        deadline = time.time() + 30
        while len(decoded) < min(12, 5 * len(decoded_before) + 10) and time.time() < deadline:
            time.sleep(0.01)  # nothing else happens meanwhile
        decoded_before.append(len(decoded))
        return embed_each(model, extractor, waveforms, *options)

    monkeypatch.setattr(extraction, "load_usable", load)
    monkeypatch.setattr(extraction, "embed_each", embed)
    tiny_embedder.extract_embeddings(corpus, batch_size=5)
    assert len(corpus) == 12
    assert decoded_before == [10, 12, 12]
    assert sorted(decoded) == sorted(audio["path"] for audio in corpus["audio"])


def test_a_gpu_that_waits_for_audio_is_told_of(tiny_embedder, corpus, monkeypatch, caplog):
    monkeypatch.setitem(FRAMES_PER_PASS, "cpu", 2000)
    monkeypatch.setattr(extraction, "WAIT_SECONDS", 0.5)
    monkeypatch.setattr(extraction, "WAIT_SHARE", 0)

    def slow(audio, *options, load_usable=extraction.load_usable):
        time.sleep(0.3)
        return load_usable(audio, *options)

    monkeypatch.setattr(extraction, "load_usable", slow)
    tiny_embedder.extract_embeddings(corpus, batch_size=6, decode_threads=2)
    assert "the GPU waited for audio to be decoded, by 2 threads" in caplog.text


@pytest.mark.parametrize(("waited", "took", "told"), [(30, 100, True), (30, 1000, False), (5, 10, False)])
def test_waiting_is_told_of_where_it_matters(caplog, waited, took, told):
    extraction.warn_of_waiting(waited, took, "4 threads")
    assert (f"For {100 * waited // took} % of the time ({waited} s) the GPU waited" in caplog.text) == told


def test_passes_hold_little_padding_and_stay_within_their_budget():
    frames = np.random.default_rng(0).integers(200, 2000, 500).tolist()
    groups = list(passes.similar_lengths(frames, 20_000))
    assert sorted(row for rows in groups for row in rows) == list(range(500))
    lengths = []
    for rows in groups:
        (length,) = {passes.padded_length(frames[row]) for row in rows}
        assert length * len(rows) <= 20_000
        assert max(frames[row] for row in rows) <= length <= 1.22 * min(frames[row] for row in rows)
        lengths += [length] * len(rows)
    assert sum(lengths) < 1.12 * sum(frames) and len(set(lengths)) <= 15


def test_a_gpu_sees_few_sizes_of_passes(tiny_embedder, monkeypatch):
    """It sets up its convolutions for each new size, which takes longer than a pass."""
    monkeypatch.setitem(FRAMES_PER_PASS, "cpu", 60_000)
    sizes = []

    def embed(model, features, device, mask, precision):
        sizes.append(features.shape[:2])
        assert mask is None or torch.equal(mask.sum(1) == features.shape[1], features[:, -1].any(1))
        return torch.zeros(len(features), model.config.embed_dim)

    monkeypatch.setattr(passes, "embed_features", embed)
    rng, extractor = np.random.default_rng(0), tiny_embedder.feature_extractor
    for _ in range(3):
        waveforms = [rng.normal(size=length).astype("f4") for length in rng.integers(32_000, 64_000, 20)]
        passes.embed_waveforms(tiny_embedder, extractor, waveforms, torch.device("cpu"))
    assert {frames for _, frames in sizes} <= {96, 112, 128, 160, 184, 216} and len(sizes) > 3
    sizes.clear()
    full = rng.normal(size=extractor.window_samples + 255 * extractor.shift_samples).astype("f4")
    passes.embed_waveforms(tiny_embedder, extractor, [full, full], torch.device("cpu"))
    assert sizes == [(2, 256)]


def test_lengths_of_passes_are_padded_to_themselves():
    """A recording of exactly such a length needs no padding."""
    lengths = {passes.padded_length(frames) for frames in range(9, 60_000)}
    assert {passes.padded_length(length) for length in lengths} == lengths
    assert all(passes.padded_length(length + 1) > length for length in lengths)


def test_a_recording_alone_is_padded_to_no_more_than_a_pass_takes(tiny_embedder, monkeypatch):
    monkeypatch.setitem(FRAMES_PER_PASS, "cpu", 500)
    sizes = []

    def embed(model, features, *options, embed_features=passes.embed_features):
        sizes.append(features.shape[1])
        return embed_features(model, features, *options)

    monkeypatch.setattr(passes, "embed_features", embed)
    extractor = tiny_embedder.feature_extractor
    waveform = np.ones(extractor.window_samples + 449 * extractor.shift_samples, "f4")
    passes.embed_waveforms(tiny_embedder, extractor, [waveform], torch.device("cpu"))
    assert sizes == [500]


def test_a_recording_without_a_frame_does_not_stop_the_others(tiny_embedder, monkeypatch):
    extractor, cpu = tiny_embedder.feature_extractor, torch.device("cpu")
    waveforms = [np.zeros(100, "f4"), np.random.default_rng(0).normal(size=16_000).astype("f4")]
    alone = passes.embed_each(tiny_embedder, extractor, waveforms, cpu)
    monkeypatch.setitem(FRAMES_PER_PASS, "cpu", 2000)
    together = passes.embed_each(tiny_embedder, extractor, waveforms, cpu)
    assert str(together[0]) == str(alone[0]) == "too short: 6 ms do not fill one frame of 25 ms"
    np.testing.assert_allclose(together[1], alone[1], atol=1e-4)


def test_passes_do_without_an_extractors_mask(tiny_embedder, monkeypatch):
    """A pass asks for its own, whether or not the extractor was set to make it."""
    waveforms = [np.random.default_rng(0).normal(size=16_000).astype("f4")]
    embeddings = []
    monkeypatch.setitem(FRAMES_PER_PASS, "cpu", 2000)
    for makes in (True, False):
        monkeypatch.setattr(tiny_embedder.feature_extractor, "return_attention_mask", makes)
        embeddings.append(
            passes.embed_waveforms(tiny_embedder, tiny_embedder.feature_extractor, waveforms, torch.device("cpu"))
        )
    np.testing.assert_array_equal(*embeddings)


@pytest.mark.parametrize(
    ("capability", "precision", "kind", "expected"),
    [
        ((8, 0), "bf16", torch.bfloat16, True),
        ((9, 0), "fp32", torch.float16, True),
        ((9, 0), "tf32", torch.float32, True),
        ((9, 0), "fp32", torch.float32, False),
        ((9, 0), "tf32", torch.float64, False),
        ((7, 5), "bf16", torch.bfloat16, False),
    ],
)
def test_convolutions_rectify_where_that_is_faster(monkeypatch, capability, precision, kind, expected):
    """In true single precision, cuDNN takes many times as long for both together."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    with passes._convolutions(torch.device("cuda"), precision):
        assert modeling_wespeaker._fuses(torch.device("cuda"), kind) == expected


def test_settings_of_cudnn_hold_within_a_pass_only(monkeypatch):
    settings = torch.backends.cudnn.conv
    before = settings.fp32_precision
    for given in (None, "0"):
        if given is None:
            monkeypatch.delenv(passes.CUDNN_CHOICE, raising=False)
        else:
            monkeypatch.setenv(passes.CUDNN_CHOICE, given)
        for precision, expected in (("fp32", "ieee"), ("tf32", "tf32"), ("bf16", "ieee")):
            with passes._convolutions(torch.device("cuda"), precision):
                assert settings.fp32_precision == expected and os.environ[passes.CUDNN_CHOICE] == (given or "1")
            assert settings.fp32_precision == before and os.environ.get(passes.CUDNN_CHOICE) == given


def test_passes_on_several_threads_may_end_in_any_order(monkeypatch):
    """Both began before either had set the choice, and both put it back."""
    monkeypatch.delenv(passes.CUDNN_CHOICE, raising=False)
    with passes._convolutions(torch.device("cuda"), "fp32"):
        del os.environ[passes.CUDNN_CHOICE]  # by the other pass
    assert passes.CUDNN_CHOICE not in os.environ


def test_datasets_of_others_are_taken_as_they_are(tiny_embedder, corpus):
    """Audio that datasets would decode, no ids, numbered speakers."""
    expected = vector_matrix(tiny_embedder.extract_embeddings(corpus), "embedding")[0]
    theirs = corpus.select_columns(["audio", "speaker"]).cast_column("audio", datasets.Audio(sampling_rate=16000))
    extracted = tiny_embedder.extract_embeddings(theirs.class_encode_column("speaker"))
    np.testing.assert_array_equal(vector_matrix(extracted, "embedding")[0], expected)
    assert list(extracted["speaker"]) == list(corpus["speaker"]) and len(set(extracted["id"])) == len(corpus)


def test_threads_are_given_back(tiny_embedder, corpus):
    threads = torch.get_num_threads()
    tiny_embedder.extract_embeddings(corpus)
    assert torch.get_num_threads() == threads


def test_column_is_fixed_length_float32_and_others_pass_through(tiny_embedder, corpus):
    extracted = tiny_embedder.extract_embeddings(corpus)
    assert extracted.features["embedding"] == datasets.List(datasets.Value("float32"), length=256)
    assert list(extracted["text"]) == list(corpus["text"])


def test_bad_recordings_keep_their_row_and_are_named(tiny_embedder, few, caplog):
    folder = few.parent
    good = folder / "espeak01" / "espeak01-01.opus"
    (folder / "text.wav").write_text("not audio")
    (folder / "empty.flac").touch()
    (folder / "cut.opus").write_bytes(good.read_bytes()[:60])
    lines = few.read_text().splitlines()[:3]
    bad = ("missing.wav", "text.wav", "empty.flac", "cut.opus")
    few.write_text("\n".join([*lines, *(f"{name},{name},x,f,t" for name in bad)]) + "\n")
    dataset, skipped = compute_embeddings(tiny_embedder, load_corpus(few))
    assert [row.id for row in skipped] == list(bad)
    assert "file not found" in skipped[0].reason
    assert "empty file" in skipped[2].reason
    assert [embedding is None for embedding in dataset["embedding"]] == [False, False, True, True, True, True]
    tiny_embedder.extract_embeddings(load_corpus(few))
    assert "skipped 4 recordings: missing.wav (file not found" in caplog.text


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(16000), "digital silence"),
        (np.full(16000, 0.5), "digital silence"),
        (np.random.default_rng(0).normal(size=160), "too short: 10 ms of at least 185 ms"),
        (np.array([np.nan] * 16000), "not all finite"),
        (1e-31 * np.sin(np.arange(16000.0)), "digital silence"),
        (2e-5 * np.sin(np.arange(16000.0)), "silence: its level is -97 dBFS"),
        (np.random.default_rng(0).normal(size=80000) * 0.1, "no speech: 0.0 s of at least 0.5 s"),
        (np.sin(np.arange(80000) * 0.17), "no speech: 0.0 s of at least 0.5 s"),
    ],
    ids=["silence", "constant", "10 ms", "nan", "next to nothing", "below the last bit", "white noise", "tone"],
)
def test_samples_that_hold_no_voice_are_skipped_with_the_reason(tiny_embedder, samples, reason):
    audio = {"array": samples.astype(np.float32), "sampling_rate": 16000}
    corpus = datasets.Dataset.from_list([{"id": "x", "audio": audio}])
    _, skipped = compute_embeddings(tiny_embedder, corpus)
    assert skipped[0].id == "x"
    assert reason in skipped[0].reason


def test_shortest_recording_that_is_taken_has_a_finite_embedding(tiny_embedder):
    shift = 16 * tiny_embedder.feature_extractor.frame_shift
    samples = np.random.default_rng(0).normal(size=400 + 8 * shift).astype(np.float32) * 0.1
    corpus = datasets.Dataset.from_list([{"id": "x", "audio": {"array": samples, "sampling_rate": 16000}}])
    extracted, skipped = compute_embeddings(tiny_embedder, corpus, min_speech=0)
    assert not skipped
    assert np.isfinite(extracted[0]["embedding"]).all()


def test_what_is_there_already_is_not_computed_again(tiny_embedder, corpus, monkeypatch):
    half = tiny_embedder.extract_embeddings(corpus.select(range(6)))
    marked = np.full(256, 7.0, dtype=np.float32)
    embeddings = [marked] * 6 + [None] * (len(corpus) - 6)
    feature = half.features["embedding"]
    partly = corpus.add_column("embedding", embeddings, feature=feature)
    saved = []
    result, _ = compute_embeddings(tiny_embedder, partly, save=lambda ids, *_: saved.extend(ids))
    assert saved == list(corpus["id"])[6:]
    assert result[0]["embedding"] == marked.tolist()
    forced, _ = compute_embeddings(tiny_embedder, partly, force=True)
    assert forced[0]["embedding"] == pytest.approx(half[0]["embedding"], abs=1e-5)


def test_embeddings_of_another_size_are_refused(tiny_embedder, corpus):
    other = corpus.add_column(
        "embedding", [[0.0] * 8] * len(corpus), feature=datasets.List(datasets.Value("float32"), length=8)
    )
    with pytest.raises(UserError, match="8 values, the model makes 256"):
        compute_embeddings(tiny_embedder, other)


def test_corpus_without_audio_is_refused(tiny_embedder):
    with pytest.raises(UserError, match=r"no audio column \(columns: id\)"):
        compute_embeddings(tiny_embedder, datasets.Dataset.from_dict({"id": ["x"]}))


@pytest.fixture
def by_processes(monkeypatch):
    """Recordings are decoded in two other processes, as for a GPU."""
    monkeypatch.setitem(FRAMES_PER_PASS, "cpu", 2000)
    monkeypatch.setattr(extraction, "PROCESSES_FROM", 1)


@pytest.mark.slow
@pytest.mark.processes
def test_other_processes_decode_what_threads_do(tiny_embedder, few, tmp_path, by_processes, monkeypatch):
    """Recordings as files and as bytes, and such as cannot be used."""
    rows = load_corpus(few)
    (tmp_path / "broken.wav").write_bytes(b"RIFF and no more")
    wavfile.write(tmp_path / "quiet.wav", 16_000, np.zeros(32_000, dtype=np.float32))
    added = [{"path": str(path), "bytes": None} for path in sorted(tmp_path.glob("*.wav"))]
    added += [{"path": None, "bytes": Path(audio["path"]).read_bytes()} for audio in rows["audio"][:3]]
    audio = datasets.Dataset.from_dict({"audio": [*rows["audio"], *added]})
    corpus = load_corpus(audio.cast_column("audio", datasets.Audio(decode=False)))
    by_others, skipped = compute_embeddings(tiny_embedder, corpus, batch_size=4, decode_threads=2)
    monkeypatch.setattr(extraction, "PROCESSES_FROM", 10**9)
    by_threads, expected = compute_embeddings(tiny_embedder, corpus, batch_size=4, decode_threads=2)
    assert skipped == expected and len(skipped) == 2
    found, wanted = (vector_matrix(one, "embedding") for one in (by_others, by_threads))
    np.testing.assert_array_equal(found[1], wanted[1])
    np.testing.assert_allclose(found[0], wanted[0], atol=1e-5)
    assert by_others["recording_quality"][:] == by_threads["recording_quality"][:]


@pytest.mark.slow
@pytest.mark.processes
def test_a_process_that_is_ended_is_told_of(tiny_embedder, corpus, by_processes):
    def save(*batch):
        for process in multiprocessing.active_children():
            process.kill()

    with pytest.raises(UserError, match="a process that decoded recordings was ended"):
        compute_embeddings(tiny_embedder, corpus, batch_size=2, decode_threads=2, save=save)
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_processes_that_decode_end_with_their_parent_and_do_not_run_its_script(few, run_python, tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(
        "import multiprocessing, os, signal, sys\n"
        "from balr_hf import WespeakerModel, load_corpus\n"
        "from balr_hf.defaults import EMBEDDER, resource\n"
        "from balr_hf.embeddings import extraction\n"
        "extraction.PROCESSES_FROM = 1\n"
        "extraction.FRAMES_PER_PASS['cpu'] = 2000\n"
        "print('the script runs', flush=True)\n"
        "def save(*batch):\n"
        "    print(*(process.pid for process in multiprocessing.active_children()), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "model = WespeakerModel.from_pretrained(resource(EMBEDDER))\n"
        "extraction.compute_embeddings(model, load_corpus(sys.argv[1]), batch_size=2, decode_threads=2, save=save)\n"
    )
    done = run_python(script, few, check=False)
    said, processes = done.stdout.splitlines()
    assert said == "the script runs" and len(processes.split()) == 2
    deadline = time.time() + 30
    while any(Path(f"/proc/{process}").exists() for process in processes.split()) and time.time() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{process}").exists() for process in processes.split())


@pytest.mark.slow
def test_a_script_without_guard_gets_from_two_processes_what_one_gives(few, run_python, tmp_path):
    """Nor do they run the script again, though they take along what it defines; the start method comes back.

    One of the two embeds in padded passes as on GPUs, for which processes of its own decode, the other each recording
    on a thread of its own as on CPUs.
    """
    (tmp_path / "as_gpu.py").write_text(  # imported by the processes too, to find `note`
        "import multiprocess\n"
        "import multiprocessing\n"
        "from balr_hf.embeddings import extraction\n"
        "from balr_hf.embeddings.passes import FRAMES_PER_PASS\n"
        "extraction.PROCESSES_FROM = 1\n"
        "if not multiprocess.current_process().name.endswith('-1'):\n"
        "    FRAMES_PER_PASS['cpu'] = 2000\n"
        "def note(path, names):\n"
        "    way = 'together' if 'cpu' in FRAMES_PER_PASS else 'alone'\n"
        "    assert len(multiprocessing.active_children()) == (2 if way == 'together' else 0)\n"
        "    path.with_name(f'{path.name}-{way}').write_text('\\n'.join(names))\n"
    )
    script = tmp_path / "two.py"
    script.write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        "import multiprocess\n"
        "import numpy as np\n"
        "from as_gpu import note\n"
        "from balr_hf import WespeakerModel, load_corpus\n"
        "from balr_hf.data import vector_matrix\n"
        "from balr_hf.defaults import EMBEDDER, resource\n"
        "from balr_hf.embeddings.extraction import compute_embeddings\n"
        "print('the script runs')\n"
        "folder, prefix = Path(sys.argv[2]), 'saved'\n"
        "class Mine(WespeakerModel):\n"
        "    pass\n"
        "def path_of(names):\n"
        "    return folder / f'{prefix}-{os.getpid()}-{names[0].replace(os.sep, chr(45))}'\n"
        "model, corpus = Mine.from_pretrained(resource(EMBEDDER)), load_corpus(sys.argv[1])\n"
        "before = multiprocess.get_start_method(allow_none=True)\n"
        "runs = [compute_embeddings(model, corpus, batch_size=2, num_proc=n, decode_threads=2,\n"
        "        save=lambda names, *_: note(path_of(names), names))[0] for n in (1, 2)]\n"
        "assert multiprocess.get_start_method(allow_none=True) == before\n"
        "assert sys.modules['__main__'].folder is folder\n"
        "one, two = (vector_matrix(run, 'embedding')[0] for run in runs)\n"
        "print(np.abs(one - two).max())\n"
    )
    (tmp_path / "out").mkdir()
    done = run_python(script, few, tmp_path / "out")
    assert done.stdout.count("the script runs") == 1
    assert float(done.stdout.split()[-1]) < 1e-4
    saved = [path.name.split("-") for path in (tmp_path / "out").iterdir()]
    ways = {process: way for _, process, *_, way in saved}
    assert len(saved) == 12 and len(ways) == 3, "each of two processes saves its own batches"
    assert sorted(ways.values()) == ["alone", "together", "together"]


@pytest.mark.parametrize(
    "error", [EOFError(), RuntimeError("One of the subprocesses has abruptly died"), multiprocess.TimeoutError()]
)
def test_a_process_that_is_ended_while_it_computes_is_the_users_error(tiny_embedder, corpus, monkeypatch, error):
    """What `Dataset.map` raises depends on which of its processes it was."""

    def ended(*_, **__):
        raise error

    monkeypatch.setattr(datasets.Dataset, "map", ended)
    with pytest.raises(UserError, match="was ended, perhaps by the system for lack of memory"):
        compute_embeddings(tiny_embedder, corpus, num_proc=2)
    with pytest.raises(type(error)):
        compute_embeddings(tiny_embedder, corpus)


def test_processes_do_not_run_what_lies_in_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "struct.py").write_text("open('executed', 'w')\n")  # Python's own `pickle` imports a `struct`
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    with script_hidden():
        process = multiprocessing.get_context("spawn").Process(target=len, args=("",))
        process.start()
    process.join()
    assert process.exitcode == 0
    assert not (tmp_path / "executed").exists()
    assert "PYTHONSAFEPATH" not in os.environ


def test_embeddings_of_weights_that_were_cast_do_not_pass_for_others(tiny_embedder, corpus):
    cast = copy.deepcopy(tiny_embedder).to(torch.bfloat16)
    with pytest.raises(UserError, match=r"weights were cast to torch\.bfloat16: load it in float32"):
        cast.extract_embeddings(corpus)
    with pytest.raises(UserError, match=r"weights were cast to torch\.bfloat16"):
        compute_embeddings(cast, corpus)


def test_a_script_under_a_launcher_is_told_that_the_work_is_not_shared(tiny_embedder, corpus, monkeypatch, caplog):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, told in (("0", 0), ("1", 1), ("2", 0)):  # the first may be the only one that does it
        caplog.clear()
        monkeypatch.setenv("RANK", rank)
        tiny_embedder.extract_embeddings(corpus)
        assert sum("A launcher started 2 processes" in record.message for record in caplog.records) == told

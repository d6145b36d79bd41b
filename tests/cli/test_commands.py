"""The commands in this process, on a few recordings of the sample corpus."""

import csv
import json
import shutil
from pathlib import Path

import datasets
import numpy as np
import pytest

from balr_hf import load_corpus
from balr_hf.data.vectors import read_vector

ORIGINS = ["embedding_origin", "ba_origin"]


def vectors(folder, pattern):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(pattern))


def reasons(path):
    with path.open() as file:
        return {row["id"]: row["reason"] for row in csv.DictReader(file)}


def test_extract_and_binarize_write_files_beside_the_audio(balr, few):
    status, said = balr("extract", few)
    assert status == 0
    assert "12 recordings: 12 embeddings computed, 0 there already, 0 skipped" in said
    status, said = balr("binarize", few)
    assert status == 0
    assert "12 binary attributes computed" in said
    assert (len(vectors(few.parent, "*_emb.txt")), len(vectors(few.parent, "*_ba.txt"))) == (12, 12)
    assert not vectors(few.parent, "*.tmp")
    corpus = load_corpus(few)
    assert (corpus.features["embedding"].length, corpus.features["ba"].length) == (256, 512)
    assert not (few.parent / "skipped.csv").exists()


def test_what_is_there_is_not_computed_again_unless_forced(balr, few):
    balr("extract", few)
    path = few.parent / vectors(few.parent, "*_emb.txt")[0]
    original = path.read_text()
    path.write_text("1\n" * 256)
    status, said = balr("extract", few)
    assert (status, "0 embeddings computed, 12 there already" in said) == (0, True)
    assert path.read_text() == "1\n" * 256
    assert balr("extract", "--force", few)[0] == 0
    assert path.read_text() == original


def test_save_dir_mirrors_the_corpus_and_is_one_itself(balr, few, tmp_path):
    out = tmp_path / "out"
    assert balr("extract", "--save-dir", out, few)[0] == 0
    assert not vectors(few.parent, "*_emb.*")
    assert vectors(out, "*_emb.txt")[0] == "espeak01/espeak01-01_emb.txt"
    assert balr("binarize", out / "few.csv")[0] == 0
    corpus = load_corpus(out / "few.csv")
    assert corpus.column_names == ["id", "speaker", "sex", "text", "embedding", "ba", "recording_quality", *ORIGINS]
    assert len(corpus) == 12
    assert list(corpus["speaker"]) == list(load_corpus(few)["speaker"])
    assert load_corpus(out)[:] == corpus[:]  # the folder stands for the one csv in it


def test_binarize_finds_the_embeddings_of_the_same_save_dir(balr, few, tmp_path):
    balr("extract", "--save-dir", tmp_path / "out", few)
    status, _ = balr("binarize", "--save-dir", tmp_path / "out", few)
    assert status == 0
    assert len(vectors(tmp_path / "out", "*_ba.txt")) == 12
    assert not vectors(few.parent, "*_ba.txt")


def test_folder_and_file_inputs(balr, few, tmp_path):
    folder = few.parent / "espeak01"
    assert balr("extract", folder)[0] == 0
    assert len(vectors(folder, "*_emb.txt")) == 8
    single = few.parent / "espeak02" / "espeak02-05.opus"
    assert balr("extract", single, "--save-format", "npy")[0] == 0
    assert vectors(few.parent / "espeak02", "*_emb.*") == ["espeak02-05_emb.npy"]
    assert read_vector(single.with_name("espeak02-05_emb.npy"), "embedding").shape == (256,)


def test_dataset_in_dataset_out(balr, few, tmp_path):
    load_corpus(few).save_to_disk(str(tmp_path / "corpus"))
    assert balr("extract", tmp_path / "corpus", "--save-dir", tmp_path / "with-embeddings")[0] == 0
    assert balr("binarize", tmp_path / "with-embeddings", "--save-dir", tmp_path / "with-ba")[0] == 0
    result = datasets.load_from_disk(str(tmp_path / "with-ba"))
    names = ["id", "speaker", "sex", "text", "audio", "embedding", "recording_quality", "ba", *ORIGINS]
    assert sorted(result.column_names) == sorted(names)
    assert all(row["net_speech"] > 1 for row in result["recording_quality"])
    balr("extract", few)
    by_file = {row["id"]: row["embedding"] for row in load_corpus(few)}
    for row in result:
        np.testing.assert_allclose(row["embedding"], by_file[row["id"]], atol=1e-4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpus", "sample", "with-ba", "with-embeddings"]


def test_dataset_can_replace_itself(balr, few, tmp_path):
    corpus = tmp_path / "corpus"
    load_corpus(few).save_to_disk(str(corpus))
    assert balr("extract", corpus, "--save-dir", corpus)[0] == 0
    assert "embedding" in datasets.load_from_disk(str(corpus)).column_names


def test_csv_to_dataset_and_dataset_to_files(balr, few, tmp_path):
    assert balr("extract", few, "--save-format", "dataset", "--save-dir", tmp_path / "set")[0] == 0
    assert balr("binarize", tmp_path / "set", "--save-format", "npy", "--save-dir", tmp_path / "files")[0] == 0
    assert vectors(tmp_path / "files", "*_ba.npy")[0] == "espeak01/espeak01-01_ba.npy"
    corpus = load_corpus(tmp_path / "files" / "metadata.csv")
    assert corpus.features["ba"].length == 512


def test_dataset_without_save_dir_is_asked_where(balr, few, tmp_path):
    load_corpus(few).save_to_disk(str(tmp_path / "corpus"))
    status, said = balr("extract", tmp_path / "corpus")
    assert status == 2
    assert "--save-dir" in said


def test_no_save_output_writes_nothing(balr, few):
    before = sorted(few.parent.rglob("*"))
    status, said = balr("extract", "--no-save-output", few)
    assert (status, "12 embeddings computed" in said) == (0, True)
    assert sorted(few.parent.rglob("*")) == before


@pytest.fixture
def spoiled(few):
    """The few recordings with every kind of bad one among them."""
    folder = few.parent
    good = folder / "espeak01" / "espeak01-01.opus"
    rng = np.random.default_rng(0)
    from balr_hf.audio import load_audio, resample

    def write(name, samples, rate=16000, layout="mono"):
        import av

        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream("flac" if name.endswith("flac") else "pcm_s16le", rate=rate)
            stream.layout = layout
            data = (np.atleast_2d(samples) * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(data.T.reshape(1, -1), format="s16", layout=layout)
            frame.sample_rate = rate
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                container.mux(packet)

    write("whole.flac", load_audio(good))
    whole = (folder / "whole.flac").read_bytes()
    (folder / "cut.flac").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("this is no audio\n" * 50)
    write("short.wav", 0.1 * rng.normal(size=160))
    write("silence.wav", np.zeros(16000))
    write("noise.wav", 0.1 * rng.normal(size=32000))
    write("stereo.wav", np.tile(resample(load_audio(good), 16000, 44100), (2, 1)), rate=44100, layout="stereo")
    bad = ["missing.wav", "empty.wav", "cut.flac", "text.wav", "short.wav", "silence.wav", "noise.wav"]
    rows = "".join(f"{name},{name},spoiled,female,\n" for name in [*bad, "stereo.wav"])
    few.write_text(few.read_text() + rows)
    return few


def test_bad_recordings_are_skipped_and_named_and_the_good_ones_done(balr, spoiled):
    status, said = balr("extract", spoiled)
    assert status == 0
    assert "20 recordings: 13 embeddings computed, 0 there already, 7 skipped" in said
    found = reasons(spoiled.parent / "skipped.csv")
    names = ["missing.wav", "empty.wav", "cut.flac", "text.wav", "short.wav", "silence.wav", "noise.wav"]
    assert list(found) == names
    for name, reason in {
        "missing.wav": "file not found",
        "empty.wav": "empty file",
        "cut.flac": "truncated",
        "text.wav": "not audio",
        "short.wav": "too short: 10 ms",
        "silence.wav": "digital silence",
        "noise.wav": "no speech: 0.0 s of at least 0.5 s",
    }.items():
        assert reason in found[name]
        assert f"skipped {name}: " in said
    assert (spoiled.parent / "stereo_emb.txt").exists()
    status, said = balr("binarize", spoiled)
    assert status == 0
    assert "13 binary attributes computed, 0 there already, 7 skipped" in said
    kept = reasons(spoiled.parent / "skipped.csv")
    assert kept == {name: f"no embedding ({reason})" for name, reason in found.items()}


def test_skipped_list_is_emptied_when_all_is_well_again(balr, spoiled):
    balr("extract", spoiled)
    spoiled.write_text("\n".join(spoiled.read_text().splitlines()[:13]) + "\n")
    assert balr("extract", "--force", spoiled)[0] == 0
    assert reasons(spoiled.parent / "skipped.csv") == {}


def test_run_in_which_nothing_could_be_done_fails(balr, tmp_path):
    (tmp_path / "text.wav").write_text("no audio")
    status, said = balr("extract", tmp_path / "text.wav")
    assert status == 1
    assert "skipped text: not audio" in said
    assert balr("extract", tmp_path)[0] == 1


def test_bad_vector_files_are_skipped_and_named(balr, few, extracted):
    import pickle

    folder = few.parent / "espeak01"
    (folder / "espeak01-01_emb.txt").write_text("1\n2\n3\n")
    (folder / "espeak01-02_emb.txt").unlink()

    class Hostile:
        def __reduce__(self):
            return (open, (str(few.parent / "hostile-was-here"), "w"))

    (folder / "espeak01-02_emb.pkl").write_bytes(pickle.dumps(Hostile()))
    status, said = balr("binarize", few)
    assert status == 0
    assert "12 recordings: 10 binary attributes computed, 0 there already, 2 skipped" in said
    found = reasons(few.parent / "skipped.csv")
    assert "embedding of 3 values where most have 256" in found["espeak01/espeak01-01"]
    assert "refused: this pickle names" in found["espeak01/espeak01-02"]
    assert not (few.parent / "hostile-was-here").exists()


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["extract", "nothing.csv"], 1, "no such file or folder: nothing.csv"),
        (["extract", "{few}", "--device", "cuda"], 2, "device cuda was asked for, but torch finds no CUDA GPUs here"),
        (["extract", "{few}", "--device", "gpu"], 2, "unknown device 'gpu': expected cpu, cuda"),
        (
            ["extract", "{few}", "data.size=3"],
            2,
            "unknown key data.size (in data.size=3): section data has batch_size",
        ),
        (
            ["extract", "{few}", "--save-format", "mat"],
            2,
            "argument --save-format: invalid choice: 'mat'",
        ),
        (["extract", "{few}", "embeddings.model.model_repo={few}"], 1, "is a file: give the folder"),
        (["extract", "{few}", "embeddings.model.features.num_mel_bins=40"], 1, "features of 40 mel bins"),
        (["binarize", "{few}"], 1, "has no embedding to compute from (run balr extract first)"),
        (
            ["binarize", "{few}", "encoder.model.checkpoint_path=runs/nothing.pt"],
            1,
            "no checkpoint at runs/nothing.pt",
        ),
        (["binarize", "{few}", "encoder.model.internal_dim=64"], 1, "encoder.model.internal_dim=64, but"),
        (["train", "{few}", "{few}"], 1, "no embedding column"),
        (["train", "{few}", "{few}", "trainer.losses=[mse, l1]"], 2, "unknown loss 'l1': expected mse, triplet"),
        (["train", "{few}", "{few}", "trainer.losses.arcface.weight=1"], 2, "does not have arcface"),
        (["score", "train", "{few}"], 1, "no ba column"),
        (["score", "train", "{few}", "scorer=betta"], 2, "unknown scorer 'betta'"),
        (["score", "test", "{few}", "nothing.csv"], 1, "no trial list at nothing.csv"),
        (["convert", "nothing.pt", "out"], 1, "no checkpoint at nothing.pt"),
        (["nonsense"], 2, "unknown command 'nonsense': expected inspect, measure, channels"),
    ],
)
def test_errors_are_one_clear_line(balr, few, tmp_path, monkeypatch, words, status, message):
    monkeypatch.chdir(tmp_path)
    got, said = balr(*(word.format(few=few) for word in words))
    (line,) = [line for line in said.splitlines() if "error:" in line]
    assert message in line
    assert got == status
    assert "Traceback" not in said


def test_wrong_embedding_size_names_both(balr, few, extracted, tmp_path):
    from balr_hf import BinaryAttributeAutoEncoder, BinaryAttributeAutoEncoderConfig

    BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(8, 16)).save_pretrained(tmp_path / "small")
    status, said = balr("binarize", few, f"encoder.model.checkpoint_path={tmp_path / 'small'}")
    assert status == 1
    assert "embeddings of 256 values, the autoencoder expects 8" in said


def test_whole_way_from_audio_to_metrics(balr, few, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    balr("extract", few)
    small = [
        "data.N_classes_per_batch=4",
        "data.M_samples_per_class=3",
        "data.batch_size=12",
        "trainer.internal_dim=64",
    ]
    assert balr("train", few, few, "trainer.epochs=3", "--log-with", "none", *small)[0] == 0
    assert balr("binarize", few, "encoder.model.checkpoint_path=runs/train/best.pt")[0] == 0
    status, said = balr("score", "train", few)
    assert status == 0
    assert "Fitted to 4 speakers, 12 recordings" in said
    ids = list(load_corpus(few)["id"])
    pairs = [f"{a}\t{b}" for n, a in enumerate(ids) for b in ids[n + 1 :]]
    (tmp_path / "trials.csv").write_text(
        "\n".join(["enrollment\ttest", *pairs, f"{ids[0]},{ids[1]}\t{ids[2]}"]) + "\n"
    )
    status, said = balr("score", "test", few, "trials.csv", "scorer.checkpoint_path=runs/scorer/train/scorer.pt")
    assert status == 0
    assert "67 trials (13 same-speaker) of 4 speakers; DirichletMultinomialScorer, not calibrated" in said
    assert "Cosine of the embeddings themselves: EER" in said
    metrics = json.loads((tmp_path / "runs" / "score" / "metrics.json").read_text())
    assert metrics["same_speaker"] == 13
    assert {"eer", "cllr", "min_dcf_0.01", "embedding_cosine_eer"} <= set(metrics)
    scores = (tmp_path / "runs" / "score" / "scores.csv").read_text().splitlines()
    assert scores[0] == "enrollment\ttest\tscores\tembedding_cosine"
    assert len(scores) == 68
    assert balr("score", "test", few, "trials.csv", "scorer=cosine")[0] == 0
    assert (tmp_path / "runs" / "score2" / "scores.csv").exists()
    status, said = balr("score", "test", few, "trials.csv")
    assert status == 1
    assert "the scorer knows 512 attributes, the corpus has 64" in said


def test_trials_naming_unknown_recordings_name_them_all(balr, few, extracted, tmp_path):
    balr("binarize", few)
    (tmp_path / "trials.csv").write_text("enrollment\ttest\nx1\tespeak01/espeak01-01\nx2,x3\tx1\n")
    status, said = balr("score", "test", few, tmp_path / "trials.csv")
    assert status == 1
    assert "--leave-out-missing leaves these out" in said and "): x1, x2, x3. Recordings that" in said


def test_where_vector_files_are_is_said_before_and_after(balr, few, tmp_path):
    case = tmp_path / "case"
    case.mkdir()
    rows = [line.split(",") for line in few.read_text().splitlines()]
    lines = [",".join([row[0], f"{few.parent}/{row[1]}" if number else row[1]]) for number, row in enumerate(rows)]
    (case / "cal.csv").write_text("\n".join([*lines[:2], lines[-1]]) + "\n")
    folders = sorted({str(Path(line.split(",")[1]).parent) for line in (lines[1], lines[-1])})
    assert len(folders) == 2
    status, said = balr("extract", case / "cal.csv")
    told = [line for line in said.splitlines() if folders[0] in line]
    assert status == 0 and "will be written beside the recordings" in told[0] and "--save-dir FOLDER" in told[0]
    after = f"beside the recordings in {folders[0]}, {folders[1]}, and quality.csv and balr-vectors.json in {case}"
    assert after in said and "Saved in" not in said
    status, said = balr("extract", "--save-dir", tmp_path / "own", case / "cal.csv")
    assert status == 0 and f"Saved in {tmp_path / 'own'}" in said and "beside the recordings" not in said


def test_interrupted_training_goes_on(balr, few, extracted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["train", few, few, "data.N_classes_per_batch=4", "data.M_samples_per_class=2", "data.batch_size=8"]
    balr(*words, "trainer.epochs=2", "--save-dir", "a")
    status, _ = balr(*words, "trainer.epochs=4", "--resume-from", "a")
    assert status == 0
    balr(*words, "trainer.epochs=4", "--save-dir", "b")
    last = [(tmp_path / run / "last" / "model.safetensors").read_bytes() for run in ("a", "b")]
    assert last[0] == last[1]


def test_interrupted_training_goes_on_to_its_own_number_of_epochs(balr, few, extracted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["train", few, few, "data.N_classes_per_batch=4", "data.M_samples_per_class=2", "data.batch_size=8"]
    balr(*words, "--epochs", "3", "--save-dir", "a")

    def epochs():
        return [json.loads((tmp_path / "a" / name).read_text()) for name in ("run.json", "state/progress.json")]

    status, said = balr(*words, "--resume-from", "a")
    assert status == 0 and "to its own 3 epochs, of which 3 are done" in said and "nothing is left to train" in said
    run, progress = epochs()
    assert run["epochs"] == progress["epoch"] == 3
    status, said = balr(*words, "--resume-from", "a", "trainer.epochs=5", "--save-dir", "b")
    assert status == 2 and "save_dir=b (--save-dir) is not the folder of the run to resume, a" in said
    assert not (tmp_path / "b").exists() and epochs() == [run, progress]
    status, said = balr(*words, "--resume-from", "a", "trainer.epochs=5")
    assert status == 0 and "its own" not in said
    run, progress = epochs()
    assert run["epochs"] == progress["epoch"] == 5  # and so is continued to 5


def test_convert_reads_balr_and_wespeaker(balr, golden, tmp_path):
    status, said = balr("convert", golden / "upstream_autoencoder.pt", tmp_path / "autoencoder")
    assert status == 0
    assert "autoencoder, 32 values -> 48 attributes" in said
    written = {path.name for path in (tmp_path / "autoencoder").iterdir()}
    assert written == {"config.json", "model.safetensors", "configuration_autoencoder.py", "modeling_autoencoder.py"}
    status, said = balr("convert", golden / "upstream_autoencoder.pt", tmp_path / "autoencoder")
    assert status == 1
    assert "exists already" in said
    from balr_hf import WespeakerConfig, WespeakerModel

    source = tmp_path / "wespeaker"
    source.mkdir()
    (source / "config.yaml").write_text("model: ResNet18\nmodel_args: {m_channels: 2, embed_dim: 8}\n")
    import torch

    made = WespeakerModel(WespeakerConfig.from_wespeaker("ResNet18", {"m_channels": 2, "embed_dim": 8}))
    torch.save({**made.state_dict(), "projection.weight": torch.zeros(3)}, source / "avg_model.pt")
    status, _ = balr("convert", source, tmp_path / "embedder", "--waveform-scale", "1")
    assert status == 0
    loaded = WespeakerModel.from_pretrained(tmp_path / "embedder")
    assert loaded.feature_extractor.waveform_scale == 1.0
    assert torch.equal(loaded.conv1.weight, made.conv1.weight)
    shutil.rmtree(source)


def test_duplicate_ids_are_refused(balr, few):
    few.write_text(few.read_text() + few.read_text().splitlines()[1] + "\n")
    status, said = balr("extract", few)
    assert status == 1
    assert "duplicate ids" in said
    assert "espeak01/espeak01-01" in said


def test_csv_without_a_usable_column_names_its_columns(balr, tmp_path):
    (tmp_path / "corpus.csv").write_text("name,wav\na,a.wav\n")
    status, said = balr("extract", tmp_path / "corpus.csv")
    assert status == 1
    assert "none of the columns audio, embedding, binary_attributes; its columns are name, wav" in said


def test_folder_that_holds_other_things_is_not_replaced(balr, few):
    audio = sorted(few.parent.rglob("*.opus"))
    for target in (few.parent, few.parent / "espeak01"):
        status, said = balr("extract", few, "--save-format", "dataset", "--save-dir", target)
        assert status == 1
        assert "holds other things than a saved Dataset" in said
    assert sorted(few.parent.rglob("*.opus")) == audio


def test_save_dir_of_another_corpus_is_refused(balr, few, tmp_path):
    balr("extract", "--save-dir", tmp_path / "out", few.parent / "espeak01")
    status, said = balr("extract", "--save-dir", tmp_path / "out", few.parent / "espeak02")
    assert status == 1
    assert "holds the vectors of another corpus" in said


def test_users_own_files_in_the_save_dir_are_left_alone(balr, few, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "few.csv").write_text("mine\n")
    (out / "skipped.csv").write_text("mine too\n")
    few.write_text(few.read_text() + "missing,missing.wav,x,female,\n")
    status, said = balr("extract", "--save-dir", out, few)
    assert status == 0
    assert (out / "few.csv").read_text() == "mine\n"
    assert (out / "skipped.csv").read_text() == "mine too\n"
    assert said.count("it was not written by balr") == 2


def test_recording_that_shares_its_vector_file_with_one_that_is_done_is_refused(balr, few):
    assert balr("extract", few)[0] == 0
    before = (few.parent / "espeak01" / "espeak01-01_emb.txt").read_text()
    shutil.copy(few.parent / "espeak02" / "espeak02-01.opus", few.parent / "espeak01" / "espeak01-01.ogg")
    (few.parent / "espeak01.csv").write_text("audio\nespeak01/espeak01-01.opus\nespeak01/espeak01-01.ogg\n")
    status, said = balr("extract", few.parent / "espeak01.csv")
    assert (status, "would both write espeak01-01_emb.txt: rename one" in said) == (1, True)
    assert (few.parent / "espeak01" / "espeak01-01_emb.txt").read_text() == before


def test_forced_vectors_are_the_ones_that_are_read(balr, few, extracted):
    path = few.parent / "espeak01" / "espeak01-01_emb.txt"
    right = read_vector(path, "embedding")
    path.write_text("1\n" * 256)
    assert balr("extract", "--force", "--save-format", "npy", few)[0] == 0
    np.testing.assert_allclose(load_corpus(few)[0]["embedding"], right, atol=1e-4)
    assert not vectors(few.parent, "*_emb.txt")


def test_vector_files_that_a_csv_names_are_written_there(balr, few):
    lines = few.read_text().splitlines()
    named = [lines[0] + ",embedding", *(f"{line},vec/{number}.txt" for number, line in enumerate(lines[1:]))]
    few.write_text("\n".join(named) + "\n")
    status, said = balr("extract", few)
    assert (status, "12 embeddings computed" in said) == (0, True)
    assert len(vectors(few.parent / "vec", "*.txt")) == 12
    (few.parent / "vec" / "0.txt").write_text("1\n" * 256)
    (few.parent / "vec" / "0.npy").write_text("something else of the user's")
    assert balr("extract", "--force", few)[0] == 0
    assert (few.parent / "vec" / "0.npy").exists()
    assert len(set(load_corpus(few)[0]["embedding"])) > 200


def test_ids_of_a_dataset_never_lead_out_of_the_save_dir(balr, few, tmp_path):
    corpus = load_corpus(few).select(range(3)).remove_columns("id")
    ids = [str(tmp_path / "elsewhere" / "a"), "../b", "spk0.utt0"]
    corpus.add_column("id", ids).save_to_disk(str(tmp_path / "corpus"))
    words = ["extract", tmp_path / "corpus", "--save-format", "txt", "--save-dir", tmp_path / "out"]
    assert balr(*words)[0] == 0
    assert not (tmp_path / "elsewhere").exists()
    assert len(vectors(tmp_path / "out", "*_emb.txt")) == 3
    assert (tmp_path / "out" / "spk0.utt0_emb.txt").exists()
    assert list(load_corpus(tmp_path / "out")["id"]) == ids
    assert "0 embeddings computed, 3 there already" in balr(*words)[1]


def test_finished_dataset_is_not_computed_again_but_a_changed_one_is(balr, few, tmp_path):
    corpus, out = load_corpus(few), tmp_path / "out"
    corpus.save_to_disk(str(tmp_path / "corpus"))
    words = ["extract", tmp_path / "corpus", "--save-dir", out]
    assert "12 embeddings computed" in balr(*words)[1]
    assert "0 embeddings computed, 12 there already" in balr(*words)[1]
    corpus.select(range(11, -1, -1)).save_to_disk(str(tmp_path / "other"))
    assert "12 embeddings computed" in balr("extract", tmp_path / "other", "--save-dir", out)[1]


def test_column_without_any_vector_counts_as_none(balr, few, tmp_path):
    """As an extraction leaves it that could use no recording."""
    feature = datasets.List(datasets.Value("float32"), length=256)
    corpus = load_corpus(few).select([0]).add_column("embedding", [None], feature=feature)
    corpus.save_to_disk(str(tmp_path / "corpus"))
    status, said = balr("extract", tmp_path / "corpus", "--save-dir", tmp_path / "out")
    assert (status, "1 embeddings computed" in said) == (0, True)


def test_scorer_is_saved_beside_what_is_in_its_folder(balr, few, extracted, tmp_path):
    balr("binarize", few)
    (tmp_path / "scorer").mkdir()
    (tmp_path / "scorer" / "precious").write_text("mine")
    assert balr("score", "train", "--exist-ok", "--save-dir", tmp_path / "scorer", few)[0] == 0
    names = sorted(path.name for path in (tmp_path / "scorer").iterdir())
    assert names == ["config.json", "model.safetensors", "precious"]


def test_models_of_the_wrong_kind_are_refused(balr, few, extracted, tmp_path):
    from safetensors.torch import load_file, save_file

    from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel
    from balr_hf.defaults import SYSTEM, resource

    embedder, autoencoder = tmp_path / "embedder", tmp_path / "autoencoder"
    WespeakerModel.from_pretrained(resource(SYSTEM)).save_pretrained(embedder)
    BinaryAttributeAutoEncoder.from_pretrained(resource(SYSTEM)).save_pretrained(autoencoder)
    balr("binarize", few)
    ids = list(load_corpus(few)["id"])
    (tmp_path / "trials.csv").write_text(f"enrollment\ttest\n{ids[0]}\t{ids[1]}\n")
    shutil.copytree(autoencoder, tmp_path / "cut")
    weights = load_file(tmp_path / "cut" / "model.safetensors")
    del weights["encoder.3.weight"]
    save_file(weights, tmp_path / "cut" / "model.safetensors", metadata={"format": "pt"})
    trials = tmp_path / "trials.csv"
    for words, message in [
        (
            ["binarize", "--force", few, f"encoder.model.checkpoint_path={embedder}"],
            "of type wespeaker, not a",
        ),
        (
            ["binarize", "--force", few, f"encoder.model.checkpoint_path={tmp_path / 'cut'}"],
            "lacks weights of autoencoder",
        ),
        (
            ["binarize", "--force", few, "encoder.model.checkpoint_path=runs/train/besst"],
            "no autoencoder at runs/train/besst",
        ),
        (["extract", "--force", few, f"embeddings.model.model_repo={autoencoder}"], "not embedder"),
        (["score", "test", few, trials, f"scorer.checkpoint_path={autoencoder}"], "not scorer"),
        (["score", "test", few, trials, "scorer=dna", f"scorer.checkpoint_path={resource(SYSTEM)}"], "holds beta"),
    ]:
        status, said = balr(*words)
        assert status == 1
        assert message in said


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.epochs=0", "bad value 0 for epochs: expected at least 1 (section trainer: input_dim"),
        ("trainer.gradient_accumulation_steps=0", "expected at least 1"),
        ("trainer.mixed_precision=foo", "bad value 'foo' for mixed_precision: expected no, fp16, bf16"),
        ("trainer.log_with=foo", "trainer.log_with=foo: not installed, or unknown; here there is none, tensorboard"),
        ("data.batch_size=0", "expected at least 1"),
        ("trainer.learning_rate=0", "expected more than 0"),
        ("trainer.losses=[]", "trainer.losses is empty"),
        ("trainer.losses.mse.weight=-1", "bad value -1.0 for weight: expected at least 0"),
        ("trainer.losses.mse.weight=nan", "bad value nan for weight: expected a finite number"),
        ("trainer.losses.triplet.margin=-3", "bad value -3.0 for margin: expected at least 0"),
        ("data.M_samples_per_class=1", "data.M_samples_per_class=1: the loss triplet compares recordings"),
    ],
)
def test_values_out_of_range_are_refused_before_a_run_is_opened(
    balr, few, extracted, tmp_path, monkeypatch, override, message
):
    monkeypatch.chdir(tmp_path)
    status, said = balr("train", few, few, override)
    assert status == 2
    assert message in said
    assert not (tmp_path / "runs").exists()

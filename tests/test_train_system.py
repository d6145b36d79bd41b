"""examples/train_system.py: from a corpus to a validated system, with several processes, and after interruptions."""

import csv
import json
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from balr_hf.detectors.detector import load_detectors
from balr_hf.detectors.rooms import can_simulate_rooms

# What docs/voxceleb.md states for VoxCeleb, and what goes in its place here.
SMALLER = {"--epochs": "4", "--speakers": "8", "--recordings": "2", "--embedder": "", "--corpus": "voxceleb"}
SMALLER |= {"--trials": "voxceleb/veri_test2.txt", "--adequate": "cllr=9"}
ONLY_HERE = ["--attributes", "64", "--conditions", "unchanged;snr=10"]
# Where VoxCeleb has its speakers, the number of the first one, and how many voices stand for them here.
LAID_OUT = (
    ("voxceleb2/dev/aac", 12, 8),
    ("voxceleb2/test/aac", 40, 2),
    ("voxceleb1/dev/wav", 10_001, 10),
    ("voxceleb1/test/wav", 10_270, 4),
)

# As `accelerate launch` starts them, but forked once everything is imported.
TWO_PROCESSES = """
import runpy, sys
from accelerate import debug_launcher
del sys.argv[0]
debug_launcher(runpy.run_path(sys.argv[0])["main"], (), 2)
"""


@pytest.fixture(scope="module")
def script(root):
    return root / "examples" / "train_system.py"


@pytest.fixture(scope="module")
def example(script):
    """The script's functions."""
    return runpy.run_path(str(script))


@pytest.fixture
def voxceleb(root, tmp_path):
    """Two recordings of each of the 24 synthetic voices, laid out as VoxCeleb's makers lay theirs out, with a list."""
    voices = iter(sorted((root / "resources" / "data" / "sample").glob("espeak*")))
    for place, first, number in LAID_OUT:
        for speaker in range(first, first + number):
            for take, path in enumerate(sorted(next(voices).glob("*.opus"))[:2]):
                ending = "m4a" if place.endswith("aac") else "wav"
                target = tmp_path / "voxceleb" / place / f"id{speaker:05}" / "video" / f"{take:05}.{ending}"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    test = tmp_path / "voxceleb" / "voxceleb1" / "test" / "wav"
    names = sorted(path.relative_to(test).as_posix() for path in test.rglob("*.wav"))
    pairs = [f"{int(a[:7] == b[:7])} {a} {b}\n" for n, a in enumerate(names) for b in names[:n]]
    (tmp_path / "voxceleb" / "veri_test2.txt").write_text("".join(pairs))


@pytest.fixture
def words(root):
    """The arguments that docs/voxceleb.md shows, in small."""
    page = (root / "docs" / "voxceleb.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^accelerate launch (?:.*\\\n)*.*$", page, re.MULTILINE)
    found = shlex.split(command.replace("\\\n", " "))
    found = found[found.index("examples/train_system.py") + 1 :]
    assert SMALLER.keys() | {"--save-dir", "--shares", "--losses", "--sampler", "--speech"} == set(found[::2])
    given = dict(zip(found[::2], found[1::2], strict=True)) | SMALLER
    shares = "train=8,validation=2,reference=4,calibration=6,test=4"  # a quarter of ten would be too few to calibrate
    given |= {"--shares": shares}
    del given["--save-dir"]
    return [word for pair in given.items() for word in pair] + ONLY_HERE


@pytest.mark.slow
def test_interrupted_run_ends_as_that_of_two_processes(
    script, voxceleb, words, tmp_path, run_python, monkeypatch, capfd
):
    """Two processes run through; one process is stopped while it extracts and while it trains, and goes on."""
    from balr_hf.data.file_store import FileStore
    from balr_hf.training.trainer import BinaryAttributeEncoderTrainer as Trainer

    said = run_python("-c", TWO_PROCESSES, script, *words, "--save-dir", "two", cwd=tmp_path).stdout
    assert "embeddings: 60 recordings, 0 skipped" in said and "\nvalidation: two/validation/report.html" in said

    def run(*options: str) -> str:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", [str(script), *words, "--save-dir", "one", *options])
        runpy.run_path(str(script), run_name="__main__")
        return capfd.readouterr().out

    monkeypatch.chdir(tmp_path)
    for owner, method, times in ((FileStore, "save", 2), (Trainer, "_save_state", 2)):
        with monkeypatch.context() as patch:
            patch.setattr(owner, method, stopping_after(getattr(owner, method), times))
            with pytest.raises(SystemExit, match="interrupted"):
                run()
    assert json.loads((tmp_path / "one/autoencoder/state/progress.json").read_text())["epoch"] == 2
    said = run()
    assert "\nembeddings: done before\nautoencoder: 64 attributes" in said and "Cllr at most 9: met" in said
    assert "detectors: none (20 recordings are too few): reports will say that nobody listened" in said
    assert "28 trials (4 same-speaker) of 4 speakers" in said and "  Cosine of the embeddings themselves: EER " in said
    for name in ("system/model.safetensors", "validation/scores.csv", "parts/test/test.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    assert "<svg" in (tmp_path / "one" / "validation" / "report.html").read_text(encoding="utf-8")
    parts = {path.stem: speakers(path) for path in (tmp_path / "one" / "parts").glob("*/*.csv")}
    assert len(parts) == 5 and sum(map(len, parts.values())) == 24 == len(set().union(*parts.values()))

    with pytest.raises(
        SystemExit, match=r"one/autoencoder was begun with other settings: --epochs was 4, now 5\. Give"
    ):
        run("--epochs", "5")
    (tmp_path / "one" / "scorer" / "stage.json").unlink()
    with pytest.raises(SystemExit, match="one/calibrated was made from what was in one/scorer, which is gone"):
        run()


@pytest.mark.slow
@pytest.mark.parametrize("is_kept", [True, False])
def test_what_was_measured_comes_with_embeddings_that_are_there_or_is_measured_anew(
    script, root, tmp_path, monkeypatch, is_kept
):
    from balr_hf import WespeakerModel
    from balr_hf.data import quality
    from balr_hf.defaults import EMBEDDER, resource
    from balr_hf.detectors import fitting

    corpus = tmp_path / "corpus"
    shutil.copytree(root / "resources" / "data" / "sample", corpus)
    WespeakerModel.from_pretrained(resource(EMBEDDER)).extract_embeddings(corpus, save_format="npy")
    before = quality.read_quality(corpus / "quality.csv")
    assert len(before) == 192
    if not is_kept:
        (corpus / "quality.csv").unlink()
    measured_anew = []

    def measure(dataset, load, progress):
        measured_anew.extend(dataset["id"])
        return each(dataset, load, progress)

    each = quality.each_recording
    monkeypatch.setattr(quality, "each_recording", measure)
    words = "--epochs 1 --attributes 64 --speakers 8 --recordings 2 --conditions none --calibration quality"
    words += f" --detectors {100 if is_kept else 0}"
    monkeypatch.setattr(fitting, "LEAST_COUNT", 100)  # few recordings are made sooner
    monkeypatch.setattr(fitting, "LEAST", 20)
    monkeypatch.setattr(
        sys, "argv", [str(script), "--corpus", str(corpus), "--save-dir", str(tmp_path / "run"), *words.split()]
    )
    runpy.run_path(str(script), run_name="__main__")
    compared = {}
    for name in ("reference", "calibration", "test"):
        compared |= quality.read_quality(tmp_path / "run" / "attributes" / name / "quality.csv")
    assert len(compared) == 112 and compared == {name: before[name] for name in compared}
    assert sorted(measured_anew) == ([] if is_kept else sorted(compared))
    scorer = json.loads((tmp_path / "run" / "system" / "config.json").read_text())["scorer"]
    assert scorer["reference"]["measured"] == 32 and "snr" in scorer["reference"]["measures"]
    assert scorer["calibration"]["domain"]["measured"] == 48
    detectors = load_detectors(tmp_path / "run" / "system")
    rooms = ["room"] if can_simulate_rooms() else []
    assert list(detectors) == (["overlapped", "speed", *rooms] if is_kept else [])
    for detector in detectors.values():
        assert detector.record["speakers"] == 10 and sum(detector.record["recordings"]) <= 100
    assert not (tmp_path / "run" / "detectors" / "work").exists()


@pytest.mark.slow
def test_trials_of_recordings_that_were_skipped_are_left_out_of_the_validation(
    script, root, tmp_path, monkeypatch, capfd, caplog
):
    corpus = tmp_path / "corpus"
    shutil.copytree(root / "resources" / "data" / "sample", corpus)
    names = [f"{speaker}/{speaker}-0{take}" for speaker in ("espeak21", "espeak22") for take in (1, 2, 3)]
    pairs = [(a, b) for n, a in enumerate(names) for b in names[:n]]
    (tmp_path / "trials.csv").write_text("".join(f"{a}\t{b}\n" for a, b in [("enrollment", "test"), *pairs]))
    (corpus / f"{names[0]}.opus").write_bytes(b"no audio")
    words = f"--corpus {corpus} --trials {tmp_path / 'trials.csv'} --save-dir {tmp_path / 'run'} --epochs 1"
    words += " --attributes 64 --speakers 8 --recordings 2 --conditions none --detectors 0"
    monkeypatch.setattr(sys, "argv", [str(script), *words.split()])
    runpy.run_path(str(script), run_name="__main__")
    assert "10 trials (4 same-speaker) of 2 speakers" in capfd.readouterr().out
    assert f"Left out 5 of the {len(pairs)} trials" in caplog.text and f"(1): {names[0]}" in caplog.text
    metrics = json.loads((tmp_path / "run" / "validation" / "metrics.json").read_text())
    assert metrics["trial_list"] == f"{tmp_path / 'trials.csv'}, without 5 trials of recordings that are missing"


def test_measures_of_voxceleb_are_found_by_the_paths_of_the_recordings(example, tmp_path, sample):
    from balr_hf.data.quality import write_quality
    from balr_hf.quality import load_measured

    path = tmp_path / "voxceleb1" / "dev" / "wav" / "id10001" / "video" / "00001.wav"
    path.parent.mkdir(parents=True)
    shutil.copy(sample / "espeak01" / "espeak01-01.opus", path)
    found = load_measured(path).quality.to_dict()
    write_quality(tmp_path / "quality.csv", {str(path.relative_to(tmp_path)): found})
    assert example["read_recordings"](str(tmp_path))[1] == {"id10001/video/00001.wav": found}


def stopping_after(method, times):
    """A method that is interrupted once it has been called so often."""
    calls = []

    def stopped(*args, **options):
        method(*args, **options)
        calls.append(None)
        if len(calls) == times:
            raise KeyboardInterrupt

    return stopped


def speakers(path: Path) -> set[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row["speaker"] for row in csv.DictReader(file)}


def rows_of(parts):
    return [{"id": f"{speaker}-1", "speaker": speaker, "part": part} for speaker, part in parts.items()]


def test_speakers_are_divided_by_the_seed_and_not_by_the_order(example):
    rows = rows_of({f"s{number:02}": "" for number in range(48)})
    shares = example["parse_shares"](example["Arguments"]().shares)
    one = example["assign_parts"](rows, set(), shares, 0)
    assert one == example["assign_parts"](rows[::-1], set(), shares, 0)
    assert one != example["assign_parts"](rows, set(), shares, 1)
    counts = [list(one.values()).count(part) for part in example["LEAST"]]
    assert counts == [16, 4, 8, 12, 8]


def test_speakers_without_a_part_go_to_parts_that_nobody_was_assigned_to(example):
    stated = {f"t{n}": "train" for n in range(4)} | {f"v{n}": "validation" for n in range(2)}
    rows = rows_of(stated | {f"s{n:02}": "" for n in range(22)})
    shares = example["parse_shares"](example["Arguments"]().shares)
    found = example["assign_parts"](rows, {"s00-1", "s01-1"}, shares, 0)
    assert {found["s00"], found["s01"]} == {"test"}
    rest = [found[f"s{n:02}"] for n in range(2, 22)]
    assert (rest.count("reference"), rest.count("calibration")) == (8, 12)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({f"s{n}": "" for n in range(7)}, r"too few speakers \(7 in all\): train has 2 of at least 4, "),
        ({f"s{n}": "train" for n in range(7)}, "validation has 0 of at least 2, reference has 0 of"),
        ({"a": "dev"}, "a-1 is in the part 'dev': expected train, validation,"),
    ],
)
def test_parts_that_cannot_be_made_are_refused(example, parts, message):
    from balr_hf.errors import UserError

    shares = example["parse_shares"](example["Arguments"]().shares)
    with pytest.raises(UserError, match=message):
        example["assign_parts"](rows_of(parts), set(), shares, 0)


def test_a_speaker_in_two_parts_is_refused(example):
    from balr_hf.errors import UserError

    rows = [*rows_of({"a": "train"}), {"id": "a-2", "speaker": "a", "part": "test"}]
    with pytest.raises(UserError, match="the speaker a is in the parts train and test, and may be in one only"):
        example["assign_parts"](rows, set(), dict.fromkeys(example["LEAST"], 1.0), 0)


@pytest.mark.parametrize("text", ["train=8", "train=x,validation=2", "learn=1", "train=0"])
def test_shares_that_are_none_are_refused(example, text):
    from balr_hf.errors import UserError

    with pytest.raises(UserError, match=f"--shares {text}: "):
        example["parse_shares"](text)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"losses": "mse,consistency"}, "--losses mse,consistency: consistency compares copies of the training"),
        ({"losses": "mes"}, "mes"),
        ({"sampler": "NxM"}, "NxM"),
        ({"epochs": 0}, "epochs"),
        ({"speakers": 0}, "batch_size|N_classes"),
        ({"scorer": "cosine"}, "--scorer cosine has no reference population"),
        ({"calibration": "isotonic"}, "--calibration isotonic: expected affine, fusion or quality"),
        ({"conditions": "unchanged;snr=loud"}, "snr=loud: expected dB"),
        ({"trials": "nowhere.txt"}, "--trials nowhere.txt: there is no such file"),
        ({"adequate": "cllr"}, "cllr"),
        ({"within": "speaker"}, "--within speaker: expected a column that describes recordings"),
    ],
)
def test_settings_that_a_later_stage_would_refuse_are_refused_at_once(example, given, message):
    from balr_hf.errors import UserError

    with pytest.raises(UserError, match=message):
        example["check"](example["Arguments"](**given))


def test_default_settings_are_accepted(example):
    example["check"](example["Arguments"]())


def test_voxceleb_is_read_as_its_makers_lay_it_out(example, tmp_path):
    for name in (
        "voxceleb2/dev/aac/id00012/21Uxsk56VDQ/00001.m4a",
        "voxceleb2/test/aac/id00017/01dfn2spqyE/00001.m4a",
        "voxceleb1/dev/wav/id10001/1zcIwhmdeo4/00001.wav",
        "voxceleb1/test/wav/id10270/5r0dWxy17C8/00001.wav",
        "voxceleb1/vox1_meta.csv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    rows = {row["id"]: row for row in example["read_recordings"](str(tmp_path))[0]}
    assert {name: row["part"] for name, row in rows.items()} == {
        "id00012/21Uxsk56VDQ/00001.m4a": "train",
        "id00017/01dfn2spqyE/00001.m4a": "validation",
        "id10001/1zcIwhmdeo4/00001.wav": "",
        "id10270/5r0dWxy17C8/00001.wav": "test",
    }
    assert all(Path(row["audio"]).is_file() and row["speaker"] == row["id"][:7] for row in rows.values())


def test_csv_is_read_with_the_columns_that_describe(example, sample):
    rows, measured = example["read_recordings"](str(sample / "metadata.csv"))
    assert len(rows) == 192 and rows[0].keys() == {"id", "audio", "speaker", "sex"}
    assert measured == {}
    assert rows[0]["audio"] == str(sample / "espeak01" / "espeak01-01.opus")


def test_corpus_without_speakers_is_refused(example, sample):
    from balr_hf.errors import UserError

    with pytest.raises(UserError, match="espeak01 lacks speaker: a corpus to train on is a csv with the columns id"):
        example["read_recordings"](str(sample / "espeak01"))


def test_column_of_within_is_kept_and_must_be_there(example, sample):
    from balr_hf.errors import UserError

    rows, _ = example["read_recordings"](str(sample / "metadata.csv"), "text")
    assert rows[0]["text"].startswith("She put the blue cup")
    with pytest.raises(UserError, match=r"--within accent: .* has no such column \(columns: id, speaker, sex, text"):
        example["read_recordings"](str(sample / "metadata.csv"), "accent")


def test_test_speakers_of_the_packages_own_embedder_are_refused_before_anything_is_computed(
    example, tiny_embedder, caplog
):
    from balr_hf.errors import UserError

    example["check_speakers"](tiny_embedder, {"1034": "train", "espeak01": "test"})
    assert not caplog.messages
    with pytest.raises(UserError, match=r"1 speakers of the test are those that the embedder was trained on \(1034\)"):
        example["check_speakers"](tiny_embedder, {"1034": "test", "espeak01": "calibration"})
    example["check_speakers"](tiny_embedder, {"1034": "calibration", "espeak01": "test"})
    assert caplog.messages == [
        "1 speakers of the calibration are those that the embedder was trained on (1034): it promises too much"
    ]


@pytest.mark.slow
def test_made_trials_are_within_a_column_and_say_so(script, sample, tmp_path, monkeypatch, capfd):
    small = ["--epochs", "2", "--attributes", "64", "--conditions", "none", "--calibration", "affine"]
    small += ["--speakers", "4", "--recordings", "2", "--calibration-recordings", "3", "--detectors", "0"]

    def run(*options: str) -> None:
        words = ["--corpus", str(sample / "metadata.csv"), "--save-dir", "run", *small, *options]
        monkeypatch.setattr(sys, "argv", [str(script), *words])
        runpy.run_path(str(script), run_name="__main__")

    monkeypatch.chdir(tmp_path)
    run("--within", "sex")
    calibration = json.loads((tmp_path / "run/calibrated/config.json").read_text())["calibration"]
    assert calibration["within"] == "sex"
    metrics = json.loads((tmp_path / "run/validation/metrics.json").read_text())
    assert metrics["trial_list"] == "made with seed 0 (different speakers with the same sex only)"
    sexes = {row["id"]: row["sex"] for row in csv.DictReader((sample / "metadata.csv").open())}
    with (tmp_path / "run/validation/scores.csv").open() as file:
        pairs = [(row["enrollment"], row["test"]) for row in csv.DictReader(file, delimiter="\t")]
    assert len(pairs) > 20 and all(sexes[a] == sexes[b] for a, b in pairs)
    with pytest.raises(
        SystemExit, match=r"run/calibrated was begun with other settings: --within was sex, now \. Give"
    ):
        run()


def test_some_recordings_of_each_speaker_are_drawn_by_the_seed(example):
    import numpy as np

    rows = [{"id": f"{speaker}-{take}", "speaker": speaker} for speaker in "ab" for take in range(5)]
    draw = example["some_of_each"]
    one = draw(rows, 3, np.random.default_rng(0))
    assert [row["speaker"] for row in one] == [*"aaabbb"] and one == draw(rows[::-1], 3, np.random.default_rng(0))
    assert draw(rows, 9, np.random.default_rng(0)) == rows

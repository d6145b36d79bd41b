"""`balr verify` finds what no longer belongs together."""

import json
import re
import shutil

import numpy as np
import pytest

from balr_hf import SpeakerComparisonModel
from balr_hf.defaults import SYSTEM, resource
from balr_hf.errors import UserError
from balr_hf.verification import verify


@pytest.fixture(scope="module")
def system():
    return SpeakerComparisonModel.from_pretrained(resource(SYSTEM))


def told(checks):
    """What was found: the sentences, by whether they hold."""
    return {holds: " ".join(check.text for check in checks if check.holds is holds) for holds in (True, False, None)}


def test_models_are_verified(balr, system, tmp_path):
    status, said = balr("verify", resource(SYSTEM))
    assert status == 0 and "WRONG" not in said and "unknown" not in said.replace("0 unknown", "")
    assert "the autoencoder was made for the embedder system-small (" in said
    system.autoencoder.save_pretrained(tmp_path / "autoencoder")
    assert told(verify(tmp_path / "autoencoder"))[None].endswith("which is not here to be compared with")
    assert "the autoencoder was made for the embedder" in told(verify(tmp_path / "autoencoder", system))[True]
    weights = tmp_path / "autoencoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    status, said = balr("verify", tmp_path / "autoencoder")
    assert status == 1 and "cannot load" in said


def test_corpus_is_verified(few, extracted, balr, system):
    assert balr("binarize", few)[0] == 0
    status, said = balr("verify", few, "--system", resource(SYSTEM), "--json")
    assert status == 0
    found = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert found["wrong"] == found["unknown"] == 0
    texts = " ".join(check["text"] for check in found["checks"])
    assert "the audio of 12 recordings is what was embedded" in texts
    assert "10 embeddings computed again differ by at most 0.0e+00" in texts
    assert "0 of 5120 differ" in texts

    audio = sorted(few.parent.rglob("*.opus"))
    shutil.copyfile(audio[-1], audio[0])  # which `few` names
    wrong = told(verify(few, system, recompute=12))[False]
    assert "the audio of 1 recordings is not what was embedded, or is gone (espeak01/espeak01-01)" in wrong
    assert "embeddings computed again differ by at most" in wrong

    path = sorted(few.parent.rglob("*_emb.txt"))[1]
    np.savetxt(path, np.loadtxt(path) * 1.5, fmt="%.9g")
    found = told(verify(few))
    assert "1 of 12 embeddings are of unknown origin, or were changed" in found[None]
    assert "The attributes of 1 recordings" in found[False]


def test_recordings_beyond_those_that_are_named_are_counted(few, extracted, balr, system):
    assert balr("binarize", few)[0] == 0
    audio = sorted(few.parent.rglob("*.opus"))
    for path in audio[2:]:
        shutil.copyfile(audio[0], path)
    for path in sorted(few.parent.rglob("*_emb.txt"))[:6]:
        np.savetxt(path, np.loadtxt(path) * 1.5, fmt="%.9g")
    found = told(verify(few))
    assert re.search(r"6 of 12 embeddings are of unknown origin, or were changed \([^()]* and 3 more\)", found[None])
    assert re.search(
        r"the audio of 6 recordings is not what was embedded, or is gone \([^()]* and 3 more\)", found[False]
    )
    assert re.search(r"The attributes of 6 recordings \([^()]* and 3 more\)", found[False])


@pytest.mark.parametrize(
    ("measure", "other"), [("net_speech", "9.5"), ("snr", "3.0"), ("bandwidth", "3500.0"), ("bandwidth", "")]
)
def test_measures_of_other_audio_are_found(few, extracted, system, measure, other):
    """No digest ties `quality.csv` to the recordings."""
    (heading, *rows) = (few.parent / "quality.csv").read_text().splitlines()
    texts = rows[2].split(",")
    texts[heading.split(",").index(measure)] = other
    assert "what was measured of 12 recordings is what is measured now" in told(verify(few, system, 12))[True]
    (few.parent / "quality.csv").write_text("\n".join([heading, *rows[:2], ",".join(texts), *rows[3:]]) + "\n")
    wrong = told(verify(few, system, recompute=12))[False]
    assert wrong.startswith(
        "what was measured of 1 of 12 recordings is not what is measured now (espeak01/espeak01-03: "
    )
    assert f"{measure} {other or None}, now " in wrong


def test_measures_that_an_earlier_version_did_not_make_are_not_wrong(few, extracted, system):
    path = few.parent / "quality.csv"
    path.write_text("".join(f"{line.rpartition(',')[0]}\n" for line in path.read_text().splitlines()))
    assert "what was measured of 2 recordings is what is measured now" in told(verify(few, system, recompute=2))[True]


def test_results_of_recordings_that_were_replaced_are_found(few, extracted, balr, system, tmp_path):
    """Models and scores are then those that they were, and so are the digests."""
    assert balr("binarize", few)[0] == 0
    folder = tmp_path / "scored"
    assert balr("score", "test", few, "1x1", "--bootstrap", "0", "--save-dir", folder)[0] == 0
    (_, *lines) = (folder / "scores.csv").read_text().splitlines()
    trials, of_one = len(lines), sum("espeak01/espeak01-01" in line for line in lines)
    assert (
        f"of {trials} trials scored again with the attributes that are there now, 0 differ"
        in told(verify(folder, system))[True]
    )
    audio = sorted(few.parent.rglob("*.opus"))
    shutil.copyfile(audio[-1], audio[0])  # which `few` names
    assert balr("extract", few)[0] == balr("binarize", few)[0] == 0
    assert of_one and (
        f"of {trials} trials scored again with the attributes that are there now, {of_one} differ"
        in told(verify(folder, system))[False]
    )
    assert "scored again" not in " ".join(check.text for check in verify(folder))
    for path in few.parent.rglob("*_ba.txt"):
        path.unlink()
    assert "no trial was scored again: the corpus has no attributes now" in told(verify(folder, system))[None]


def test_results_are_verified(few, extracted, balr, system, tmp_path):
    assert balr("binarize", few)[0] == 0
    names = [line.split(",")[0] for line in few.read_text().splitlines()[1:]]
    trials = tmp_path / "trials.tsv"
    trials.write_text("\n".join(["a\tb", *(f"{a}\t{b}" for a in names for b in names if a < b)]) + "\n")
    folder = tmp_path / "scored"
    assert balr("score", "test", few, trials, "--bootstrap", "0", "--save-dir", folder)[0] == 0
    found = told(verify(folder, system))
    assert not found[False] and not found[None]
    assert "scores.csv is the one that the metrics were computed from" in found[True]
    assert "EER and Cllr in metrics.json are those of scores.csv" in found[True]
    text = (folder / "scores.csv").read_text()
    metrics = json.loads((folder / "metrics.json").read_text())
    edited = metrics | {"cllr": metrics["cllr"] / 2}
    (folder / "metrics.json").write_text(json.dumps(edited))
    assert f"metrics.json states cllr {edited['cllr']}, where" in told(verify(folder, system))[False]
    rates = {"misleading_same": 0.9, "misleading_different": 0.8}  # as of a validation
    (folder / "metrics.json").write_text(json.dumps(metrics | {"validation": {"misleading": rates}}))
    wrong = told(verify(folder, system))[False]
    assert "misleading_same 0.9, where" in wrong and "misleading_different 0.8, where" in wrong
    (folder / "scores.csv").write_text(text.replace("0", "1", 1))
    metrics["chain"]["scorer"] = "other@" + 64 * "0"
    (folder / "metrics.json").write_text(json.dumps(metrics))
    found = told(verify(folder, system))
    assert "scores.csv is not the one" in found[False] and "scorer other (000000000000)" in found[False]
    del metrics["chain"]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert "it is not known which autoencoder the scores come from" in told(verify(folder, system))[None]


def test_figures_are_computed_again_of_what_was_evaluated(few, extracted, balr, tmp_path):
    assert balr("binarize", few)[0] == 0
    names = [line.split(",")[0] for line in few.read_text().splitlines()[1:]]
    pairs = [(a, b) for a in names for b in names if a < b]
    alike = [(a, b) for a, b in pairs if a[:8] == b[:8]]

    def figures(trials, sep="\t"):
        (tmp_path / "trials.txt").write_text("".join(f"{a}{sep}{b}\n" for a, b in [("a", "b"), *trials]))
        folder = tmp_path / "scored"
        options = ("--bootstrap", "0", "--sep", sep, "--exist-ok", "--save-dir", folder)
        assert balr("score", "test", few, tmp_path / "trials.txt", *options)[0] == 0
        return folder, lambda: next(
            (check.holds, check.text) for check in verify(folder) if "metrics.json" in check.text
        )

    # Same-speaker trials that are listed again, in both orders, have scores, but count once.
    folder, found = figures([*pairs, *alike, *((b, a) for a, b in alike)])
    assert found() == (True, "EER and Cllr in metrics.json are those of scores.csv, computed again")
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(metrics | {"trials": 3}))
    assert found()[0] is None and found()[1].endswith("of which trials they are is not known")
    (folder / "scores.csv").unlink()
    assert found()[0] is None and "no scores at" in found()[1]
    assert figures(pairs, sep=";")[1]()[0] is True
    assert figures(alike)[1]() == (None, "metrics.json has no EER and no Cllr to be computed again")


def test_what_results_do_not_say_is_unknown_and_what_they_lack_is_wrong(tmp_path):
    def found(**metrics):
        (tmp_path / "metrics.json").write_text(json.dumps(metrics))
        return told(verify(tmp_path))

    lacking = found(corpus={"name": str(tmp_path / "gone.csv")})
    assert lacking[False] == "scores.csv is missing" and lacking[True] == ""
    for role in ("embedder", "autoencoder", "scorer"):
        assert f"it is not known which {role} the scores come from" in lacking[None]
    assert f"the corpus {tmp_path / 'gone.csv'} is not there" in lacking[None]
    (tmp_path / "scores.csv").write_text("scores\n1\n")
    listed = found(mismatch=["The attributes were made by another autoencoder."], chain={"scorer": "s@" + 64 * "0"})
    assert listed[False].startswith("The attributes were made by another autoencoder. Scores were made all the same")
    assert "metrics.json does not say from which scores.csv it was computed" in listed[None]
    assert "come from the scorer s (000000000000), which is not here to be compared with" in listed[None]


@pytest.mark.parametrize("content", ["{", "[]", "1", "null"])
def test_results_that_are_damaged_are_refused(tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(UserError, match=r"metrics\.json is (damaged|not from balr score test)"):
        verify(tmp_path)

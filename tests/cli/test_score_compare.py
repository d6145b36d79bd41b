"""`balr score compare` as it is typed."""

import itertools
import re

import numpy as np


def test_plots_name_no_folders_and_fit_their_legend(balr, make_corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = "exp/of-a-baseline-with-a-long-name"
    corpus = make_corpus(6, 3, attributes=8)
    corpus.save_to_disk("test")
    rng = np.random.default_rng(0)
    (tmp_path / folder).mkdir(parents=True)
    names = f"{tmp_path}/{folder}/cosine.score", f"{folder}/{10 * 'plda-'}of-all.score"
    for name in names:
        lines = [
            f"{one['id']} {other['id']} {3 * (one['speaker'] == other['speaker']) + rng.normal():.4f}\n"
            for one, other in itertools.combinations(corpus, 2)
        ]
        (tmp_path / name).write_text("".join(lines))
    status, said = balr("score", "compare", "--plots", "--folds", "3", "--bootstrap", "0", "test", *names)
    assert status == 0 and f"A: {names[0]}" in said and f"B: {names[1]}" in said
    for plot in ("det", "tippett"):
        drawn = (tmp_path / "runs" / "compare" / "plots" / f"{plot}.svg").read_text(encoding="utf-8")
        texts = re.findall(r">([^<>]*(?:A|B), [^<>]*)<", drawn)
        assert any("A, cosine.score: " in text for text in texts)
        assert any(re.search(r"B, \N{HORIZONTAL ELLIPSIS}[-adlp]*of-all\.score: ", text) for text in texts)
        assert max(map(len, texts)) < 65 and not any("exp" in text or "baseline" in text for text in texts)

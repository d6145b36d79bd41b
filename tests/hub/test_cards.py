"""What the cards say: nothing that a user typed is anything but text, and all Python in them is Python."""

import ast
import dataclasses
import re

import datasets
import pytest
from huggingface_hub import DatasetCard, ModelCard
from markdown_it import MarkdownIt
from transformers import AutoConfig

import balr_hf  # noqa: F401 (registers the configurations)
from balr_hf import load_scorer
from balr_hf.evaluation import Evaluation
from balr_hf.hub.card_writers import CardFacts
from balr_hf.hub.cards import MARK, model_card
from balr_hf.hub.dataset_card import dataset_card
from balr_hf.scoring.auto import SCORERS, scorer_class
from balr_hf.scoring.configuration_scorers import ScorerConfig
from balr_hf.validation.adequacy import judge

EVIL = '<script>alert(1)</script> | cell "quote" `code` [link](javascript:x)\n\n# heading\n---\n```\n<img src=x>'
RECORD = {
    **{f"{part}_set": {"recordings": 1200, "speakers": 40} for part in ("training", "validation")},
    **{"epochs": 3, "epoch": 2, "learning_rate": 0.001, "seed": 1, "mixed_precision": "no", "num_processes": 1},
    **{"losses": {EVIL: {"weight": 1.0}}, "data": {"sampler": EVIL}, "gradient_accumulation_steps": 1},
    **{"versions": {"torch": "2"}, "validation": {EVIL: 0.25}},
}
RESULTS = {
    **{"trials": 1000, "same_speaker": 400, "different_speaker": 600, "speakers": 5, "eer": 0.0312, "cllr": 0.4},
    **{"intervals": {"confidence": 0.95, "draws_of_speakers": 100, "eer": [0.01, 0.05]}, "raw": {"eer": 0.03}},
    **{"embedding_cosine_eer": 0.02, "calibration": {"method": "affine"}},
}


def card_of(folder, **facts) -> str:
    config = AutoConfig.from_pretrained(folder)
    for name, value in facts.pop("config", {}).items():
        *part, name = name.split(".")
        setattr(getattr(config, *part) if part else config, name, value)
    return str(model_card(config, CardFacts(**{"repo_id": "me/repo", **facts})))


def body(card: str) -> str:
    return card.split("\n---\n", 1)[1]


def rendered(card: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(body(card))


@pytest.fixture(scope="session")
def system(models, tmp_path_factory):
    """A folder of a whole system, without its weights."""
    from balr_hf import SpeakerComparisonConfig

    names = {"embedder": "wespeaker-tiny", "autoencoder": "autoencoder-tiny", "scorer": "scorer-beta-tiny"}
    parts = {part: AutoConfig.from_pretrained(models / name) for part, name in names.items()}
    folder = tmp_path_factory.mktemp("system")
    SpeakerComparisonConfig(**parts).save_pretrained(folder)
    return folder


@pytest.fixture
def evil(models, system, make_descriptions):
    """Cards of each kind, with hostile text wherever a user has a say."""
    found = Evaluation.from_dict({**RESULTS, "scorer": EVIL, "corpus": {"name": EVIL, "hub_id": EVIL}})
    facts = {"repo_id": f"me/{EVIL}", "base_models": [EVIL], "datasets": [EVIL], "license": EVIL}
    facts |= {"embedder": EVIL, "autoencoder": EVIL, "language": EVIL}
    facts |= {"results": [found], "tags": [EVIL], "figures": {EVIL: EVIL}}
    speech = {**AutoConfig.from_pretrained(models / "scorer-beta-tiny").calibration, "speech": EVIL, "method": EVIL}
    corpus = datasets.Dataset.from_dict({"id": ["a"], "speaker": ["b"], EVIL: [1]})
    return {
        "embedder": card_of(models / "wespeaker-tiny", config={"architecture": EVIL}, **facts),
        "autoencoder": card_of(models / "autoencoder-tiny", config={"training": RECORD}, **facts),
        "scorer": card_of(
            models / "scorer-beta-tiny", config={"calibration": speech, "architectures": [EVIL]}, **facts
        ),
        "system": card_of(
            system,
            config={
                **{"embedder.architecture": EVIL, "autoencoder.training": RECORD},
                **{"scorer.calibration": speech, "scorer.architectures": [EVIL]},
            },
            descriptions=make_descriptions(8, corpus=EVIL),
            **facts,
        ),
        "corpus": str(dataset_card(corpus, f"me/{EVIL}", DatasetCard("---\ntags: [a]\n---\n"), license=EVIL)),
    }


@pytest.mark.parametrize("kind", ["embedder", "autoencoder", "scorer", "system", "corpus"])
def test_hostile_text_is_only_text(evil, kind):
    html = rendered(evil[kind])
    comment, rest = html.split("\n", 1)
    assert comment == MARK
    outside = re.sub(r"<code.*?</code>", "", rest, flags=re.DOTALL)
    tags = set(re.findall(r"<(\w+)", outside)) - {"table", "thead", "tbody", "tr", "th", "td"}
    assert tags <= {"h1", "h2", "p", "pre", "strong", "em", "ul", "li", "img", "a"}
    assert not re.search(r"<script|<img src=x|(href|src)=\"javascript", html)
    assert set(re.findall(r'href="(https://[^/"]*)', rest)) <= {"https://huggingface.co"}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "heading" not in " ".join(re.findall(r"<h2>.*?</h2>", rest)) and rest.count("<h1>") == 1


@pytest.mark.parametrize("kind", ["autoencoder", "scorer", "system", "corpus"])
def test_hostile_text_breaks_no_table(evil, kind):
    for table in re.findall(r"<table>.*?</table>", rendered(evil[kind]), re.DOTALL):
        rows = [len(re.findall(r"<t[hd]", row)) for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)]
        assert len(set(rows)) == 1, table
    if kind in ("scorer", "system"):
        assert "speech that it was calibrated on, and holds for" in evil[kind]


@pytest.mark.parametrize("kind", ["embedder", "autoencoder", "scorer", "system", "corpus"])
def test_python_with_hostile_names_is_python(evil, kind):
    blocks = re.findall(r"^```python\n(.*?)^```$", evil[kind], re.DOTALL | re.MULTILINE)
    assert len(blocks) == {"embedder": 1, "autoencoder": 3, "scorer": 2, "system": 1, "corpus": 1}[kind]
    names = [node.value for block in blocks for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Constant)]
    assert f"me/{EVIL}" in names


@pytest.mark.parametrize("kind", ["embedder", "autoencoder", "scorer", "system"])
def test_metadata_with_hostile_names_is_read_back(evil, kind):
    data = ModelCard(evil[kind], ignore_metadata_errors=False).data
    assert (data.license, data.base_model, data.datasets, data.language) == (EVIL, [EVIL], [EVIL], [EVIL])
    assert data.eval_results[0].metric_value == 0.0312


def test_training_is_told(models):
    record = RECORD | {"losses": {"mse": {"weight": 1.0}}, "data": {"sampler": "random"}, "validation": {"mse": 0.25}}
    card = card_of(models / "autoencoder-tiny", config={"training": record})
    assert "\n## Training\n\n- training set: 1,200 recordings of 40 speakers\n- validation set: 1,200" in card
    assert "\n| epochs | 3 (these weights: 2) |\n| optimizer | Adam, learning rate 0.001 |\n" in card
    assert "| mse | 0.25 |" in card and "hyperplanes" not in card and "active in" not in card
    drawn = card_of(
        models / "autoencoder-tiny", config={"training": record | {"encoder": "hyperplanes", "activation": 0.2}}
    )
    assert "| attributes | random hyperplanes; the decoder alone was trained |\n" in drawn
    assert "| active in | 20.0 % of the training set |\n" in drawn
    assert "## Training" not in card_of(models / "autoencoder-tiny", config={"training": None})


def test_results_are_told(models):
    validated = {"adequacy": [judge({"cllr": 0.5}, {"cllr": 0.43}, {})[0].to_dict()]}
    found = Evaluation.from_dict(
        {**RESULTS, "scorer": "BetaScorer", "corpus": {"name": "/home/me/test.csv"}, "validation": validated}
    )
    found = dataclasses.replace(found, bounded={"cllr": 0.4567})
    bare = Evaluation.from_dict({"trials": 3, "note": "not evaluated"})
    card = card_of(models / "scorer-beta-tiny", results=[found, bare], figures={"curves 1.png": "Losses"})
    assert "`BetaScorer`, affine calibration, on test.csv: 1,000 trials (400 of one speaker, 600 of two), 5" in card
    assert (
        "| metric | value | 95% interval | raw |\n| --- | --- | --- | --- |\n| EER | 3.12% | 1.00% to 5.00% |" in card
    )
    assert (
        "\n\nIntervals: 100 draws of the speakers. Thresholds of adequacy that were stated: Cllr at most 0.5: met, "
        "it is 0.430, without an interval. Cllr 0.457 with all LRs held within the calibration's bounds, as by balr "
        "explain and balr validate; the other figures are without these bounds. By the "
        "cosine of the embeddings themselves: EER 2.00%.\n\n" in card
    )
    assert "![Losses](curves%201.png)\n\n*Losses*" in card
    assert "Single trials decide minDCF" not in card
    with_costs = dataclasses.replace(found, metrics={**found.metrics, "min_dcf_0.01": 0.4})
    card_with_costs = card_of(models / "scorer-beta-tiny", results=[with_costs])
    told = "Single trials decide minDCF: one false alarm in 600 different-speaker trials adds 0.17 at a prior of 0.01."
    assert f" {told} " in card_with_costs
    assert card.count("## Evaluation") == 1 and "## Evaluation" not in card_of(models / "scorer-beta-tiny")


def test_what_makes_results_too_good_is_told_without_names(models):
    known = {
        "speakers_known_to_scorer": {"reference": [], "calibration": ["Jo", "Al"]},
        "recordings_known_to_scorer": {"reference": ["jo-1"], "calibration": ["x-1", "x-2"]},
        "speakers_trained_on": {"autoencoder": ["Jo"], "embedder": []},
    }
    domain = {"sides": 20, "measured": 20, "beyond_limits": 9, "measures": {"bandwidth": 9}}
    domain |= {"differences": {"snr": 30}, "trials_beyond_limits": 700, "trials_unmeasured": 0}
    within = {"trials": 300, "same_speaker": 100, "different_speaker": 200, "eer": 0.01, "cllr": 0.1, "cllr_min": 0.05}
    result = {**RESULTS, **known, "domain": domain, "within": within, "scorer": "B", "corpus": {"name": "t"}}
    card = card_of(models / "scorer-beta-tiny", results=[Evaluation.from_dict(result)])
    for told in (
        "1 recording of these trials is in the reference population of the scorer: the figures flatter it.",
        "2 speakers and 2 recordings of others of these trials are among those that the scorer was calibrated on: the "
        "figures flatter it.",
        "1 speaker of these trials is among those that the autoencoder was trained on: the figures flatter it.",
        "9 of 20 sides lie beyond the limits of what the scorer was calibrated on (bandwidth 9), and so do 700 of "
        "1000 trials.",
        "In 30 of 1000 trials, the sides differ more in SNR than those of the calibration.",
        "Of the 300 trials within (100 same-speaker): EER 1.00%, Cllr 0.100, at least 0.050.",
    ):
        assert f"\n- {told}\n" in card
    assert "Jo" not in card and "jo-1" not in card and "\n\n\n" not in body(card)
    raw = Evaluation.from_dict({**result, "calibration": None})
    assert "was calibrated on: the figures" not in card_of(models / "scorer-beta-tiny", results=[raw])


def part(classes, **more) -> dict:
    figures = {"eer": 0.1, "cllr": 0.25, "cllr_min": 0.2}
    counts = {"trials": 90, "same_speaker": 40, "different_speaker": 1050, "speakers": 12, "few": False}
    return {"classes": classes, **counts, **figures, **more}


def test_figures_by_source_are_told_with_numbers_and_intervals(models):
    ends = {"eer": [0.05, 0.2], "cllr": [0.1, 0.5], "cllr_min": [0.1, 0.4], "confidence": 0.95}
    one_kind = {**part(["calls", "books"]), "cllr": None}
    parts = [part(["calls", "calls"], intervals=ends), part(["books", "books"], speakers=4, few=True), one_kind]
    parts.append(part([EVIL, EVIL]))
    factors = [{"name": "source", "classes": ["calls", "books", EVIL], "parts": parts}]
    factors.append({"name": "sex", "classes": ["f"], "parts": [part(["f", "f"])]})  # has all trials
    factors.append({"name": "session", "classes": ["12 March", "13 March"], "parts": [part(["12 March", "13 March"])]})
    result = {**RESULTS, "scorer": "B", "corpus": {"name": "t"}, "cllr_cal": 0.1, "validation": {"factors": factors}}
    card = card_of(models / "scorer-beta-tiny", results=[Evaluation.from_dict(result)])
    assert (
        "| source | speakers | same | different | EER (interval) | Cllr (interval) | least Cllr (interval) |" in card
    )
    told = "12 | 40 | 1,050 | 10.00% (5.00% to 20.00%) | 0.250 (0.100 to 0.500) | 0.200 (0.100 to 0.400)"
    assert f"| calls | {told} |" in card
    assert "| books | 4 | 40 | 1,050 | 10.00% (too few) | 0.250 (too few) | 0.200 (too few) |" in card
    assert "Parts with trials of one kind only, which have no such figures: 1." in card
    assert "10.00% (none)" in card and "| sex |" not in card and "12 March" not in card
    assert "<script" not in rendered(card) and "\n\n\n" not in body(card)
    assert "| Cllr, lost to calibration | 0.100 | none |  |" in card and "devPAV have none: with few speakers" in card
    bare = Evaluation.from_dict({**RESULTS, "intervals": None, "scorer": "B", "corpus": {"name": "t"}})
    assert "No interval was computed" in card_of(models / "scorer-beta-tiny", results=[bare])


def test_card_of_a_scorer_tells_of_the_digests_that_it_holds(models, tmp_path):
    told = "Whoever has a list of likely names, or other recordings of a speaker"
    assert told in card_of(models / "scorer-beta-tiny")
    load_scorer(models / "scorer-beta-tiny").forget_people().save_pretrained(tmp_path)
    assert told not in card_of(tmp_path)


@pytest.mark.parametrize("name", SCORERS)
@pytest.mark.parametrize(
    "calibration", [None, {"method": "affine", "num_same_speaker": 9, "num_different_speaker": 9}]
)
def test_card_of_a_scorer_without_digests_is_written(name, calibration):
    """One that was fitted or calibrated in Python, or needs no fitting, has no record of its recordings."""
    config = scorer_class(name).config_class(num_attributes=6)
    config.calibration = calibration and {**calibration, "num_speakers": 4}
    assert "It keeps digests" not in str(model_card(config, CardFacts(repo_id="me/scorer")))


def test_card_of_a_scorer_that_was_saved_for_a_case_says_so():
    counted = {"num_same_speaker": 9, "num_different_speaker": 9, "num_speakers": 4}
    saved = {"matched": ["duration=3", "duration=2"], "saved_for": ["..."]}
    config = scorer_class("beta").config_class(num_attributes=6, calibration={"method": "affine", **counted, **saved})
    assert "affine, matched to the case that it was saved for, on 9" in str(model_card(config, CardFacts("me/scorer")))


def test_a_setting_that_a_configuration_does_not_keep_is_no_row_of_its_card():
    class SeededConfig(ScorerConfig):
        model_type = "test-seeded"

        def __init__(self, strength: float = 0.25, seed: int = 7, **kwargs):
            super().__init__(**kwargs)
            self.strength, self._generator = strength, seed

    card = str(model_card(SeededConfig(num_attributes=6), CardFacts(repo_id="me/seeded")))
    assert "| strength | 0.25 |" in card and "| seed |" not in card


@pytest.mark.parametrize("name", ["wespeaker-tiny", "autoencoder-tiny", "scorer-beta-tiny", "system"])
@pytest.mark.parametrize("made_for", [{}, {"embedder": "me/embedder", "autoencoder": "me/attributes"}])
@pytest.mark.parametrize("architecture", [None, "ECAPA"])
def test_paragraphs_are_one_blank_line_apart(models, system, name, made_for, architecture, make_descriptions):
    config = {"embedder.architecture" if name == "system" else "architecture": architecture}
    described = {"descriptions": make_descriptions(8)} if name == "system" and made_for else {}
    card = card_of(system if name == "system" else models / name, config=config, **made_for, **described)
    assert "\n\n\n" not in body(card) and card.endswith("cited above.\n")
    assert not re.search(r"[ \t]\n|\{%", card)


def test_metadata_say_what_the_hub_makes_of_them(models, system):
    """The Hub shows code for library and task, and lists a model with a `base_model` as its finetune."""
    found = Evaluation.from_dict({**RESULTS, "scorer": "BetaScorer", "corpus": {"name": "test.csv"}})
    made_for = {"embedder": "me/embedder", "autoencoder": "me/attributes", "language": "en"}
    cards = {
        "embedder": card_of(models / "wespeaker-tiny", base_models=["me/older"]),
        "backbone": card_of(models / "wespeaker-tiny", config={"architecture": "ECAPA"}),
        "autoencoder": card_of(models / "autoencoder-tiny", embedder="me/embedder"),
        "system": card_of(system),
        "scorer": card_of(models / "scorer-beta-tiny", results=[found], **made_for),
    }
    data = {name: ModelCard(card).data for name, card in cards.items()}
    libraries = {name: one.library_name for name, one in data.items()}
    assert libraries == {
        **{"embedder": "transformers", "autoencoder": "transformers", "system": "transformers"},
        **{"backbone": "balr_hf", "scorer": "balr_hf"},  # which transformers alone cannot load
    }
    assert "trust_remote_code" not in cards["backbone"] and "trust_remote_code" in cards["embedder"]
    assert [one.pipeline_tag for one in data.values()] == [None] * 5
    assert [one.base_model for one in data.values()] == [["me/older"], None, None, None, None]
    assert "embeddings of [me/embedder](https://huggingface.co/me/embedder) only" in cards["autoencoder"]
    assert "attributes of [me/attributes](https://huggingface.co/me/attributes) only, of the" in cards["scorer"]
    assert (data["scorer"].metrics, data["scorer"].language) == (["eer", "cllr"], ["en"])


def test_card_of_a_corpus_says_what_the_hub_searches_for():
    corpus = datasets.Dataset.from_dict({"id": ["a"], "audio": ["a.wav"], "speaker": ["b"]})
    corpus = corpus.cast_column("audio", datasets.Audio())
    splits = "dataset_info:\n  splits:\n  - {name: train, num_examples: 1200}\n  - {name: test, num_examples: 9}\n"
    earlier = DatasetCard(f"---\nlicense: mit\n{splits}---\n")
    card = dataset_card(corpus, "me/corpus", earlier, split="test", language=["en", "de"], pretty_name="A corpus")
    data = card.data.to_dict()
    assert data["task_categories"] == ["audio-classification"] and data["task_ids"] == ["speaker-identification"]
    assert data["size_categories"] == ["1K<n<10K"] and data["language"] == ["en", "de"]
    assert data["pretty_name"] == "A corpus" and data["license"] == "mit"
    assert (
        "# A corpus\n\nA corpus of speech for `balr_hf`: 1 recordings, 1 speakers in the split `test`; 1,200"
        in str(card)
    )
    assert 'load_corpus("me/corpus", split="test")' in str(card) and "not stated a licence" not in str(card)
    without = dataset_card(corpus.remove_columns("audio"), "me/corpus", DatasetCard("---\n{}\n---\n")).data.to_dict()
    assert "task_categories" not in without and without["pretty_name"] == "corpus"


def test_a_copy_of_the_demonstration_says_so_and_names_whom_it_must(models, system):
    """Licences of the recordings that the package's models were made from oblige whoever passes these on."""
    for folder in (models / "autoencoder-tiny", system):
        assert "demonstration models" not in card_of(folder, config=dict.fromkeys(shipped(folder), False))
        card = card_of(folder, config={shipped(folder)[0]: True})
        assert "**A copy of the demonstration models of `balr_hf`**" in card
        attributions = card[card.index("## Data, licences and attributions") : card.index("## Licence and versions")]
        for owed in ("LibriSpeech | 251 | CC BY 4.0", "WUW Corpus II | 130 | CC BY-SA 4.0", "Resemble AI"):
            assert owed in attributions


def shipped(folder):
    """Where a configuration says that the model, or a part of the system, is one of the package."""
    parts = ("embedder", "autoencoder", "scorer")
    config = AutoConfig.from_pretrained(folder)
    return [f"{part}.demonstration" for part in parts if hasattr(config, part)] or ["demonstration"]


@pytest.mark.parametrize("name", ["scorer-beta-tiny", "system"])
def test_cards_ask_for_the_verdict_before_they_show_the_ratio(models, system, name):
    folder = system if name == "system" else models / name
    card = card_of(folder, embedder="me/embedder", autoencoder="me/autoencoder")
    assert card.index('if result["no_verdict"]') < card.index('print(result["calibrated_llr"], result["verbal"]')

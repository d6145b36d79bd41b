"""Model and dataset cards, written from what training, calibration and evaluation knew."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import DatasetCard, EvalResult, ModelCard, ModelCardData
from transformers import PreTrainedConfig

from balr_hf import __version__

# A card with this line is written anew at each push; one without it is its author's.
MARK = "<!-- Written by balr_hf. Remove this line to keep your own changes at the next push. -->"

# Of the metrics of `balr score test`: how the Hub names them, and how a reader does.
METRICS = {
    "eer": "EER",
    "min_dcf_0.01": "minDCF (prior 0.01)",
    "min_dcf_0.05": "minDCF (prior 0.05)",
    "cllr": "Cllr",
    "cllr_min": "Cllr, least by any calibration",
    "cllr_cal": "Cllr, lost to calibration",
    "devpav": "devPAV",
}

WITHOUT_PACKAGE = (
    "Without the package, by the code that comes with the weights (read it before you trust it; `revision=` pins it):"
)

LIMITS = """## Limits and ethics

- A likelihood ratio says how much more probable the findings are if two recordings are of one speaker than if they
  are of two. It is **not the probability that they are of one speaker**, and no verdict:
  that takes all the other evidence.
- Scores that are not calibrated are sums over dependent attributes, overconfident, and no likelihood ratios.
- A calibration holds for the kind of speech it was fitted on: language, channel, noise, duration, speaking style, and
  a reference population to which the speakers could belong. Validate on recordings like those of the case before any
  use in casework, report how that was done, and do not use the system where it cannot be done.
- Speaker recognition works less well for groups that its training data lack. Measure it by group before relying on it.
- Voices are personal data. Do not compare recordings of people without a lawful ground, nor use this for covert
  surveillance.
"""

CITATION = """## Citation

```bibtex
@inproceedings{benamor2022balr,
  title     = {{BA-LR}: Binary-Attribute-based Likelihood Ratio estimation for forensic voice comparison},
  author    = {Ben-Amor, Imen and Bonastre, Jean-Fran{\\c{c}}ois},
  booktitle = {International Workshop on Biometrics and Forensics (IWBF)},
  year      = {2022}
}
@inproceedings{benamor2024extraction,
  title     = {Extraction of interpretable and shared speaker-specific speech attributes through binary auto-encoder},
  author    = {Ben-Amor, Imen and Bonastre, Jean-Fran{\\c{c}}ois and Mdhaffar, Salima},
  booktitle = {Interspeech},
  pages     = {3230--3234},
  year      = {2024}
}
```
"""


@dataclass(frozen=True)
class CardFacts:
    """What a card tells beyond the model's own configuration.

    Attributes:
        repo_id: where the model will be.
        license: Hub's name of the licence; None where its author has not said.
        results: metrics of `balr score test` (`metrics.json`).
        datasets: Hub ids of what it was trained on.
        base_models: Hub ids of the models whose output it takes, the embedder first.
        tags: besides ours.
        figures: file names beside the card -> captions.
    """

    repo_id: str
    license: str | None = None
    results: Sequence[dict] = ()
    datasets: Sequence[str] = ()
    base_models: Sequence[str] = ()
    tags: Sequence[str] = ()
    figures: dict[str, str] = field(default_factory=dict)


def model_card(config: PreTrainedConfig, facts: CardFacts) -> ModelCard:
    """The card of one of our models.

    Args:
        config: its configuration; what training and calibration recorded is in it.
        facts: what else is known.
    """
    role = _ROLES.get(config.model_type, _Scorer)(config, facts)
    sections = [
        MARK,
        f"# {facts.repo_id.split('/')[-1]}",
        role.what(),
        "## Use",
        role.use(),
        role.training(),
        "\n\n".join(f"![{caption}]({name})\n\n*{caption}*" for name, caption in facts.figures.items()),
        _evaluation(facts.results),
        LIMITS,
        CITATION,
        _provenance(facts),
    ]
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag=role.pipeline_tag,
        license=facts.license,
        tags=list(
            dict.fromkeys(["balr", "speaker-recognition", "forensic-voice-comparison", *role.tags, *facts.tags])
        ),
        datasets=list(facts.datasets) or None,
        base_model=list(facts.base_models) or None,
        model_name=facts.repo_id.split("/")[-1] if facts.results else None,
        eval_results=[result for found in facts.results for result in _eval_results(found)] or None,
    )
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(s.strip() for s in sections if s.strip()) + "\n")


# --- one writer a kind of model -----------------------------------------------------------------


class _Role:
    pipeline_tag: str | None = "feature-extraction"
    tags: tuple[str, ...] = ()

    def __init__(self, config: PreTrainedConfig, facts: CardFacts):
        self.config, self.facts = config, facts

    def training(self) -> str:
        return ""


class _Embedder(_Role):
    tags = ("speaker-embedding", "wespeaker")

    def what(self) -> str:
        c = self.config
        shape = (
            c.architecture or f"ResNet of {'-'.join(map(str, c.num_blocks))} {c.block} blocks, {c.m_channels} channels"
        )
        return (
            f"A WeSpeaker speaker embedder ({shape}): {c.feat_dim} Kaldi filter banks of speech at 16 kHz in, an "
            f"embedding of {c.embed_dim} values a recording out. Made for `balr_hf`, which turns embeddings "
            "into binary attributes and these into likelihood ratios that can be explained attribute by attribute."
        )

    def use(self) -> str:
        return f"""```python
from balr_hf import WespeakerModel, load_corpus
from balr_hf.defaults import SAMPLE_CORPUS, resource

corpus = load_corpus(resource(SAMPLE_CORPUS) / "test.csv")  # or your own: a csv, a folder, a dataset on the Hub
corpus = WespeakerModel.from_pretrained("{self.facts.repo_id}").extract_embeddings(corpus)
print(corpus[0]["embedding"][:5])
```

{WITHOUT_PACKAGE}

```python
import numpy as np
from transformers import AutoFeatureExtractor, AutoModel

extractor = AutoFeatureExtractor.from_pretrained("{self.facts.repo_id}", trust_remote_code=True)
model = AutoModel.from_pretrained("{self.facts.repo_id}", trust_remote_code=True).eval()
waveform = np.random.randn(32000).astype("float32")  # two seconds of your recording, in [-1, 1], at 16 kHz
embedding = model(**extractor([waveform], sampling_rate=16000)).embeddings  # (1, {self.config.embed_dim})
```"""


class _AutoEncoder(_Role):
    tags = ("binary-attributes", "explainability")

    def what(self) -> str:
        c, base = self.config, _links(self.facts.base_models[:1])
        fits = f"It fits the embeddings of {base} only." if base else "It fits the embeddings of one embedder only."
        return (
            f"The BA-LR autoencoder: a speaker embedding of {c.input_dim} values in, {c.internal_dim} binary "
            f"attributes out, and the embedding reconstructed from them. {fits} Made for `balr_hf`, where the "
            "likelihood ratio of two recordings is a sum of one term an attribute."
        )

    def use(self) -> str:
        repo, c = self.facts.repo_id, self.config
        text = f"""```python
import torch
from balr_hf import BinaryAttributeAutoEncoder

model = BinaryAttributeAutoEncoder.from_pretrained("{repo}")
embeddings = torch.randn(2, {c.input_dim})  # those of your recordings
attributes = model.encode(embeddings)  # bool (2, {c.internal_dim}); for a corpus: model.get_binary_attributes(corpus)
```

{WITHOUT_PACKAGE}

```python
import torch
from transformers import AutoModel

model = AutoModel.from_pretrained("{repo}", trust_remote_code=True).eval()
attributes = model(torch.randn(2, {c.input_dim})).binary  # (2, {c.internal_dim}) of 0 and 1
```"""
        if not self.facts.base_models:
            return text
        return f"""From recordings:

```python
from balr_hf.defaults import SAMPLE_CORPUS, resource
from transformers import pipeline

binarize = pipeline("binary-attributes", "{self.facts.base_models[0]}", autoencoder="{repo}")
recording = resource(SAMPLE_CORPUS) / "espeak17/espeak17-01.opus"  # or your own
print(binarize(recording)["active"])
```

From embeddings:

{text}"""

    def training(self) -> str:
        record = self.config.training
        if not record:
            return ""
        sets = [f"- {name.replace('_', ' ')}: {_amount(record[name])}" for name in ("training_set", "validation_set")]
        rows = [
            ("epochs", f"{record['epochs']} (these weights: {record['epoch']})"),
            ("optimizer", f"Adam, learning rate {record['learning_rate']}"),
            ("losses", "; ".join(f"{name} ({_listed(s)})" for name, s in record["losses"].items())),
            ("batches", _listed(record["data"])),
            ("seed", record["seed"]),
            ("mixed precision", record["mixed_precision"]),
            ("processes", record["num_processes"]),
            ("gradient accumulation", record["gradient_accumulation_steps"]),
            ("versions", _listed(record["versions"])),
        ]
        text = "## Training\n\n" + "\n".join(sets) + "\n\n" + _table(("setting", "value"), rows)
        if record.get("validation"):
            losses = [(name, f"{value:.4g}") for name, value in record["validation"].items()]
            text += "\n\nOn the validation set:\n\n" + _table(("", "value"), losses)
        return text


class _Scorer(_Role):
    pipeline_tag = None
    tags = ("likelihood-ratio", "explainability")

    def what(self) -> str:
        c = self.config
        made = (
            f"the attributes of {_links(self.facts.base_models[1:2])}"
            if len(self.facts.base_models) > 1
            else "the attributes of one autoencoder"
        )
        out = "the natural-log likelihood ratio" if c.calibration else "a raw log-likelihood ratio (not calibrated)"
        return (
            f"A scorer of `balr_hf` (`{(c.architectures or [c.model_type])[0]}`): two recordings as "
            f'{c.num_attributes} binary attributes in, {out} of "same speaker" out, as a '
            f"sum of one term an attribute. It fits {made} only."
        )

    def use(self) -> str:
        repo, bases = self.facts.repo_id, self.facts.base_models
        calibrated = self.config.calibration is not None
        text = f"""```python
import numpy as np
from balr_hf import load_scorer
from balr_hf.scoring.statistics import recording_counts

scorer = load_scorer("{repo}")
attributes = np.random.rand(2, {self.config.num_attributes}) > 0.5  # those of your two recordings
counts = recording_counts(attributes)
llr = scorer.score(counts[:1], counts[1:], calibrated={calibrated})
print(scorer.explain(counts[0], counts[1]).to_text())
```"""
        if len(bases) < 2:
            return text
        return f"""```python
from balr_hf.defaults import SAMPLE_CORPUS, resource
from transformers import pipeline

compare = pipeline("speaker-comparison", "{bases[0]}", autoencoder="{bases[1]}", scorer="{repo}")
voice = resource(SAMPLE_CORPUS) / "espeak17"  # or your own recordings
result = compare(voice / "espeak17-01.opus", voice / "espeak17-02.opus", top_k=5)
print({'result["calibrated_llr"], result["verbal"]' if calibrated else 'result["llr"]'}, result["attributes"])
```

From attributes:

{text}"""

    def training(self) -> str:
        c = self.config
        rows = [("reference population", f"{c.num_reference_speakers} speakers")] if c.num_reference_speakers else []
        if c.num_uninformative is not None:
            rows.append(("attributes without evidence", f"{c.num_uninformative} of {c.num_attributes}"))
        if c.calibration is None:
            rows.append(("calibration", "**none: the scores are not likelihood ratios**"))
        else:
            from balr_hf.scoring.calibration import describe_amount

            rows.append(("calibration", f"{c.calibration['method']}, on {describe_amount(c.calibration)}"))
            if c.calibration.get("speech"):
                rows.append(("speech that it was calibrated on, and holds for", c.calibration["speech"]))
        names = ("n_iterations", "eps", "num_values", "drop_in", "typicality_threshold", "f", "p", "q")
        rows += [(name, getattr(c, name)) for name in names if hasattr(c, name)]
        return "## Reference population and calibration\n\n" + _table(("", ""), rows)


_ROLES = {"wespeaker": _Embedder, "binary-attribute-autoencoder": _AutoEncoder}


# --- sections that all have ---------------------------------------------------------------------


def _evaluation(results: Sequence[dict]) -> str:
    parts = [_one_evaluation(found) for found in results if "eer" in found]
    return "\n\n".join(["## Evaluation", *parts]) if parts else ""


def _one_evaluation(found: dict) -> str:
    intervals = found.get("intervals", {})
    columns = ["metric", "value"] + ["95 % interval"] * bool(intervals) + ["raw"] * ("raw" in found)
    rows = []
    for name, title in METRICS.items():
        if found.get(name) is None:
            continue
        row = [title, _figure(name, found[name])]
        if intervals:
            ends = intervals.get(name)
            row.append(" to ".join(_figure(name, end) for end in ends) if ends else "")
        if "raw" in found:
            row.append(_figure(name, found["raw"].get(name)))
        rows.append(row)
    how = "not calibrated" if found["calibration"] is None else f"{found['calibration']['method']} calibration"
    amount = (
        f"{found['trials']:,} trials ({found['same_speaker']:,} of one speaker, {found['different_speaker']:,} of "
        f"two), {found['speakers']} speakers"
    )
    text = f"`{found['scorer']}`, {how}, on {public_name(found)}: {amount}.\n\n{_table(columns, rows)}"
    if intervals:
        text += f"\n\nIntervals: {intervals['draws_of_speakers']} draws of the speakers."
    if "embedding_cosine_eer" in found:
        text += f" By the cosine of the embeddings themselves: EER {found['embedding_cosine_eer']:.2%}."
    return text


def _eval_results(found: dict) -> list[EvalResult]:
    """For `model-index`, which the Hub shows beside the model."""
    corpus = found.get("corpus") or {}
    return [
        EvalResult(
            task_type="speaker-verification",
            task_name="Speaker comparison",
            dataset_type=corpus.get("hub_id") or "private",
            dataset_name=public_name(found),
            metric_type=name,
            metric_name=title,
            metric_value=round(found[name], 6),
        )
        for name, title in METRICS.items()
        if found.get(name) is not None
    ]


def public_name(found: dict) -> str:
    """What a corpus may be called in public: its id on the Hub, or its file's name without the folders."""
    corpus = found.get("corpus") or {}
    return corpus.get("hub_id") or Path(corpus.get("name") or "a corpus of the author's").name


def _provenance(facts: CardFacts) -> str:
    licence = f"Licence of the weights: {facts.license}." if facts.license else "The author has not stated a licence."
    return (
        f"## Licence and versions\n\n{licence} The code, `balr_hf` {__version__}, is under the MIT "
        "licence; the method and its reference implementation are by the authors cited above."
    )


def _amount(found: dict) -> str:
    return f"{found['recordings']:,} recordings of {found['speakers']:,} speakers"


def _listed(settings: dict) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _links(repos: Sequence[str]) -> str:
    return ", ".join(f"[{repo}](https://huggingface.co/{repo})" for repo in repos)


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2%}" if name == "eer" else f"{value:.3f}"


def _table(header: Sequence[str], rows: Sequence[Sequence]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


# --- corpora ------------------------------------------------------------------------------------


def dataset_card(dataset, repo_id: str, earlier: DatasetCard, license: str | None = None) -> DatasetCard:
    """The card of a corpus.

    Args:
        dataset (`datasets.Dataset`): the corpus.
        repo_id (str): where it will be.
        earlier (`DatasetCard`): the one that `Dataset.push_to_hub` wrote, whose metadata (features, files) is kept.
        license (str, *optional*): Hub's name of its licence.
    """
    from balr_hf.data import speaker_codes, vector_present

    meaning = {
        "id": "name of the recording, unique; trials refer to it",
        "audio": "the recording, as a file's bytes",
        "speaker": "who speaks",
        "embedding": "speaker embedding",
        "ba": "binary attributes",
    }
    rows = [(f"`{name}`", meaning.get(name, ""), _type(feature)) for name, feature in dataset.features.items()]
    facts = [f"{len(dataset):,} recordings"]
    if "speaker" in dataset.column_names:
        facts.append(f"{len(speaker_codes(dataset)[1]):,} speakers")
    facts += [
        f"{int(vector_present(dataset, name).sum()):,} with {word}"
        for name, word in (("embedding", "an embedding"), ("ba", "binary attributes"))
        if name in dataset.column_names
    ]
    text = f"""{MARK}

# {repo_id.split("/")[-1]}

A corpus of speech for `balr_hf`: {", ".join(facts)}.

{_table(("column", "meaning", "type"), rows)}

```python
from balr_hf import load_corpus

corpus = load_corpus("{repo_id}")
```

Recordings without a value in a column could not be used in the step that makes it. The audio is decoded by
`balr_hf.load_audio`, with no decoder to be installed on the system.

## Limits and ethics

Voices are personal data, and embeddings and attributes of voices too: they recognise people. Publish only what the
speakers agreed to, and use it for nothing else. {"" if license else "**The author has not stated a licence.**"}
"""
    earlier.text = f"\n{text}"
    tags = getattr(earlier.data, "tags", None) or []
    earlier.data.tags = list(dict.fromkeys([*tags, "balr", "speaker-recognition"]))
    if license is not None:
        earlier.data.license = license
    return earlier


def _type(feature) -> str:
    length = getattr(feature, "length", None)
    inner = getattr(getattr(feature, "feature", None), "dtype", None)
    return f"{inner} ({length})" if length and inner else str(getattr(feature, "dtype", type(feature).__name__))

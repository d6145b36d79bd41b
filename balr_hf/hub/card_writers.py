"""What the card of each kind of model says."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from transformers import PreTrainedConfig

from balr_hf.evaluation import Evaluation
from balr_hf.explanation.wording import describe_amount


@dataclass(frozen=True)
class CardFacts:
    """What a card tells beyond the model's own configuration.

    Attributes:
        repo_id: where the model will be.
        license: Hub's name of the licence; None where its author has not said.
        results: of `balr score test`.
        datasets: Hub ids of what it was trained on.
        base_models: Hub ids of the models whose output it takes, the embedder first.
        tags: besides ours.
        figures: file names beside the card -> captions.
    """

    repo_id: str
    license: str | None = None
    results: Sequence[Evaluation] = ()
    datasets: Sequence[str] = ()
    base_models: Sequence[str] = ()
    tags: Sequence[str] = ()
    figures: dict[str, str] = field(default_factory=dict)


WITHOUT_PACKAGE = (
    "Without the package, by the code that comes with the weights (read it before you trust it; `revision=` pins it):"
)


class CardWriter:
    pipeline_tag: str | None = "feature-extraction"
    tags: tuple[str, ...] = ()

    def __init__(self, config: PreTrainedConfig, facts: CardFacts):
        self.config, self.facts = config, facts

    def training(self) -> str:
        return ""


class EmbedderCard(CardWriter):
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


class AutoEncoderCard(CardWriter):
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
        text = "## Training\n\n" + "\n".join(sets) + "\n\n" + table(("setting", "value"), rows)
        if record.get("validation"):
            losses = [(name, f"{value:.4g}") for name, value in record["validation"].items()]
            text += "\n\nOn the validation set:\n\n" + table(("", "value"), losses)
        return text


class ScorerCard(CardWriter):
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
            rows.append(("calibration", f"{c.calibration['method']}, on {describe_amount(c.calibration)}"))
            if c.calibration.get("speech"):
                rows.append(("speech that it was calibrated on, and holds for", c.calibration["speech"]))
        names = ("n_iterations", "eps", "num_values", "drop_in", "typicality_threshold", "f", "p", "q")
        rows += [(name, getattr(c, name)) for name in names if hasattr(c, name)]
        return "## Reference population and calibration\n\n" + table(("", ""), rows)


_WRITERS = {"wespeaker": EmbedderCard, "binary-attribute-autoencoder": AutoEncoderCard}


def card_writer(config: PreTrainedConfig, facts: CardFacts) -> CardWriter:
    """What writes the card of a model with this configuration."""
    return _WRITERS.get(config.model_type, ScorerCard)(config, facts)


def _amount(found: dict) -> str:
    return f"{found['recordings']:,} recordings of {found['speakers']:,} speakers"


def _listed(settings: dict) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _links(repos: Sequence[str]) -> str:
    return ", ".join(f"[{repo}](https://huggingface.co/{repo})" for repo in repos)


def figure(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2%}" if name == "eer" else f"{value:.3f}"


def table(header: Sequence[str], rows: Sequence[Sequence]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)

"""Model cards, written from what training, calibration and evaluation knew."""

from collections.abc import Sequence

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from transformers import PreTrainedConfig

from balr_hf._version import __version__
from balr_hf.evaluation import Evaluation
from balr_hf.hub.card_writers import CardFacts, card_writer, figure, table

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


def model_card(config: PreTrainedConfig, facts: CardFacts) -> ModelCard:
    """The card of one of our models.

    Args:
        config: its configuration; what training and calibration recorded is in it.
        facts: what else is known.
    """
    role = card_writer(config, facts)
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


def _evaluation(results: Sequence[Evaluation]) -> str:
    parts = [_one_evaluation(found) for found in results if found.metrics]
    return "\n\n".join(["## Evaluation", *parts]) if parts else ""


def _one_evaluation(found: Evaluation) -> str:
    columns = ["metric", "value"]
    columns += [f"{found.confidence:.0%} interval"] * bool(found.intervals) + ["raw"] * (found.raw is not None)
    rows = []
    for name, title in METRICS.items():
        if found.metrics.get(name) is None:
            continue
        row = [title, figure(name, found.metrics[name])]
        if found.intervals:
            ends = found.intervals.get(name)
            row.append(" to ".join(figure(name, end) for end in ends) if ends else "")
        if found.raw is not None:
            row.append(figure(name, found.raw.get(name)))
        rows.append(row)
    amount = f"{found.trials:,} trials ({found.same_speaker:,} of one speaker, {found.different_speaker:,} of two)"
    if found.speakers is not None:
        amount += f", {found.speakers} speakers"
    text = f"`{found.scorer}`, {found.describe_calibration()}, on {found.corpus_name}: {amount}."
    text += f"\n\n{table(columns, rows)}"
    if found.intervals:
        text += f"\n\nIntervals: {found.draws_of_speakers} draws of the speakers."
    if found.embedding_cosine_eer is not None:
        text += f" By the cosine of the embeddings themselves: EER {found.embedding_cosine_eer:.2%}."
    return text


def _eval_results(found: Evaluation) -> list[EvalResult]:
    """For `model-index`, which the Hub shows beside the model."""
    return [
        EvalResult(
            task_type="speaker-verification",
            task_name="Speaker comparison",
            dataset_type=(found.corpus or {}).get("hub_id") or "private",
            dataset_name=found.corpus_name,
            metric_type=name,
            metric_name=title,
            metric_value=round(found.metrics[name], 6),
        )
        for name, title in METRICS.items()
        if found.metrics.get(name) is not None
    ]


def _provenance(facts: CardFacts) -> str:
    licence = f"Licence of the weights: {facts.license}." if facts.license else "The author has not stated a licence."
    return (
        f"## Licence and versions\n\n{licence} The code, `balr_hf` {__version__}, is under the MIT "
        "licence; the method and its reference implementation are by the authors cited above."
    )

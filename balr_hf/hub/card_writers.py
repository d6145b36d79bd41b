"""What the card of each kind of model says: its template, and the values that the template shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from transformers import PreTrainedConfig

from balr_hf.evaluation import Evaluation
from balr_hf.explanation.wording import describe_amount
from balr_hf.templates import escape_markdown

# The metrics of `balr score test`: the Hub's name of each, and the one that a reader sees.
METRICS = {
    "eer": "EER",
    "min_dcf_0.01": "minDCF (prior 0.01)",
    "min_dcf_0.05": "minDCF (prior 0.05)",
    "cllr": "Cllr",
    "cllr_min": "Cllr, least by any calibration",
    "cllr_cal": "Cllr, lost to calibration",
    "devpav": "devPAV",
}

# Settings of scorers that a card shows where the configuration has them.
SCORER_SETTINGS = ("n_iterations", "eps", "num_values", "drop_in", "typicality_threshold", "f", "p", "q")

Row = Sequence[Any]


@dataclass(frozen=True)
class CardFacts:
    """What a card tells beyond the model's own configuration.

    Attributes:
        repo_id: the repository that the model goes to.
        license: the Hub's name of the licence; None where the author has not stated one.
        results: evaluations by `balr score test`.
        datasets: Hub ids of the datasets that the model was trained on.
        base_models: Hub ids of the models whose output it takes, the embedder first.
        tags: tags besides ours.
        figures: the captions of image files beside the card, by file name.
    """

    repo_id: str
    license: str | None = None
    results: Sequence[Evaluation] = ()
    datasets: Sequence[str] = ()
    base_models: Sequence[str] = ()
    tags: Sequence[str] = ()
    figures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CardKind:
    """How the card of one kind of model is made.

    Attributes:
        template: the file in `templates` that writes it.
        tags: the tags of this kind.
        pipeline_tag: the task that the Hub lists it under; None if there is none.
    """

    template: str
    tags: tuple[str, ...]
    pipeline_tag: str | None = None


_KINDS = {
    "wespeaker": CardKind("embedder.md.jinja", ("speaker-embedding", "wespeaker"), "feature-extraction"),
    "binary-attribute-autoencoder": CardKind(
        "autoencoder.md.jinja", ("binary-attributes", "explainability"), "feature-extraction"
    ),
}
_SCORER = CardKind("scorer.md.jinja", ("likelihood-ratio", "explainability"))


def card_kind(config: PreTrainedConfig) -> CardKind:
    """How the card of a model with this configuration is made."""
    return _KINDS.get(config.model_type, _SCORER)


def card_values(config: Any, facts: CardFacts) -> dict[str, Any]:
    """What the template of the model's card shows.

    Args:
        config: the model's configuration; what training and calibration recorded is in it.
        facts: what else is known.
    """
    values = {
        "config": config,
        "facts": facts,
        "name": facts.repo_id.split("/")[-1],
        "bases": [hub_link(repo) for repo in facts.base_models],
        "evaluations": [_evaluation(found) for found in facts.results if found.metrics],
        "figures": [(quote(name), caption) for name, caption in facts.figures.items()],
    }
    if card_kind(config) is _SCORER:
        return values | {"rows": _scorer_rows(config)}
    if config.model_type == "wespeaker":
        return values | {"shape": config.architecture or _shape(config)}
    return values | {"training": _training(config.training) if config.training else None}


def hub_link(repo_id: str) -> Markup:
    """A Markdown link to a model on the Hub."""
    return Markup(f"[{escape_markdown(repo_id)}](https://huggingface.co/{quote(repo_id)})")


def _shape(config: Any) -> str:
    """The blocks of an embedder whose architecture has no name."""
    return f"ResNet of {'-'.join(map(str, config.num_blocks))} {config.block} blocks, {config.m_channels} channels"


def _training(record: Mapping[str, Any]) -> dict[str, list[Row]]:
    """What a training run recorded, as rows of names and values."""
    sets: list[Row] = [
        (name.replace("_", " "), f"{record[name]['recordings']:,} recordings of {record[name]['speakers']:,} speakers")
        for name in ("training_set", "validation_set")
    ]
    settings: list[Row] = [
        ("epochs", f"{record['epochs']} (these weights: {record['epoch']})"),
        ("optimizer", f"Adam, learning rate {record['learning_rate']}"),
        ("losses", "; ".join(f"{name} ({_listed(setting)})" for name, setting in record["losses"].items())),
        ("batches", _listed(record["data"])),
        ("seed", record["seed"]),
        ("mixed precision", record["mixed_precision"]),
        ("processes", record["num_processes"]),
        ("gradient accumulation", record["gradient_accumulation_steps"]),
        ("versions", _listed(record["versions"])),
    ]
    losses: list[Row] = [(name, f"{value:.4g}") for name, value in (record.get("validation") or {}).items()]
    return {"sets": sets, "settings": settings, "losses": losses}


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _scorer_rows(config: Any) -> list[Row]:
    """The reference population and the calibration of a scorer, as rows of names and values."""
    rows: list[Row] = []
    if config.num_reference_speakers:
        rows.append(("reference population", f"{config.num_reference_speakers} speakers"))
    if config.num_uninformative is not None:
        rows.append(("attributes without evidence", f"{config.num_uninformative} of {config.num_attributes}"))
    if config.calibration is None:
        rows.append(("calibration", Markup("**none: the scores are not likelihood ratios**")))
    else:
        rows.append(("calibration", f"{config.calibration['method']}, on {describe_amount(config.calibration)}"))
        if config.calibration.get("speech"):
            rows.append(("speech that it was calibrated on, and holds for", config.calibration["speech"]))
    return rows + [(name, getattr(config, name)) for name in SCORER_SETTINGS if hasattr(config, name)]


def _evaluation(found: Evaluation) -> dict[str, Any]:
    """One evaluation: the columns and rows of its table, and what the text around it says."""
    columns = ["metric", "value"]
    if found.intervals:
        columns.append(f"{found.confidence:.0%} interval")
    if found.raw is not None:
        columns.append("raw")
    rows = []
    for name, title in METRICS.items():
        if found.metrics.get(name) is None:
            continue
        row = [title, _figure(name, found.metrics[name])]
        if found.intervals:
            row.append(" to ".join(_figure(name, end) for end in found.intervals.get(name, ())))
        if found.raw is not None:
            row.append(_figure(name, found.raw.get(name)))
        rows.append(row)
    notes = []
    if found.intervals:
        notes.append(f"Intervals: {found.draws_of_speakers} draws of the speakers.")
    if found.embedding_cosine_eer is not None:
        notes.append(f"By the cosine of the embeddings themselves: EER {found.embedding_cosine_eer:.2%}.")
    trials = f"{found.trials:,} trials ({found.same_speaker:,} of one speaker, {found.different_speaker:,} of two)"
    if found.speakers is not None:
        trials += f", {found.speakers} speakers"
    return {"found": found, "trials": trials, "columns": columns, "rows": rows, "notes": " ".join(notes)}


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2%}" if name == "eer" else f"{value:.3f}"

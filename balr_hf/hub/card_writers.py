"""What the card of each kind of model says: its template, and the values that the template shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup
from transformers import PreTrainedConfig

from balr_hf.defaults import SYSTEM, resource
from balr_hf.domain import describe_reference
from balr_hf.domain.limits import named
from balr_hf.evaluation import Evaluation
from balr_hf.explanation.wording import describe_amount, describe_matching, percent
from balr_hf.templates import escape_markdown

if TYPE_CHECKING:
    from balr_hf.describing import AttributeDescriptions

# Attributes that the card of a system shows of those that are described best.
DESCRIBED_SHOWN = 10

# The metrics of `balr score test`: the name of each on the Hub, and the name that readers of the card see.
METRICS = {
    "eer": "EER",
    "min_dcf_0.01": "minDCF (prior 0.01)",
    "min_dcf_0.05": "minDCF (prior 0.05)",
    "cllr": "Cllr",
    "cllr_min": "Cllr, least by any calibration",
    "cllr_cal": "Cllr, lost to calibration",
    "devpav": "devPAV",
}

# The metrics that have no interval, and why.
WITHOUT_INTERVAL = ("cllr_cal", "devpav")
NO_INTERVAL = (
    "Cllr lost to calibration and devPAV have none: with few speakers they come out too high in every set of trials, "
    "so that an interval around them would not contain what many speakers give."
)
# The columns of a table of parts of the trials, behind that of the classes of their sides.
COUNTS = ("speakers", "same_speaker", "different_speaker")
PART_COLUMNS = ("speakers", "same", "different", "EER (interval)", "Cllr (interval)", "least Cllr (interval)")

# The heading of the card of the package's own system under which its data and their makers are named.
ATTRIBUTIONS = "## Data, licences and attributions"

Row = Sequence[object]


@dataclass(frozen=True)
class CardFacts:
    """What a card states besides what the model's configuration knows.

    Attributes:
        repo_id (str): the repository that the model is published in.
        license (str, *optional*): the Hub's name of the licence; None if the author has not stated one.
        language (str or sequence of str, *optional*): the codes (ISO 639, as `en`) of the languages of the speech that
            the model was trained or calibrated on; None if the author has not stated them.
        results (sequence of [`Evaluation`]): evaluations by `balr score test`.
        datasets (sequence of str): the Hub ids of the datasets that the model was trained on.
        embedder (str, *optional*): the Hub id of the embedder whose embeddings an autoencoder takes, or those from
            which a scorer's attributes are made.
        autoencoder (str, *optional*): the Hub id of the autoencoder whose attributes a scorer takes.
        base_models (sequence of str): the Hub ids of the models whose weights the training of this one started from.
            The Hub lists the model as their finetune, which an autoencoder is not of its embedder.
        tags (sequence of str): tags besides ours.
        figures (dict): the captions of image files beside the card, by their file names.
        descriptions ([`AttributeDescriptions`], *optional*): of a system, what its attributes go with.
        detectors (sequence of texts): of a system, name and file of each of its detectors, and what it was fitted to
            and finds.
    """

    repo_id: str
    license: str | None = None
    language: str | Sequence[str] | None = None
    results: Sequence[Evaluation] = ()
    datasets: Sequence[str] = ()
    embedder: str | None = None
    autoencoder: str | None = None
    base_models: Sequence[str] = ()
    tags: Sequence[str] = ()
    figures: Mapping[str, str] = field(default_factory=dict)
    descriptions: AttributeDescriptions | None = None
    detectors: Sequence[tuple[str, str, str]] = ()


@dataclass(frozen=True)
class CardKind:
    """How the card of one kind of model is made.

    Attributes:
        template (str): the name of the template, a file in `templates`.
        tags (tuple of str): the tags of this kind of model.
    """

    template: str
    tags: tuple[str, ...]


_KINDS = {
    "wespeaker": CardKind("embedder.md.jinja", ("speaker-embedding", "wespeaker")),
    "binary-attribute-autoencoder": CardKind("autoencoder.md.jinja", ("binary-attributes", "explainability")),
    "balr-speaker-comparison": CardKind(
        "system.md.jinja", ("speaker-comparison", "likelihood-ratio", "explainability")
    ),
}
_SCORER = CardKind("scorer.md.jinja", ("likelihood-ratio", "explainability"))


def card_kind(config: PreTrainedConfig) -> CardKind:
    """How the card of a model with this configuration is made."""
    return _KINDS.get(config.model_type, _SCORER)


def needs_package(config: PreTrainedConfig) -> bool:
    """Whether a model can only be loaded where this package is, since its code does not lie beside its weights."""
    if config.model_type == "balr-speaker-comparison":
        return needs_package(config.embedder) or own_scorer(config) is not None
    return card_kind(config) is _SCORER or getattr(config, "architecture", None) is not None


def own_scorer(config: PreTrainedConfig) -> str | None:
    """The path of the class of a scorer of the author's own, which has to be named before it is loaded.

    Args:
        config (`PreTrainedConfig`): of a scorer, or of a system with one.

    Returns:
        the path; None for the package's scorers, and for other models.
    """
    from transformers import MODEL_MAPPING

    config = getattr(config, "scorer", config)
    if card_kind(config) is not _SCORER or type(config).__module__.startswith("balr_hf."):
        return None
    known: Any = MODEL_MAPPING[type(config)] if type(config) in MODEL_MAPPING else type(config)
    return f"{known.__module__}.{known.__qualname__}"


def card_values(config: PreTrainedConfig, facts: CardFacts) -> dict[str, Any]:
    """The values that the template of the model's card shows.

    Args:
        config (`PreTrainedConfig`): the model's configuration, which has the records of training and calibration.
        facts ([`CardFacts`]): what else is known.

    Returns:
        dict of str to the value of the variable of that name.
    """
    values: dict[str, Any] = {
        "config": config,
        "facts": facts,
        "name": facts.repo_id.split("/")[-1],
        "needs_package": needs_package(config),
        "own_scorer": own_scorer(config),
        "demonstration": _attributions() if _is_demonstration(config) else None,
        "links": {
            role: hub_link(repo) if repo else None
            for role, repo in (("embedder", facts.embedder), ("autoencoder", facts.autoencoder))
        },
        "evaluations": [_evaluation(found) for found in facts.results if found.metrics],
        "figures": [(quote(name), caption) for name, caption in facts.figures.items()],
    }
    if card_kind(config) is _SCORER:
        return values | {"rows": _scorer_rows(config)}
    if config.model_type == "wespeaker":
        return values | {"shape": config.architecture or _shape(config)}
    if config.model_type == "balr-speaker-comparison":
        values |= {
            "shape": config.embedder.architecture or _shape(config.embedder),
            "rows": _scorer_rows(config.scorer),
            "described": None if facts.descriptions is None else _described(facts.descriptions),
        }
        config = config.autoencoder
    return values | {"training": _training(config.training) if config.training else None}


def _is_demonstration(config: PreTrainedConfig) -> bool:
    """Whether a model, or a part of a system, is one of the package's own or a copy of it."""
    parts = (config, *(getattr(config, name, None) for name in ("embedder", "autoencoder", "scorer")))
    return any(bool(getattr(part, "demonstration", False)) for part in parts)


def _attributions() -> Markup:
    """What the card of the package's own system says of the data that it was made from, and of their licences."""
    text = (resource(SYSTEM) / "README.md").read_text(encoding="utf-8")
    return Markup(text[text.index(ATTRIBUTIONS) :].strip())


def hub_link(repo_id: str) -> Markup:
    """A Markdown link to a model on the Hub."""
    return Markup(f"[{escape_markdown(repo_id)}](https://huggingface.co/{quote(repo_id)})")


def _shape(config: PreTrainedConfig) -> str:
    """A description of an embedder whose architecture has no name."""
    return f"ResNet of {'-'.join(map(str, config.num_blocks))} {config.block} blocks, {config.m_channels} channels"


def _training(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a training run, as rows of a name and a value, and what was wrong with it but was allowed."""
    sets: list[Row] = [
        (name.replace("_", " "), f"{record[name]['recordings']:,} recordings of {record[name]['speakers']:,} speakers")
        for name in ("training_set", "validation_set")
    ]
    settings: list[Row] = [
        *([("attributes", "random hyperplanes; the decoder alone was trained")] if "encoder" in record else []),
        *([("active in", f"{percent(record['activation'])} of the training set")] if "activation" in record else []),
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
    return {"mismatch": record.get("mismatch"), "sets": sets, "settings": settings, "losses": losses}


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _scorer_rows(config: PreTrainedConfig) -> list[Row]:
    """The reference population and the calibration of a scorer, as rows of a name and a value."""
    rows: list[Row] = []
    if config.num_reference_speakers:
        rows.append(("reference population", describe_reference(config.reference, config.num_reference_speakers)))
    if config.num_uninformative is not None:
        rows.append(("attributes without evidence", f"{config.num_uninformative} of {config.num_attributes}"))
    if config.calibration is None:
        rows.append(("calibration", Markup("**none: the scores are not likelihood ratios**")))
    else:
        how = ", ".join(filter(None, [config.calibration["method"], describe_matching(config.calibration)]))
        rows.append(("calibration", f"{how}, on {describe_amount(config.calibration)}"))
        if config.calibration.get("speech"):
            rows.append(("speech that it was calibrated on, and holds for", config.calibration["speech"]))
    return rows + [(name, getattr(config, name)) for name in config.setting_names() if hasattr(config, name)]


def _described(descriptions: AttributeDescriptions) -> dict[str, Any]:
    """What attributes go with: how they were described, how many are of each class and group, and the best ones."""
    from balr_hf.describing.wording import NOT_SAID, pairs

    count = descriptions.count()
    best = [one for one in descriptions.attributes if one.voice_auc is not None and one.meaning.value == "described"]
    best.sort(key=lambda one: -(one.voice_auc or 0.0))
    return {
        "how": descriptions.describe(),
        "classes": list(count["meaning"].items()),
        "groups": list(count["group"].items()),
        "best": [
            (
                one.attribute,
                descriptions.sentence(one.attribute),
                pairs(one.voice_auc or 0.0, one.intervals.get("voice_auc")),
            )
            for one in best[:DESCRIBED_SHOWN]
        ],
        "cautions": [*descriptions.cautions, *NOT_SAID],
    }


def _evaluation(found: Evaluation) -> dict[str, Any]:
    """One evaluation: the columns and the rows of its table, and the texts around it."""
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
            row.append(_interval(name, found.intervals) or "none")
        if found.raw is not None:
            row.append(_figure(name, found.raw.get(name)))
        rows.append(row)
    notes = []
    if found.intervals:
        notes.append(f"Intervals: {found.draws_of_speakers} draws of the speakers.")
        if any(found.metrics.get(name) is not None for name in WITHOUT_INTERVAL):
            notes.append(NO_INTERVAL)
    else:
        notes.append("No interval was computed: nothing here says how sure the figures are.")
    notes += [f"{text}." for text in found.describe_single_trials()]
    if found.adequacy:
        notes.append(f"Thresholds of adequacy that were stated: {' '.join(found.adequacy)}")
    bounds = found.describe_bounds()
    if bounds is not None:
        notes.append(f"{' '.join(bounds.split())}.")
    if found.embedding_cosine_eer is not None:
        notes.append(f"By the cosine of the embeddings themselves: EER {found.embedding_cosine_eer:.2%}.")
    trials = f"{found.trials:,} trials ({found.same_speaker:,} of one speaker, {found.different_speaker:,} of two)"
    if found.speakers is not None:
        trials += f", {found.speakers} speakers"
    if found.same_speaker_speakers not in (None, found.speakers):
        trials += f", of whom {found.same_speaker_speakers} in trials of one speaker"
    # The names of sessions (dates, calls, chapters) may tell of whom the recordings are, and a card is public.
    factors = [one for one in found.factors if one.get("name") != "session" and len(one.get("classes", ())) > 1]
    parts = [_parts(factor) for factor in factors]
    return {
        **{"found": found, "trials": trials, "columns": columns, "rows": rows, "notes": " ".join(notes)},
        "cautions": [*found.describe_known(), *(f"{line}." for line in found.describe_domain())],
        "parts": [part for part in parts if part["rows"]],
    }


def _parts(factor: Mapping[str, Any]) -> dict[str, Any]:
    """The trials by the classes of one factor of a validation: a table of the parts that have both kinds of trials."""
    rows, others = [], 0
    for part in factor["parts"]:
        if part.get("cllr") is None:
            others += 1
            continue
        classes = dict.fromkeys(map(str, part["classes"]))
        row = [" / ".join(classes), *(f"{part.get(name, 0):,}" for name in COUNTS)]
        for name in ("eer", "cllr", "cllr_min"):
            none = "too few" if part.get("few") else "none"
            row.append(f"{_figure(name, part[name])} ({_interval(name, part.get('intervals') or {}) or none})")
        rows.append(row)
    return {"columns": (named(str(factor["name"])), *PART_COLUMNS), "rows": rows, "others": others}


def _interval(name: str, intervals: Mapping[str, Any]) -> str:
    """The ends of a metric's interval; an empty text where it has none."""
    return " to ".join(_figure(name, end) for end in intervals.get(name) or () if end is not None)


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2%}" if name == "eer" else f"{value:.3f}"

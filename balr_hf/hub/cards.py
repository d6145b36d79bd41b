"""Model cards, written from what training, calibration and evaluation knew."""

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from transformers import PreTrainedConfig

from balr_hf._version import __version__
from balr_hf.evaluation import Evaluation
from balr_hf.hub.card_writers import METRICS, CardFacts, card_kind, card_values, needs_package
from balr_hf.templates import markdown_environment

# A card with this line is written anew at each push. A card without it belongs to its author and keeps its text.
MARK = "<!-- Written by balr_hf. Remove this line to keep your own changes at the next push. -->"


def card_text(template: str, **values: object) -> str:
    """The text of a card below its metadata.

    Args:
        template (str): the name of a file in `templates`.
        **values: the variables of the template. What users typed is escaped.
    """
    environment = markdown_environment("balr_hf.hub")
    return environment.get_template(template).render(version=__version__, **values)


def model_card(config: PreTrainedConfig, facts: CardFacts) -> ModelCard:
    """The card of one of our models.

    Args:
        config (`PreTrainedConfig`): the model's configuration, which has the records of training and calibration.
        facts ([`CardFacts`]): what else is known.

    Returns:
        `huggingface_hub.ModelCard`
    """
    kind, name = card_kind(config), facts.repo_id.split("/")[-1]
    tags = ["balr", "speaker-recognition", "forensic-voice-comparison", *kind.tags, *facts.tags]
    measured = [metric for metric in METRICS if any(found.metrics.get(metric) is not None for found in facts.results)]
    data = ModelCardData(
        # The Hub shows code for the library that is named here. The code for transformers fails where a model needs
        # this package. With a `pipeline_tag` it would be `pipeline(TAG, ...)`, and no task of the Hub's takes what our
        # models take: transformers' `feature-extraction` takes text.
        library_name="balr_hf" if needs_package(config) else "transformers",
        license=facts.license,
        language=[facts.language] if isinstance(facts.language, str) else list(facts.language or ()) or None,
        tags=list(dict.fromkeys(tags)),
        datasets=list(facts.datasets) or None,
        base_model=list(facts.base_models) or None,
        metrics=measured or None,
        model_name=name if facts.results else None,
        eval_results=[result for found in facts.results for result in _eval_results(found)] or None,
    )
    text = card_text(kind.template, **card_values(config, facts))
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{MARK}\n\n{text}")


def _eval_results(found: Evaluation) -> list[EvalResult]:
    """An evaluation as entries of `model-index`, which the Hub shows beside the model."""
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

"""Describing the attributes of a whole system on a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from balr_hf.attributes.binarization import compute_binary_attributes
from balr_hf.data.reading import load_corpus
from balr_hf.data.skipped import Skipped
from balr_hf.describing.corpus import describe_corpus
from balr_hf.embeddings.extraction import compute_embeddings
from balr_hf.identity import model_identity

if TYPE_CHECKING:
    import datasets

    from balr_hf.describing import AttributeDescriptions
    from balr_hf.system.modeling_system import SpeakerComparisonModel


def describe_system(
    system: SpeakerComparisonModel,
    corpus: datasets.Dataset | str | Path,
    name: str | None = None,
    permutations: int = 1_000,
    seed: int = 0,
    cache: Path | None = None,
    progress: bool = False,
) -> tuple[AttributeDescriptions, datasets.Dataset, list[Skipped]]:
    """Describe the attributes of a system on a corpus of recordings with speakers.

    Args:
        system ([`SpeakerComparisonModel`]): whose embedder and autoencoder make the attributes.
        corpus: as for [`load_corpus`], with `speaker`, and with `sex` if it is known. Its own vectors are not used.
        name (str, *optional*): what the corpus is called; by default the name of its file or folder.
        permutations, seed, cache, progress: as for [`describe_corpus`].

    Returns:
        `(descriptions, dataset, skipped)`: the descriptions, which the system does not have until they are assigned
        to `system.descriptions`; the corpus with its attributes; and the recordings that could not be used.

    Raises:
        UserError: as for [`describe_corpus`].

    Example:
        >>> from balr_hf.defaults import SAMPLE_CORPUS, SYSTEM, resource
        >>> system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
        >>> found, _, _ = describe_system(system, resource(SAMPLE_CORPUS) / "metadata.csv")  # doctest: +SKIP
        >>> system.descriptions = found  # doctest: +SKIP
        >>> system.save_pretrained("system")  # doctest: +SKIP
    """
    dataset = load_corpus(corpus, vectors=())
    dataset, refused = compute_embeddings(_any(system.embedder), dataset)
    dataset, _ = compute_binary_attributes(_any(system.autoencoder), dataset)
    if name is None:
        name = Path(corpus).name if isinstance(corpus, str | Path) else "a corpus"
    found, skipped = describe_corpus(
        dataset,
        model_identity(system.autoencoder),
        model_identity(system.embedder),
        *(name, permutations, seed, cache, progress),
    )
    return found, dataset, [*refused, *skipped]


def _any(model: Any) -> Any:
    """A model as the protocols of extraction and binarizing have it, which mypy does not see in transformers'."""
    return model

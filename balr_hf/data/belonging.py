"""Whether attributes belong together, to their embeddings and audio, and to what uses them; and what made scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from balr_hf.data.audio_behind import describe_replaced_audio
from balr_hf.data.origins import (
    attributes_made_by,
    embedders_of,
    makers_of,
    mismatches,
    outdated_attributes,
    vector_origins,
)
from balr_hf.errors import MismatchError
from balr_hf.identity import model_identity, other_makers

if TYPE_CHECKING:
    import datasets

# What embeddings are computed in where a calibration does not say otherwise.
PRECISION = "fp32"


@dataclass(frozen=True)
class Belonging:
    """What is known of a corpus's attributes.

    Attributes:
        wrong: what does not belong together and was allowed, now or when the attributes were made: a sentence each.
        unknown: of how many attributes it is not known what made them.
        known: of how many it is known.
    """

    wrong: tuple[str, ...]
    unknown: int
    known: int


def check_attributes(
    dataset: datasets.Dataset,
    *,
    autoencoder: str | None,
    embedder: str | None = None,
    user: str,
    allow_mismatch: bool = False,
    thorough: bool = False,
) -> Belonging:
    """Check that the attributes of a corpus belong together, to the embeddings and the audio, and to what uses them.

    Args:
        dataset (`datasets.Dataset`): a corpus with `ba`.
        autoencoder (str, *optional*): the identity of the autoencoder that is to have made them; None for any one.
        embedder (str, *optional*): that of the embedder behind them, likewise.
        user (str): what is to use them, as messages call it: `scorer` or `system`.
        allow_mismatch (bool): go on where something is wrong; [`Belonging`] says what.
        thorough (bool): digest all audio; see [`replaced_audio`][balr_hf.data.audio_behind.replaced_audio].

    Returns:
        [`Belonging`]

    Raises:
        MismatchError: something is wrong, and that was not allowed.
    """
    makers = makers_of(dataset, "ba")
    unknown = makers.pop("", 0)
    found = [
        other_makers(makers, autoencoder, "attributes", "autoencoder", user),
        other_makers(embedders_of(dataset), embedder, "embeddings behind the attributes", "embedder", user),
        outdated_attributes(dataset),
        describe_replaced_audio(dataset, thorough),
    ]
    wrong = [sentence for sentence in found if sentence is not None]
    if wrong and not allow_mismatch:
        raise MismatchError("; ".join(wrong))
    wrong += [sentence for sentence in mismatches(dataset) if sentence not in wrong]
    return Belonging(tuple(f"{sentence}." for sentence in wrong), unknown, sum(makers.values()))


def chain_of(dataset: datasets.Dataset, scorer: Any) -> dict[str, str]:
    """The identities of the models that made scores, as far as they are known, and the precision of the embeddings.

    Args:
        dataset (`datasets.Dataset`): the corpus with the attributes, and with what made them, if that is known.
        scorer ([`Scorer`]): the scorer.
    """
    autoencoder, embedder = attributes_made_by(dataset)
    precisions = vector_origins(dataset, "embedding").counts("precision")
    precision = next(iter(precisions)) if len(precisions) == 1 else None
    chain = {"embedder": embedder, "autoencoder": autoencoder, "precision": precision}
    known = {role: found for role, found in chain.items() if found is not None}
    return {**known, "scorer": model_identity(scorer)}


def describe_precision(chain: Mapping[str, str], calibration: Mapping[str, Any] | None) -> str | None:
    """Say that embeddings were computed in another precision than those of the calibration; None if not, or unknown.

    Args:
        chain: of [`chain_of`].
        calibration: what the scorer's configuration says of its calibration; None if it is not applied.
    """
    if calibration is None or "precision" not in chain:
        return None
    usual = calibration.get("precision", PRECISION)
    if chain["precision"] == usual:
        return None
    return (
        f"The embeddings were computed in {chain['precision']}, and those of the calibration in {usual}: some "
        "attributes of a recording differ between the two, of which the calibration knows nothing."
    )

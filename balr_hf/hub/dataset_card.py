"""The card of a corpus on the Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from huggingface_hub import DatasetCard

from balr_hf.data.columns import speaker_codes, vector_present
from balr_hf.hub.cards import MARK, card_text

if TYPE_CHECKING:
    import datasets
    from datasets.features.features import FeatureType

MEANING = {
    "id": "name of the recording, unique; trials refer to it",
    "audio": "the recording, as the bytes of a file",
    "speaker": "name of the speaker",
    "embedding": "speaker embedding",
    "ba": "binary attributes",
    "recording_quality": "what was measured of the recording: speech, level, SNR, bandwidth, clipping, tones",
}


def dataset_card(
    dataset: datasets.Dataset, repo_id: str, earlier: DatasetCard, license: str | None = None
) -> DatasetCard:
    """The card of a corpus.

    Args:
        dataset (`datasets.Dataset`): the corpus.
        repo_id (str): the repository that the corpus is published in.
        earlier (`DatasetCard`): the card that `Dataset.push_to_hub` wrote. Its metadata (features and files) is kept.
        license (str, *optional*): the Hub's name of the corpus's licence.

    Returns:
        `huggingface_hub.DatasetCard`: `earlier`, with another text.
    """
    counts = [f"{len(dataset):,} recordings"]
    if "speaker" in dataset.column_names:
        counts.append(f"{len(speaker_codes(dataset)[1]):,} speakers")
    counts += [
        f"{int(vector_present(dataset, name).sum()):,} with {word}"
        for name, word in (("embedding", "an embedding"), ("ba", "binary attributes"))
        if name in dataset.column_names
    ]
    columns = [(name, MEANING.get(name, ""), _type(feature)) for name, feature in dataset.features.items()]
    text = card_text(
        "dataset.md.jinja",
        name=repo_id.split("/")[-1],
        repo_id=repo_id,
        counts=", ".join(counts),
        columns=columns,
        license=license,
    )
    earlier.text = f"\n{MARK}\n\n{text}"
    tags = earlier.data.get("tags") or []
    earlier.data["tags"] = list(dict.fromkeys([*tags, "balr", "speaker-recognition"]))
    if license is not None:
        earlier.data["license"] = license
    return earlier


def _type(feature: FeatureType) -> str:
    """The type of a column, e.g. `float32 (256)`."""
    if isinstance(feature, dict):
        return f"struct ({len(feature)})"
    length = getattr(feature, "length", None)
    inner = getattr(getattr(feature, "feature", None), "dtype", None)
    return f"{inner} ({length})" if length and inner else str(getattr(feature, "dtype", type(feature).__name__))

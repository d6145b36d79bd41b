"""The card of a corpus on the Hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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


# The Hub's categories of size: how many rows come before the next one.
SIZES = {
    "n<1K": 10**3,
    "1K<n<10K": 10**4,
    "10K<n<100K": 10**5,
    "100K<n<1M": 10**6,
    "1M<n<10M": 10**7,
    "10M<n<100M": 10**8,
    "100M<n<1B": 10**9,
    "1B<n<10B": 10**10,
    "10B<n<100B": 10**11,
    "100B<n<1T": 10**12,
}


def dataset_card(
    dataset: datasets.Dataset,
    repo_id: str,
    earlier: DatasetCard,
    *,
    split: str = "train",
    license: str | None = None,
    language: str | Sequence[str] | None = None,
    pretty_name: str | None = None,
) -> DatasetCard:
    """The card of a corpus.

    Args:
        dataset (`datasets.Dataset`): the corpus.
        repo_id (str): the repository that the corpus is published in.
        earlier (`DatasetCard`): the card that `Dataset.push_to_hub` wrote. Its metadata (features and files) is kept.
        split (str): the split that the corpus was published as.
        license (str, *optional*): the Hub's name of the corpus's licence; by default that of `earlier`.
        language (str or sequence of str, *optional*): the codes (ISO 639, as `en`) of the languages that are spoken.
        pretty_name (str, *optional*): the corpus's name for readers, by default that of the repository.

    Returns:
        `huggingface_hub.DatasetCard`
    """
    card = DatasetCard(str(earlier))
    data, name = card.data, repo_id.split("/")[-1]
    stated = {
        "license": license,
        "language": [language] if isinstance(language, str) else list(language or ()),
        "pretty_name": pretty_name,
    }
    for key, value in stated.items():
        if value:
            data[key] = value
    rows = _rows_of_splits(data.get("dataset_info")) | {split: len(dataset)}
    data["pretty_name"] = data.get("pretty_name") or name
    data["size_categories"] = [next((size for size, end in SIZES.items() if sum(rows.values()) < end), "n>1T")]
    if "audio" in dataset.column_names:
        data["task_categories"] = ["audio-classification"]
        if "speaker" in dataset.column_names:
            data["task_ids"] = ["speaker-identification"]
    data["tags"] = list(dict.fromkeys([*(data.get("tags") or []), "balr", "speaker-recognition"]))
    text = card_text(
        "dataset.md.jinja",
        name=data["pretty_name"],
        repo_id=repo_id,
        counts=", ".join(_counts(dataset)),
        split=split,
        other_splits=[(other, f"{count:,}") for other, count in rows.items() if other != split],
        columns=[(column, MEANING.get(column, ""), _type(feature)) for column, feature in dataset.features.items()],
        license=data.get("license"),
    )
    card.text = f"\n{MARK}\n\n{text}"
    return card


def _rows_of_splits(info: Any) -> dict[str, int]:
    """How many rows each split has, by the metadata that `datasets` wrote."""
    configs = info if isinstance(info, list) else [info or {}]
    return {
        split["name"]: split.get("num_examples") or 0 for config in configs for split in config.get("splits") or ()
    }


def _counts(dataset: datasets.Dataset) -> list[str]:
    """What the corpus holds, in words."""
    counts = [f"{len(dataset):,} recordings"]
    if "speaker" in dataset.column_names:
        counts.append(f"{len(speaker_codes(dataset)[1]):,} speakers")
    return counts + [
        f"{int(vector_present(dataset, name).sum()):,} with {word}"
        for name, word in (("embedding", "an embedding"), ("ba", "binary attributes"))
        if name in dataset.column_names
    ]


def _type(feature: FeatureType) -> str:
    """The type of a column, e.g. `float32 (256)`."""
    import datasets

    if isinstance(feature, datasets.Audio):
        return "audio"
    if isinstance(feature, dict):
        return f"struct ({len(feature)})"
    length = getattr(feature, "length", None)
    inner = getattr(getattr(feature, "feature", None), "dtype", None)
    return f"{inner} ({length})" if length and inner else str(getattr(feature, "dtype", type(feature).__name__))

"""The card of a corpus on the Hub."""

from typing import TYPE_CHECKING, Any

from huggingface_hub import DatasetCard

from balr_hf.data.columns import speaker_codes, vector_present
from balr_hf.hub.card_writers import table
from balr_hf.hub.cards import MARK

if TYPE_CHECKING:
    import datasets


def dataset_card(
    dataset: "datasets.Dataset", repo_id: str, earlier: DatasetCard, license: str | None = None
) -> DatasetCard:
    """The card of a corpus.

    Args:
        dataset (`datasets.Dataset`): the corpus.
        repo_id (str): where it will be.
        earlier (`DatasetCard`): the one that `Dataset.push_to_hub` wrote, whose metadata (features, files) is kept.
        license (str, *optional*): Hub's name of its licence.
    """
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

{table(("column", "meaning", "type"), rows)}

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


def _type(feature: Any) -> str:
    length = getattr(feature, "length", None)
    inner = getattr(getattr(feature, "feature", None), "dtype", None)
    return f"{inner} ({length})" if length and inner else str(getattr(feature, "dtype", type(feature).__name__))

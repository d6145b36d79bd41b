"""Computes the binary attributes of a whole corpus, with `Dataset.map` on Arrow tables."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import datasets
import numpy as np
import pyarrow as pa
import torch

from balr_hf.checkpoints import weights_digest
from balr_hf.data.columns import (
    add_vector_column,
    arrow_column,
    fixed_length_column,
    known_vectors,
    vector_matrix,
)
from balr_hf.data.skipped import Skipped
from balr_hf.data.stores import SaveVectors, add_vectors
from balr_hf.errors import UserError

if TYPE_CHECKING:
    from balr_hf.attributes.configuration_autoencoder import BinaryAttributeAutoEncoderConfig
    from balr_hf.data.contract import Corpus


class AttributeEncoder(Protocol):
    """What binarizing needs from an autoencoder; a [`BinaryAttributeAutoEncoder`] has it."""

    config: "BinaryAttributeAutoEncoderConfig"

    @property
    def device(self) -> torch.device: ...

    @property
    def to(self) -> Callable[..., Any]: ...  # transformers wraps it in what is no method to mypy

    def encode(self, embeddings: torch.Tensor) -> torch.Tensor: ...

    def state_dict(self) -> dict[str, torch.Tensor]: ...


# How many embeddings a CPU encodes at once, so that their activations stay in its cache.
CPU_BATCH = 2048


def compute_binary_attributes(
    model: AttributeEncoder,
    dataset: datasets.Dataset,
    *,
    batch_size: int = 8192,
    device: torch.device | str | None = None,
    force: bool = False,
    save: SaveVectors | None = None,
) -> tuple[datasets.Dataset, list[Skipped]]:
    """Compute the binary attributes of every recording that has an embedding but no attributes yet.

    Args:
        model ([`BinaryAttributeAutoEncoder`]): the autoencoder.
        dataset (`datasets.Dataset`): a corpus with `id` and `embedding`.
        batch_size (int): number of recordings in a batch.
        device (*optional*): where to compute; by default the device that the model is on.
        force (bool): also recompute the attributes that exist already.
        save (*optional*): called after each batch with the ids of its recordings and their attributes, bool
            `(recordings, attributes)`.

    Returns:
        `(dataset, skipped)`: the corpus with a fixed-length bool column `ba`, and the recordings without an embedding.

    Raises:
        UserError: the corpus has no embeddings, or they are not of the size that the autoencoder expects.
    """
    embeddings, usable = vector_matrix(dataset, "embedding")
    if embeddings.shape[1] != model.config.input_dim:
        raise UserError(
            f"the corpus has embeddings of {embeddings.shape[1]} values, the autoencoder expects "
            f"{model.config.input_dim}: use the autoencoder trained for this embedder"
        )
    bits, present = known_vectors(dataset, "ba", model.config.internal_dim, force)
    skipped = [Skipped(dataset[int(row)]["id"], "no embedding") for row in np.flatnonzero(~usable & ~present)]
    todo = np.flatnonzero(usable & ~present)
    if len(todo):
        device = torch.device(device) if device is not None else model.device
        model.to(device).eval()

        def binarize(batch: pa.Table) -> pa.Table:
            rows = np.array(vector_matrix(datasets.Dataset(batch), "embedding")[0])  # a copy that torch may own
            at_once = CPU_BATCH if device.type == "cpu" else len(rows)
            with torch.inference_mode():
                parts = [model.encode(part.to(device)) for part in torch.from_numpy(rows).split(at_once)]
                new = torch.cat(parts).cpu().numpy()
            if save is not None:
                save(batch["id"].to_pylist(), new)
            return pa.table({"ba": fixed_length_column(new)})

        computed = (
            dataset.select(todo)
            .select_columns(["id", "embedding"])
            .with_format("arrow")
            .map(
                binarize,
                batched=True,
                batch_size=batch_size,
                remove_columns=["id", "embedding"],
                keep_in_memory=True,
                load_from_cache_file=False,
                new_fingerprint=datasets.fingerprint.generate_random_fingerprint(),
                desc="Binarizing",
            )
        )
        if len(todo) == len(dataset):
            return add_vector_column(dataset, "ba", arrow_column(computed, "ba").combine_chunks()), skipped
        bits[todo], _ = vector_matrix(computed, "ba")
        present[todo] = True
    return add_vector_column(dataset, "ba", fixed_length_column(bits, present)), skipped


def add_binary_attributes(
    model: AttributeEncoder,
    corpus: "datasets.Dataset | Corpus | str | Path",
    *,
    save_dir: str | Path | None = None,
    save_format: str | None = None,
    force: bool = False,
    **options: Any,
) -> datasets.Dataset:
    """Add a `ba` column to a corpus, as [`BinaryAttributeAutoEncoder.get_binary_attributes`] describes.

    Args:
        model ([`BinaryAttributeAutoEncoder`]): the autoencoder.
        corpus, save_dir, save_format: as for [`BinaryAttributeAutoEncoder.get_binary_attributes`].
        force (bool): also recompute the attributes that exist already.
        **options: `batch_size` and `device` of [`compute_binary_attributes`].

    Returns:
        `datasets.Dataset`: the corpus with `ba`.
    """
    compute = partial(compute_binary_attributes, model, force=force, **options)
    return add_vectors(
        corpus,
        "ba",
        compute,
        "embedding",
        save_dir=save_dir,
        save_format=save_format,
        model_name=weights_digest(cast("torch.nn.Module", model)),  # a Protocol cannot say so
        force=force,
    )

"""Computes the binary attributes of a whole corpus, with `Dataset.map` on Arrow tables."""

import logging
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
from balr_hf.pretrained import evaluation_mode

if TYPE_CHECKING:
    from balr_hf.attributes.configuration_autoencoder import BinaryAttributeAutoEncoderConfig
    from balr_hf.data.contract import Corpus


logger = logging.getLogger(__name__)


class AttributeEncoder(Protocol):
    """What binarizing needs from an autoencoder; a [`BinaryAttributeAutoEncoder`] has it."""

    config: "BinaryAttributeAutoEncoderConfig"

    @property
    def device(self) -> torch.device: ...

    @property
    def to(self) -> Callable[..., Any]: ...  # transformers wraps it in what is no method to mypy

    def encode(self, embeddings: torch.Tensor) -> torch.Tensor: ...

    @property
    def __call__(self) -> Callable[..., Any]: ...

    def state_dict(self) -> dict[str, torch.Tensor]: ...


# The share of the embeddings' power that an autoencoder may fail to reconstruct. The package's own fails at 3 to 19 %
# of each embedding of its own embedder (232 recordings, of read speech and of many conditions), and at 100 to 200 % of
# those of an untrained embedder, or of its own with their axes rotated.
MOST_ERROR = 0.7
# How many recordings are reconstructed to see whether the autoencoder fits them.
ERROR_SAMPLE = 1000

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
        model.to(device)
        wrong = mismatch(model, embeddings)
        if wrong is not None:
            logger.warning("%s", wrong[0].upper() + wrong[1:])

        def binarize(batch: pa.Table) -> pa.Table:
            rows = np.array(vector_matrix(datasets.Dataset(batch), "embedding")[0])  # a copy that torch may own
            at_once = CPU_BATCH if device.type == "cpu" else len(rows)
            with torch.inference_mode():
                parts = [model.encode(part.to(device)) for part in torch.from_numpy(rows).split(at_once)]
                new = torch.cat(parts).cpu().numpy()
            if save is not None:
                save(batch["id"].to_pylist(), new)
            return pa.table({"ba": fixed_length_column(new)})

        with evaluation_mode(cast("torch.nn.Module", model)):  # a Protocol cannot say so
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


def mismatch(model: AttributeEncoder, embeddings: np.ndarray) -> str | None:
    """Tell whether an autoencoder was evidently trained on other embeddings than these.

    Such embeddings come from another embedder, or from another version of it, and their attributes mean nothing. The
    autoencoder cannot reconstruct them: the squared error, over the squared values of the embeddings, is then about 1
    or more. What this finds is evident; that it finds nothing does not prove that the models belong together.

    Args:
        model ([`BinaryAttributeAutoEncoder`]): the autoencoder.
        embeddings (`np.ndarray` of shape `(recordings, input_dim)`): the embeddings, of which at most 1,000, evenly
            spaced, are reconstructed.

    Returns:
        a sentence that says so with the median error; None if nothing is wrong.
    """
    rows = np.unique(np.linspace(0, len(embeddings) - 1, ERROR_SAMPLE).round().astype(int))
    device, dtype = model.device, next(iter(model.state_dict().values())).dtype
    sample = torch.from_numpy(np.array(embeddings[rows])).to(device, dtype)
    with torch.inference_mode(), evaluation_mode(cast("torch.nn.Module", model)):
        missed = (model(sample, return_loss=False).reconstruction - sample).float().square().sum(1)
    power = sample.float().square().sum(1).clamp(min=torch.finfo(torch.float32).tiny)
    error = (missed / power).median().item()
    if error <= MOST_ERROR:
        return None
    return (
        f"the autoencoder fails to reconstruct {error:.0%} of these embeddings' power (plausible: at most "
        f"{MOST_ERROR:.0%}): it was trained on those of another embedder, or hardly trained, and the attributes mean "
        "nothing. Use the autoencoder that was trained for this embedder"
    )


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

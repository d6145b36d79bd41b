"""Computes the binary attributes of a whole corpus, with `Dataset.map` on Arrow tables."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import datasets
import numpy as np
import pyarrow as pa
import torch

from balr_hf.data.columns import add_vector_column, fixed_length_column, known_vectors, recording_ids, vector_matrix
from balr_hf.data.origins import (
    Maker,
    Origin,
    add_origins,
    check_vectors,
    origins_of,
    vector_digests,
)
from balr_hf.data.skipped import Skipped
from balr_hf.data.store_base import SaveVectors
from balr_hf.data.stores import add_vectors
from balr_hf.errors import MismatchError, UserError
from balr_hf.identity import allowed_in_training, model_identity, other_makers, shown
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

# Why a recording has no attributes, and teaches an autoencoder nothing, although it has an embedding.
UNSOUND = "the embedding is zero or has values that are not finite"

# How many embeddings a CPU encodes at once, so that their activations stay in its cache.
CPU_BATCH = 2048


def compute_binary_attributes(
    model: AttributeEncoder,
    dataset: datasets.Dataset,
    *,
    batch_size: int = 8192,
    device: torch.device | str | None = None,
    force: bool = False,
    allow_mismatch: bool = False,
    save: SaveVectors | None = None,
) -> tuple[datasets.Dataset, list[Skipped]]:
    """Compute the binary attributes of every recording that has an embedding but no attributes yet.

    Args:
        model ([`BinaryAttributeAutoEncoder`]): the autoencoder.
        dataset (`datasets.Dataset`): a corpus with `id` and `embedding`.
        batch_size (int): number of recordings in a batch.
        device (*optional*): where to compute; by default the device that the model is on.
        force (bool): also recompute the attributes that exist already.
        allow_mismatch (bool): go on where the embeddings are those of another embedder than the autoencoder's; a
            warning and the column `ba_origin` say so.
        save (*optional*): called after each batch with the ids of its recordings, their attributes, bool
            `(recordings, attributes)`, and where these come from.

    Returns:
        `(dataset, skipped)`: the corpus with a fixed-length bool column `ba` and a column `ba_origin` that says what
        made each (see [`Origin`][balr_hf.data.origins.Origin]), and the recordings without an embedding, or with one
            that is zero or not finite.

    Raises:
        UserError: the corpus has no embeddings, or they are not of the size that the autoencoder expects; attributes
            are there that another autoencoder made, or that were made from other embeddings; or the autoencoder's
            weights are of less precision than float32.
        MismatchError: the embeddings are those of another embedder, or of several.
    """
    embeddings, usable = vector_matrix(dataset, "embedding")
    if embeddings.shape[1] != model.config.input_dim:
        raise UserError(
            f"the corpus has embeddings of {embeddings.shape[1]} values, the autoencoder expects "
            f"{model.config.input_dim}: use the autoencoder trained for this embedder"
        )
    maker = attribute_maker(model)
    if not force:
        check_vectors(dataset, "ba", maker, "embedding")
    bits, present = known_vectors(dataset, "ba", model.config.internal_dim, force)
    origins: list[Origin | None] = [None] * len(dataset) if force else origins_of(dataset, "ba")
    ids = recording_ids(dataset)
    sound = usable.copy()
    sound[usable] = are_sound(embeddings)
    skipped = [
        Skipped(ids[row], UNSOUND if usable[row] else "no embedding")
        for row in np.flatnonzero(~sound & ~present).tolist()
    ]
    todo = np.flatnonzero(sound & ~present)
    if len(todo):
        device = torch.device(device) if device is not None else model.device
        model.to(device)
        made_from = origins_of(dataset, "embedding")
        wrong = mismatch(model, embeddings, [origin for origin, there in zip(made_from, usable, strict=True) if there])
        if wrong is not None:
            if not allow_mismatch:
                raise MismatchError(wrong)
            logger.warning("%s: the attributes mean nothing", wrong)
        named = zip(ids, made_from, strict=True)
        origin_of = {name: origin for name, origin in named if origin is not None}
        unknown = Origin("")

        made: list[Origin] = []

        def binarize(batch: pa.Table) -> pa.Table:
            rows = np.array(vector_matrix(datasets.Dataset(batch), "embedding")[0])  # a copy that torch may own
            at_once = CPU_BATCH if device.type == "cpu" else len(rows)
            with torch.inference_mode():
                parts = [model.encode(part.to(device)) for part in torch.from_numpy(rows).split(at_once)]
                new = torch.cat(parts).cpu().numpy()
            names = batch["id"].to_pylist()
            behind = [origin_of.get(name, unknown) for name in names]
            digests = zip(behind, vector_digests(rows), vector_digests(new), strict=True)
            new_origins = [
                Origin(maker.model, maker.precision, source, digest, of.model, wrong or "", of.source, of.stat)
                for of, source, digest in digests
            ]
            if save is not None:
                save(names, new, None, new_origins)
            made.extend(new_origins)
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
        bits[todo], _ = vector_matrix(computed, "ba")
        present[todo] = True
        for row, origin in zip(todo.tolist(), made, strict=True):
            origins[row] = origin
    dataset = add_vector_column(dataset, "ba", fixed_length_column(bits, present))
    return add_origins(dataset, "ba", origins, certain=True), skipped


def attribute_maker(model: AttributeEncoder) -> Maker:
    """Name all that decides a recording's attributes.

    Raises:
        UserError: the weights were cast, so that their attributes would pass for those of float32.
    """
    dtype = next(iter(model.state_dict().values())).dtype
    if dtype.is_floating_point and dtype.itemsize < 4:
        raise UserError(
            f"the autoencoder's weights were cast to {dtype}, with which some attributes are others: load it in "
            "float32, with dtype=torch.float32"
        )
    return Maker(model_identity(cast("torch.nn.Module", model)))  # a Protocol cannot say so


def are_sound(embeddings: np.ndarray) -> np.ndarray:
    """Which embeddings are those of a recording: bool `(recordings,)`, False where all is 0 or a value is not finite.

    Args:
        embeddings (`np.ndarray` of shape `(recordings, values)`): the embeddings.
    """
    power = np.einsum("rv,rv->r", embeddings, embeddings, dtype=np.float64)
    return np.isfinite(power) & (power > 0)


def mismatch(
    model: AttributeEncoder, embeddings: np.ndarray, origins: Sequence[Origin | None] | None = None
) -> str | None:
    """Tell whether an autoencoder was trained on other embeddings than these, so that their attributes mean nothing.

    Where the embeddings' embedder and that of the autoencoder's training are both known, they are compared. Otherwise
    the autoencoder reconstructs the embeddings. Of those of another embedder it cannot: the squared error, over the
    squared values of the embedding, is then about 1 or more. What this finds is evident; that it finds nothing does
    not prove that the models belong together.

    Args:
        model ([`BinaryAttributeAutoEncoder`]): the autoencoder.
        embeddings (`np.ndarray` of shape `(recordings, input_dim)`): the embeddings.
        origins (*optional*): where each comes from; None where that is unknown.

    Returns:
        a sentence that says what is wrong; None if nothing is known to be wrong.
    """
    if (allowed := allowed_in_training(model)) is not None:
        return allowed
    expected = getattr(model.config, "embedder_identity", None)
    known = [origin.model for origin in origins or () if origin is not None]
    wrong = other_makers(known, expected, "embeddings", "embedder", "autoencoder")
    unknown = [row for row in range(len(embeddings)) if origins is None or origins[row] is None]
    if wrong is not None or (not unknown and expected is not None):
        return wrong
    if unknown and expected is not None:
        logger.warning(
            "%d of the %d embeddings are of unknown origin: whether they are those of %s, for which the autoencoder "
            "was trained, is only judged by how it reconstructs them",
            *(len(unknown), len(embeddings), shown(expected)),
        )
    judged = np.array(unknown if expected is not None else range(len(embeddings)))
    judged = judged[np.unique(np.linspace(0, len(judged) - 1, ERROR_SAMPLE).round().astype(int))]
    judged = judged[are_sound(embeddings[judged])]
    if not len(judged):
        return None
    errors = reconstruction_errors(model, embeddings[judged])
    error, bad = float(np.median(errors)), int((errors > MOST_ERROR).sum())
    if error <= MOST_ERROR:
        if bad:
            logger.warning(
                "The autoencoder fails to reconstruct more than %.0f %% of the power of %d of %d embeddings: they may "
                "be those of another embedder",
                *(100 * MOST_ERROR, bad, len(errors)),
            )
        return None
    return (
        f"The autoencoder fails to reconstruct {error:.0%} of these embeddings' power (plausible: at most "
        f"{MOST_ERROR:.0%}): it was trained on those of another embedder, or hardly trained"
    )


def reconstruction_errors(model: AttributeEncoder, embeddings: np.ndarray) -> np.ndarray:
    """Compute how much of each embedding an autoencoder cannot reconstruct.

    Args:
        model ([`BinaryAttributeAutoEncoder`]): the autoencoder.
        embeddings (`np.ndarray` of shape `(recordings, input_dim)`): the embeddings.

    Returns:
        float `(recordings,)`: the squared error over the squared values of the embedding.
    """
    device, dtype = model.device, next(iter(model.state_dict().values())).dtype
    sample = torch.from_numpy(np.array(embeddings)).to(device, dtype)
    with torch.inference_mode(), evaluation_mode(cast("torch.nn.Module", model)):
        missed = (model(sample, return_loss=False).reconstruction - sample).float().square().sum(1)
    power = sample.float().square().sum(1).clamp(min=torch.finfo(torch.float32).tiny)
    return (missed / power).cpu().numpy()


def add_binary_attributes(
    model: AttributeEncoder,
    corpus: "datasets.Dataset | datasets.DatasetDict | datasets.IterableDataset | Corpus | str | Path",
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
        **options: `batch_size`, `device` and `allow_mismatch` of [`compute_binary_attributes`].

    Returns:
        `datasets.Dataset`: the corpus with `ba`.
    """
    compute = partial(compute_binary_attributes, model, force=force, **options)
    return add_vectors(
        *(corpus, "ba", compute, "embedding", attribute_maker(model)),
        save_dir=save_dir,
        save_format=save_format,
        force=force,
    )

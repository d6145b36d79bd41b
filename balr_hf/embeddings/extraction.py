"""Embedding extraction for a corpus, through `Dataset.map`: decode in threads, sort by length, embed in batches."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import datasets
import numpy as np
import torch

from balr_hf.audio import AudioError, load_audio
from balr_hf.data import Skipped, add_vector_column, fixed_length_column, known_vectors, vector_matrix
from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor
from balr_hf.embeddings.modeling_wespeaker import MIN_FRAMES, WespeakerModel
from balr_hf.errors import UserError

logger = logging.getLogger(__name__)

# Frames (padding included) that one forward pass takes. On a CPU recordings gain nothing from sharing a pass, and
# padding costs; on a GPU a pass must be large to fill it.
FRAMES_PER_PASS = {"cpu": 400, "cuda": 60_000, "mps": 12_000}

SaveVectors = Callable[[list[str], np.ndarray], None]


def extract_embeddings(
    model: WespeakerModel,
    dataset: datasets.Dataset,
    *,
    batch_size: int = 64,
    devices: Sequence[torch.device | str] | None = None,
    num_proc: int | None = None,
    decode_threads: int | None = None,
    force: bool = False,
    save: SaveVectors | None = None,
) -> tuple[datasets.Dataset, list[Skipped]]:
    """Compute the embedding of every recording that has none yet.

    A recording's embedding does not depend on `batch_size`, on its neighbours, or on how many processes share it.

    Args:
        model: the embedder; its `feature_extractor` makes the features.
        dataset: a corpus with `id` and `audio`.
        batch_size (int): recordings decoded, sorted by length and saved together.
        devices: where to compute; the model's own device by default. Several GPUs get one process each.
        num_proc (int, *optional*): processes; one a device by default.
        decode_threads (int, *optional*): threads that decode audio in each process; one a core by default.
        force (bool): recompute embeddings that are there already.
        save: called after each batch with the ids and embeddings `(recordings, embed_dim)` that are new, so that an
            interrupted run can go on from them.

    Returns:
        `(dataset, skipped)`: the corpus with a fixed-length float32 column `embedding` (`None` for recordings that
        could not be used), and those recordings with the reasons.
    """
    if "audio" not in dataset.column_names:
        raise UserError(f"the corpus has no audio column (columns: {', '.join(dataset.column_names)})")
    matrix, present = known_vectors(dataset, "embedding", model.config.embed_dim, force)
    todo = np.flatnonzero(~present)
    skipped: list[Skipped] = []
    if len(todo):
        devices = [torch.device(device) for device in devices or [model.device]]
        num_proc = num_proc or (len(devices) if len(devices) > 1 else None)
        extractor = _BatchExtractor(model, devices, num_proc, decode_threads, save)
        computed = _map(dataset.select(todo).select_columns(["id", "audio"]), extractor, batch_size, num_proc)
        reasons = computed["reason"]
        done = np.array([reason is None for reason in reasons])
        if done.any():
            matrix[todo[done]], _ = vector_matrix(computed, "embedding")
            present[todo[done]] = True
        ids = dataset.select(todo)["id"]
        skipped = [Skipped(name, reason) for name, reason in zip(ids, reasons, strict=True) if reason is not None]
    return add_vector_column(dataset, "embedding", fixed_length_column(matrix, present)), skipped


def _map(dataset: datasets.Dataset, extractor: "_BatchExtractor", batch_size: int, num_proc: int | None):
    features = datasets.Features(
        {
            "embedding": datasets.List(datasets.Value("float32"), length=extractor.model.config.embed_dim),
            "reason": datasets.Value("string"),
        }
    )
    if num_proc is not None and num_proc > 1:
        import multiprocess

        # CUDA and OpenMP threads do not survive a fork.
        multiprocess.set_start_method("spawn", force=True)
    # A given fingerprint spares hashing the model's weights; results are kept by `save`, not by a cache of map.
    return dataset.map(
        extractor,
        batched=True,
        batch_size=batch_size,
        with_rank=True,
        num_proc=num_proc if num_proc and num_proc > 1 else None,
        remove_columns=dataset.column_names,
        features=features,
        keep_in_memory=True,
        load_from_cache_file=False,
        new_fingerprint=datasets.fingerprint.generate_random_fingerprint(),
        desc="Extracting embeddings",
    )


class _BatchExtractor:
    """What `Dataset.map` calls for each batch, in whichever process."""

    def __init__(self, model, devices, num_proc, decode_threads, save):
        self.model = model.eval()
        self.extractor = model.feature_extractor
        self.devices = devices
        self.num_proc = num_proc
        self.decode_threads = decode_threads
        self.save = save

    def __call__(self, batch: dict[str, list], rank: int | None) -> dict[str, list]:
        device = self._place(rank)
        with ThreadPoolExecutor(self.decode_threads or os.cpu_count()) as pool:
            recordings = list(pool.map(lambda audio: load_usable(audio, self.extractor), batch["audio"]))
        reasons = [recording if isinstance(recording, str) else None for recording in recordings]
        embeddings: list[np.ndarray | None] = [None] * len(recordings)
        usable = [row for row, reason in enumerate(reasons) if reason is None]
        computed = embed_waveforms(self.model, self.extractor, [recordings[row] for row in usable], device)
        for row, embedding in zip(usable, computed, strict=True):
            if np.isfinite(embedding).all():
                embeddings[row] = embedding
            else:
                reasons[row] = "the embedding has values that are not finite"
        done = [row for row, embedding in enumerate(embeddings) if embedding is not None]
        if self.save is not None and done:
            self.save([batch["id"][row] for row in done], np.stack([embeddings[row] for row in done]))
        return {"embedding": embeddings, "reason": reasons}

    def _place(self, rank: int | None) -> torch.device:
        device = self.devices[(rank or 0) % len(self.devices)]
        if rank is not None and device.type == "cpu" and self.num_proc:
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // self.num_proc))
        if self.model.device != device:
            self.model.to(device)
        return device


def load_usable(audio, extractor: WespeakerFeatureExtractor) -> np.ndarray | str:
    """A recording's samples `(samples,)`, or the reason why they cannot be embedded."""
    try:
        samples = load_audio(audio, extractor.sampling_rate)
    except AudioError as error:
        return str(error)
    except Exception as error:  # one odd recording must not stop the corpus, whatever its decoder raises
        return f"cannot be decoded ({type(error).__name__}: {error})"
    if extractor.num_frames(len(samples)) < MIN_FRAMES:
        milliseconds = extractor.frame_length + (MIN_FRAMES - 1) * extractor.frame_shift
        return f"too short: {1000 * len(samples) / extractor.sampling_rate:.0f} ms of at least {milliseconds} ms"
    if np.ptp(samples) == 0:
        return "digital silence"
    return samples


def embed_waveforms(
    model: WespeakerModel,
    extractor: WespeakerFeatureExtractor,
    waveforms: Sequence[np.ndarray],
    device: torch.device,
) -> np.ndarray:
    """Embed recordings in passes of similar length.

    Args:
        model: the embedder, on `device`.
        extractor: makes its features.
        waveforms (`(samples,)` each): at the extractor's rate.
        device: decides how much one pass takes.

    Returns:
        float32 `(recordings, embed_dim)`, in the order of `waveforms`.
    """
    embeddings = np.empty((len(waveforms), model.config.embed_dim), dtype=np.float32)
    frames = [extractor.num_frames(len(waveform)) for waveform in waveforms]
    for rows in _passes(frames, FRAMES_PER_PASS.get(device.type, 12_000)):
        with torch.inference_mode():
            features = extractor([waveforms[row] for row in rows], device=device)
            padded = len({frames[row] for row in rows}) > 1
            mask = features["attention_mask"] if padded else None
            embeddings[rows] = model(features["input_features"], mask).embeddings.float().cpu().numpy()
    return embeddings


def _passes(frames: Sequence[int], frames_per_pass: int) -> Iterator[list[int]]:
    """Group rows of similar length so that each group, padded, stays within the budget."""
    group: list[int] = []
    for row in sorted(range(len(frames)), key=frames.__getitem__):
        if group and (len(group) + 1) * frames[row] > frames_per_pass:
            yield group
            group = []
        group.append(row)
    if group:
        yield group

"""Extracting the embeddings of a corpus, through `Dataset.map`.

On a CPU, each thread takes one recording from its file to its embedding. On a GPU, recordings of similar length are
embedded together, while threads or other processes decode the next batch.
"""

import logging
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import torch

from balr_hf.audio import AudioError
from balr_hf.data.columns import add_vector_column, fixed_length_column, known_vectors, recording_ids, vector_matrix
from balr_hf.data.contract import type_of_samples
from balr_hf.data.origins import (
    Maker,
    Origin,
    add_origins,
    check_vectors,
    origin_feature,
    origins_of,
    vector_digests,
)
from balr_hf.data.quality import add_quality_column, known_quality, quality_feature
from balr_hf.data.reading import load_corpus
from balr_hf.data.skipped import Skipped
from balr_hf.data.store_base import SaveVectors
from balr_hf.data.stores import add_vectors
from balr_hf.embeddings.decoding import (
    PROCESSES_FROM,
    Decoding,
    ProcessDecoding,
    ThreadDecoding,
    script_hidden,
)
from balr_hf.embeddings.passes import (
    FRAMES_PER_PASS,
    PRECISIONS,
    Embedder,
    Loaded,
    embed_each,
    load_usable,
)
from balr_hf.errors import ConfigError, UserError
from balr_hf.identity import model_identity
from balr_hf.quality import MIN_SPEECH
from balr_hf.threads import num_cores, on_threads

if TYPE_CHECKING:
    from balr_hf.data.contract import Corpus

logger = logging.getLogger(__name__)


# How long a GPU may wait for audio, in seconds and as a share of the time, before a warning says so.
WAIT_SECONDS, WAIT_SHARE = 10, 0.2


def compute_embeddings(
    model: Embedder,
    dataset: datasets.Dataset,
    *,
    batch_size: int = 64,
    devices: Sequence[torch.device | str] | None = None,
    num_proc: int | None = None,
    decode_threads: int | None = None,
    precision: str = "fp32",
    min_speech: float = MIN_SPEECH,
    quick: bool = False,
    force: bool = False,
    save: SaveVectors | None = None,
) -> tuple[datasets.Dataset, list[Skipped]]:
    """Compute the embedding of every recording that has none yet.

    A recording's embedding does not depend on `batch_size`, on its neighbours, or on how many processes share it.

    Args:
        model: the embedder; its `feature_extractor` makes the features.
        dataset: a corpus with the column `audio`.
        batch_size (int): how many recordings are decoded, sorted by length and saved together. While a GPU computes
            one batch, the next one is decoded.
        devices: where to compute; by default on the model's own device. Several GPUs get one process each.
        num_proc (int, *optional*): how many processes share the corpus; by default one per device. The processes do
            not run the calling script again, which therefore needs no `if __name__ == "__main__":`.
        decode_threads (int, *optional*): how many threads of each process decode audio for a GPU, or, of
            [`PROCESSES_FROM`] recordings on, how many other processes; by default one for each core that it may use.
        precision (str): what the convolutions compute in: `fp32`; or `tf32` (on GPUs) or `bf16` (on GPUs and recent
            CPUs), which are faster and slightly less exact.
        min_speech (float): seconds of net speech that a recording needs, or it is skipped; 0 takes anything that is
            not silent.
        quick (bool): tell audio files apart by their size and time of change, and not by their sha256.
        force (bool): recompute embeddings that are there already.
        save: called after each batch with the ids, the embeddings `(recordings, embed_dim)` that are new, what was
            measured, and where each embedding comes from, so that an interrupted run can go on from them.

    Returns:
        `(dataset, skipped)`: the corpus with a fixed-length float32 column `embedding` (`None` for recordings that
        could not be used), a column `embedding_origin` that says what made each (see
        [`Origin`][balr_hf.data.origins.Origin]), and a column `recording_quality` of what was measured (see
        [`RecordingQuality`]; `None` for recordings that were not decoded now or before); and the recordings that could
        not be used, with the reasons.

    Raises:
        UserError: the corpus has no audio, or its embeddings have another size or were made by another embedder, at
            another precision or of other audio.
        ConfigError: an unknown precision, or less than no speech.
    """
    if "audio" not in dataset.column_names:
        raise UserError(f"the corpus has no audio column (columns: {', '.join(dataset.column_names)})")
    audio = dataset.features["audio"]
    if "id" not in dataset.column_names or getattr(audio, "decode", False) or type_of_samples(audio) is not None:
        dataset = load_corpus(dataset)
    if precision not in PRECISIONS:
        raise ConfigError(f"precision={precision!r}: expected {', '.join(PRECISIONS)}")
    if not min_speech >= 0:
        raise ConfigError(f"min_speech={min_speech}: expected seconds, 0 or more")
    maker = embedding_maker(model, precision, quick)
    if not force:
        check_vectors(dataset, "embedding", maker, "audio")
    matrix, present = known_vectors(dataset, "embedding", model.config.embed_dim, force)
    origins: list[Origin | None] = [None] * len(dataset) if force else origins_of(dataset, "embedding")
    todo = np.flatnonzero(~present)
    skipped: list[Skipped] = []
    measured = known_quality(dataset)
    if len(todo):
        places = [torch.device(device) for device in devices or [model.device]]
        num_proc = num_proc or (len(places) if len(places) > 1 else None)
        corpus = dataset.select(todo).select_columns(["id", "audio"])
        ahead = corpus if any(device.type in FRAMES_PER_PASS for device in places) else None
        workers = decode_threads or max(1, num_cores() // (num_proc or 1))
        extractor = _BatchExtractor(model.for_inference(), maker, ahead, places, num_proc, workers, min_speech, save)
        start = time.perf_counter()
        with closing(extractor):
            computed = _map(corpus, extractor, batch_size, num_proc)
        took = (time.perf_counter() - start) * (num_proc or 1)
        warn_of_waiting(sum(computed["waited"]), took, extractor.decoded_by())
        reasons = computed["reason"]
        done = np.array([reason is None for reason in reasons])
        if done.any():
            matrix[todo[done]], _ = vector_matrix(computed, "embedding")
            present[todo[done]] = True
            for row, origin in zip(todo.tolist(), origins_of(computed, "embedding"), strict=True):
                origins[row] = origin
        ids = recording_ids(corpus)
        named = zip(ids, reasons, strict=True)
        skipped = [Skipped(name, reason) for name, reason in named if reason is not None]
        measured |= {name: row for name, row in zip(ids, computed["quality"], strict=True) if row is not None}
    dataset = add_vector_column(dataset, "embedding", fixed_length_column(matrix, present))
    return add_quality_column(add_origins(dataset, "embedding", origins), measured), skipped


def add_embeddings(
    model: Embedder,
    corpus: "datasets.Dataset | datasets.DatasetDict | datasets.IterableDataset | Corpus | str | Path",
    *,
    save_dir: str | Path | None = None,
    save_format: str | None = None,
    force: bool = False,
    **options: Any,
) -> datasets.Dataset:
    """Do what [`WespeakerModel.extract_embeddings`] does, for any embedder.

    Args:
        model: the embedder.
        corpus, save_dir, save_format: as for [`WespeakerModel.extract_embeddings`].
        force (bool): recompute embeddings that are there already.
        **options: of [`compute_embeddings`].
    """
    maker = embedding_maker(model, options.get("precision", "fp32"), options.get("quick", False))
    compute = partial(compute_embeddings, model, force=force, **options)
    return add_vectors(
        corpus, "embedding", compute, "audio", maker, save_dir=save_dir, save_format=save_format, force=force
    )


def embedding_maker(model: Embedder, precision: str = "fp32", quick: bool = False) -> Maker:
    """Name all that decides a recording's embedding; `precision` and `quick` as for [`compute_embeddings`].

    Raises:
        UserError: the weights were cast, so that their embeddings would pass for those of float32.
    """
    weights = model.parameters() if isinstance(model, torch.nn.Module) else ()
    cast = {weight.dtype for weight in weights if weight.dtype.is_floating_point and weight.dtype.itemsize < 4}
    if cast:
        raise UserError(
            f"the embedder's weights were cast to {', '.join(map(str, cast))}: load it in float32. For speed, "
            "precision='bf16' computes in half precision, and says so beside the embeddings"
        )
    return Maker(model_identity(model), precision, quick)


def _map(
    dataset: datasets.Dataset, extractor: "_BatchExtractor", batch_size: int, num_proc: int | None
) -> datasets.Dataset:
    features = datasets.Features(
        embedding=datasets.List(datasets.Value("float32"), length=extractor.model.config.embed_dim),
        embedding_origin=origin_feature(),
        quality=quality_feature(),
        reason=datasets.Value("string"),
        waited=datasets.Value("float64"),
    )
    if num_proc is None or num_proc == 1:
        return _mapped(dataset, extractor, batch_size, features, None)
    import multiprocess

    try:
        with spawned_processes():
            return _mapped(dataset, extractor, batch_size, features, num_proc)
    except (EOFError, ConnectionError, RuntimeError, multiprocess.ProcessError) as error:
        if isinstance(error, RuntimeError) and "abruptly died" not in str(error):
            raise
        raise UserError(
            "a process that computed embeddings was ended, perhaps by the system for lack of memory. What is saved is "
            "kept: run the same again, with fewer processes (--num-proc, num_proc=) if memory is short"
        ) from error


def _mapped(
    dataset: datasets.Dataset,
    extractor: "_BatchExtractor",
    batch_size: int,
    features: datasets.Features,
    num_proc: int | None,
) -> datasets.Dataset:
    # With a fingerprint given, the model's weights are not hashed. `save` keeps the results, not a cache of map.
    return dataset.map(
        extractor,
        batched=True,
        batch_size=batch_size,
        with_indices=True,
        with_rank=True,
        num_proc=num_proc,
        remove_columns=dataset.column_names,
        features=features,
        keep_in_memory=True,
        load_from_cache_file=False,
        new_fingerprint=datasets.fingerprint.generate_random_fingerprint(),
        desc="Extracting embeddings",
    )


@contextmanager
def spawned_processes() -> Iterator[None]:
    """Make `Dataset.map` spawn its processes, since CUDA and OpenMP threads do not survive a fork.

    They do not run the user's script; [`_BatchExtractor`] carries what it needs of it.
    """
    import multiprocess

    with script_hidden():
        method = multiprocess.get_start_method(allow_none=True)
        multiprocess.set_start_method("spawn", force=True)
        try:
            yield
        finally:
            multiprocess.set_start_method(method, force=True)


def warn_of_waiting(waited: float, took: float, workers: str) -> None:
    """Say what would help, if the GPU waited for audio for a large part of the time.

    Args:
        waited (float): for how many seconds it waited.
        took (float): how many seconds the whole extraction took.
        workers (str): what decoded audio, with its number.
    """
    if waited > WAIT_SECONDS and waited > WAIT_SHARE * took:
        logger.warning(
            "For %.0f %% of the time (%.0f s) the GPU waited for audio to be decoded, by %s: more cores (and with "
            "them data.num_workers, or decode_threads) or faster storage would help",
            *(100 * waited / took, waited, workers),
        )


class _BatchExtractor:
    """Embeds a batch; `Dataset.map` calls it in each of its processes.

    Args:
        model: the embedder, from `for_inference`.
        maker: what tells its embeddings apart from those of others.
        corpus: the rows that `Dataset.map` goes through, from which the next batch is decoded ahead of time; None if
            nothing is decoded ahead.
        workers (int): how many threads or processes decode.
        devices, num_proc, min_speech, save: as for [`compute_embeddings`].
    """

    def __init__(
        self,
        model: Embedder,
        maker: Maker,
        corpus: datasets.Dataset | None,
        devices: Sequence[torch.device],
        num_proc: int | None,
        workers: int,
        min_speech: float,
        save: SaveVectors | None,
    ):
        self.model = model
        self.maker = maker
        self.extractor = model.feature_extractor
        self.corpus = corpus
        self.devices = devices
        self.num_proc = num_proc
        self.workers = workers
        self.min_speech = min_speech
        self.save = save
        self._decoding: Decoding | None = None
        self._ahead: dict[int, list[Callable[[], Loaded]]] = {}

    def __reduce__(self) -> tuple[Callable, tuple]:
        """Be pickled together with the functions and classes of the user's script that this refers to."""
        import dill

        model, save = self.model, self.save
        places = (self.devices, self.num_proc, self.workers)
        arguments = (model, self.maker, self.corpus, *places, self.min_speech, save)
        return _unpickled, (dill.dumps(arguments, recurse=True),)

    def __call__(self, batch: dict[str, list], rows: list[int], rank: int | None) -> dict[str, list]:
        device, waited = self._place(rank), 0.0
        if device.type in FRAMES_PER_PASS:
            start = time.perf_counter()
            decoded = self._decoded(rows, rank)
            waited = time.perf_counter() - start
            loaded, found = self._embedded(decoded, device)
        else:
            loaded, found = self._alone(batch["audio"], device)
        reasons = [one.reason for one in loaded]
        for row, embedding in enumerate(found):
            if embedding is not None and not np.isfinite(embedding).all():
                found[row], reasons[row] = None, "the embedding has values that are not finite"
        quality = [None if one.quality is None else one.quality.to_dict() for one in loaded]
        done = [row for row, embedding in enumerate(found) if embedding is not None]
        vectors = np.empty((0, self.model.config.embed_dim), dtype=np.float32)
        if done:
            vectors = np.stack([embedding for embedding in found if embedding is not None])
        model, precision = self.maker.model, self.maker.precision
        made = zip((loaded[row] for row in done), vector_digests(vectors), strict=True)
        origins = [Origin(model, precision, one.source, digest, stat=one.stat) for one, digest in made]
        if self.save is not None:
            measured = {name: row for name, row in zip(batch["id"], quality, strict=True) if row is not None}
            self.save([batch["id"][row] for row in done], vectors, measured, origins)
        told: list[dict[str, str] | None] = [None] * len(rows)
        for row, origin in zip(done, origins, strict=True):
            told[row] = origin._asdict()
        waiting = [waited / len(rows)] * len(rows)
        columns: dict[str, list] = {"embedding": found, "embedding_origin": told, "quality": quality}
        return columns | {"reason": reasons, "waited": waiting}

    def _alone(self, recordings: list, device: torch.device) -> tuple[list[Loaded], list[np.ndarray | None]]:
        """Take each recording from file to embedding on one thread, so that none waits for another.

        What finds no memory beside others is tried again on its own.
        """

        def embed(audio: Any) -> tuple[Loaded, np.ndarray | None]:
            loaded = self._load(audio)
            (told,), (embedding,) = self._embedded([loaded], device)
            return told, embedding

        results = on_threads(embed, recordings)
        for row, (one, _) in enumerate(results):
            if one.starved and len(results) > 1:
                results[row] = embed(recordings[row])
        loaded, embeddings = zip(*results, strict=True)
        return list(loaded), list(embeddings)

    def _decoded(self, rows: list[int], rank: int | None) -> list[Loaded]:
        """Return the recordings of a batch, and start decoding the batch after it."""
        assert self.corpus is not None
        decoding = self._ahead.pop(rows[0], None) or self._decode(rows[0], rows[-1] + 1)
        # Dataset.map gives each process a stretch of successive rows. If the rows do not divide evenly, the first
        # processes get one row more.
        each, more = divmod(len(self.corpus), self.num_proc or 1)
        end = ((rank or 0) + 1) * each + min((rank or 0) + 1, more)
        following = rows[-1] + 1
        if following < end:
            self._ahead[following] = self._decode(following, min(end, following + len(rows)))
        loaded = [wait() for wait in decoding]
        for row, one in enumerate(loaded):
            if one.starved:
                (audio,) = self.corpus[rows[row] : rows[row] + 1]["audio"]
                loaded[row] = self._load(audio)
        return loaded

    def _decode(self, start: int, end: int) -> list[Callable[[], Loaded]]:
        assert self.corpus is not None
        if self._decoding is None:
            if self._by_processes():
                options = (self.extractor, self.min_speech, self.maker.quick)
                self._decoding = ProcessDecoding(self.workers, *options)
            else:
                self._decoding = ThreadDecoding(self.workers, self._load)
        return self._decoding.begin(self.corpus[start:end]["audio"])

    def _by_processes(self) -> bool:
        """Whether other processes decode; a daemon may have none."""
        many = self.corpus is not None and len(self.corpus) >= PROCESSES_FROM * (self.num_proc or 1)
        return many and self.workers > 1 and not multiprocessing.current_process().daemon

    def _load(self, audio: Any) -> Loaded:
        return load_usable(audio, self.extractor, self.min_speech, self.maker.quick)

    def decoded_by(self) -> str:
        """What decodes, with its number."""
        return f"{self.workers} {'processes' if self._by_processes() else 'threads'}"

    def close(self) -> None:
        """End what decodes."""
        if self._decoding is not None:
            self._decoding.close()

    def _embedded(self, loaded: list[Loaded], device: torch.device) -> tuple[list[Loaded], list[np.ndarray | None]]:
        """Embed all recordings that can be used; those that turn out not to be usable are told of."""
        waveforms = [one.samples for one in loaded if one.samples is not None]
        computed = iter(embed_each(self.model, self.extractor, waveforms, device, self.maker.precision))
        found = [None if one.samples is None else next(computed) for one in loaded]
        told = [
            replace(one, samples=None, reason=str(embedding), starved=embedding.starved)
            if isinstance(embedding, AudioError)
            else one
            for one, embedding in zip(loaded, found, strict=True)
        ]
        return told, [None if isinstance(embedding, AudioError) else embedding for embedding in found]

    def _place(self, rank: int | None) -> torch.device:
        device = self.devices[(rank or 0) % len(self.devices)]
        if rank is not None and device.type == "cpu" and self.num_proc:
            torch.set_num_threads(max(1, num_cores() // self.num_proc))
        if self.model.device != device:
            self.model.to(device)
        return device


def _unpickled(arguments: bytes) -> _BatchExtractor:
    import dill

    return _BatchExtractor(*dill.loads(arguments))

"""What `extract` and `binarize` share: computing the missing vectors of a corpus, and reporting what was done."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from balr_hf.cli.parsing import Arguments
from balr_hf.cli.printing import print_json
from balr_hf.data.columns import vector_present
from balr_hf.data.manifests import MANIFEST
from balr_hf.data.origins import Maker
from balr_hf.data.quality import FILE as QUALITY_FILE
from balr_hf.data.reading import open_stream, read_corpus
from balr_hf.data.shards import Shard
from balr_hf.data.skipped import Skipped, warn_skipped, write_skipped
from balr_hf.data.store_base import ComputeVectors, Filled, NoStore
from balr_hf.data.stores import is_dataset_source, open_store
from balr_hf.data.streams import stream_vectors
from balr_hf.errors import ConfigError, name_some
from balr_hf.untrusted import safe_rows

logger = logging.getLogger(__name__)


def run_step(arguments: Arguments, kind: str, needs: str, maker: Maker, compute: ComputeVectors) -> int:
    """Compute the vectors that the corpus `arguments.input` lacks, and save them.

    Args:
        arguments: the command's arguments.
        kind (str): `embedding` or `ba`.
        needs (str): the column that they are computed from.
        maker ([`Maker`]): the model; vectors that another one made are not taken for its own.
        compute: computes the vectors of the recordings that lack one; see [`ComputeVectors`].

    Returns:
        exit status: 1 if no recording has a vector afterwards, else 0.
    """
    if arguments.stream:
        return _stream(arguments, kind, needs, maker, compute)
    shard = Shard.parse(arguments.shard) if arguments.shard else Shard.launched()
    filled = _fill(arguments, kind, needs, maker, compute, shard)
    if shard is not None and shard.is_launched:
        if not shard.wait_for_all():
            return 0
        if arguments.save_output:  # what the others computed is there now
            whole = _fill(arguments, kind, needs, maker, compute, None)
            now = whole.done + whole.before - filled.before
            shard, filled = None, replace(whole, done=now, before=filled.before)
    skipped = [vars(row) for row in filled.skipped]
    where = None if filled.where is None else str(filled.where)
    found = {"recordings": filled.total, "computed": filled.done, "there_already": filled.before}
    saved = {"saved_in": where, "vectors_in": list(filled.vectors_in)}
    print_json(arguments, {"kind": kind, **found, "skipped": skipped, **saved})
    status = _close(kind, filled)
    if shard is not None and arguments.save_output:
        logger.info(
            "This was share %d/%d. When all are done, the same command without --shard puts them together",
            *(shard.index, shard.count),
        )
    return status


def _stream(arguments: Arguments, kind: str, needs: str, maker: Maker, compute: ComputeVectors) -> int:
    """Compute the vectors of a corpus that is read row by row; returns the exit status."""
    without = {"--force": arguments.force, "--shard": arguments.shard, "--balr-format": arguments.balr_format}
    without |= {"--no-save-output": not arguments.save_output, "a launcher": Shard.launched()}
    without |= {f"--save-format {arguments.save_format}": arguments.save_format not in (None, "dataset")}
    given = [name for name, value in without.items() if value]
    if given:
        raise ConfigError(f"--stream goes without {', '.join(given)}: it writes parquet files, one after the other")
    if arguments.save_dir is None:
        raise ConfigError("--stream writes parquet files: say where with --save-dir")
    found = stream_vectors(open_stream(arguments.input), kind, compute, needs, maker, arguments.save_dir)
    present = int(vector_present(found, kind).sum())
    counts = {"recordings": len(found), "with_vectors": present, "saved_in": arguments.save_dir}
    print_json(arguments, {"kind": kind, **counts})
    what = {"embedding": "embeddings", "ba": "binary attributes"}[kind]
    logger.info("%d of %d recordings have %s\nSaved in %s", present, len(found), what, arguments.save_dir)
    return 0 if present else 1


def _fill(
    arguments: Arguments, kind: str, needs: str, maker: Maker, compute: ComputeVectors, shard: Shard | None
) -> Filled:
    """Compute the missing vectors of the corpus, or of a share of it, and keep them."""
    vectors: tuple[str, ...] = ("embedding",) if needs == "embedding" else ()
    if arguments.save_format == "dataset" or not arguments.save_output or is_dataset_source(arguments.input):
        vectors = ("embedding", "ba")
    corpus = read_corpus(
        arguments.input,
        audio_formats=arguments.audio_formats,
        root_dir=arguments.root_dir,
        save_dir=arguments.save_dir,
        vectors=vectors,
    )
    if arguments.save_output:
        store = open_store(
            corpus,
            kind,
            maker,
            save_dir=arguments.save_dir,
            save_format=arguments.save_format,
            balr_format=arguments.balr_format,
        )
    else:
        store = NoStore(corpus, kind, maker)
    return store.fill(compute, needs, arguments.force, shard)


def _close(kind: str, filled: Filled) -> int:
    """Report what was done and which recordings were skipped, and return the exit status."""
    what = {"embedding": "embeddings", "ba": "binary attributes"}[kind]
    logger.info(
        "%d recording%s: %d %s computed, %d there already, %d skipped",
        *(filled.total, "s" * (filled.total != 1), filled.done, what, filled.before, len(filled.skipped)),
    )
    skipped = filled.skipped
    if filled.where is None:
        warn_skipped(skipped, "The run")
    else:
        skipped = _report(filled.where / "skipped.csv", skipped)
        logger.info(_describe_places(filled.where, filled.vectors_in))
    if filled.before and not filled.done and not skipped:
        logger.info("Nothing to do. To compute them again, add --force")
    return 0 if filled.done or filled.before else 1


def _describe_places(where: Path, vectors_in: Sequence[str]) -> str:
    """Say in which folders the vector files are, and where what belongs to all of them is."""
    if all(folder == str(where) for folder in vectors_in):
        return f"Saved in {where}"
    others = [name for name in (QUALITY_FILE, MANIFEST) if (where / name).exists()]
    rest = f", and {' and '.join(others)} in {where}" if others else ""
    return f"Saved vector files beside the recordings in {name_some(vectors_in, 3)}{rest}"


def _report(path: Path, skipped: list[Skipped]) -> list[Skipped]:
    """Name the skipped recordings in messages and in `skipped.csv`, and return them.

    A recording without an embedding gets the reason for which `extract` skipped it, if the file tells.
    """
    earlier = None
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(safe_rows(file))
        if rows[:1] == [["id", "reason"]]:
            earlier = {row[0]: row[1] for row in rows[1:] if len(row) == 2}
    if earlier:
        skipped = [
            Skipped(row.id, f"no embedding ({earlier[row.id]})")
            if row.reason == "no embedding" and not earlier.get(row.id, "no embedding").startswith("no embedding")
            else row
            for row in skipped
        ]
    for row in skipped[:10]:
        logger.warning("  skipped %s: %s", row.id, row.reason)
    if len(skipped) > 10:
        logger.warning("  ... and %d more, all in %s", len(skipped) - 10, path)
    if path.exists() and earlier is None:
        logger.warning("Left %s as it is: it was not written by balr", path)
    elif skipped or earlier is not None:
        write_skipped(path, skipped)
    return skipped

"""`balr push`: a training run, a model, a scorer or a corpus -> the Hub, with its card."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.errors import ConfigError, UserError
from balr_hf.options import option

if TYPE_CHECKING:
    from balr_hf.evaluation import Evaluation

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options:
    """Options of `balr push`."""

    source: str = positional(
        "source", "training run, folder of a model or scorer, or corpus (csv, folder, saved Dataset, parquet file)"
    )
    repo: str = positional("repo", "repository on the Hub (OWNER/NAME), which is created if it does not exist")
    private: bool = option(False, "make the repository private if it is created")
    revision: str | None = option(
        None, "branch to commit to, which is created if it does not exist [default: main]", type=str
    )
    message: str | None = option(None, "message of the commit", type=str)
    results: str | None = option(
        None,
        "for the card: folders of balr score test or balr validate with the results to publish, separated by commas",
        type=str,
    )
    datasets: str | None = option(None, "for the card: Hub ids of the training data, separated by commas", type=str)
    embedder: str | None = option(
        None, "for the card of an autoencoder or a scorer: Hub id of the embedder that it was made for", type=str
    )
    autoencoder: str | None = option(
        None, "for the card of a scorer: Hub id of the autoencoder that it was made for", type=str
    )
    base_models: str | None = option(
        None,
        "for the card: Hub ids of the models whose weights the training started from (fine-tuning), separated by "
        "commas",
        type=str,
    )
    language: str | None = option(
        None, "for the card: codes of the languages of the speech (en, fr, ...), separated by commas", type=str
    )
    license: str | None = option(
        None, "for the card: the licence, as the Hub names it (mit, cc-by-4.0, ...)", type=str
    )
    split: str | None = option(None, "for a corpus: the name of the split that it becomes [default: train]", type=str)
    prepare: str | None = option(
        None,
        "upload nothing; write what would be uploaded of a model, with its card, or the card of a corpus, to this new "
        "folder",
        type=str,
    )


COMMAND = Command(
    "push",
    "Upload a model, a scorer or a corpus to the Hugging Face Hub, with a card that states how it was trained, "
    "calibrated and evaluated. Log in first with `hf auth login`, or set the environment variable HF_TOKEN.",
    Options,
    epilog="""examples:
  balr push runs/train me/attributes --embedder me/embedder --results runs/score
  balr push runs/scorer/train me/scorer --private --embedder me/embedder --autoencoder me/attributes
  balr push --prepare look runs/train me/attributes
  balr push corpus-with-vectors me/corpus --private
  balr push --prepare look corpus-with-vectors me/corpus""",
)


def run(arguments: Arguments) -> None:
    """Upload, or write what would be uploaded."""
    from balr_hf.checkpoints import resolve_checkpoint
    from balr_hf.hub.publishing import prepare_corpus, prepare_model, publish_corpus, publish_model

    source = Path(arguments.source)
    if not source.exists() and source.suffix != ".pt":
        raise UserError(f"no such file or folder: {source}")
    common = {
        "private": arguments.private or None,
        "revision": arguments.revision,
        "commit_message": arguments.message,
    }
    _check_options(arguments, is_model := _is_model(source))
    if not is_model:
        from balr_hf.data.reading import load_corpus

        corpus = load_corpus(arguments.source)
        split = arguments.split or "train"
        stated = {"split": split, "license": arguments.license, "language": _list(arguments.language)}
        if arguments.prepare is not None:
            with _new_folder(arguments.prepare) as folder:
                prepare_corpus(corpus, folder, arguments.repo, **stated)
            whose = "with their audio " if "audio" in corpus.column_names else ""
            logger.info(
                "Would upload %d recordings %sas the split %s, with the card %s/README.md; to a repository that has a "
                "card of yours, only the metadata that it lacks. The upload adds the sizes of its files",
                *(len(corpus), whose, split, arguments.prepare),
            )
            return
        where = publish_corpus(corpus, arguments.repo, **stated, **common)
        logger.info("Uploaded %d recordings: %s", len(corpus), where.commit_url)
        return
    facts = {
        "license": arguments.license,
        "results": [_metrics(path) for path in _list(arguments.results)],
        "datasets": _list(arguments.datasets),
        "language": _list(arguments.language),
        "embedder": arguments.embedder,
        "autoencoder": arguments.autoencoder,
        "base_models": _list(arguments.base_models),
    }
    if arguments.prepare is not None:
        with _new_folder(arguments.prepare) as folder:
            prepare_model(source, folder, arguments.repo, **facts)
        target = Path(arguments.prepare)
        logger.info("Would upload %s", ", ".join(sorted(f"{target}/{path.name}" for path in target.iterdir())))
        return
    logger.info("Uploading %s", resolve_checkpoint(source))
    logger.info("Uploaded: %s", publish_model(source, arguments.repo, **common, **facts).commit_url)


def _check_options(arguments: Arguments, is_model: bool) -> None:
    """Raise a ConfigError for options that are for the card of something else than what is pushed."""
    others = ("split",) if is_model else ("results", "datasets", "embedder", "autoencoder", "base_models")
    given = [f"--{name.replace('_', '-')}" for name in others if getattr(arguments, name) is not None]
    if given:
        what, other = ("a model", "a corpus") if is_model else ("a corpus", "a model")
        raise ConfigError(f"{arguments.source} is {what}, and {', '.join(given)} is for {other}: leave it out")


@contextmanager
def _new_folder(name: str) -> Iterator[Path]:
    """A folder that gets this name when it is whole.

    Raises:
        UserError: there is one already.
    """
    from balr_hf.files import atomic_folder

    if Path(name).exists():
        raise UserError(f"{name} exists already: name a new folder")
    with atomic_folder(Path(name)) as temporary:
        yield temporary


def _is_model(source: Path) -> bool:
    """Whether `source` is a model's folder or a training run; anything else is taken as a corpus."""
    from balr_hf.checkpoints import resolve_checkpoint

    try:
        return (resolve_checkpoint(source) / "config.json").is_file()
    except UserError:
        return False


def _list(text: str | None) -> list[str]:
    """The parts of a text that are separated by commas."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _metrics(path: str) -> "Evaluation":
    """The evaluation that `balr score test` wrote: `metrics.json`, or the folder that has it."""
    import json

    from balr_hf.evaluation import Evaluation

    file = Path(path) / "metrics.json" if Path(path).is_dir() else Path(path)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"no metrics of balr score test at {file} ({error})") from error
    if not isinstance(found, dict) or "trials" not in found:
        raise UserError(f"{file} is not from balr score test")
    return Evaluation.from_dict(found)

"""`balr explain --match`: the scorer calibrated on recordings like those of the case."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balr_hf.cli.parsing import Arguments

if TYPE_CHECKING:
    import datasets
    from transformers import PreTrainedModel

    from balr_hf.matching import Matched
    from balr_hf.scoring.modeling_scorer import Scorer

logger = logging.getLogger(__name__)


def matched_scorer(
    arguments: Arguments,
    scorer: "Scorer",
    quality: "tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]",
    dataset: "datasets.Dataset",
    sides: list[list[str]],
    models: "Mapping[str, PreTrainedModel]",
) -> "Matched":
    """The scorer calibrated on recordings like those of the case.

    Args:
        arguments: the command's arguments, with `match` and `within`.
        scorer: the scorer; it stays as it is.
        quality: what was measured of the recordings of either side.
        dataset: the recordings of the case.
        sides: the ids of either side.
        models: the models that are loaded already, by their roles.

    Raises:
        UserError: a calibration cannot be matched to the case.
        ConfigError: the scorer is not to be calibrated.
    """
    from balr_hf.cli.models import load_autoencoder, load_embedder
    from balr_hf.data.reading import read_corpus
    from balr_hf.data.skipped import warn_skipped
    from balr_hf.errors import ConfigError, MismatchError
    from balr_hf.identity import wrong_parts
    from balr_hf.matching import CaseMatcher
    from balr_hf.matching.copies import cache_folder

    if not arguments.calibrated:
        raise ConfigError("--match calibrates the scorer for the case, and --no-calibrated leaves it uncalibrated")
    embedder: Any = models["Embedder"] if "Embedder" in models else load_embedder(arguments)
    autoencoder: Any = models["Autoencoder"] if "Autoencoder" in models else load_autoencoder(arguments)
    wrong = wrong_parts(embedder, autoencoder, scorer)
    if wrong is not None and not arguments.allow_mismatch:
        raise MismatchError(wrong)
    corpus = read_corpus(
        arguments.match, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir, vectors=()
    )
    warn_skipped(corpus.skipped, f"Reading {arguments.match}")
    matcher = CaseMatcher(
        *(embedder, autoencoder, scorer, corpus.dataset, arguments.match),
        cache=cache_folder(),
        progress=True,
        within=arguments.within,
        across=arguments.across,
    )
    without = speakers_of_the_case(dataset, corpus.dataset)
    if without:
        logger.info("The calibration is matched without the speakers of the case: %s", ", ".join(sorted(without)))
    return matcher.match(quality, (len(sides[0]), len(sides[1])), without)


def speakers_of_the_case(case: "datasets.Dataset", corpus: "datasets.Dataset") -> set[str]:
    """The speakers of a corpus who speak in a case, as far as names and files tell.

    Args:
        case: the recordings of the case, with `audio`, `speaker` or both.
        corpus: a corpus with `speaker`.

    Returns:
        those of the name of a speaker of the case, and those of whom the corpus has a recording of the case: a file
        with the same content, wherever it lies.
    """
    from balr_hf.data.origins import audio_source

    if "speaker" not in corpus.column_names:
        return set()
    names = {str(name) for name in case["speaker"] if name is not None} if "speaker" in case.column_names else set()
    heard = _audio(case)
    sizes, contents = {_size(audio) for audio in heard} - {None}, {audio_source(audio) for audio in heard} - {""}

    def is_of_case(audio: Mapping[str, Any] | None) -> bool:
        return _size(audio) in sizes and audio_source(audio) in contents

    rows = zip(corpus["speaker"], _audio(corpus), strict=True)
    return {
        str(speaker) for speaker, audio in rows if speaker is not None and (str(speaker) in names or is_of_case(audio))
    }


def _audio(dataset: "datasets.Dataset") -> "Sequence[Mapping[str, Any] | None]":
    return list(dataset["audio"]) if "audio" in dataset.column_names else [None] * len(dataset)


def _size(audio: Mapping[str, Any] | None) -> int | None:
    """Of how many bytes a recording is; None where there is none."""
    content, path = (None, None) if audio is None else (audio.get("bytes"), audio.get("path"))
    if content is not None:
        return len(content)
    try:
        return None if path is None else Path(path).stat().st_size
    except OSError:
        return None

"""`balr explain --match`: the scorer calibrated on recordings like those of the case."""

import logging
from collections.abc import Mapping
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
        arguments: the command's arguments, with `match`, `match_a`, `match_b`, `match_cache`, `within` and
            `across`.
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
        cache=cache_folder() if arguments.match_cache else None,
        progress=True,
        within=arguments.within,
        across=arguments.across,
        for_a=arguments.match_a,
        for_b=arguments.match_b,
    )
    heard = list(dataset["audio"]) if "audio" in dataset.column_names else []
    names = {str(name) for name in dataset["speaker"] if name is not None} if "speaker" in dataset.column_names else ()
    without = matcher.speakers_of(heard, names)
    if without:
        logger.info("The calibration is matched without the speakers of the case: %s", ", ".join(sorted(without)))
    return matcher.match(quality, (len(sides[0]), len(sides[1])), without)

"""`balr score train`: fits a scorer to a reference population."""

import logging
from dataclasses import dataclass

from balr_hf.cli.models import check_attributes, scorer_configuration, scorer_name
from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.printing import print_json
from balr_hf.cli.sections import SCORER, RunOptions, mismatch_option

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options(RunOptions):
    """Options of `balr score train`."""

    allow_mismatch: bool = mismatch_option()

    train: str = positional(
        "train",
        "reference population: a corpus (csv, folder, saved Dataset, parquet file, Hub dataset) with attributes and "
        "speakers",
    )


COMMAND = Command(
    "score train",
    "Fit a scorer to a reference population, the speakers from whom it learns how much evidence each attribute "
    "carries. The scorer is saved to runs/scorer/train, runs/scorer/train2, ...",
    Options,
    [SCORER],
    epilog="""examples:
  balr score train train.csv
  balr score train --save-dir scorer train.csv scorer=beta scorer.n_iterations=50""",
)


def run(arguments: Arguments) -> None:
    """Fit a scorer and save it."""
    from balr_hf.data.audio_behind import describe_contradicted_speakers
    from balr_hf.data.reading import read_corpus
    from balr_hf.data.skipped import warn_skipped
    from balr_hf.devices import resolve_devices
    from balr_hf.errors import ConfigError
    from balr_hf.files import added_to_folder, new_run_folder
    from balr_hf.scoring.auto import build_scorer
    from balr_hf.scoring.counts import speaker_counts

    settings = arguments.section("scorer")
    if settings.checkpoint_path is not None:
        raise ConfigError(
            f"scorer.checkpoint_path={settings.checkpoint_path}: score train fits a new scorer, and reads none; "
            "--save-dir says where it is saved"
        )
    device = resolve_devices(arguments.device)[0]
    name = scorer_name(arguments) or "beta"
    if name == "cosine":
        raise ConfigError(
            "scorer=cosine needs no reference population: balr score test takes it as it is, and balr score calibrate "
            "scorer=cosine --save-dir DIR calibrates it"
        )
    configuration = scorer_configuration(arguments, name)
    corpus = read_corpus(
        arguments.train, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir, vectors=("ba",)
    )
    warn_skipped(corpus.skipped, f"Reading {arguments.train}")
    check_attributes(arguments, corpus.dataset, None)
    wrong = describe_contradicted_speakers(corpus.dataset)
    if wrong is not None:
        logger.warning("%s. The scorer takes each for what it is said to be", wrong)
    counts, speakers = speaker_counts(corpus.dataset)
    if settings.n_attributes not in (None, counts.shape[1]):
        raise ConfigError(
            f"scorer.n_attributes={settings.n_attributes}, but the corpus has {counts.shape[1]} attributes"
        )
    scorer = build_scorer(name, num_attributes=counts.shape[1], **configuration)
    scorer.to(device).fit(counts, speakers)  # type: ignore[arg-type]  # transformers wraps `to` wrongly
    scorer.describe_reference(corpus.dataset)
    folder = new_run_folder(arguments.save_dir, "runs/scorer/train", arguments.exist_ok)
    with added_to_folder(folder) as temporary:
        scorer.to("cpu").save_pretrained(temporary)  # type: ignore[arg-type]  # as above
    fitted = {
        "scorer": type(scorer).__name__,
        "speakers": len(speakers),
        "recordings": int(counts[:, 0].sum()),
        "attributes": counts.shape[1],
        "uninformative_attributes": scorer.config.num_uninformative,
    }
    print_json(arguments, {**fitted, "saved_in": str(folder)})
    logger.info(
        "Fitted to %d speakers, %d recordings; %d of %d attributes carry evidence. Saved in %s",
        len(speakers),
        int(counts[:, 0].sum()),
        counts.shape[1] - scorer.config.num_uninformative,
        counts.shape[1],
        folder,
    )

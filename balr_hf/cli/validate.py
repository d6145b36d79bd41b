"""`balr validate`: validates a whole system on a test corpus, and writes the report."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from balr_hf.cli.models import describe_trials, keep_chosen, separator
from balr_hf.cli.parsing import Arguments, Command, names, positional
from balr_hf.cli.printing import print_json
from balr_hf.cli.sections import MADE_TRIALS_HELP, TRIALS_HELP, TrialOptions, bootstrap_option
from balr_hf.options import option

if TYPE_CHECKING:
    import datasets

    from balr_hf.scoring.trials import Trials
    from balr_hf.system.modeling_system import SpeakerComparisonModel
    from balr_hf.validation import Validation

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options(TrialOptions):
    """Options of `balr validate`."""

    system: str = positional("system", "folder or Hub repository of a whole system (see balr assemble), calibrated")
    corpus: str = positional(
        "corpus", "test corpus that names the speakers; embeddings and attributes that it lacks are computed"
    )
    trials: str = positional(
        "trials",
        f"{TRIALS_HELP}. {MADE_TRIALS_HELP}",
    )
    adequate: str = option(
        "",
        "the largest values that you accept, stated before you see the figures, e.g. cllr=0.5,eer=0.1; of cllr, "
        "cllr_min, cllr_cal, eer, devpav, misleading_same and misleading_different (rates between 0 and 1)",
        type=str,
        pairs=True,
    )
    by: tuple[str, ...] = option(
        (),
        "columns of the corpus to break the trials down by, separated by commas, beside sex, session, channel, "
        "language, source and condition",
        type=names,
    )
    worst: int = option(10, "how many of the most misleading trials of each kind are listed", type=int, least=0)
    explanations: int = option(
        0,
        "how many of these, of each kind, get a page that explains them, which the report links to",
        type=int,
        least=0,
    )
    bootstrap: int = bootstrap_option()


COMMAND = Command(
    "validate",
    "Validate a whole system on a test corpus of other speakers. The report (report.html, which prints on A4, and "
    "report.txt), metrics.json and scores.csv go to runs/validate, runs/validate2, ... The likelihood ratios are "
    "those that the system reports, within its bounds.",
    Options,
    epilog="""examples:
  balr validate systems/mine test.csv trials.csv
  balr validate systems/mine test.csv 1x1 --adequate cllr=0.5,eer=0.1 --explanations 3
  balr push systems/mine me/system --results runs/validate""",
)


def run(arguments: Arguments) -> None:
    """Validate, and save the report."""
    from balr_hf.errors import ConfigError
    from balr_hf.files import new_run_folder
    from balr_hf.identity import file_digest
    from balr_hf.scoring.trials import side_speakers
    from balr_hf.system.modeling_system import SpeakerComparisonModel
    from balr_hf.validation import validate
    from balr_hf.validation.adequacy import parse_thresholds

    thresholds = parse_thresholds(arguments.adequate)
    if arguments.explanations > arguments.worst:
        raise ConfigError(
            f"--explanations {arguments.explanations}, but only {arguments.worst} trials of each kind are listed: "
            "give --worst as many"
        )
    system = SpeakerComparisonModel.from_pretrained(arguments.system)
    dataset, trials = _read(arguments)
    if arguments.within is not None or arguments.across is not None:
        trials = keep_chosen(arguments, dataset, trials, side_speakers(dataset, trials.sides))
    dataset, trials = _with_attributes(arguments, system, dataset, trials)
    found = validate(
        *(system, dataset, trials),
        corpus=arguments.corpus,
        corpus_sha256=file_digest(arguments.corpus) if Path(arguments.corpus).is_file() else None,
        hub_id=None if Path(arguments.corpus).exists() else arguments.corpus,
        trial_list=describe_trials(arguments, trials),
        trial_list_sha256=file_digest(arguments.trials) if Path(arguments.trials).is_file() else None,
        thresholds=thresholds,
        by=arguments.by,
        worst=arguments.worst,
        draws=arguments.bootstrap,
        allow_overlap=arguments.allow_overlap,
        allow_mismatch=arguments.allow_mismatch,
        progress=True,
    )
    folder = new_run_folder(arguments.save_dir, "runs/validate", arguments.exist_ok)
    found = _explained(arguments.explanations, folder, system, dataset, trials, found)
    metrics = found.save(folder, trials, separator(arguments))
    print_json(arguments, {**metrics, "saved_in": str(folder)})
    adequacy = "\n".join(f"  {criterion.describe()}" for criterion in found.adequacy)
    logger.info(
        "%s\n%s%s\nWrote %s",
        *(
            found.evaluation.describe(),
            found.describe_adequacy(),
            adequacy and f"\n{adequacy}",
            folder / "report.html",
        ),
    )


def _read(arguments: Arguments) -> "tuple[datasets.Dataset, Trials]":
    """The trials, and the recordings of the corpus that are in them."""
    import numpy as np

    from balr_hf.data.columns import comparable_name, recording_ids
    from balr_hf.data.reading import read_corpus
    from balr_hf.data.skipped import warn_skipped
    from balr_hf.errors import UserError, name_some
    from balr_hf.scoring.listed_ids import leave_out_missing, match_ids
    from balr_hf.scoring.made_trials import make_trials, parse_numbers
    from balr_hf.scoring.trial_lists import IF_SKIPPED, LEAVE_OUT, read_trials

    corpus = read_corpus(arguments.corpus, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir)
    warn_skipped(corpus.skipped, f"Reading {arguments.corpus}")
    numbers = None if Path(arguments.trials).exists() else parse_numbers(arguments.trials)
    if numbers is None:
        trials = read_trials(arguments.trials, separator(arguments))
    else:
        trials = make_trials(corpus.dataset, *numbers)
        logger.info("Made %d trials, recordings a side: %d and %d", len(trials), *numbers)
    trials = match_ids(corpus.dataset, trials)
    ids = [comparable_name(name) for name in recording_ids(corpus.dataset)]
    if arguments.leave_out_missing:
        trials = leave_out_missing(trials, ids)
    wanted = {comparable_name(name) for side in trials.sides for name in side}
    lacking = sorted(wanted - set(ids))
    if lacking:
        raise UserError(
            f"the trial list names recordings that are not in the corpus. {LEAVE_OUT}: {name_some(lacking, 20)}. The "
            f"ids of the corpus are such as {ids[0]}. {IF_SKIPPED}"
        )
    rows = [row for row, name in enumerate(ids) if name in wanted]
    return corpus.dataset.select(np.array(rows, dtype=np.int64)), trials


def _with_attributes(
    arguments: Arguments, system: "SpeakerComparisonModel", dataset: "datasets.Dataset", trials: "Trials"
) -> "tuple[datasets.Dataset, Trials]":
    """The recordings with their attributes; those that they lack are computed, and what is in them is measured.

    Returns:
        `(dataset, trials)`: with `--leave-out-missing`, without the trials of recordings that lack attributes then.

    Raises:
        UserError: attributes cannot be computed.
    """
    from balr_hf.attributes.binarization import compute_binary_attributes
    from balr_hf.data.columns import recording_ids, vector_present
    from balr_hf.data.skipped import Skipped, warn_skipped
    from balr_hf.devices import resolve_devices
    from balr_hf.embeddings.extraction import compute_embeddings
    from balr_hf.errors import UserError, name_some
    from balr_hf.scoring.listed_ids import leave_out_missing
    from balr_hf.scoring.trial_lists import IF_SKIPPED, LEAVE_OUT

    devices = resolve_devices(arguments.device)
    system.scorer.to(devices[0])  # type: ignore[arg-type]  # transformers wraps `to` wrongly
    if vector_present(dataset, "ba").all():
        return dataset, trials
    skipped: list[Skipped] = []
    if not vector_present(dataset, "embedding").all():
        dataset, skipped = compute_embeddings(system.embedder, dataset, devices=devices)
    if not skipped or arguments.leave_out_missing:
        earlier = {row.id for row in skipped}  # binarization says of these only that they have no embedding
        dataset, found = compute_binary_attributes(
            system.autoencoder, dataset, device=devices[0], allow_mismatch=arguments.allow_mismatch
        )
        skipped += [row for row in found if row.id not in earlier]
    if not skipped:
        return dataset, trials
    if not arguments.leave_out_missing:
        reasons = name_some((f"{row.id}: {row.reason}" for row in skipped), 20)
        raise UserError(
            f"recordings of the trials have no attributes, and none can be computed. {LEAVE_OUT}: {reasons}. "
            f"{IF_SKIPPED}"
        )
    warn_skipped(skipped, "Computing attributes")
    present = zip(recording_ids(dataset), vector_present(dataset, "ba"), strict=True)
    return dataset, leave_out_missing(trials, [name for name, has_attributes in present if has_attributes])


def _explained(
    number: int,
    folder: Path,
    system: "SpeakerComparisonModel",
    dataset: "datasets.Dataset",
    trials: "Trials",
    found: "Validation",
) -> "Validation":
    """Write a page for so many of the worst trials of each kind, and link to them."""
    from balr_hf.data.columns import comparable_name, rows_of
    from balr_hf.data.origins import vector_origins
    from balr_hf.data.quality import quality_by_name
    from balr_hf.data.recording_digests import recording_digests
    from balr_hf.explanation.case import computation
    from balr_hf.explanation.cautions import known_recordings, known_speakers
    from balr_hf.files import atomic_path
    from balr_hf.scoring.trials import side_counts
    from balr_hf.training.trained_speakers import people_trained_on

    known, wrong = quality_by_name(dataset), found.evaluation.mismatch
    row_of = rows_of(dataset, trials.sides)
    models = {"Embedder": system.embedder, "Autoencoder": system.autoencoder, "Scorer": system.scorer}
    details = (
        people_trained_on(system.scorer, system.autoencoder),
        *computation(models, vector_origins(dataset, "embedding").field("precision").to_pylist()),
    )
    linked = []
    for kind in (True, False):
        for rank, trial in enumerate([trial for trial in found.worst if trial.same == kind], 1):
            if rank > number:
                linked.append(trial)
                continue
            sides = [trials.sides[numbers[trial.number]] for numbers in (trials.enroll, trials.test)]
            names = [name for side in sides for name in side]
            heard = [row_of[comparable_name(name)] for name in names]
            rows = [[known.get(comparable_name(name)) for name in side] for side in sides]
            truth = "of one speaker" if kind else "of two speakers"
            explanation = system.scorer.explain(
                *side_counts(dataset, sides),
                names=trial.sides,
                speakers=trial.speakers,
                remarks=(
                    f"This is a trial of a validation. In truth the recordings are {truth}.",
                    *wrong,
                    *known_recordings(system.scorer, names, recording_digests(dataset.select(heard))),
                    *known_speakers(system.scorer, trial.speakers),
                ),
                quality=tuple([row for row in side if row is not None] for side in rows),
                demonstration=found.demonstration,
                details=details,
                descriptions=None if wrong else system.descriptions,
            )
            address = f"explanations/{'same' if kind else 'different'}-{rank}.html"
            (folder / "explanations").mkdir(exist_ok=True)
            with atomic_path(folder / address) as temporary:
                temporary.write_text(explanation.to_html(), encoding="utf-8")
            linked.append(replace(trial, explanation=address))
    return replace(found, worst=tuple(linked))

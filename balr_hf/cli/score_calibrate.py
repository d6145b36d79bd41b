"""`balr score calibrate`: calibrates a scorer on trials of speakers to whom nothing else was fitted."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balr_hf.cli.models import check_attributes, keep_chosen, load_named_scorer, read_trial_counts
from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.printing import print_json
from balr_hf.cli.sections import MADE_TRIALS_HELP, SCORER, TRIALS_HELP, TrialOptions
from balr_hf.options import option

if TYPE_CHECKING:
    import datasets
    import numpy as np

    from balr_hf.scoring.calibration import Calibration
    from balr_hf.scoring.modeling_scorer import Scorer
    from balr_hf.scoring.trials import Trials

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options(TrialOptions):
    """Options of `balr score calibrate`."""

    dev: str = positional(
        "dev", "corpus with binary attributes and speakers; no speaker may be in the scorer's reference population"
    )
    trials: str = positional(
        "trials",
        f"{TRIALS_HELP}. {MADE_TRIALS_HELP}, in each pair of its conditions (see balr degrade)",
    )
    method: str = option(
        "affine",
        "affine (one factor and an offset), fusion (one weight per attribute and an offset; needs many speakers), or "
        "quality (affine, and a term for each of speech, noise, bandwidth and recordings a side; for several "
        "conditions)",
        type=str,
        among=("affine", "fusion", "quality"),
    )
    folds: int | None = option(
        None,
        "also tell what cross-validation with this many folds of speakers shows, which is what to expect of new ones: "
        "at least 3, since trials between two folds leave both out; more folds leave more speakers to fit on. Bounds, "
        "and the figures of reports, are then of as many folds [default: of 5]",
        type=int,
        least=3,
    )
    describe: str | None = option(
        None, "kind of speech in the trials, e.g. 'telephone, German'; explanations and model cards state it", type=str
    )


COMMAND = Command(
    "score calibrate",
    "Calibrate a scorer, so that its scores can be read as likelihood ratios. The calibration is saved in the "
    "scorer's folder, and balr score test and balr explain apply it. With --save-dir, or if the scorer is not in a "
    "folder of yours, a calibrated copy is saved instead (runs/scorer/calibrated, runs/scorer/calibrated2, ...).",
    Options,
    [SCORER],
    epilog="""examples:
  balr score calibrate dev.csv trials.csv scorer.checkpoint_path=runs/scorer/train
  balr score calibrate dev.csv trials.csv scorer.checkpoint_path=runs/scorer/train --folds 5
  balr score calibrate --within sex dev.csv 1x1 scorer.checkpoint_path=runs/scorer/train
  balr score calibrate --method quality degraded.csv 1x1 scorer.checkpoint_path=runs/scorer/train
  balr score calibrate --method fusion --save-dir fused dev.csv trials.csv scorer.checkpoint_path=runs/scorer/train""",
)


def run(arguments: Arguments) -> None:
    """Calibrate a scorer and save it."""
    from balr_hf.data.belonging import PRECISION, chain_of
    from balr_hf.domain import ACROSS, describe_sessions
    from balr_hf.errors import UserError
    from balr_hf.explanation.cautions import unknown_people
    from balr_hf.scoring.breakdown import describe_easy_trials
    from balr_hf.scoring.calibration import cross_calibrated, fit_calibration
    from balr_hf.scoring.distinct_trials import check_labels, check_speakers_of_audio, counted_once
    from balr_hf.scoring.made_trials import trial_conditions
    from balr_hf.scoring.overlap import overlaps
    from balr_hf.scoring.trials import side_speakers
    from balr_hf.training.trained_speakers import describe_embedder_trained_on

    dataset, trials, side_counts = read_trial_counts(arguments, arguments.dev)
    counts = side_counts.of(slice(None))
    names = side_speakers(dataset, trials.sides)
    if names is None:
        raise UserError(
            f"{arguments.dev} must name the speaker of every recording in the trials, because a calibration is "
            "fitted to same-speaker and different-speaker trials"
        )
    scorer = load_named_scorer(arguments, counts.shape[1])
    check_attributes(arguments, dataset, scorer)
    known = overlaps(scorer, dataset, trials.sides, names)["reference"]
    for text in unknown_people(scorer, ("reference",)):
        logger.warning("%s", text)
    if known and not arguments.allow_overlap:
        raise UserError(
            f"In the scorer's reference population: {known.describe('of the trials')}. So their LLRs are not those of "
            f"new speakers. {known.remedy}"
        )
    chain = chain_of(dataset, scorer)
    trained = describe_embedder_trained_on(chain.get("embedder"), names, "of the speakers")
    if trained is not None:
        logger.warning(
            "%s: it tells them apart better than new speakers, so that the calibration promises too much", trained
        )
    trials = keep_chosen(arguments, dataset, trials, names)
    check_speakers_of_audio(dataset, trials)
    once = counted_once(dataset, trials, scorer, counts)
    trials = trials if once is None else trials.select(once)
    enroll, test = names[trials.enroll], names[trials.test]
    check_labels(trials, enroll == test)
    easy = describe_easy_trials(dataset, trials, enroll == test)
    if easy is not None:
        logger.warning(easy)
    quality = conditions = None
    if arguments.method == "quality":
        measured = _measured(dataset, trials)
        quality, conditions = (measured, measured), trial_conditions(dataset, trials)
    evidence, labels, speakers = scorer.calibration_evidence(
        counts, counts, enroll == test, arguments.method, (enroll, test), trials, progress=True, quality=quality
    )
    assert speakers is not None  # since they were given
    unit = scorer.score_unit
    crossed = None
    if arguments.folds is not None:
        crossed = cross_calibrated(
            *(evidence, labels, speakers, arguments.method, arguments.folds),
            unit=unit,
            progress=True,
            conditions=conditions,
        )
    calibration = fit_calibration(
        evidence, labels, arguments.method, speakers, unit=unit, conditions=conditions, crossed=crossed
    )
    report, text = _report(calibration, evidence, labels, crossed, arguments.folds)
    scorer.set_calibration(calibration).to("cpu")  # type: ignore[arg-type]  # transformers wraps `to` wrongly
    used = trials.without_unused_sides()  # which --within and --across leave
    scorer.describe_calibration(dataset, used.sides, (used.enroll, used.test))
    sessions = describe_sessions((scorer.config.calibration or {}).get("domain"))
    if sessions is not None:
        logger.warning("%s. %s", sessions, ACROSS)
    precision = chain.get("precision", PRECISION)
    told = {"speech": arguments.describe, "within": arguments.within, "across": arguments.across}
    told["precision"] = None if precision == PRECISION else precision
    scorer.config.calibration = {
        **(scorer.config.calibration or {}),
        **{name: value for name, value in told.items() if value},
    }
    folder = _save(arguments, scorer, report)
    print_json(arguments, {**report, "saved_in": str(folder)})
    logger.info("%s\nSaved in %s", text, folder)


def _report(
    calibration: "Calibration",
    evidence: "np.ndarray",
    labels: "np.ndarray",
    crossed: "np.ndarray | None",
    folds: int | None,
) -> tuple[dict[str, Any], str]:
    """What is said of a calibration: its figures before and after it, and cross-validated if it was; and a text.

    Args:
        calibration: the calibration.
        evidence, labels: what it was fitted to.
        crossed (`(trials,)`, *optional*): the natural-log LRs of cross-validation.
        folds (int, *optional*): in how many folds that was.
    """
    from balr_hf.explanation.wording import FEW_SPEAKERS, describe_amount, fewest_speakers
    from balr_hf.metrics import compute_metrics

    report = calibration.describe()
    raw = evidence if evidence.ndim == 1 else evidence[:, 0] if calibration.method == "quality" else evidence.sum(1)
    before, after = compute_metrics(raw, labels), compute_metrics(calibration.apply(evidence), labels)
    text = f"Calibrated ({calibration.method}) on {describe_amount(report)}"
    text += f"\nCllr on these very trials: {before['cllr']:.3f} raw, {after['cllr']:.3f} calibrated"
    report |= {"raw": before, "calibrated": after}
    if crossed is not None:
        validated = compute_metrics(crossed, labels)
        report["cross_validated"] = {"folds": folds, **validated}
        text += f", {validated['cllr']:.3f} cross-validated by speaker ({folds} folds)"
    elif fewest_speakers(report) < FEW_SPEAKERS:
        text += "; --folds 5 shows what to expect of new speakers"
    return report, text


def _measured(dataset: "datasets.Dataset", trials: "Trials") -> "np.ndarray":
    """What was measured of the sides.

    Raises:
        UserError: that is not known of some.
    """
    from balr_hf.errors import UserError, name_some
    from balr_hf.scoring.quality_measures import sides_quality, unknown_sides

    quality = sides_quality(dataset, trials.sides)
    unknown = [
        name_some(side, 3) for side, missing in zip(trials.sides, unknown_sides(quality), strict=True) if missing
    ]
    if unknown:
        raise UserError(
            f"--method quality needs what is in every recording, and of {len(unknown)} of {len(trials.sides)} sides "
            f"that is not known: {name_some(unknown)}. balr extract --force measures what it extracts"
        )
    return quality


def _save(arguments: Arguments, scorer: "Scorer", report: dict[str, Any]) -> Path:
    """Save the scorer in the folder that it came from; in a new one if it came from none, or if --save-dir names one.

    Returns:
        the folder.
    """
    from balr_hf.checkpoints import resolve_checkpoint
    from balr_hf.files import changed_folder, new_run_folder, write_json

    source = arguments.section("scorer").checkpoint_path
    source = None if source is None else resolve_checkpoint(source)
    if arguments.save_dir is None and source is not None and source.is_dir():
        folder = source
    else:
        folder = new_run_folder(arguments.save_dir, "runs/scorer/calibrated", arguments.exist_ok)
    with changed_folder(folder) as temporary:
        scorer.save_pretrained(temporary)
        write_json(temporary / "calibration.json", report)
    return folder

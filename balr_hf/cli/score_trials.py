"""`balr score test`: scores a list of trials and evaluates it."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balr_hf.cli.models import (
    check_attributes,
    describe_trials,
    keep_chosen,
    load_named_scorer,
    read_trial_counts,
    separator,
)
from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.printing import print_json
from balr_hf.cli.sections import MADE_TRIALS_HELP, SCORER, TRIALS_HELP, TrialOptions, bootstrap_option, system_option
from balr_hf.options import option

if TYPE_CHECKING:
    import datasets
    import numpy as np

    from balr_hf.evaluation import Evaluation
    from balr_hf.scoring.counts import SideCounts
    from balr_hf.scoring.modeling_scorer import Scorer
    from balr_hf.scoring.overlap import Overlap
    from balr_hf.scoring.trials import Trials

logger = logging.getLogger(__name__)

# Columns of scores.csv that a DET plot shows beside the scores, and what they are called there.
OTHER_SCORES = {"embedding_cosine": "cosine of the embeddings"}


@dataclass(kw_only=True)
class Options(TrialOptions):
    """Options of `balr score test`."""

    test: str = positional("test", "corpus with binary attributes; if it names the speakers, the scores are evaluated")
    trials: str = positional("trials", f"{TRIALS_HELP}. {MADE_TRIALS_HELP}")
    system: str | None = system_option()
    calibrated: bool = option(True, "apply the scorer's calibration, if it has one")
    bootstrap: int = bootstrap_option()
    by: str | None = option(
        None, "column of the corpus (sex, channel, ...) by whose values the evaluation is also broken down", type=str
    )
    plots: bool = option(False, "also draw Tippett, ECE, PAV, DET and attribute plots (PNG and SVG)")


COMMAND = Command(
    "score test",
    "Score a list of trials, that is pairs of recordings, and evaluate the scores. scores.csv and metrics.json go to "
    "runs/score, runs/score2, ... The scores are natural-log likelihood ratios if the scorer is calibrated; raw "
    "scores are not likelihood ratios. Unlike those of balr explain and balr validate, they are not held within the "
    "calibration's bounds; the evaluation also says what Cllr is within these.",
    Options,
    [SCORER],
    epilog="""examples:
  balr score test test.csv trials.csv
  balr score test --plots test.csv trials.csv scorer.checkpoint_path=runs/scorer/train
  balr score test test.csv 1x1 scorer=cosine""",
)


@dataclass(frozen=True)
class Scored:
    """Trials with their scores.

    Attributes:
        trials ([`Trials`]): the trials.
        columns (dict): the scores, each `(trials,)`, by the names of their columns in scores.csv.
        speakers (two int `(trials,)`, *optional*): numbers that stand for the speakers of the two sides; None where
            not all are known.
    """

    trials: "Trials"
    columns: "dict[str, np.ndarray]"
    speakers: "tuple[np.ndarray, np.ndarray] | None"

    @property
    def labels(self) -> "np.ndarray | None":
        """Which trials are of one speaker, bool `(trials,)`; None where the speakers are not known."""
        return None if self.speakers is None else self.speakers[0] == self.speakers[1]

    def select(self, kept: "np.ndarray") -> "Scored":
        """Keep the trials at some positions, int `(kept,)`."""
        columns = {name: values[kept] for name, values in self.columns.items()}
        speakers = None if self.speakers is None else (self.speakers[0][kept], self.speakers[1][kept])
        return Scored(self.trials.select(kept), columns, speakers)

    def evaluate(self, **about: Any) -> "Evaluation":
        """Evaluate the scores; keywords as for [`Evaluation.of`]."""
        from balr_hf.evaluation import Evaluation

        raw, cosines = self.columns.get("raw_scores"), self.columns.get("embedding_cosine")
        return Evaluation.of(self.columns["scores"], self.labels, self.speakers, raw=raw, cosines=cosines, **about)


def run(arguments: Arguments) -> None:
    """Score the trials, evaluate the scores, and save both."""
    import numpy as np

    from balr_hf.data.audio_behind import describe_contradicted_speakers
    from balr_hf.data.belonging import chain_of, describe_precision
    from balr_hf.explanation.case import run_facts
    from balr_hf.explanation.cautions import unknown_people
    from balr_hf.files import new_run_folder, write_json
    from balr_hf.identity import file_digest, model_digest
    from balr_hf.scoring.breakdown import describe_easy_trials, groups, outside_calibration, side_values
    from balr_hf.scoring.distinct_trials import counted_once, describe_contradicted_labels
    from balr_hf.scoring.overlap import known_lists, overlaps
    from balr_hf.scoring.quality_measures import sides_quality
    from balr_hf.scoring.trials import side_speakers, write_scores

    dataset, trials, counts = read_trial_counts(arguments, arguments.test)
    scorer = load_named_scorer(arguments, counts.shape[1])
    wrong = check_attributes(arguments, dataset, scorer)
    names = side_speakers(dataset, trials.sides)
    contradicted = describe_contradicted_speakers(dataset, {name for side in trials.sides for name in side})
    if contradicted is not None:
        logger.warning("%s. The evaluation is wrong where the names are", contradicted)
    trials = keep_chosen(arguments, dataset, trials, names)
    known_to_scorer = overlaps(scorer, dataset, trials.sides, names)
    for text in unknown_people(scorer):
        logger.warning("%s", text)
    calibrated = _applies_calibration(arguments, scorer, known_to_scorer)
    quality = sides_quality(dataset, trials.sides) if calibrated and scorer.needs_quality else None
    columns = _score(scorer, counts, trials, calibrated, quality)
    if columns is None:  # the first process goes on with what all have scored
        return

    folder = new_run_folder(arguments.save_dir, "runs/score", arguments.exist_ok)
    calibration = scorer.config.calibration if calibrated else None
    activation = scorer.activation.cpu().numpy()
    outside = outside_calibration(scorer.config, activation, dataset, trials.sides, counts) if calibrated else None
    measured = outside if outside is not None and outside.measured.any() else None
    chain = chain_of(dataset, scorer)
    precision = describe_precision(chain, calibration)
    if precision is not None:
        logger.warning(precision)
    cosines = None if names is None else _embedding_cosines(dataset, trials)
    columns |= {} if cosines is None else {"embedding_cosine": cosines}
    codes = {} if measured is None else {"outside": measured.codes(trials)}
    write_scores(folder / "scores.csv", trials, columns | codes, separator(arguments))
    scored = Scored(trials, columns, None if names is None else _numbered(names, trials))
    once = None if names is None else counted_once(dataset, trials, scorer, counts)
    if once is not None:  # all that is listed has a score, and each pair of sides is evaluated once
        scored = scored.select(once)
    trials, labels = scored.trials, scored.labels
    contradicted = None if labels is None else describe_contradicted_labels(trials, labels)
    if contradicted is not None:
        logger.warning("%s. Each such label is wrong, or the corpus is: the metrics go by the corpus", contradicted)
    easy = None if labels is None else describe_easy_trials(dataset, trials, labels)
    if easy is not None:
        logger.warning(easy)
    kind = {"resamples": arguments.bootstrap, "scorer": type(scorer).__name__, "calibration": calibration}
    evaluation = scored.evaluate(
        **kind,
        progress=True,
        within=None if measured is None else measured.within(trials),
        domain=None if outside is None else outside.count(trials),
        corpus={"name": arguments.test, "hub_id": None if Path(arguments.test).exists() else arguments.test},
        trial_list=describe_trials(arguments, trials),
        scorer_digest=model_digest(scorer),
        chain=chain,
        mismatch=wrong,
        computation=run_facts(),
    )
    told = [text for text in (contradicted, easy, precision) if text is not None]
    if not calibrated:
        though = ", though the scorer is calibrated" if scorer.is_calibrated else ""
        told.insert(0, f"The scores are raw, and no likelihood ratios{though}.")
        logger.warning("%s", told[0])
    metrics = evaluation.to_dict() | {
        "cautions": told,
        **known_lists(known_to_scorer),
        "scores_sha256": file_digest(folder / "scores.csv"),
    }
    parts = {}
    if arguments.by is not None:
        for name, chosen in groups(trials, side_values(dataset, trials.sides, arguments.by)):
            kept = np.flatnonzero(chosen)
            parts[name] = kept, scored.select(kept).evaluate(**kind)
        metrics["by"] = {"column": arguments.by, "groups": {name: part.to_dict() for name, (_, part) in parts.items()}}
    write_json(folder / "metrics.json", metrics)
    if arguments.plots:
        _draw(folder / "plots", evaluation, scorer, counts, scored, quality)
        for name, (kept, part) in parts.items():
            if part.note is None:
                place = folder / "plots" / arguments.by / re.sub(r"\W+", "-", name)
                _draw(place, part, scorer, counts, scored.select(kept), quality)
    print_json(arguments, {**metrics, "saved_in": str(folder)})
    texts = [
        evaluation.describe(),
        *(f"{arguments.by} {name}: {part.describe()}" for name, (_, part) in parts.items()),
    ]
    logger.info("%s\nSaved in %s", "\n".join(texts), folder)


def _score(
    scorer: "Scorer", counts: "SideCounts", trials: "Trials", calibrated: bool, quality: "np.ndarray | None"
) -> "dict[str, np.ndarray] | None":
    """The columns of scores of scores.csv, each `(trials,)`; None in all but the first of several processes."""
    import numpy as np

    from balr_hf.data.shards import Shard
    from balr_hf.scoring.trials import score_trials

    shard = Shard.launched()
    raw = scores = score_trials(scorer, counts, trials, progress=True, shard=shard)
    if calibrated:
        scores = score_trials(scorer, counts, trials, calibrated=True, progress=True, quality=quality, shard=shard)
    if shard is not None:
        shares = shard.gather(np.stack([raw, scores]))
        if shares is None:
            return None
        raw, scores = np.nansum(shares, axis=0)
    return {"scores": scores, "raw_scores": raw} if calibrated else {"scores": raw}


def _numbered(names: "np.ndarray", trials: "Trials") -> "tuple[np.ndarray, np.ndarray]":
    """Numbers, in the order of the names, that stand for the speakers of each trial: less memory than the names."""
    import numpy as np

    numbers = np.unique(names, return_inverse=True)[1].astype(np.int32)
    return numbers[trials.enroll], numbers[trials.test]


def _applies_calibration(arguments: Arguments, scorer: "Scorer", known_to_scorer: "dict[str, Overlap]") -> bool:
    """Whether to calibrate the scores; warns if the scorer was fitted to or calibrated on speakers of the test.

    Args:
        arguments: the command's arguments.
        scorer: the scorer.
        known_to_scorer: what of the test it was made with, by role.
    """
    applies = arguments.calibrated and scorer.is_calibrated
    if arguments.allow_overlap:
        return applies
    if known_to_scorer["reference"]:
        told = known_to_scorer["reference"].describe()
        logger.warning("In the scorer's reference population: %s. The figures flatter it", told)
    if not (applies and known_to_scorer["calibration"]):
        return applies
    told = known_to_scorer["calibration"].describe()
    logger.warning(
        "Left the scores raw: the scorer was calibrated on %s. --allow-overlap applies the calibration all the same",
        told,
    )
    return False


def _embedding_cosines(dataset: "datasets.Dataset", trials: "Trials") -> "np.ndarray | None":
    """Cosine of the mean embeddings of the two sides, `(trials,)`; None if embeddings are missing."""
    from balr_hf.errors import UserError
    from balr_hf.scoring.trials import embedding_cosines

    if "embedding" not in dataset.column_names:
        return None
    try:
        return embedding_cosines(dataset, trials)
    except UserError:  # some recording has no embedding, which scoring does not need
        return None


def _draw(
    folder: Path,
    evaluation: "Evaluation",
    scorer: "Scorer",
    counts: "SideCounts",
    scored: Scored,
    quality: "np.ndarray | None",
) -> None:
    """Draw the plots and save them in `folder`."""
    from balr_hf.figures import attributes, performance
    from balr_hf.figures.style import save_figure
    from balr_hf.scoring.trials import mean_terms

    figures = {}
    columns, labels = scored.columns, scored.labels
    if attributes.are_drawn(scorer):
        figures["parameters"] = attributes.parameters(scorer)
    elif scorer.parameter_names:
        logger.warning("No plot of the parameters: it shows those of the package's scorers")
    if labels is None or evaluation.note is not None:
        logger.warning("No plots of the scores: %s", evaluation.note)
    else:
        calibration, note = evaluation.calibration, evaluation.describe_trials()
        system = {"raw" if calibration is None else calibration["method"]: columns["scores"]}
        raw = {} if calibration is None else {"raw": columns["raw_scores"]}
        figures["tippett"] = performance.tippett(
            system, labels, are_ratios=calibration is not None, note=note, speakers=scored.speakers
        )
        other = {title: columns[name] for name, title in OTHER_SCORES.items() if name in columns}
        figures["det"] = performance.det({**system, **raw, **other}, labels, note=note, speakers=scored.speakers)
        figures["ece"] = performance.ece(columns["scores"], labels, note, scored.speakers)
        figures["pav"] = performance.pav(columns["scores"], labels, note, scored.speakers)
        calibrated = calibration is not None
        means = mean_terms(scorer, counts, scored.trials, labels, calibrated, progress=True, quality=quality)
        figures["evidence"] = attributes.evidence(*means)
    for name, figure in figures.items():
        save_figure(figure, folder, name)
    if figures:
        logger.info("Drew %s in %s", ", ".join(figures), folder)

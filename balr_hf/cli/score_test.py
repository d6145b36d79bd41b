"""`balr score test`: scores a list of trials and evaluates it."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.scorers import load_named_scorer, read_trial_counts, separator
from balr_hf.cli.sections import SCORER, TrialOptions
from balr_hf.options import option

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options(TrialOptions):
    """Options of `balr score test`."""

    test: str = positional("test", "corpus with binary attributes; with speakers, the scores are evaluated")
    trials: str = positional("trials", "trial list: two columns of recording ids, several separated by commas")
    calibrated: bool = option(True, "apply the scorer's calibration, if it has one")
    bootstrap: int = option(
        1000, "draws of speakers for the 95 % intervals of the metrics; 0 for no intervals", type=int, least=0
    )
    plots: bool = option(False, "also draw Tippett, ECE, PAV, DET and attribute plots, as PNG and SVG")


COMMAND = Command(
    "score test",
    "Score a list of trials: scores.csv and metrics.json go to runs/score, runs/score2, ... Scores are natural-log "
    "likelihood ratios if the scorer is calibrated, else raw sums.",
    Options,
    [SCORER],
    epilog="""examples:
  balr score test test.csv trials.csv
  balr score test --plots test.csv trials.csv scorer.checkpoint_path=runs/scorer/train
  balr score test test.csv trials.csv scorer=cosine""",
)


def run(arguments: Arguments) -> None:
    """Score, evaluate, save."""
    from balr_hf.checkpoints import weights_digest
    from balr_hf.files import new_run_folder, write_json
    from balr_hf.scoring.trials import read_trials, score_trials, side_speakers, write_scores

    sep = separator(arguments)
    trials = read_trials(arguments.trials, sep)
    dataset, counts = read_trial_counts(arguments, arguments.test, trials)
    scorer = load_named_scorer(arguments, counts.shape[1])
    speakers = side_speakers(dataset, trials.sides)
    calibrated = _applies_calibration(arguments, scorer, speakers)
    raw = score_trials(scorer, counts, trials, progress=True)
    scores = score_trials(scorer, counts, trials, calibrated=True, progress=True) if calibrated else raw

    folder = new_run_folder(arguments.save_dir, "runs/score", arguments.exist_ok)
    columns = {"scores": scores, "raw_scores": raw} if calibrated else {"scores": raw}
    write_scores(folder / "scores.csv", trials, columns, sep)
    metrics = {
        "corpus": {"name": arguments.test, "hub_id": None if Path(arguments.test).exists() else arguments.test},
        "trial_list": arguments.trials,
        "scorer": type(scorer).__name__,
        "scorer_digest": weights_digest(scorer),
        "calibration": scorer.config.calibration if calibrated else None,
    }
    metrics |= evaluate(dataset, trials, scores, raw, speakers, arguments.bootstrap)
    write_json(folder / "metrics.json", metrics)
    if arguments.plots:
        _draw(folder / "plots", metrics, scorer, counts, trials, columns, speakers)
    logger.info("%s\nSaved in %s", describe(metrics), folder)


def _applies_calibration(arguments: Arguments, scorer, speakers: np.ndarray | None) -> bool:
    """Whether scores are calibrated, after a check that nothing is tested on speakers that it was fitted on."""
    from balr_hf.errors import name_some

    if speakers is None or arguments.allow_overlap:
        return arguments.calibrated and scorer.is_calibrated
    known = scorer.known_speakers(speakers, "reference")
    if known:
        logger.warning(
            "%d speakers of the test are in the scorer's reference population (%s): the figures flatter it",
            len(known),
            name_some(known),
        )
    known = scorer.known_speakers(speakers, "calibration") if arguments.calibrated and scorer.is_calibrated else []
    if known:
        logger.warning(
            "Left the scores raw: the scorer was calibrated on %d speakers of the test (%s). --allow-overlap applies "
            "the calibration all the same",
            len(known),
            name_some(known),
        )
    return arguments.calibrated and scorer.is_calibrated and not known


def evaluate(
    dataset, trials, scores: np.ndarray, raw: np.ndarray, speakers: np.ndarray | None, resamples: int
) -> dict:
    """Metrics of the scores; of the raw ones too, and of the cosine of the embeddings where the corpus has them."""
    from balr_hf.metrics import bootstrap_intervals, compute_metrics, eer

    metrics = {"trials": len(trials)}
    if speakers is None:
        return metrics | {"note": "not evaluated: the speakers of the recordings are not all known"}
    sides = speakers[trials.enroll], speakers[trials.test]
    labels = sides[0] == sides[1]
    metrics |= {"same_speaker": int(labels.sum()), "different_speaker": int((~labels).sum())}
    metrics["speakers"] = len(set(speakers))
    if labels.all() or not labels.any():
        return metrics | {"note": "not evaluated: the trials are all of one kind"}
    metrics |= compute_metrics(scores, labels)
    if resamples:
        intervals = bootstrap_intervals(scores, labels, *sides, resamples=resamples, progress=True)
        metrics["intervals"] = {"confidence": 0.95, "draws_of_speakers": resamples, **intervals}
    if scores is not raw:
        metrics["raw"] = compute_metrics(raw, labels)
    cosines = _embedding_cosines(dataset, trials)
    if cosines is not None:
        metrics["embedding_cosine_eer"] = eer(cosines, labels)[0]
    return metrics


def _embedding_cosines(dataset, trials) -> np.ndarray | None:
    """Cosine of the two sides' mean embeddings, for each trial; None without embeddings."""
    from balr_hf.errors import UserError
    from balr_hf.scoring.trials import side_embeddings

    if "embedding" not in dataset.column_names:
        return None
    try:
        sides = side_embeddings(dataset, trials.sides)
    except UserError:  # the trials need attributes only
        return None
    sides /= np.linalg.norm(sides, axis=1, keepdims=True).clip(min=1e-12)
    starts = range(0, len(trials), 65536)
    parts = [slice(start, start + 65536) for start in starts]
    return np.concatenate([(sides[trials.enroll[p]] * sides[trials.test[p]]).sum(1) for p in parts])


def describe(metrics: dict) -> str:
    """The metrics in words."""
    if "note" in metrics:
        return f"{metrics['trials']} trials scored; {metrics['note']}"
    intervals = metrics.get("intervals", {})

    def figure(name: str, form: str) -> str:
        text = format(metrics[name], form)
        return (
            text + " ({} to {})".format(*(format(end, form) for end in intervals[name])) if name in intervals else text
        )

    calibration = metrics["calibration"]
    how = "not calibrated" if calibration is None else f"{calibration['method']} calibration"
    lines = [
        f"{metrics['trials']} trials ({metrics['same_speaker']} same-speaker) of {metrics['speakers']} speakers; "
        f"{metrics['scorer']}, {how}",
        f"  EER   {figure('eer', '.2%')}",
        f"  Cllr  {figure('cllr', '.3f')}, at least {figure('cllr_min', '.3f')} by any calibration",
    ]
    if "raw" in metrics:
        lines.append(f"  Cllr  {metrics['raw']['cllr']:.3f} raw")
    if intervals:
        lines.append(f"  (in brackets: 95 % intervals, {intervals['draws_of_speakers']} draws of the speakers)")
    if "embedding_cosine_eer" in metrics:
        lines.append(f"  Cosine of the embeddings themselves: EER {metrics['embedding_cosine_eer']:.2%}")
    return "\n".join(lines)


def _draw(folder: Path, metrics: dict, scorer, counts, trials, columns: dict, speakers: np.ndarray | None) -> None:
    from balr_hf.figures import attributes, performance
    from balr_hf.figures.style import save_figure
    from balr_hf.scoring.trials import mean_terms

    figures = {}
    if scorer.parameter_names:
        figures["parameters"] = attributes.parameters(scorer)
    if "note" in metrics:
        logger.warning("No plots of the scores: %s", metrics["note"])
    else:
        labels = speakers[trials.enroll] == speakers[trials.test]
        calibrated = metrics["calibration"] is not None
        systems = {metrics["calibration"]["method"] if calibrated else "raw": columns["scores"]}
        if calibrated:
            systems["raw"] = columns["raw_scores"]
        figures["tippett"] = performance.tippett(systems, labels)
        figures["det"] = performance.det(systems, labels)
        figures["ece"] = performance.ece(columns["scores"], labels)
        figures["pav"] = performance.pav(columns["scores"], labels)
        means = mean_terms(scorer, counts, trials, labels, calibrated=calibrated, progress=True)
        figures["evidence"] = attributes.evidence(*means)
    for name, figure in figures.items():
        save_figure(figure, folder, name)
    if figures:
        logger.info("Drew %s in %s", ", ".join(figures), folder)

"""`balr score test`: scores a list of trials and evaluates it."""

import logging
from dataclasses import dataclass

from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.score_train import scorer_name
from balr_hf.cli.sections import SCORER, RunOptions
from balr_hf.options import option

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options(RunOptions):
    """Options of `balr score test`."""

    test: str = positional("test", "corpus with binary attributes; with speakers, the scores are evaluated")
    trials: str = positional("trials", "trial list: two columns of recording ids, several separated by commas")
    sep: str = option("\\t", "what separates the columns of the trial list", type=str)


COMMAND = Command(
    "score test",
    "Score a list of trials: scores.csv and metrics.json go to runs/score, runs/score2, ...",
    Options,
    [SCORER],
    epilog="""examples:
  balr score test test.csv trials.csv
  balr score test test.csv trials.csv scorer.checkpoint_path=runs/scorer/train
  balr score test test.csv trials.csv scorer=cosine""",
)


def run(arguments: Arguments) -> None:
    """Score, evaluate, save."""
    from balr_hf.data import read_corpus, warn_skipped
    from balr_hf.files import new_run_folder, write_json
    from balr_hf.scoring.trials import read_trials, score_trials, side_counts, trial_labels, write_scores

    sep = arguments.sep.replace("\\t", "\t")
    trials = read_trials(arguments.trials, sep)
    corpus = read_corpus(arguments.test, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir)
    warn_skipped(corpus.skipped, f"Reading {arguments.test}")
    counts = side_counts(corpus.dataset, trials.sides)
    scorer = load_test_scorer(arguments, counts.shape[1])
    scores = score_trials(scorer, counts, trials)
    labels = trial_labels(corpus.dataset, trials)

    folder = new_run_folder(arguments.save_dir, "runs/score", arguments.exist_ok)
    write_scores(folder / "scores.csv", trials, scores, sep)
    metrics = evaluate(corpus.dataset, trials, scores, labels, type(scorer).__name__)
    write_json(folder / "metrics.json", metrics)
    logger.info("%s\nSaved in %s", describe(metrics), folder)


def load_test_scorer(arguments: Arguments, num_attributes: int):
    """The scorer that the settings name: a checkpoint, cosine, or the shipped one."""
    from balr_hf import defaults
    from balr_hf.devices import resolve_devices
    from balr_hf.errors import ConfigError, UserError
    from balr_hf.scoring.modeling_scorer import build_scorer, load_scorer

    settings, name = arguments.section("scorer"), scorer_name(arguments)
    if settings.checkpoint_path is None and name == "cosine":
        scorer = build_scorer("cosine", num_attributes=num_attributes, **settings.configuration("cosine"))
    else:
        if settings.checkpoint_path is None:
            if name not in (None, "beta"):
                raise UserError(
                    f"scorer={name} must be fitted first (balr score train), then: scorer.checkpoint_path=..."
                )
            logger.info("Scorer: the demonstration model of the package, for attributes of its own autoencoder")
        scorer = load_scorer(settings.checkpoint_path or defaults.resource(defaults.SCORER))
    kind = scorer.config.model_type.removeprefix("balr-")
    if name not in (None, kind):
        raise UserError(f"scorer={name}, but {settings.checkpoint_path} holds {kind}")
    if settings.n_attributes not in (None, num_attributes):
        raise ConfigError(f"scorer.n_attributes={settings.n_attributes}, but the corpus has {num_attributes}")
    if scorer.config.num_attributes != num_attributes:
        raise UserError(f"the scorer knows {scorer.config.num_attributes} attributes, the corpus has {num_attributes}")
    return scorer.to(resolve_devices(arguments.device)[0])


def evaluate(dataset, trials, scores, labels, scorer_name: str) -> dict:
    """Metrics of the scores, and of the cosine of the embeddings where the corpus has them."""
    from balr_hf.errors import UserError
    from balr_hf.metrics import compute_metrics, eer
    from balr_hf.scoring.trials import side_embeddings

    metrics = {"scorer": scorer_name, "trials": len(trials)}
    if labels is None:
        return metrics | {"note": "not evaluated: the speakers of the recordings are not all known"}
    metrics |= {"same_speaker": int(labels.sum()), "different_speaker": int((~labels).sum())}
    if labels.all() or not labels.any():
        return metrics | {"note": "not evaluated: the trials are all of one kind"}
    metrics |= compute_metrics(scores, labels)
    if "embedding" in dataset.column_names:
        try:
            sides = side_embeddings(dataset, trials.sides)
        except UserError:  # the trials need attributes only
            return metrics
        sides /= ((sides**2).sum(1, keepdims=True) ** 0.5).clip(min=1e-12)
        metrics["embedding_cosine_eer"] = eer((sides[trials.enroll] * sides[trials.test]).sum(1), labels)[0]
    return metrics


def describe(metrics: dict) -> str:
    """The metrics in words."""
    if "note" in metrics:
        return f"{metrics['trials']} trials scored; {metrics['note']}"
    text = (
        f"{metrics['trials']} trials ({metrics['same_speaker']} of one speaker): EER {metrics['eer']:.2%}, "
        f"Cllr {metrics['cllr']:.3f} (least {metrics['cllr_min']:.3f}), {metrics['scorer']}, not calibrated"
    )
    if "embedding_cosine_eer" in metrics:
        text += f"\nCosine of the embeddings themselves: EER {metrics['embedding_cosine_eer']:.2%}"
    return text

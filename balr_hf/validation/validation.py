"""How well a whole system does on a test corpus, with all that a laboratory files of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.data.belonging import chain_of, describe_precision
from balr_hf.domain import ACROSS, describe_in_words, describe_population, describe_reference, describe_sessions
from balr_hf.errors import UserError, name_some
from balr_hf.evaluation import Evaluation
from balr_hf.explanation.case import identity_in_full, run_facts
from balr_hf.explanation.cautions import UNCHECKED, unknown_people
from balr_hf.explanation.wording import describe_amount, ratio
from balr_hf.files import atomic_path, write_json
from balr_hf.identity import file_digest, is_demonstration, model_digest, model_identity
from balr_hf.metrics import misleading_intervals
from balr_hf.training.trained_speakers import describe_embedder_trained_on, embedder_trained_on, trained_on
from balr_hf.validation.adequacy import judge
from balr_hf.validation.factors import DRAWS_OF_PARTS, Misleading, find_factors
from balr_hf.validation.findings import Findings, WorstTrial
from balr_hf.validation.zoo import menagerie

if TYPE_CHECKING:
    import datasets

    from balr_hf.scoring.trials import Trials
    from balr_hf.system.modeling_system import SpeakerComparisonModel

# The most misleading trials of each kind that are listed, unless the user asks for more or fewer.
WORST = 10


class Validation(Findings):
    """The validation of a system: all that [`Findings`] has, and the forms that people read."""

    def to_text(self) -> str:
        """The report as plain text."""
        from balr_hf.validation.text import text

        return text(self)

    def to_html(self) -> str:
        """The report as one self-contained HTML page, with its figures. Only explanations are linked to."""
        from balr_hf.validation.page import page  # needs matplotlib

        return page(self)

    def save(
        self, folder: str | Path, trials: Trials, sep: str = "\t", further: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Write the report to a folder, as `balr validate` does.

        Args:
            folder: gets `report.html`, `report.txt`, `metrics.json` and `scores.csv`.
            trials ([`Trials`]): those that were given to [`validate`]; those that it left out are not written.
            sep (str): the character that separates the columns of `scores.csv`.
            further (dict, *optional*): what `metrics.json` is to say besides.

        Returns:
            what `metrics.json` says.
        """
        from balr_hf.scoring.trials import write_scores

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        trials = trials if self.kept is None else trials.select(self.kept)
        outside = {} if self.outside is None else {"outside": self.outside}
        exact = {} if self.evaluation.unbounded is None else {"unbounded_scores": self.exact}
        columns = {"scores": self.llrs, **exact, "raw_scores": self.raw, **outside}
        write_scores(folder / "scores.csv", trials, columns, sep)
        metrics = self.to_dict() | dict(further or {}) | {"scores_sha256": file_digest(folder / "scores.csv")}
        write_json(folder / "metrics.json", metrics)
        for name, text in (("report.txt", self.to_text() + "\n"), ("report.html", self.to_html())):
            with atomic_path(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return metrics


def validate(
    system: SpeakerComparisonModel,
    dataset: datasets.Dataset,
    trials: Trials,
    *,
    corpus: str = "a corpus",
    corpus_sha256: str | None = None,
    hub_id: str | None = None,
    trial_list: str | None = None,
    trial_list_sha256: str | None = None,
    thresholds: Mapping[str, float] | None = None,
    by: Sequence[str] = (),
    worst: int = WORST,
    draws: int = 1000,
    allow_overlap: bool = False,
    allow_mismatch: bool = False,
    progress: bool = False,
) -> Validation:
    """Validate a system on the trials of a corpus.

    Args:
        system ([`SpeakerComparisonModel`]): a calibrated system.
        dataset (`datasets.Dataset`): a corpus with `id`, `speaker` and binary attributes (`ba`) that the system's
            autoencoder made, and what was measured of its recordings, if that is known.
        trials ([`Trials`]): the trials, of one speaker and of two. Those with the same audio on both sides are left
            out, and each pair of sides counts once, in whichever order and however often it is listed.
        corpus (str): what the report calls the corpus: its path, or its id on the Hub.
        corpus_sha256 (str, *optional*): the digest of its file, if it is one.
        hub_id (str, *optional*): its id on the Hub, if it is there.
        trial_list (str, *optional*): the file of the trials.
        trial_list_sha256 (str, *optional*): its digest.
        thresholds (dict, *optional*): what is demanded of the system, see [`parse_thresholds`].
        by: columns of the corpus by which the trials are broken down, beside sex, session, channel, language,
            source and condition.
        worst (int): how many of the most misleading trials of each kind are listed.
        draws (int): of the speakers, for the intervals; 0 for no intervals.
        allow_overlap (bool): accept speakers whom the scorer was fitted to or calibrated on, or whom the autoencoder
            or the package's own embedder was trained on; the report says so.
        allow_mismatch (bool): accept attributes that other models made; the report says so.
        progress (bool): whether to show progress bars.

    Returns:
        [`Validation`]

    Raises:
        UserError: the system is not calibrated, speakers are not known or are those that its models were made with,
            recordings are not in the corpus or lack attributes, audio is in the corpus as that of several speakers, or
            all trials are of one kind.
        MismatchError: other models than the system's made the attributes.
    """
    from balr_hf.scoring.breakdown import describe_easy_trials, outside_calibration
    from balr_hf.scoring.distinct_trials import (
        check_labels,
        check_speakers_of_audio,
        counted_once,
        without_shared_audio,
    )
    from balr_hf.scoring.quality_measures import sides_quality
    from balr_hf.scoring.trials import compact_side_counts, score_trials, side_speakers

    scorer = system.scorer
    if not scorer.is_calibrated:
        raise UserError(
            "the system is not calibrated, so that its scores are no likelihood ratios, and there is nothing to "
            "validate: run balr score calibrate first, then balr assemble"
        )
    trials = trials.without_unused_sides()  # such as --within and --across leave
    names_of_sides = side_speakers(dataset, trials.sides)
    if names_of_sides is None:
        raise UserError("a validation needs a corpus that names the speaker of every recording in the trials")
    overlap, known = _overlap(system, dataset, trials.sides, names_of_sides, allow_overlap)
    wrong, unknown = _other_makers(system, dataset, allow_mismatch)
    unknown += unknown_people(scorer)
    if scorer.is_calibration_unchecked:
        unknown.insert(0, UNCHECKED)
    check_speakers_of_audio(dataset, trials)
    listed = len(trials)
    trials, kept = without_shared_audio(dataset, trials)
    counts = compact_side_counts(dataset, trials.sides)
    once = counted_once(dataset, trials, scorer, counts)
    if once is not None:
        trials, kept = trials.select(once), once if kept is None else kept[once]
    quality = sides_quality(dataset, trials.sides)
    raw = score_trials(scorer, counts, trials, progress=progress)
    llrs = score_trials(
        *(scorer, counts, trials),
        calibrated=True,
        progress=progress,
        quality=quality if scorer.needs_quality else None,
    )
    names, codes = np.unique(names_of_sides, return_inverse=True)
    speakers = codes[trials.enroll], codes[trials.test]
    labels = speakers[0] == speakers[1]
    check_labels(trials, labels)
    if labels.all() or not labels.any():
        raise UserError(
            f"all {len(labels)} trials are of {'one speaker' if labels.all() else 'two speakers'}: a validation needs "
            "both kinds"
        )
    used = trials.without_unused_sides()
    population = describe_population(dataset, used.sides, trials=(used.enroll, used.test))
    sessions = describe_sessions(population)
    easy = [describe_easy_trials(dataset, trials, labels), sessions and f"{sessions}. {ACROSS}."]
    exact = llrs
    llrs = exact if scorer.bounds is None else exact.clip(*scorer.bounds)
    activation = scorer.activation.cpu().numpy()
    outside = outside_calibration(scorer.config, activation, dataset, trials.sides, counts)
    measured = outside if outside is not None and outside.measured.any() else None
    facts, chain = run_facts(), chain_of(dataset, scorer)
    easy.append(describe_precision(chain, scorer.config.calibration))
    evaluation = Evaluation.of(
        *(exact, labels, speakers),
        raw=raw,
        bounds=scorer.bounds,
        resamples=draws,
        progress=progress,
        within=None if measured is None else measured.within(trials),
        domain=None if outside is None else outside.count(trials),
        corpus={"name": corpus, "hub_id": hub_id},
        trial_list=trial_list,
        scorer=type(scorer).__name__,
        scorer_digest=model_digest(scorer),
        chain=chain,
        mismatch=wrong,
        computation=facts,
        calibration=scorer.config.calibration,
    )
    misleading = Misleading.among(llrs, labels)
    of_rates = misleading_intervals(llrs, labels, *speakers, resamples=draws) if draws else {}
    values, intervals = {**evaluation.metrics, **misleading.rates}, {**evaluation.intervals, **of_rates}
    codes_outside = None if measured is None else measured.codes(trials)
    return Validation(
        evaluation=evaluation,
        misleading=misleading,
        misleading_intervals=of_rates,
        factors=find_factors(
            *(dataset, trials, quality, exact, labels, speakers),
            columns=by,
            draws=min(draws, DRAWS_OF_PARTS),
            bounds=scorer.bounds,
        ),
        zoo=menagerie(llrs, labels, speakers, names.tolist()),
        worst=_worst(
            *(trials, np.arange(len(trials)) if kept is None else kept, (llrs, exact), labels, names_of_sides, worst),
            *(_conditions(dataset, trials, quality), codes_outside),
        ),
        adequacy=judge(thresholds or {}, values, intervals),
        system=_system_rows(system, facts, chain, set(names_of_sides.tolist())),
        data=_data_rows(population, (corpus, corpus_sha256), (trial_list, trial_list_sha256)),
        remarks=(*wrong, *unknown, *overlap, *filter(None, easy), *_left_out(listed - len(trials), listed)),
        demonstration=any(map(is_demonstration, (system, system.embedder, system.autoencoder, scorer))),
        llrs=llrs,
        exact=exact,
        raw=raw,
        labels=labels,
        speakers=speakers,
        outside=codes_outside,
        kept=kept,
        known=known,
    )


def _left_out(number: int, listed: int) -> list[str]:
    """Say how many trials were left out, if any were."""
    if not number:
        return []
    return [
        f"{number:,} of the {listed:,} trials that were listed are left out: they repeat another pair of sides, or "
        "have the same audio on both sides."
    ]


def _overlap(
    system: SpeakerComparisonModel,
    dataset: datasets.Dataset,
    sides: Sequence[Sequence[str]],
    speakers: np.ndarray,
    allowed: bool,
) -> tuple[list[str], dict[str, dict[str, list[str]]]]:
    """Cautions that speakers of the test are those whom the embedder, the autoencoder or the scorer was made with.

    Returns:
        `(cautions, known)`: the second as [`Findings`] has it.

    Raises:
        UserError: they are, and this was not allowed.
    """
    from balr_hf.scoring.overlap import known_lists, overlaps

    known_to_scorer = overlaps(system.scorer, dataset, sides, speakers.tolist())
    found = []
    for role, where in (
        ("reference", "In the scorer's reference population"),
        ("calibration", "Among those that it was calibrated on"),
    ):
        if known_to_scorer[role]:
            found.append(f"{where}: {known_to_scorer[role].describe()}. The figures flatter it.")
    of_autoencoder = trained_on(system.autoencoder.config.training, set(speakers.tolist())) or []
    if of_autoencoder:
        found.append(
            f"{len(of_autoencoder)} speakers of the test are those that the autoencoder was trained on "
            f"({name_some(of_autoencoder)}): the figures flatter it."
        )
    of_embedder = describe_embedder_trained_on(system.embedder, speakers.tolist())
    if of_embedder is not None:
        found.append(f"{of_embedder}: the figures flatter it.")
    if found and not allowed:
        raise UserError(
            f"{' '.join(found)} Validate on other speakers, or say --allow-overlap (allow_overlap=True) if they are "
            "different people with the same names: the report will say so"
        )
    trained = {
        "autoencoder": of_autoencoder,
        "embedder": embedder_trained_on(system.embedder, speakers.tolist()) or [],
    }
    return found, {**known_lists(known_to_scorer), "speakers_trained_on": trained}


def _other_makers(
    system: SpeakerComparisonModel, dataset: datasets.Dataset, allowed: bool
) -> tuple[list[str], list[str]]:
    """Whether the system's own models made the attributes, and belong together themselves.

    Returns:
        `(wrong, unknown)`: cautions that they do not, and that it is not known what made the attributes.

    Raises:
        MismatchError: other models made them, and this was not allowed.
    """
    from balr_hf.data.belonging import check_attributes

    found = check_attributes(
        dataset,
        autoencoder=model_identity(system.autoencoder),
        embedder=model_identity(system.embedder),
        user="system",
        allow_mismatch=allowed,
    )
    joined = [] if system.config.mismatch is None else [f"{system.config.mismatch}."]
    unknown = (
        f"Of {found.unknown} of the attributes it is not known which models made them: that they are this system's "
        "was not checked."
    )
    wrong = [*joined, *(sentence for sentence in found.wrong if sentence not in joined)]
    return wrong, [unknown] if found.unknown else []


def _conditions(dataset: datasets.Dataset, trials: Trials, quality: np.ndarray) -> list[str]:
    """What is known of each side, in words."""
    from balr_hf.scoring.breakdown import side_values
    from balr_hf.validation.factors import COLUMNS

    columns = {name: side_values(dataset, trials.sides, name) for name in COLUMNS if name in dataset.column_names}
    texts = []
    for row, (speech, snr, bandwidth, recordings) in enumerate(quality):
        parts = [f"{recordings:.0f} recordings"] if recordings > 1 else []
        for value, form in ((speech, "{:.1f} s of speech"), (snr, "SNR {:.0f} dB"), (bandwidth, "{:.1f} kHz")):
            if not np.isnan(value):
                parts.append(form.format(value))
        parts += [f"{name} {values[row]}" for name, values in columns.items() if values[row] is not None]
        texts.append(", ".join(parts) or "not measured")
    return texts


def _worst(
    trials: Trials,
    positions: np.ndarray,
    ratios: tuple[np.ndarray, np.ndarray],
    labels: np.ndarray,
    speakers: np.ndarray,
    number: int,
    conditions: Sequence[str],
    outside: np.ndarray | None,
) -> tuple[WorstTrial, ...]:
    """The trials that mislead most: so many of one speaker, then so many of two.

    The positions are those in the list that was given. The ratios are those within the bounds, and those without, by
    which trials at the bounds are put in order.
    """
    found = []
    llrs, exact = ratios
    for same in (True, False):
        wrong = np.flatnonzero((labels == same) & ((llrs < 0) if same else (llrs > 0)))
        for row in wrong[np.argsort(-np.abs(exact[wrong]), kind="stable")][:number].tolist():
            a, b = int(trials.enroll[row]), int(trials.test[row])
            found.append(
                WorstTrial(
                    number=int(positions[row]),
                    sides=(", ".join(trials.sides[a]), ", ".join(trials.sides[b])),
                    speakers=(str(speakers[a]), str(speakers[b])),
                    same=same,
                    llr=float(llrs[row]),
                    is_bounded=bool(llrs[row] != exact[row]),
                    conditions=(conditions[a], conditions[b]),
                    outside="" if outside is None else str(outside[row]),
                )
            )
    return tuple(found)


def _system_rows(
    system: SpeakerComparisonModel, facts: Mapping[str, Any], chain: Mapping[str, str], names: set[str]
) -> tuple[tuple[str, str], ...]:
    """What was validated, and with what: rows of a name and a value."""
    scorer = system.scorer
    config, calibration = scorer.config, scorer.config.calibration or {}
    rows = [("Embedder", identity_in_full(system.embedder)), ("Autoencoder", identity_in_full(system.autoencoder))]
    rows.append(("Scorer", f"{type(scorer).__name__}: {identity_in_full(scorer)}"))
    rows.append(("Precision", f"{chain['precision']} embeddings" if "precision" in chain else "embeddings: unknown"))
    rows.append(("Training of the autoencoder", _training(system.autoencoder.config.training, names)))
    if config.num_reference_speakers is None:
        rows.append(("Reference population", "none: this scorer has none"))
    else:
        rows.append(("Reference population", describe_reference(config.reference, config.num_reference_speakers)))
    rows.append(("Calibration", f"{calibration['method']}, on {describe_amount(calibration)}"))
    if calibration.get("speech"):
        rows.append(("Kind of speech", str(calibration["speech"])))
    domain = calibration.get("domain")
    rows.append(("Calibrated on", "not described" if domain is None else describe_in_words(domain)))
    if scorer.bounds is not None:
        low, high = map(ratio, scorer.bounds)
        rows.append(("Bounds", f"LR {low} to {high} (ELUB, Vergeer et al., 2016)"))
    rows += [("Date", facts["date"]), ("Command", facts["command"])]
    rows.append(("Software", ", ".join(f"{name} {found}" for name, found in facts["software"].items())))
    return tuple(rows)


def _training(record: Mapping[str, Any] | None, names: set[str]) -> str:
    """What is known of the recordings that the autoencoder was trained on, and whether the speakers are among them."""
    known = trained_on(record, names)
    unchecked = "whether speakers of this corpus are among them is not known here"
    if known is not None:
        unchecked = f"{len(known)} speakers of the test are among them, by their names"
    if record is None or "training_set" not in record:
        return f"no record of its recordings; {unchecked}"
    found = record["training_set"]
    return f"{found['recordings']:,} recordings of {found['speakers']:,} speakers; {unchecked}"


def _data_rows(population: Mapping[str, Any], *files: tuple[str | None, str | None]) -> tuple[tuple[str, str], ...]:
    """What the system was validated on: rows of a name and a value, from the name and the digest of each file."""
    named = [(name or "made in Python") + ("" if digest is None else f", SHA-256 {digest}") for name, digest in files]
    return (
        *zip(("Corpus", "Trial list"), named, strict=True),
        ("Recordings of the trials", describe_in_words(population)),
    )

"""The evaluation of the scores of a trial list: metrics and their intervals, in words and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from balr_hf.domain.limits import named
from balr_hf.errors import UserError
from balr_hf.explanation.wording import ratio
from balr_hf.metrics import at_threshold, bayes_threshold, bootstrap_intervals, compute_metrics, eer
from balr_hf.metrics.decisions import act_dcf_of
from balr_hf.metrics.discrimination import MIN_DCF_PRIORS, ONE_ERROR, cost_of_one_false_alarm
from balr_hf.metrics.intervals import checked_speakers, speakers_by_kind
from balr_hf.metrics.tally import checked_labels, checked_mask, tally

# Probabilities of "same speaker" for which metrics.json says from which LLR on to accept it, at equal costs, and what
# these decisions cost; those of minDCF among them, which the cost is read beside.
PRIORS = (0.5, 0.1, 0.05, 0.01, 0.001)
# Where the speakers of a test must not be, to follow "6 speakers of these trials are".
MADE_WITH = {
    "reference": "in the reference population of the scorer",
    "calibration": "among those that the scorer was calibrated on",
    "autoencoder": "among those that the autoencoder was trained on",
    "embedder": "among those that the embedder was trained on",
}


@dataclass(frozen=True)
class Evaluation:
    """How well the scores of a trial list tell speakers apart and how well they are calibrated.

    Attributes:
        trials (int): the number of trials.
        same_speaker (int, *optional*): the number of same-speaker trials; None if the speakers are not known.
        different_speaker (int, *optional*): the number of different-speaker trials; None likewise.
        speakers (int, *optional*): the number of different speakers in the trials; None likewise.
        same_speaker_speakers, different_speaker_speakers (int, *optional*): the numbers of those in the trials of
            either kind; None likewise.
        metrics (dict): what [`compute_metrics`] returned; empty if nothing could be evaluated. Of scores that are
            reported within bounds, Cllr, Cllr_cal and devPAV are those within; all else does not depend on calibration
            and is of the scores without the bounds.
        at_eer (dict): what [`at_threshold`] returned for the threshold of the equal error rate.
        act_dcf (dict): of calibrated scores, the actual detection cost by prior, see [`act_dcf`]; within the bounds as
            `metrics` are.
        intervals (dict): the lower and the upper end of each metric's interval, from draws of the speakers; empty if
            there were no draws.
        confidence (float): the confidence of the intervals.
        draws_of_speakers (int): the number of draws that the intervals were found by.
        raw (dict, *optional*): the metrics of the scores before calibration; None if the scores are not calibrated.
        bounded (dict, *optional*): the metrics if the scores are reported within the bounds of the calibration, as a
            case report states them; None if `metrics` are these already, or there are no bounds.
        unbounded (dict, *optional*): the metrics without the bounds; None if `metrics` are these already.
        embedding_cosine_eer (float, *optional*): the EER by the cosine of the embeddings themselves; None if the
            corpus has none.
        note (str, *optional*): why nothing could be evaluated; None if something was.
        corpus (dict, *optional*): the `name` of the corpus that was scored, and its `hub_id` (None if it is local).
        trial_list (str, *optional*): the file of the trials.
        scorer (str, *optional*): the name of the scorer's class.
        scorer_digest (str, *optional*): the digest of all that decides the scorer's output.
        chain (dict, *optional*): the identities of the `embedder`, the `autoencoder` and the `scorer` that made the
            scores (see [`balr_hf.identity`]), as far as they are known, and the `precision` of the embeddings.
        mismatch (list of str, *optional*): what does not belong together, where the user allowed it.
        computation (dict, *optional*): the `date` with its zone, the `command`, and the versions of the `software`.
        calibration (dict, *optional*): what the scorer's configuration says of its calibration; None if it was not
            applied.
        domain (dict, *optional*): how many sides and trials lie outside what the scorer was calibrated on, see
            [`SidesOutside.count`]; None if that is not known.
        within (dict, *optional*): the metrics of the trials within what the scorer was calibrated on, with their
            numbers `trials`, `same_speaker` and `different_speaker`, or a `note` why there are none; None if no trial
            lies outside, or nothing is known of that.
        adequacy (sequence of str): of a validation, each threshold that was stated, and whether it is met.
        factors (sequence of dict): of a validation, the trials by their conditions, as `metrics.json` has them: the
            `name` of each factor, and its `parts` with `classes`, numbers, metrics and intervals.
        known (dict): how many speakers of the trials, and how many recordings of others, are those that the models
            were made with: two numbers for each of `reference` and `calibration` (of the scorer), `autoencoder` and
            `embedder`, where there are any.
    """

    trials: int
    same_speaker: int | None = None
    different_speaker: int | None = None
    speakers: int | None = None
    same_speaker_speakers: int | None = None
    different_speaker_speakers: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    at_eer: dict[str, float] = field(default_factory=dict)
    act_dcf: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    confidence: float = 0.95
    draws_of_speakers: int = 0
    raw: dict[str, float] | None = None
    bounded: dict[str, float] | None = None
    unbounded: dict[str, float] | None = None
    embedding_cosine_eer: float | None = None
    note: str | None = None
    corpus: dict[str, str | None] | None = None
    trial_list: str | None = None
    scorer: str | None = None
    scorer_digest: str | None = None
    chain: dict[str, str] | None = None
    mismatch: Sequence[str] = ()
    computation: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None
    domain: dict[str, Any] | None = None
    within: dict[str, Any] | None = None
    adequacy: Sequence[str] = ()
    factors: Sequence[Mapping[str, Any]] = ()
    known: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        scores: np.ndarray,
        labels: np.ndarray | None,
        speakers: tuple[np.ndarray, np.ndarray] | None = None,
        *,
        raw: np.ndarray | None = None,
        bounds: tuple[float, float] | None = None,
        cosines: np.ndarray | None = None,
        resamples: int = 1000,
        progress: bool = False,
        within: np.ndarray | None = None,
        **about: Any,
    ) -> Evaluation:
        """Evaluate the scores of a trial list.

        Args:
            scores (`np.ndarray` of shape `(trials,)`): natural-log likelihood ratios.
            labels (`np.ndarray` of shape `(trials,)`, *optional*): 1 or True for trials of one speaker, 0 or False for
                trials of two; None if that is not known.
            speakers (two `np.ndarray` of shape `(trials,)`, *optional*): the names of the speakers of the two sides.
                The intervals draw from them; None for no intervals.
            raw (`np.ndarray` of shape `(trials,)`, *optional*): the scores before calibration.
            bounds (two float, *optional*): of the calibration, natural-log likelihood ratios, if what is evaluated are
                the scores as a case report states them, held within; see [`compute_metrics`]. None to evaluate them
                as given; if `calibration` has bounds, they are then evaluated within these besides.
            cosines (`np.ndarray` of shape `(trials,)`, *optional*): the cosines of the embeddings of the two sides.
            resamples (int): the number of draws of the speakers for the intervals; 0 for no intervals.
            progress (bool): whether to show a progress bar.
            within (`np.ndarray` of shape `(trials,)`, *optional*): 1 or True for the trials within what the scorer was
                calibrated on, which are also evaluated by themselves, without intervals; 0 or False for the others.
            **about: what was scored, and by what: `corpus`, `trial_list`, `scorer`, `scorer_digest`, `chain`,
                `mismatch`, `computation`, `calibration` and `domain`, as for [`Evaluation`].

        Returns:
            [`Evaluation`]: it has a `note` instead of metrics if the labels are not known, or all trials are of one
            kind.

        Raises:
            ValueError: scores are not finite; their number is not that of the labels, the speakers or `within`; a
                speaker is not known, or contradicts a label; or `within` has other values.
        """
        if labels is None:
            return cls(len(scores), note="not evaluated: the speakers of the recordings are not all known", **about)
        labels = checked_labels(np.asarray(labels).ravel())
        counted: dict[str, Any] = {"same_speaker": int(labels.sum()), "different_speaker": int((~labels).sum())}
        if speakers is not None:
            speakers = checked_speakers(labels, *speakers)
            counted["speakers"] = len(np.unique(np.concatenate(speakers)))
            of_same, of_different = speakers_by_kind(labels, *speakers)
            counted |= {"same_speaker_speakers": of_same, "different_speaker_speakers": of_different}
        if labels.all() or not labels.any():
            return cls(len(scores), **counted, note="not evaluated: the trials are all of one kind", **about)
        metrics = compute_metrics(scores, labels, bounds)
        intervals: dict[str, tuple[float, float]] = {}
        if resamples and speakers is not None:
            intervals = bootstrap_intervals(
                scores, labels, *speakers, resamples=resamples, progress=progress, bounds=bounds
            )
        others = (about.get("calibration") or {}).get("bounds") if bounds is None else None
        some = None
        if within is not None:
            inside = checked_mask(
                np.asarray(within).ravel(), "within must be 1 or True, or 0 or False, for each trial"
            )
            if len(inside) != len(labels):
                raise UserError(f"{len(labels)} labels, but within is of {len(inside)} trials: expected one of each")
            some = None if inside.all() else (np.asarray(scores).ravel()[inside], labels[inside])
        return cls(
            len(scores),
            **counted,
            metrics=metrics,
            at_eer=at_threshold(scores, labels, metrics["eer_threshold"]),
            act_dcf={} if about.get("calibration") is None else _actual_costs(scores, labels, bounds),
            intervals=intervals,
            draws_of_speakers=0 if speakers is None else resamples,
            raw=None if raw is None else compute_metrics(raw, labels),
            bounded=None if others is None else compute_metrics(scores, labels, others),
            unbounded=None if bounds is None else compute_metrics(scores, labels),
            embedding_cosine_eer=None if cosines is None else eer(cosines, labels)[0],
            within=None if some is None else _metrics_of_some(*some, bounds),
            **about,
        )

    @property
    def is_calibrated(self) -> bool:
        """Whether the scores were calibrated."""
        return self.calibration is not None

    @property
    def fewest_speakers(self) -> int | None:
        """The number of speakers in the same-speaker trials, or in the others if fewer; None where it is not known.

        Records of earlier versions keep the number of all speakers only, which it is then.
        """
        known = [self.speakers, self.same_speaker_speakers, self.different_speaker_speakers]
        return min((number for number in known if number is not None), default=None)

    @property
    def corpus_name(self) -> str:
        """The name of the corpus in public: its id on the Hub, or the name of its file without the folders."""
        corpus = self.corpus or {}
        return corpus.get("hub_id") or Path(corpus.get("name") or "a corpus of the author's").name

    def describe_calibration(self) -> str:
        """How the scores were calibrated, e.g. `affine calibration` or `not calibrated`."""
        return "not calibrated" if self.calibration is None else f"{self.calibration['method']} calibration"

    def describe_trials(self) -> str:
        """How many trials and speakers there were, in a line."""
        of_speakers = "" if self.speakers is None else f" of {self.speakers} speakers"
        kinds = "" if self.same_speaker is None else f" ({self.describe_same_speaker()})"
        return f"{self.trials:,} trials{kinds}{of_speakers}; {self.scorer}, {self.describe_calibration()}"

    def describe_same_speaker(self) -> str:
        """How many same-speaker trials there are, and of how many speakers if these are not all speakers."""
        of = self.same_speaker_speakers
        told = "" if of is None or of == self.speakers else f", of {of} speaker{'s' * (of != 1)}"
        return f"{self.same_speaker:,} same-speaker{told}"

    def describe(self) -> str:
        """The evaluation in words, in several lines."""
        if self.note is not None:
            return f"{self.trials} trials scored; {self.note}"
        of_speakers = "" if self.speakers is None else f" of {self.speakers} speakers"
        lines = [
            f"{self.trials} trials ({self.describe_same_speaker()}){of_speakers}; "
            f"{self.scorer}, {self.describe_calibration()}",
            f"  EER   {self._figure('eer', '.2%')}",
            f"  minDCF {self._figure('min_dcf_0.01', '.3f')} at a prior of 0.01, "
            f"{self._figure('min_dcf_0.05', '.3f')} at 0.05",
            *(f"  {line}" for line in self.describe_single_trials()),
            f"  Cllr  {self._figure('cllr', '.3f')}, at least {self._figure('cllr_min', '.3f')} by any calibration",
        ]
        bounds = self.describe_bounds()
        if bounds is not None:
            lines.append(f"  {bounds}")
        if self.raw is not None:
            lines.append(f"  Cllr  {self.raw['cllr']:.3f} raw")
        if self.intervals:
            lines.append(
                f"  (in brackets: {self.confidence:.0%} intervals, {self.draws_of_speakers} draws of the speakers)"
            )
        if self.draws_of_speakers and "eer" not in self.intervals:
            lines.append(f"  {self.describe_no_interval()}")
        lines += [f"  {line}" for line in self.describe_domain()]
        if self.embedding_cosine_eer is not None:
            lines.append(f"  Cosine of the embeddings themselves: EER {self.embedding_cosine_eer:.2%}")
        return "\n".join(lines)

    def describe_single_trials(self) -> list[str]:
        """Which minDCF single trials decide, for want of different-speaker trials; in at most one sentence."""
        number = self.different_speaker
        priors = [prior for name, prior in MIN_DCF_PRIORS.items() if name in self.metrics]
        costs = {prior: cost_of_one_false_alarm(prior, number) for prior in priors} if number else {}
        told = [f"{cost:.2f} at a prior of {prior}" for prior, cost in costs.items() if cost > ONE_ERROR]
        if not told:
            return []
        return [
            f"Single trials decide minDCF: one false alarm in {number:,} different-speaker trials adds "
            f"{' and '.join(told)}"
        ]

    def describe_bounds(self) -> str | None:
        """Which figures are of LRs within the calibration's bounds, and Cllr otherwise; None without bounds."""
        other = self.bounded or self.unbounded
        if other is None:
            return None
        bounds = (self.calibration or {}).get("bounds")
        named = "" if bounds is None else " (LR {} to {})".format(*map(ratio, bounds))
        if other["cllr"] == self.metrics["cllr"]:
            return f"All LRs lie within the calibration's bounds{named}: Cllr is the same with and without these"
        if self.bounded is not None:
            return (
                f"Cllr  {other['cllr']:.3f} with all LRs held within the calibration's bounds{named}, as by balr "
                "explain and balr validate; the other figures are without these bounds"
            )
        return (
            f"Cllr  {other['cllr']:.3f} without the calibration's bounds{named}, as by balr score test; the other "
            "Cllr and devPAV are within these bounds, and EER, minDCF and the least Cllr, which are of the order of "
            "the LRs, without"
        )

    def describe_known(self) -> list[str]:
        """How many speakers of the trials are those that the models were made with, a sentence for each role."""
        return describe_known(self.known, self.is_calibrated)

    def describe_no_interval(self) -> str:
        """What it means that no interval of the EER could be found, in a sentence."""
        number = self.fewest_speakers or 1
        if number == 1:
            return (
                "No figure has an interval, since all same-speaker trials are of one speaker: nothing tells what "
                "those of others would be."
            )
        what = (
            "no draw of the speakers has an error"
            if self.metrics["eer"] == 0
            else "all draws of the speakers are alike"
        )
        return (
            f"The EER has no interval, since {what}. With {number} speakers, errors that up to "
            f"{min(1.0, 3 / number):.0%} of all speakers bring about would often not show."
        )

    def describe_domain(self) -> list[str]:
        """Where the trials lie outside what the scorer was calibrated on, in lines."""
        if self.domain is None:
            return []
        domain, lines = self.domain, []
        if domain["beyond_limits"]:
            measures = ", ".join(f"{named(name)} {count}" for name, count in domain["measures"].items())
            lines.append(
                f"{domain['beyond_limits']} of {domain['sides']} sides lie beyond the limits of what the scorer was "
                f"calibrated on ({measures}), and so do {domain['trials_beyond_limits']} of {self.trials} trials"
            )
        for name, count in domain.get("differences", {}).items():
            lines.append(
                f"In {count} of {self.trials} trials, the sides differ more in {named(name)} than those of the "
                "calibration"
            )
        if domain["measured"] < domain["sides"]:
            unknown = domain["sides"] - domain["measured"]
            lines.append(f"{unknown} of {domain['sides']} sides were not measured: their conditions are unknown")
        elif not domain["trials_beyond_limits"]:
            lines.append(f"All {self.trials} trials lie within the limits of what the scorer was calibrated on")
        if self.within is not None and domain["measured"]:
            trials = f"{self.within['trials']} trials within ({self.within['same_speaker']} same-speaker)"
            if "note" in self.within:
                lines.append(f"The {trials} are {self.within['note']}")
            else:
                lines.append(
                    f"Of the {trials}: EER {self.within['eer']:.2%}, Cllr {self.within['cllr']:.3f}, at least "
                    f"{self.within['cllr_min']:.3f}"
                )
        return lines

    def _figure(self, name: str, form: str) -> str:
        text = format(self.metrics[name], form)
        if name not in self.intervals:
            return text
        return text + " ({} to {})".format(*(format(end, form) for end in self.intervals[name]))

    def to_dict(self) -> dict[str, Any]:
        """Everything, as `metrics.json` has it: the metrics are keys of the dict itself."""
        found: dict[str, Any] = {
            "corpus": self.corpus,
            "trial_list": self.trial_list,
            "scorer": self.scorer,
            "scorer_digest": self.scorer_digest,
            "chain": self.chain,
            "mismatch": list(self.mismatch),
            "computation": self.computation,
            "calibration": self.calibration,
            "trials": self.trials,
        }
        of_kinds = ("same_speaker_speakers", "different_speaker_speakers")
        for name in ("same_speaker", "different_speaker", "speakers", *of_kinds):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        if self.note is not None:
            return found | {"note": self.note}
        if self.domain is not None:
            found["domain"] = self.domain
        if self.within is not None:
            found["within"] = self.within
        if self.is_calibrated:
            found["bayes_thresholds"] = {str(prior): bayes_threshold(prior) for prior in PRIORS}
            found["act_dcf"] = self.act_dcf
        found |= self.metrics
        if self.at_eer:
            found["at_eer"] = self.at_eer
        if self.intervals:
            draws = {"confidence": self.confidence, "draws_of_speakers": self.draws_of_speakers}
            found["intervals"] = draws | self.intervals
        if self.raw is not None:
            found["raw"] = self.raw
        for name, other in (("bounded", self.bounded), ("unbounded", self.unbounded)):
            if other is not None:
                found[name] = other
        if self.embedding_cosine_eer is not None:
            found["embedding_cosine_eer"] = self.embedding_cosine_eer
        return found

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Evaluation:
        """Make an evaluation of what [`to_dict`] returned.

        Args:
            found (dict): the content of a `metrics.json`.

        Raises:
            ValueError: the dict is not an evaluation.
        """
        if "trials" not in found:
            raise ValueError(
                "this is not an evaluation by balr score test: expected the number of trials under the key 'trials'"
            )
        names = (
            *("trials", "same_speaker", "different_speaker", "speakers", "at_eer", "act_dcf", "raw"),
            *("embedding_cosine_eer", "bounded", "unbounded", "same_speaker_speakers", "different_speaker_speakers"),
            *("note", "corpus", "trial_list", "scorer", "scorer_digest", "calibration", "domain"),
            *("within", "chain", "mismatch", "computation"),
        )
        known = {name: found[name] for name in names if found.get(name) is not None}
        intervals = dict(found.get("intervals") or {})
        validation = found.get("validation")
        thresholds = validation.get("adequacy") if isinstance(validation, Mapping) else None
        known["adequacy"] = [
            str(one["text"]) for one in thresholds or () if isinstance(one, Mapping) and "text" in one
        ]
        known["factors"] = validation.get("factors") or () if isinstance(validation, Mapping) else ()
        known["known"] = numbers_known(found)
        confidence, draws = intervals.pop("confidence", 0.95), intervals.pop("draws_of_speakers", 0)
        figures = {name: value for name, value in found.items() if name not in (*names, "intervals")}
        metrics = {name: value for name, value in figures.items() if isinstance(value, int | float)}
        return cls(**known, metrics=metrics, intervals=intervals, confidence=confidence, draws_of_speakers=draws)


def describe_known(known: Mapping[str, tuple[int, int]], is_calibrated: bool) -> list[str]:
    """How many speakers of trials are those that the models were made with, a sentence for each role.

    Args:
        known: as [`Evaluation`] has it.
        is_calibrated (bool): whether the calibration was applied; who is in it does not matter otherwise.
    """
    told = []
    for role, where in MADE_WITH.items():
        speakers, recordings = known.get(role, (0, 0))
        if role == "calibration" and not is_calibrated:
            continue
        who = [f"{speakers:,} speaker{'s' * (speakers != 1)}"] if speakers else []
        others = "of others " * bool(speakers)
        who += [f"{recordings:,} recording{'s' * (recordings != 1)} {others}".strip()] if recordings else []
        if who:
            are = "is" if speakers + recordings == 1 else "are"
            told.append(f"{' and '.join(who)} of these trials {are} {where}: the figures flatter it.")
    return told


def numbers_known(found: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """How much of the trials the models were made with, by what `metrics.json` says; see `known` of [`Evaluation`]."""

    def numbers(name: str) -> dict[str, int]:
        lists = found.get(name)
        lists = lists if isinstance(lists, Mapping) else {}
        return {role: len(lists[role]) for role in MADE_WITH if isinstance(lists.get(role), Sequence)}

    speakers = numbers("speakers_known_to_scorer") | numbers("speakers_trained_on")
    recordings = numbers("recordings_known_to_scorer")
    both = {role: (speakers.get(role, 0), recordings.get(role, 0)) for role in MADE_WITH}
    return {role: pair for role, pair in both.items() if any(pair)}


def _actual_costs(scores: np.ndarray, labels: np.ndarray, bounds: tuple[float, float] | None) -> dict[str, float]:
    """The actual detection costs by prior, of the scores within the bounds if there are any."""
    trials = tally(scores, labels)
    reported = trials if bounds is None else trials.held(*bounds)
    return {str(prior): act_dcf_of(reported, prior) for prior in PRIORS}


def _metrics_of_some(scores: np.ndarray, labels: np.ndarray, bounds: tuple[float, float] | None) -> dict[str, Any]:
    """The metrics of some of the trials with their numbers, or a note if they are all of one kind."""
    same = int(labels.sum())
    found: dict[str, Any] = {"trials": len(labels), "same_speaker": same, "different_speaker": len(labels) - same}
    if not 0 < same < len(labels):
        return found | {"note": "not evaluated: they are all of one kind" if len(labels) else "not evaluated"}
    return found | compute_metrics(scores, labels, bounds)

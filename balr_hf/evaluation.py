"""Scores and labels of a trial list -> one `Evaluation`: metrics, intervals, what they are of; in words and JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from balr_hf.metrics import at_threshold, bootstrap_intervals, compute_metrics, eer


@dataclass(frozen=True)
class Evaluation:
    """How well the scores of a trial list tell speakers apart and how well they are calibrated.

    Attributes:
        trials: how many there are.
        same_speaker, different_speaker: of each kind; None where the speakers are not known.
        speakers: how many different ones the trials have.
        metrics: of [`compute_metrics`]; empty where nothing could be evaluated.
        at_eer: of [`at_threshold`], at the threshold of the equal error rate.
        intervals: the lower and the upper end for each metric, over draws of the speakers; empty without draws.
        confidence, draws_of_speakers: of the intervals.
        raw: the metrics of the scores before calibration; None if the scores are those.
        embedding_cosine_eer: the EER by the cosine of the embeddings themselves, where the corpus has them.
        note: why nothing could be evaluated; None if it was.
        corpus: what was scored: `name`, and `hub_id` (None for a local corpus).
        trial_list: the file of the trials.
        scorer: the scorer's class.
        scorer_digest: of its weights.
        calibration: what the scorer's configuration says of its calibration; None where it was not applied.
    """

    trials: int
    same_speaker: int | None = None
    different_speaker: int | None = None
    speakers: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    at_eer: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    confidence: float = 0.95
    draws_of_speakers: int = 0
    raw: dict[str, float] | None = None
    embedding_cosine_eer: float | None = None
    note: str | None = None
    corpus: dict[str, str | None] | None = None
    trial_list: str | None = None
    scorer: str | None = None
    scorer_digest: str | None = None
    calibration: dict[str, Any] | None = None

    @classmethod
    def of(
        cls,
        scores: np.ndarray,
        labels: np.ndarray | None,
        speakers: tuple[np.ndarray, np.ndarray] | None = None,
        *,
        raw: np.ndarray | None = None,
        cosines: np.ndarray | None = None,
        resamples: int = 1000,
        progress: bool = False,
        **about: Any,
    ) -> "Evaluation":
        """Evaluate scores.

        Args:
            scores (`(trials,)`): natural-log likelihood ratios.
            labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two; None where that is not known.
            speakers: the names of the two sides' speakers, each `(trials,)`; the intervals draw them.
            raw (`(trials,)`, *optional*): the scores before calibration.
            cosines (`(trials,)`, *optional*): of the embeddings.
            resamples (int): draws of the speakers for the intervals; 0 for none.
            progress (bool): show a progress bar.
            **about: what the scores are of: `corpus`, `trial_list`, `scorer`, `scorer_digest`, `calibration`.

        Raises:
            ValueError: scores that are not finite, or of another number than the labels.
        """
        if labels is None:
            return cls(len(scores), note="not evaluated: the speakers of the recordings are not all known", **about)
        labels = np.asarray(labels).astype(bool)
        counted: dict[str, Any] = {"same_speaker": int(labels.sum()), "different_speaker": int((~labels).sum())}
        if speakers is not None:
            counted["speakers"] = len(np.unique(np.concatenate(speakers)))
        if labels.all() or not labels.any():
            return cls(len(scores), **counted, note="not evaluated: the trials are all of one kind", **about)
        metrics = compute_metrics(scores, labels)
        intervals = {}
        if resamples and speakers is not None:
            intervals = bootstrap_intervals(scores, labels, *speakers, resamples=resamples, progress=progress)
        return cls(
            len(scores),
            **counted,
            metrics=metrics,
            at_eer=at_threshold(scores, labels, metrics["eer_threshold"]),
            intervals=intervals,
            draws_of_speakers=resamples if intervals else 0,
            raw=None if raw is None else compute_metrics(raw, labels),
            embedding_cosine_eer=None if cosines is None else eer(cosines, labels)[0],
            **about,
        )

    @property
    def is_calibrated(self) -> bool:
        """Whether the scores were calibrated."""
        return self.calibration is not None

    @property
    def corpus_name(self) -> str:
        """What the corpus may be called in public: its id on the Hub, or its file's name without the folders."""
        corpus = self.corpus or {}
        return corpus.get("hub_id") or Path(corpus.get("name") or "a corpus of the author's").name

    def describe_calibration(self) -> str:
        """How the scores were calibrated, in two words."""
        return "not calibrated" if self.calibration is None else f"{self.calibration['method']} calibration"

    def describe(self) -> str:
        """The evaluation in words, several lines."""
        if self.note is not None:
            return f"{self.trials} trials scored; {self.note}"
        of_speakers = "" if self.speakers is None else f" of {self.speakers} speakers"
        lines = [
            f"{self.trials} trials ({self.same_speaker} same-speaker){of_speakers}; "
            f"{self.scorer}, {self.describe_calibration()}",
            f"  EER   {self._figure('eer', '.2%')}",
            f"  Cllr  {self._figure('cllr', '.3f')}, at least {self._figure('cllr_min', '.3f')} by any calibration",
        ]
        if self.raw is not None:
            lines.append(f"  Cllr  {self.raw['cllr']:.3f} raw")
        if self.intervals:
            lines.append(
                f"  (in brackets: {self.confidence:.0%} intervals, {self.draws_of_speakers} draws of the speakers)"
            )
        if self.embedding_cosine_eer is not None:
            lines.append(f"  Cosine of the embeddings themselves: EER {self.embedding_cosine_eer:.2%}")
        return "\n".join(lines)

    def _figure(self, name: str, form: str) -> str:
        text = format(self.metrics[name], form)
        if name not in self.intervals:
            return text
        return text + " ({} to {})".format(*(format(end, form) for end in self.intervals[name]))

    def to_dict(self) -> dict[str, Any]:
        """Everything, as `metrics.json` has it: the metrics themselves stand at the top."""
        found: dict[str, Any] = {
            "corpus": self.corpus,
            "trial_list": self.trial_list,
            "scorer": self.scorer,
            "scorer_digest": self.scorer_digest,
            "calibration": self.calibration,
            "trials": self.trials,
        }
        for name in ("same_speaker", "different_speaker", "speakers"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        if self.note is not None:
            return found | {"note": self.note}
        found |= self.metrics
        if self.at_eer:
            found["at_eer"] = self.at_eer
        if self.intervals:
            draws = {"confidence": self.confidence, "draws_of_speakers": self.draws_of_speakers}
            found["intervals"] = draws | self.intervals
        if self.raw is not None:
            found["raw"] = self.raw
        if self.embedding_cosine_eer is not None:
            found["embedding_cosine_eer"] = self.embedding_cosine_eer
        return found

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Evaluation":
        """What [`to_dict`] gave.

        Raises:
            ValueError: no evaluation.
        """
        if "trials" not in found:
            raise ValueError("no evaluation of balr score test: it does not say how many trials there were")
        names = (
            *("trials", "same_speaker", "different_speaker", "speakers", "at_eer", "raw", "embedding_cosine_eer"),
            *("note", "corpus", "trial_list", "scorer", "scorer_digest", "calibration"),
        )
        known = {name: found[name] for name in names if found.get(name) is not None}
        intervals = dict(found.get("intervals") or {})
        confidence, draws = intervals.pop("confidence", 0.95), intervals.pop("draws_of_speakers", 0)
        figures = {name: value for name, value in found.items() if name not in (*names, "intervals")}
        metrics = {name: value for name, value in figures.items() if isinstance(value, int | float)}
        return cls(**known, metrics=metrics, intervals=intervals, confidence=confidence, draws_of_speakers=draws)

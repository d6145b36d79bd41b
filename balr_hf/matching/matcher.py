"""Refits a scorer's calibration on recordings that are like those of a case."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from balr_hf.conditions import recording_seed
from balr_hf.data.columns import add_vector_column, fixed_length_column
from balr_hf.data.recording_digests import recording_digests
from balr_hf.domain import LABELS, describe_population
from balr_hf.errors import UserError
from balr_hf.explanation.case import digests_in_full, identity_in_full
from balr_hf.identity import file_digest, model_identity, shown
from balr_hf.matching.case_speakers import sizes_of, speakers_of_the_case
from balr_hf.matching.choice import Choice, describe_choices
from balr_hf.matching.copies import Copies, CopyOf, share_filtered
from balr_hf.matching.wanted import Wanted
from balr_hf.matching.wording import (
    UNKNOWN_SESSIONS,
    describe_copies,
    describe_left_out,
    describe_less_speech,
    describe_matched,
    describe_out_of_reach,
    describe_range,
    describe_simulation,
    describe_unmatched,
    plain_reason,
)
from balr_hf.metrics.intervals import speakers_by_kind
from balr_hf.scoring.breakdown import keep_chosen
from balr_hf.scoring.calibration import fit_calibration
from balr_hf.scoring.calibration_fits import doubt_of
from balr_hf.scoring.made_trials import make_trials
from balr_hf.scoring.trials import side_counts, side_speakers

if TYPE_CHECKING:
    import datasets

    from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel
    from balr_hf.scoring.modeling_scorer import Scorer
    from balr_hf.scoring.trials import Trials

logger = logging.getLogger(__name__)

# Speakers that a calibration is matched on at most, and recordings of each beyond those that one trial takes.
MOST_SPEAKERS, MORE_RECORDINGS = 100, 2
# With fewer speakers there is no calibration worth its name.
FEWEST_SPEAKERS = 5
# The row of a report that names the scorer which was calibrated for the case, and where it is unless it was saved.
AFTER, IN_NO_FILE = "Scorer after matching", "kept in no file"


@dataclass(frozen=True)
class Matched:
    """A scorer whose calibration is matched to a case.

    Attributes:
        scorer ([`Scorer`]): a copy of the scorer, calibrated anew.
        rows (rows of name and value): what the scorer was before, what calibrated it, and the conditions of the case
            and of the calibration, side by side.
        remarks (tuple of str): what could not be matched, and other cautions, a sentence each.
    """

    scorer: Scorer
    rows: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]

    def save_scorer(self, folder: str | Path) -> Matched:
        """Save the scorer, so that the comparison can be computed again, and name the folder in the rows.

        It is for this case: for recordings in other conditions, match anew. So the record of its calibration says, and
        keeps the cautions, that every report with it may have them.

        Args:
            folder: is made if it does not exist.
        """
        scorer = copy.deepcopy(self.scorer)
        scorer.config.calibration = {**(scorer.config.calibration or {}), "saved_for": list(self.remarks)}
        scorer.save_pretrained(folder)
        saved = f"saved in {folder}, {digests_in_full(scorer)}"
        return replace(self, rows=tuple((name, saved if name == AFTER else text) for name, text in self.rows))


@dataclass(frozen=True)
class _Calibrated:
    """A scorer that was calibrated for the conditions of a case.

    Attributes:
        scorer: calibrated anew.
        used: the copies for A, and those for B, that are in its trials.
        remarks: on the corpus and the copies, a sentence each.
    """

    scorer: Scorer
    used: tuple[list[CopyOf], list[CopyOf]]
    remarks: tuple[str, ...]


class CaseMatcher:
    """Brings recordings of a calibration corpus to the conditions of cases, and calibrates a scorer on them.

    For each side of a case, recordings are cut to its net speech, noise is added down to its signal-to-noise ratio,
    and they are filtered to its bandwidth. Trials compare as many recordings a side as the case does, one side in the
    condition of A, the other in that of B. What is computed of the copies is kept by condition.

    Args:
        embedder ([`WespeakerModel`]): the embedder of the system.
        autoencoder ([`BinaryAttributeAutoEncoder`]): its autoencoder.
        scorer ([`Scorer`]): its fitted scorer; it stays as it is.
        corpus (`datasets.Dataset`): a corpus with `id`, `audio` and `speaker`, of speakers whom the scorer was not
            fitted to: at best recordings really made in the conditions of the case, and in different sessions; else
            clean, wide-band ones with much speech.
        name (str): how reports name the corpus. If it is the path of a file, they name its SHA-256 as well.
        cache: folder to keep copies in; nothing is kept by default.
        seed (int): of what is drawn: speakers, stretches, noise, trials.
        progress (bool): show progress bars.
        within (str, *optional*): a column of the corpus (`sex`, ...): different speakers are compared only if both
            have the same value of it.
        across (str, *optional*): a column of the corpus (`session`, ...): recordings of one speaker are compared only
            if they differ in it.
        for_a, for_b (str, *optional*): `COLUMN=VALUE` (`channel=telephone`, ...): only recordings with this value are
            brought to the conditions of that side. Trials of one speaker need recordings for both.

    Raises:
        UserError: the corpus has no audio, no speakers, or no column that was named, or no recording for a side.
        ConfigError: `for_a` or `for_b` is no `COLUMN=VALUE`.
    """

    def __init__(
        self,
        embedder: WespeakerModel,
        autoencoder: BinaryAttributeAutoEncoder,
        scorer: Scorer,
        corpus: datasets.Dataset,
        name: str = "the calibration corpus",
        cache: Path | None = None,
        seed: int = 0,
        progress: bool = False,
        within: str | None = None,
        across: str | None = None,
        for_a: str | None = None,
        for_b: str | None = None,
    ):
        one, other = (None if text is None else Choice.parse(text) for text in (for_a, for_b))
        self.choices = one, other
        columns = (within, across, *(choice.column for choice in self.choices if choice is not None))
        needed = ("audio", "speaker", *(column for column in columns if column is not None))
        missing = [column for column in needed if column not in corpus.column_names]
        if missing:
            raise UserError(f"a calibration cannot be matched on {name}: it has no column {' and no '.join(missing)}")
        self.within, self.across = within, across
        self.digest = file_digest(name) if Path(name).is_file() else None
        self.autoencoder, self.scorer, self.name, self.seed, self.progress = autoencoder, scorer, name, seed, progress
        self.identity = model_identity(embedder)
        self.copies = Copies(embedder, self.identity, cache, seed)
        speakers = corpus["speaker"]
        known = set(scorer.known_speakers([str(name) for name in speakers if name is not None], "reference"))
        self.known_speakers = known
        self._nameless = sum(speaker is None for speaker in speakers)
        usable = [row for row, speaker in enumerate(speakers) if speaker is not None and str(speaker) not in known]
        told = [column for column in LABELS if column in corpus.column_names]
        self.corpus = corpus.select(usable).select_columns(list(dict.fromkeys(["id", *needed, *told])))
        self._sizes = sizes_of(self.corpus)
        everyone = set(range(len(self.corpus)))
        self._rows_for = [
            everyone if choice is None else set(choice.rows(self.corpus, name)) for choice in self.choices
        ]
        self._found: dict[tuple[Any, ...], _Calibrated] = {}

    def speakers_of(self, recordings: Sequence[Any], names: Collection[str] = ()) -> set[str]:
        """Find the speakers of the corpus who speak in a case, as far as names and files tell.

        Args:
            recordings: those of the case, see [`speakers_of_the_case`][balr_hf.matching.case_speakers].
            names: of its speakers.
        """
        return speakers_of_the_case(recordings, names, self.corpus, self._sizes)

    def match(
        self,
        quality: Sequence[Sequence[Mapping[str, Any]]],
        numbers: tuple[int, int],
        without: Collection[str] = (),
    ) -> Matched:
        """Calibrate the scorer for a case.

        Args:
            quality (two sequences of dict): what was measured of each recording of A and of B, as
                [`RecordingQuality.to_dict`] gives it.
            numbers (two int): how many recordings A and B have.
            without: speakers of the corpus to leave out, since they are those of the case.

        Returns:
            [`Matched`]

        Raises:
            UserError: the recordings of the case were not measured, or the corpus has too few speakers or recordings
                that could be brought to the conditions.
        """
        a, b = (Wanted.of(side, of, number) for side, of, number in zip("AB", quality, numbers, strict=True))
        corpora = self._drawn(a.recordings + b.recordings + MORE_RECORDINGS, without)
        conditions = a.condition, b.condition
        if self.choices == (None, None):
            sides = self.copies.of(corpora[0], list(dict.fromkeys(conditions)), self.progress)
            both = sides[0], sides[-1]
        else:
            one, other = (
                self.copies.of(corpus, [condition], self.progress)[0]
                for corpus, condition in zip(corpora, conditions, strict=True)
            )
            both = one, other
        key = (*conditions, *numbers, frozenset(without))
        if key not in self._found:
            self._found[key] = self._calibrated(corpora, (a, b), both)
        found = self._found[key]
        left_out = describe_left_out(set(map(str, self.corpus["speaker"])) & set(without), self.name)
        remarks = [left_out, *found.remarks, *describe_less_speech((a, b), found.used), describe_unmatched((a, b))]
        return Matched(found.scorer, self._rows((a, b), both, found), tuple(filter(None, remarks)))

    def _drawn(self, recordings: int, without: Collection[str]) -> tuple[datasets.Dataset, datasets.Dataset]:
        """Some recordings of some speakers for A, and for B, decided by their names and the seed.

        None is of the reference population. Without choices, both are the same.

        Raises:
            UserError: there are choices, and few speakers have recordings for both sides.
        """
        rows_of: dict[str, tuple[list[int], list[int]]] = {}
        for row, speaker in enumerate(self.corpus["speaker"]):
            if str(speaker) not in without:
                for own, fitting in zip(rows_of.setdefault(str(speaker), ([], [])), self._rows_for, strict=True):
                    if row in fitting:
                        own.append(row)
        both = {speaker for speaker, sides in rows_of.items() if all(sides)}
        if self.choices != (None, None) and len(both) < FEWEST_SPEAKERS:
            raise UserError(
                f"the calibration cannot be matched to the case: of at least {FEWEST_SPEAKERS} speakers, only "
                f"{len(both)} of {self.name} have {describe_choices(self.choices)}, as trials of one speaker need"
            )

        names = self.corpus["id"]

        def some(rows: list[int]) -> list[int]:
            return sorted(rows, key=lambda row: recording_seed(names[row], self.seed))[:recordings]

        speakers = [speaker for speaker, sides in rows_of.items() if any(sides)]
        chosen = sorted(speakers, key=lambda speaker: (speaker not in both, recording_seed(speaker, self.seed)))
        for_side = [
            {row for speaker in chosen[:MOST_SPEAKERS] for row in some(rows_of[speaker][side])} for side in range(2)
        ]
        rows = sorted(for_side[0] | for_side[1])
        drawn = self.corpus.select(rows)
        heard = self.scorer.known_recordings(recording_digests(drawn, read_files=True), "reference")
        known = {str(drawn[int(row)]["speaker"]) for row in np.flatnonzero(heard)}
        self.known_speakers |= known
        of = [str(speaker) for speaker in drawn["speaker"]]
        one, other = (
            drawn.select([place for place, row in enumerate(rows) if row in of_side and of[place] not in known])
            for of_side in for_side
        )
        return one, other

    def _calibrated(
        self,
        corpora: tuple[datasets.Dataset, datasets.Dataset],
        wanted: tuple[Wanted, Wanted],
        sides: tuple[list[CopyOf], list[CopyOf]],
    ) -> _Calibrated:
        """The scorer calibrated on trials between copies for A and copies for B."""
        alike = wanted[0].condition == wanted[1].condition and self.choices[0] == self.choices[1]
        made = [self._with_attributes(*of) for of in zip(corpora, sides, "AB", strict=True)]
        dataset = made[0] if alike else _joined(*made)
        speakers = [set(part["speaker"]) for part in made]
        if min(len(speakers[0]), len(speakers[1])) < FEWEST_SPEAKERS:
            side = int(len(speakers[1]) < len(speakers[0]))
            reasons = Counter(plain_reason(copy.reason) for copy in sides[side] if copy.reason)
            why = "; ".join(f"{count} left out: {reason}" for reason, count in reasons.most_common(3))
            raise UserError(
                f"the calibration cannot be matched to {'AB'[side]} ({wanted[side].describe()}): of at least "
                f"{FEWEST_SPEAKERS} speakers, only {len(speakers[side])} of {self.name} have recordings that can be "
                f"brought to its conditions ({why or 'it has no more'})"
            )
        trials, names = self._trials(dataset, wanted, ("A", "A") if alike else ("A", "B"))
        counts = side_counts(dataset, trials.sides)
        enroll, test = names[trials.enroll], names[trials.test]
        fewest = self._fewest_speakers(enroll, test)
        evidence, labels, both = self.scorer.calibration_evidence(
            counts, counts, enroll == test, "affine", (enroll, test), trials
        )
        scorer = copy.deepcopy(self.scorer)
        doubt = doubt_of(fewest)
        scorer.set_calibration(fit_calibration(evidence, labels, "affine", both, unit=scorer.score_unit, doubt=doubt))
        scorer.describe_calibration(dataset, trials.sides, (trials.enroll, trials.test))
        calibration: dict[str, Any] = scorer.config.calibration or {}
        in_trials = {name for side in trials.sides for name in side}
        one, other = (
            [copy for name, copy in zip(corpus["id"], of, strict=True) if f"{name}@{side}" in in_trials]
            for corpus, of, side in zip(corpora, sides, "AA" if alike else "AB", strict=True)
        )
        filtered = share_filtered([side.condition for side in wanted], (one, other))
        domain = {**calibration["domain"], **_counted_once(dataset, in_trials), **filtered}
        told = {"within": self.within, "across": self.across, "matched_with": describe_choices(self.choices)}
        scorer.config.calibration = {
            **calibration,
            "matched": [str(side.condition) for side in wanted],
            "doubt": doubt,
            "domain": self._as_wanted(domain),
            **{name: text for name, text in told.items() if text is not None},
        }
        made_for = wanted[0].condition, wanted[1].condition
        copies, apart = [*one, *([] if alike else other)], self._rows_for[0].isdisjoint(self._rows_for[1])
        sessions = calibration["domain"].get("sessions") or {"same_speaker": 0}  # of which the sessions are known
        untold = None if sessions["same_speaker"] else UNKNOWN_SESSIONS
        remarks = [*self._remarks(sides, alike), describe_simulation(copies, made_for, apart), untold]
        return _Calibrated(scorer, (one, other), tuple(filter(None, remarks)))

    def _as_wanted(self, domain: dict[str, Any]) -> dict[str, Any]:
        """The description of the calibration's recordings, without what its trials differ in because the case does."""
        wanted = {"condition", *(choice.column for choice in self.choices if choice is not None)}
        if "unlike" in domain:
            columns = {name: number for name, number in domain["unlike"]["columns"].items() if name not in wanted}
            domain["unlike"] = {**domain["unlike"], "columns": columns}
        return domain

    def _fewest_speakers(self, enroll: np.ndarray, test: np.ndarray) -> int:
        """How many speakers there are in the same-speaker trials, or in the different-speaker trials if fewer.

        Raises:
            UserError: there are too few.
        """
        same, different = speakers_by_kind(enroll == test, enroll, test)
        if min(same, different) < FEWEST_SPEAKERS:
            number, kind = min((same, "same-speaker"), (different, "different-speaker"))
            raise UserError(
                f"the calibration cannot be matched to the case: its {kind} trials are of {number} "
                f"speaker{'s' * (number != 1)} of {self.name}, and at least {FEWEST_SPEAKERS} are needed, each with "
                "several recordings that can be brought to the conditions of the case"
            )
        return min(same, different)

    def _trials(
        self, dataset: datasets.Dataset, wanted: tuple[Wanted, Wanted], pair: tuple[str, str]
    ) -> tuple[Trials, np.ndarray]:
        """Trials between the copies for A and those for B, and the speaker of each of their sides.

        The less noisy side comes first in the trials, so that the same ones are drawn whichever is called A.
        """
        (first, one), (second, other) = sorted(zip(wanted, pair, strict=True), key=lambda side: side[0].order)
        trials = make_trials(dataset, first.recordings, second.recordings, seed=self.seed, pairs=[(one, other)])
        names = side_speakers(dataset, trials.sides)
        assert names is not None  # recordings without a speaker were left out
        if self.within is not None or self.across is not None:
            try:
                trials = keep_chosen(dataset, trials, names, within=self.within, across=self.across)
            except UserError as error:
                raise UserError(
                    f"the calibration cannot be matched with the trials of {self.name}: {error}"
                ) from error
            trials = trials.without_unused_sides()
            names = side_speakers(dataset, trials.sides)
            assert names is not None  # as above
        return trials, names

    def _remarks(self, sides: tuple[list[CopyOf], list[CopyOf]], alike: bool) -> list[str | None]:
        """What is to be said of the corpus, whatever the trials."""
        remarks = [describe_matched(self.name, describe_choices(self.choices)), describe_out_of_reach(sides, alike)]
        if self.known_speakers:
            remarks.append(
                f"The matched calibration leaves out the speakers of {self.name} who are in the reference population: "
                f"{len(self.known_speakers)}."
            )
        if self._nameless:
            are = (
                "recording names no speaker, and is" if self._nameless == 1 else "recordings name no speaker, and are"
            )
            remarks.append(f"Of {self.name}, {self._nameless:,} {are} left out of the matched calibration.")
        return remarks

    @torch.inference_mode()
    def _with_attributes(self, corpus: datasets.Dataset, copies: list[CopyOf], side: str) -> datasets.Dataset:
        """The copies for a side as a corpus of their own."""
        import datasets

        from balr_hf.data.quality import add_quality_column

        kept = [number for number, copy in enumerate(copies) if not copy.reason]
        part = corpus.select(kept)
        ids = [f"{name}@{side}" for name in part["id"]]
        columns: dict[str, Any] = {
            "id": ids,
            "source_id": part["id"],
            "speaker": [str(speaker) for speaker in part["speaker"]],
            "condition": [side] * len(kept),
            **{name: part[name] for name in LABELS if name in part.column_names},
            **{name: part[name] for name in (self.within, self.across) if name is not None},
        }
        dataset = datasets.Dataset.from_dict({name: list(values) for name, values in columns.items()})
        if not kept:
            return dataset
        embeddings = np.stack([copies[number].embedding for number in kept])
        bits = self.autoencoder.encode(torch.from_numpy(embeddings).to(self.autoencoder.device)).cpu().numpy()
        dataset = add_vector_column(dataset, "ba", fixed_length_column(bits))
        known = {name: copies[number].quality or {} for name, number in zip(ids, kept, strict=True)}
        return add_quality_column(dataset, known)

    def _rows(
        self, wanted: tuple[Wanted, Wanted], sides: tuple[list[CopyOf], list[CopyOf]], found: _Calibrated
    ) -> tuple[tuple[str, str], ...]:
        calibration: dict[str, Any] = found.scorer.config.calibration or {}
        domain = calibration["domain"]
        most = wanted[0].recordings + wanted[1].recordings + MORE_RECORDINGS
        told = (
            f"{calibration['num_speakers']} speakers of {self.name}, {wanted[0].recordings} "
            f"recording{'s' * (wanted[0].recordings > 1)} against {wanted[1].recordings}; "
            f"{domain['copies']:,} copies of {domain['recordings']:,} recordings, embedded by {shown(self.identity)}"
        )
        sessions = domain.get("sessions")
        if sessions is not None:
            one, all_of = sessions["within_one"], sessions["same_speaker"]
            told += f"; {one:,} of {all_of:,} same-speaker trials within one session"
        drawn = f"drawn with the seed {self.seed}: at most {MOST_SPEAKERS} speakers, and {most} recordings of each"
        file = "no file" if self.digest is None else f"SHA-256 {self.digest}"
        corpus = [f"{self.name}, {file}", describe_choices(self.choices), drawn]
        rows = [
            ("Matched calibration", told),
            ("Matching corpus", "; ".join(filter(None, corpus))),
            ("Scorer before matching", identity_in_full(self.scorer)),
            (AFTER, f"{IN_NO_FILE}, {digests_in_full(found.scorer)}"),
        ]
        for name, side, copies, used in zip("AB", wanted, sides, found.used, strict=True):
            rows.append((f"Conditions of {name}", f"case: {side.describe()}; calibration: {describe_range(used)}"))
            rows.append((f"Copies for {name}", describe_copies(side, copies, used)))
        return tuple(rows)


def _counted_once(dataset: datasets.Dataset, in_trials: Collection[str]) -> dict[str, Any]:
    """How many copies are in trials, and of how many recordings, which are counted once each, whoever they are of."""
    used = [row for row, name in enumerate(dataset["id"]) if name in in_trials]
    first = {name: row for row, name in zip(used[::-1], dataset.select(used[::-1])["source_id"], strict=True)}
    once = describe_population(dataset.select(sorted(first.values())))
    return {"copies": len(used), **{name: once[name] for name in ("recordings", "measured", "counts")}}


def _joined(one: datasets.Dataset, other: datasets.Dataset) -> datasets.Dataset:
    import datasets

    return datasets.concatenate_datasets([part for part in (one, other) if len(part)])

"""`pipeline("speaker-comparison")`: pairs of recordings -> likelihood ratios, and why."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
from balr_hf.audio import SAMPLING_RATE, LongAudio, resample
from balr_hf.data.recording_digests import attribute_digests, file_digests
from balr_hf.defaults import AUTOENCODER, SCORER
from balr_hf.detectors.detection import listen_to_each
from balr_hf.detectors.detector import Detector
from balr_hf.domain import Limits
from balr_hf.embeddings.passes import Loaded
from balr_hf.errors import ConfigError, MismatchError, UserError
from balr_hf.explanation.cautions import known_recordings, unknown_people
from balr_hf.explanation.heard import KINDS, heard_of_sides
from balr_hf.explanation.voices import OneVoice, can_compare_parts, unlike_recordings
from balr_hf.identity import is_demonstration
from balr_hf.pipelines.binary_attributes import BinaryAttributesPipeline, check_kind, flat
from balr_hf.pipelines.inputs import as_column, undecoded
from balr_hf.quality import describe_averaged, describe_gaps
from balr_hf.quality.copies import describe_copies, refuse_copies
from balr_hf.scoring.auto import load_scorer
from balr_hf.scoring.counts import recording_counts
from balr_hf.scoring.modeling_scorer import Scorer
from balr_hf.system.modeling_system import SpeakerComparisonModel
from balr_hf.system.parts import one_voice_each
from balr_hf.training.trained_speakers import people_trained_on

# Why there is no verdict where a recording could not be used at all, and what is None then.
REFUSED = "refused"
NUMBERS = ("llr", "raw_llr", "calibrated_llr", "withheld_llr", "unbounded_llr")
NUMBERS_AND_TEXTS = (*NUMBERS, "verbal", "interval", "bounds")

if TYPE_CHECKING:
    import datasets

    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel
    from balr_hf.matching import CaseMatcher


class SpeakerComparisonPipeline(BinaryAttributesPipeline):
    """`pipeline("speaker-comparison")`: two recordings -> how strongly they support "same speaker", and why.

    Args:
        model, autoencoder, min_speech, allow_mismatch, **kwargs: as for [`BinaryAttributesPipeline`].
        scorer (folder, Hub repository or [`Scorer`], *optional*): a scorer that was fitted to this autoencoder's
            attributes. It is taken instead of that of a system, and may be left out only if the model is a system
            whose autoencoder is used, or the autoencoder is the package's own.
        limits ([`Limits`], *optional*): how far outside the calibration's own range of recordings a verbal verdict is
            still given.
        match (corpus, *optional*): recordings with speakers, as [`load_corpus`] takes them, or a Dataset. For each
            comparison they are brought to the conditions of its two sides, and the scorer is calibrated on them; see
            [`CaseMatcher`].
        match_cache (folder, *optional*): where what is computed of them is kept beyond this pipeline.
        match_within (str, *optional*): a column of that corpus (`sex`, ...): its different speakers are compared only
            if both have the same value of it.
        match_across (str, *optional*): a column of that corpus (`session`, ...): its recordings of one speaker are
            compared only if they differ in it.
        match_a, match_b (str, *optional*): `COLUMN=VALUE` (`channel=telephone`, ...): only recordings with this value
            stand for that side.

    Inputs:
        Two sides, or several pairs `(a, b)` of sides. A side is a recording, as for [`BinaryAttributesPipeline`], or
        several recordings of one speaker: a list, or a column of a Dataset. Several pairs are a list, for which a list
        comes back, or one of these, for which an iterator comes back: a generator or another iterator, as
        `zip(dataset["a"], dataset["b"])`, or a Dataset with two columns of type `datasets.Audio`, the two sides. A
        call also takes the keywords
            on_error (str): as for [`BinaryAttributesPipeline`]: `raise`, `return` or `skip`;
            top_k (int, *optional*): return only this many attributes, those with the largest terms first;
            return_explanation (bool): also return the [`Explanation`], which can be shown as text, page or figure, and
                is JSON by its `to_dict()`;
            names (tuple[str, str]): the names of the two sides in the explanation.

    Returns:
        for each pair a dict of plain values, which `json.dumps` takes, with
            `llr` and `raw_llr` (float): the raw score in natural-log units, which is overconfident, since it is a sum
                over attributes that depend on one another;
            `calibrated_llr` (float): the natural-log likelihood ratio, within `bounds`; None unless `no_verdict` is
                empty;
            `withheld_llr` (float): where a calibrated scorer has no verdict, what was computed all the same, and must
                not be used as a likelihood ratio; else None;
            `unbounded_llr` (float): either before it is held within `bounds`, of which `interval` is;
            `verbal` (str): its place on the verbal scale (ENFSI, 2015); None unless `no_verdict` is empty;
            `no_verdict` (list[str]): why the result must not be used, see [`Findings.no_verdict`]; empty if it may;
            `interval`, `bounds` (list[float]): how sure the ratio is, and what the calibration can vouch for, in
                natural-log units; None where that is unknown;
            `deviations` (list[dict]): what of the recordings lies outside what the scorer was fitted to and calibrated
                on;
            `copies` (list[str]): sentences on recordings of both sides that hold the same sound;
            `voices` (dict): of the recordings of side `a` and `b`, whether each holds one voice;
            `overlapped`, `speed`, `room` (dict): likewise, how much each sounds like people who speak at the same
                time, like speech that is played faster or slower, and like a reverberant room;
            `quality` (dict): what was measured of the recordings of side `a` and `b`;
            `cautions` (list[str]): what a reader must know before relying on the result;
            `demonstration` (bool): whether models of the package made it, which are not for casework;
            `attributes` (list[dict]): for each attribute its number `attribute`, its term `llr`, the states of both
                sides, and its `typicality` among the reference speakers; if the system has descriptions, also its
                `class`, its `group` and a `sentence` on what it goes with;
            `groups` (list[dict]): what the attributes of each group add, only if the system has descriptions.

    Raises:
        AudioError: a recording cannot be used; the message says why.
        ConfigError: `top_k` is no number of attributes, `names` are not two texts, or another option is none that is
            known.
        UserError: a model is missing, is of another kind, does not go with the others, or was replaced by another one
            after the pipeline was made; or an input is not two sides with recordings.

    Example:
        >>> compare = pipeline("speaker-comparison", "me/system")
        >>> compare = pipeline("speaker-comparison", "me/embedder", autoencoder="me/attributes", scorer="me/scorer")
        >>> compare("questioned.wav", ["known-1.wav", "known-2.wav"], top_k=10)
        >>> compare([("a.wav", "b.wav"), ("a.wav", "c.wav")], batch_size=8)
        >>> compare = pipeline("speaker-comparison", "me/system", match="calibration.csv")  # calibrated for each case
    """

    _RECORDINGS_OF_ROW = 2
    _NOTHING = {
        "recordings": [[]],
        "quality": [[]],
        "copies": [[]],
        "remarks": [[]],
        "sizes": [[0, 0]],
        "without": [[]],
        "measures": [[]],
        "stretches": [[]],
        "sources": [[]],
    }

    def __init__(
        self,
        model: "SpeakerComparisonModel | WespeakerModel",
        autoencoder: str | Path | BinaryAttributeAutoEncoder | None = None,
        scorer: str | Path | Scorer | None = None,
        limits: Limits | None = None,
        match: "str | Path | datasets.Dataset | None" = None,
        match_cache: str | Path | None = None,
        match_within: str | None = None,
        match_across: str | None = None,
        match_a: str | None = None,
        match_b: str | None = None,
        **kwargs: Any,
    ):
        told = {"match_within": match_within, "match_across": match_across, "match_a": match_a, "match_b": match_b}
        for name, value in told.items():
            if value is not None and match is None:
                raise ConfigError(f"{name} is for the trials of match: give a corpus to calibrate on")
        detectors = getattr(model, "detectors", {})  # of its embedder, whatever the autoencoder
        super().__init__(model, autoencoder, **kwargs)
        self.limits = limits
        if scorer is None and isinstance(self.model, SpeakerComparisonModel):
            scorer = self.model.scorer
        if scorer is None:
            scorer = self._shipped(self.autoencoder, AUTOENCODER, SCORER, "scorer")
        if isinstance(scorer, str | Path):
            scorer = load_scorer(scorer)
        check_kind(scorer, "scorer", "attribute_scores", expected="a scorer, or a folder or repository of one")
        self._check_parts(None, self.autoencoder, scorer)
        if not isinstance(self.model, SpeakerComparisonModel) or scorer is not self.model.scorer:
            embedder: Any = getattr(self.model, "embedder", self.model)
            modes = {module: module.training for part in (embedder, self.autoencoder) for module in part.modules()}
            descriptions = getattr(self.model, "descriptions", None)
            self.model = SpeakerComparisonModel.from_parts(
                embedder, self.autoencoder, scorer, allow_mismatch=self.allow_mismatch
            )
            self.model.descriptions = descriptions  # of the autoencoder, which is that of the system before
            self.model.detectors = detectors
            for module, mode in modes.items():  # which are now in evaluation mode
                module.training = mode
        self.scorer = self._used["scorer"] = scorer
        self.scorer.to(self.device)  # type: ignore[arg-type]  # as above
        trials = {"within": match_within, "across": match_across, "for_a": match_a, "for_b": match_b}
        self.matcher = None if match is None else self._matcher(match, match_cache, **trials)
        # Detectors, the weights for which they were checked, and those that are for them.
        self._checked: tuple[dict[str, Detector], list, dict[str, Detector]] | None = None
        self._detectors()

    def _detectors(self) -> dict[str, Detector]:
        """The system's detectors, without those for another embedder, if that was allowed.

        Raises:
            MismatchError: one is for another embedder, and that was not allowed.
        """
        system: Any = self.model
        if self._checked is None or self._checked[0] != system.detectors or self._checked[1] is not self._copied:
            belong = {}
            for kind, detector in system.detectors.items():
                try:
                    detector.check(self._source)
                except MismatchError:
                    if not self.allow_mismatch:
                        raise
                else:
                    belong[kind] = detector
            self._checked = dict(system.detectors), self._copied, belong
        return self._checked[2]

    def _matcher(
        self,
        match: "str | Path | datasets.Dataset",
        cache: str | Path | None,
        **trials: Any,
    ) -> "CaseMatcher":
        """What calibrates the scorer for each comparison, with its settings of trials."""
        from balr_hf.data.reading import load_corpus
        from balr_hf.matching import CaseMatcher

        name = str(match) if isinstance(match, str | Path) else "the calibration corpus"
        folder = None if cache is None else Path(cache)
        corpus = load_corpus(match, vectors=())
        embedder: Any = getattr(self.model, "embedder", self.model)
        return CaseMatcher(embedder, self._encoder, self.scorer, corpus, name, folder, **trials)

    def __call__(self, inputs: Any, test: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]  # a second side
        return super().__call__(inputs if test is None else (inputs, test), **kwargs)

    def _sanitize_parameters(
        self,
        on_error: str | None = None,
        top_k: int | None = None,
        return_explanation: bool | None = None,
        names: tuple[str, str] | None = None,
        **kwargs: Any,
    ) -> tuple[dict, dict, dict]:
        before, within, after = super()._sanitize_parameters(on_error, **kwargs)
        if top_k is not None and not (isinstance(top_k, Integral) and top_k >= 0):
            raise ConfigError(f"top_k={top_k!r}: expected a number of attributes, 0 or more; None for all of them")
        if names is not None and not _are_names(names):
            raise ConfigError(f"names={names!r}: expected the names of the two sides, such as ('A', 'B')")
        given = {"top_k": top_k, "return_explanation": return_explanation, "names": names}
        if return_explanation is not None:
            before = before | {"measured": return_explanation}
        return before, within, after | {name: value for name, value in given.items() if value is not None}

    def _prepare(self, pair: Sequence, measured: bool = False) -> dict[str, list]:  # type: ignore[override]
        if isinstance(pair, str | bytes | Mapping) or not hasattr(pair, "__len__") or len(pair) != 2:
            raise UserError("a comparison is of two sides: compare(a, b), or a list of pairs (a, b)")
        sides = [_recordings(side) for side in pair]
        if not all(sides):
            raise UserError("a side of the comparison has no recording")
        loaded = [
            [
                self._loaded(recording, f"recording {number} of {side}")
                for number, recording in enumerate(recordings, 1)
            ]
            for side, recordings in zip("AB", sides, strict=True)
        ]
        heard = [[self._heard(one) for one in side] for side in loaded]
        for side, recordings in zip("AB", heard, strict=True):
            refuse_copies({f"recording {number} of {side}": one for number, one in enumerate(recordings, 1)})
        named = [
            {f"{word} {number + 1} of {side}": samples for number, samples in enumerate(recordings)}
            for side, word, recordings in zip("AB", ("Recording", "recording"), heard, strict=True)
        ]
        copies, doubts = describe_copies(*named)
        told: list[str | None] = []
        for side, opened, sounds in zip("AB", loaded, heard, strict=True):
            for number, (one, sound) in enumerate(zip(opened, sounds, strict=True), 1):
                which = side if len(opened) == 1 else f"recording {number} of {side}"
                told += [describe_averaged(which, one.channels), describe_gaps(which, sound)]
        return {
            "recordings": [[one.samples for side in loaded for one in side]],
            "quality": [[one.quality for side in loaded for one in side]],
            "copies": [list(copies)],
            "remarks": [[*(text for text in told if text is not None), *doubts]],
            "sizes": [[len(side) for side in sides]],
            "without": [[] if self.matcher is None else sorted(self.matcher.speakers_of([*sides[0], *sides[1]]))],
            "measures": [self._measures(loaded, heard) if measured else []],
            "stretches": [[one.stretches for side in loaded for one in side]],
            "sources": [[one.source for side in loaded for one in side]],
        }

    def _forward(self, inputs: dict[str, list]) -> dict[str, list]:  # type: ignore[override]
        outputs = super()._forward(inputs)
        found: list[list[OneVoice | None]] = [[] for _ in inputs["recordings"]]
        if can_compare_parts(self.scorer):
            for item, recordings in enumerate(inputs["recordings"]):
                found[item] = one_voice_each(
                    self._embedder,
                    self._encoder,
                    self.scorer,
                    recordings,
                    inputs["stretches"][item],
                    [quality.to_dict() for quality in inputs["quality"][item]],
                    self.device,
                    self.limits,
                )
        detectors = self._detectors()
        heard = [
            listen_to_each(self._embedder, detectors, recordings, self.device, self.limits)
            for recordings in inputs["recordings"]
        ]
        return outputs | {"one_voice": found, "heard": heard}

    def _measures(
        self, loaded: list[list[Loaded]], heard: list[list[np.ndarray | LongAudio]]
    ) -> list[dict[str, float | None] | None]:
        """The measures of voice and recording of each recording; None of one that is not held in memory.

        There are none if the system has no descriptions to show them with.
        """
        if getattr(self.model, "descriptions", None) is None:
            return []
        from balr_hf.describing.measures import figures
        from balr_hf.phonetics import measure_voice

        found: list[dict[str, float | None] | None] = []
        for one, samples in zip(chain(*loaded), chain(*heard), strict=True):
            if isinstance(samples, LongAudio) or one.quality is None:
                found.append(None)
                continue
            voice, _ = measure_voice(samples, bandwidth=one.quality.bandwidth)
            found.append(figures(voice.to_dict(), one.quality.to_dict()))
        return found

    def _heard(self, loaded: Loaded) -> np.ndarray | LongAudio:
        """The samples at the rate at which recordings are compared, or a recording that is not held in memory."""
        assert loaded.whole is not None  # else it would have been refused
        if isinstance(loaded.whole, LongAudio):
            return loaded.whole
        return resample(loaded.whole, self.feature_extractor.sampling_rate, SAMPLING_RATE)

    def _refused(self) -> dict[str, Any]:
        nothing = dict.fromkeys(NUMBERS_AND_TEXTS)
        nothing |= {"no_verdict": [REFUSED], "demonstration": self._is_demonstration}
        nothing |= {name: {"a": [], "b": []} for name in ("voices", *(kind.name for kind in KINDS), "quality")}
        nothing |= {name: [] for name in ("deviations", "copies", "cautions", "attributes")}
        return nothing | ({} if getattr(self.model, "descriptions", None) is None else {"groups": []})

    @cached_property
    def _is_demonstration(self) -> bool:
        """Whether models of the package make the results."""
        return any(map(is_demonstration, (self._source, self.autoencoder, self.scorer)))

    def _result(  # type: ignore[override]  # with options of its own
        self,
        outputs: dict[str, Any],
        top_k: int | None = None,
        return_explanation: bool = False,
        names: tuple[str, str] = ("A", "B"),
    ) -> dict[str, Any]:
        counts = recording_counts(outputs["ba"][0])
        first = np.ravel(outputs["sizes"])[0]
        measured = [quality.to_dict() for quality in flat(outputs["quality"])]
        sides = measured[:first], measured[first:]
        matched, numbers = None, (len(sides[0]), len(sides[1]))
        if self.matcher is not None:
            matched = self.matcher.match(sides, numbers, without=flat(outputs["without"]))
        scorer = self.scorer if matched is None else matched.scorer
        digests = attribute_digests(np.asarray(outputs["ba"][0], dtype=bool))
        digests[:, :2] = file_digests(flat(outputs["sources"]))
        called = [f"Recording {number} of A" for number in range(1, len(sides[0]) + 1)]
        called += [f"Recording {number} of B" for number in range(1, len(sides[1]) + 1)]
        each = zip("AB", (counts[:first], counts[first:]), sides, strict=True)
        unlike = [text for side in each for text in unlike_recordings(self.scorer, *side, self.limits)]
        remarks = (
            *unlike,
            *flat(outputs["remarks"]),
            *(() if matched is None else matched.remarks),
            *known_recordings(scorer, called, digests),
            *unknown_people(scorer),
        )
        voices = flat(outputs["measures"])
        voices = [[one for one in side if one is not None] for side in (voices[:first], voices[first:])]
        one_voice = tuple(flat(outputs["one_voice"]))
        heard = flat(outputs["heard"])
        details = () if matched is None else matched.rows
        details = (
            *details,
            people_trained_on(scorer, self.autoencoder),
            *((one.name, one.describe()) for one in self._detectors().values()),
        )
        explanation = scorer.explain(
            counts[:first].sum(0),
            counts[first:].sum(0),
            names=names,
            quality=sides,
            copies=tuple(flat(outputs["copies"])),
            limits=self.limits,
            remarks=remarks if self._wrong is None else (f"{self._wrong}.", *remarks),
            details=details,
            demonstration=self._is_demonstration,
            descriptions=getattr(self.model, "descriptions", None),
            measures=(voices[0], voices[1]),
            voices=(one_voice[:first], one_voice[first:]),
            heard=heard_of_sides(heard[:first], heard[first:]),
        )
        found = explanation.to_dict()
        result = {
            "llr": found["raw_llr"],
            "raw_llr": found["raw_llr"],
            "calibrated_llr": found["calibrated_llr"],
            "withheld_llr": found["withheld_llr"],
            "unbounded_llr": found["unbounded_llr"] if explanation.is_calibrated else None,
            "verbal": found["verbal"],
            "no_verdict": found["no_verdict"],
            "interval": found["interval"],
            "bounds": found["bounds"],
            "deviations": found["deviations"],
            "copies": found["copies"],
            "voices": found["voices"],
            **{kind.name: found[kind.name] for kind in KINDS},
            "quality": found["quality"],
            "cautions": found["cautions"],
            "demonstration": found["demonstration"],
            "attributes": found["attributes"][:top_k],
        }
        if "groups" in found:
            result["groups"] = found["groups"]
        return result | ({"explanation": explanation} if return_explanation else {})


def _are_names(names: Any) -> bool:
    """Whether these are the names of two sides."""
    is_pair = isinstance(names, Sequence) and not isinstance(names, str) and len(names) == 2
    return is_pair and all(isinstance(name, str) and name for name in names)


def _recordings(side: Any) -> list:
    """The recordings of one side of a comparison."""
    column = as_column(side)
    if column is not None:
        return list(undecoded(column.source)[column.column_name])
    return side if isinstance(side, list) else [side]

"""Two tasks for `transformers.pipeline`: `speaker-comparison` and `binary-attributes`.

import balr_hf
from transformers import pipeline

compare = pipeline("speaker-comparison")  # the small models of the package; name your own for real work
compare("questioned.wav", "known.wav")["calibrated_llr"]
"""

import copy
import logging
import os
from collections.abc import Iterator, Mapping, Sequence, Sized
from itertools import chain
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from huggingface_hub import CommitInfo
from torch.utils.data import DataLoader
from transformers import AutoModel, Pipeline, PreTrainedModel
from transformers.pipelines import PIPELINE_REGISTRY

# Nothing public stands for these two: `Pipeline.get_iterator` uses them, and has no option for collating batches.
from transformers.pipelines.pt_utils import PipelineDataset, PipelineIterator

from balr_hf.attributes.binarization import mismatch
from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
from balr_hf.audio import SAMPLING_RATE, AudioError, LongAudio, resample
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SCORER, SYSTEM, is_shipped, resource
from balr_hf.domain import Limits
from balr_hf.embeddings.passes import Loaded, embed_waveforms, load_usable
from balr_hf.errors import ConfigError, MismatchError, UserError
from balr_hf.explanation.voices import OneVoice, can_compare_parts
from balr_hf.identity import wrong_parts
from balr_hf.pipeline_inputs import as_column, download, several_recordings, undecoded
from balr_hf.quality import MIN_SPEECH, describe_averaged
from balr_hf.quality.copies import describe_copies, refuse_copies
from balr_hf.scoring.auto import load_scorer
from balr_hf.scoring.counts import recording_counts
from balr_hf.scoring.modeling_scorer import Scorer
from balr_hf.system.modeling_system import SpeakerComparisonModel, check_precision
from balr_hf.system.parts import one_voice_each

logger = logging.getLogger(__name__)

# What happens with a recording that cannot be used.
ON_ERROR = ("raise", "skip", "return")
# Why there is no verdict where a recording could not be used at all, and what is None then.
REFUSED = "refused"
NUMBERS_AND_TEXTS = ("llr", "raw_llr", "calibrated_llr", "unbounded_llr", "verbal", "interval", "bounds")

if TYPE_CHECKING:
    import datasets

    from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel
    from balr_hf.matching import CaseMatcher


class BinaryAttributesPipeline(Pipeline):
    """`pipeline("binary-attributes")`: one recording -> its binary attributes.

    Args:
        model ([`SpeakerComparisonModel`] or [`WespeakerModel`], or the name of one that `AutoModel` loads): a whole
            system, or the embedder.
        autoencoder (folder, Hub repository or [`BinaryAttributeAutoEncoder`], *optional*): the autoencoder that was
            trained on this embedder's embeddings. It is taken instead of that of a system, and may be left out only if
            the model is a system, or the package's own embedder.
        min_speech (float): seconds of speech that a recording needs, or it cannot be used; 0 takes any recording that
            is not silent.
        allow_mismatch (bool): go on with models that do not belong together; every result of a comparison says so.
        **kwargs: `device`, `batch_size`, `num_workers`, ..., as for every pipeline, and the keywords of a call.

    Inputs:
        A recording, or several. A recording is a path, an address (`https://...`), the bytes of a file, the samples at
        the embedder's rate (array or tensor), a dict with `array` or `raw` and `sampling_rate`, an undecoded row of a
        `datasets.Audio` column, or an `AudioDecoder` of torchcodec. Several recordings are a list, for which a list
        comes back, or one of these, for which an iterator comes back that works as its results are taken:
            a `datasets.Dataset` or `IterableDataset` with a column `audio`;
            a column (`dataset["audio"]`), or transformers' `KeyDataset(dataset, "audio")`;
            a generator or another iterator.
        Of columns of type `datasets.Audio` the files themselves are taken, so that torchcodec is not needed.

        A call also takes the keyword
            on_error (str): what happens with a recording that cannot be used, because it cannot be decoded, is silent
                or has too little speech: `raise` (the default) stops with an AudioError; `return` puts
                a result with the reason as `error`, and nothing else in it; `skip` leaves the result out and logs a
                warning, so that results no longer stand where their recordings do (for a single recording, it gives
                None).

    Returns:
        for each recording a dict of plain values, which `json.dumps` takes, with
            `ba` (list[bool]): for each attribute, whether it is active;
            `active` (list[int]): the numbers of the active attributes;
            `embedding` (list[float]): the embedding;
            `quality` (dict): what is in the recording, as [`RecordingQuality`] names it.

    Raises:
        AudioError: a recording cannot be used; the message says why.
        ConfigError: `on_error` or `min_speech` is none that is known.
        UserError: the autoencoder is missing, or takes embeddings of another size; or weights are not float32.
        MismatchError: the autoencoder was trained for another embedder.

    Example:
        >>> binarize = pipeline("binary-attributes", "me/embedder", autoencoder="me/attributes")
        >>> binarize("questioned.wav")["active"]
        >>> for result in binarize(load_dataset("me/corpus", split="test"), batch_size=8, on_error="return"):
        ...     print(result["error"] or result["active"])
    """

    # Only these flags, which have no public name, tell `pipeline` to load nothing besides the model; an embedder has
    # its own feature extractor. In transformers they are None, which mypy takes for their type.
    _load_processor: bool | None = False  # type: ignore[assignment]
    _load_image_processor: bool | None = False  # type: ignore[assignment]
    _load_video_processor: bool | None = False  # type: ignore[assignment]
    _load_feature_extractor: bool | None = False  # type: ignore[assignment]
    _load_tokenizer: bool | None = False  # type: ignore[assignment]

    feature_extractor: "WespeakerFeatureExtractor"

    # How many recordings a row of a Dataset must have, and what `_prepare` makes of an input that cannot be used.
    _RECORDINGS_OF_ROW = 1
    _NOTHING: Mapping[str, list] = {"recordings": [[]], "quality": [[]]}

    def __init__(
        self,
        model: "SpeakerComparisonModel | WespeakerModel",
        autoencoder: str | Path | BinaryAttributeAutoEncoder | None = None,
        min_speech: float = MIN_SPEECH,
        allow_mismatch: bool = False,
        **kwargs: Any,
    ):
        if not min_speech >= 0:
            raise ConfigError(f"min_speech={min_speech}: expected seconds, 0 or more")
        self.min_speech = min_speech
        kwargs["feature_extractor"] = kwargs.get("feature_extractor") or model.feature_extractor
        whole: PreTrainedModel = model
        if isinstance(model, SpeakerComparisonModel):
            whole, model, autoencoder = _system_or_embedder(model, autoencoder)
        super().__init__(whole, **kwargs)
        if autoencoder is None:
            autoencoder = self._shipped(model, EMBEDDER, AUTOENCODER, "autoencoder")
        if not isinstance(autoencoder, torch.nn.Module):
            autoencoder = BinaryAttributeAutoEncoder.from_pretrained(autoencoder)
        if autoencoder.config.input_dim != model.config.embed_dim:
            raise UserError(
                f"the embedder makes {model.config.embed_dim} values, the autoencoder expects "
                f"{autoencoder.config.input_dim}: use the autoencoder trained for this embedder"
            )
        check_precision(model, autoencoder)
        self.allow_mismatch = allow_mismatch
        self._wrong: str | None = None
        self._check_parts(model, autoencoder)
        self.autoencoder = autoencoder
        self.autoencoder.to(self.device)  # type: ignore[arg-type]  # mypy sees no method in transformers' wrapper
        self._source = model
        self._copy_models()

    def _check_parts(self, *parts: Any) -> None:
        """See whether models belong together, as [`wrong_parts`] takes them; keeps what is wrong for the results.

        Raises:
            MismatchError: they do not, and that was not allowed.
        """
        wrong = wrong_parts(*parts)
        if wrong is not None and not self.allow_mismatch:
            raise MismatchError(wrong)
        self._wrong = self._wrong or wrong

    def _copy_models(self) -> None:
        """Make the copies that compute, so that models which are being trained go on in the mode that they are in."""
        self._embedder = self._source.for_inference()
        self._encoder = copy.deepcopy(self.autoencoder).eval()
        self._copied = self._versions()

    def _versions(self) -> list[tuple[int, int, torch.dtype]]:
        """What changes with the weights: how often each was changed in place, where it is, and its type."""
        weights = [weight for part in (self._source, self.autoencoder) for weight in part.state_dict().values()]
        return [(0 if one.is_inference() else one._version, one.data_ptr(), one.dtype) for one in weights]

    def _follow_models(self) -> None:
        """Copy the models again if their weights were changed or cast since.

        Raises:
            UserError: they were cast to half precision.
            MismatchError: they no longer belong together, and that was not allowed.
        """
        if self._versions() == self._copied:
            return
        if getattr(self, "matcher", None) is not None:
            raise UserError(
                "the models were changed after this pipeline was made, which matches calibrations: make it anew"
            )
        check_precision(self._source, self.autoencoder)
        self._check_parts(self._source, self.autoencoder, getattr(self, "scorer", None))
        self._copy_models()

    @staticmethod
    def _shipped(source: PreTrainedModel, own: str, needed: str, role: str) -> Path:
        """Where the model of the package is that goes with `source`, if `source` is the package's own."""
        if str(source.name_or_path) != str(resource(own)):
            raise UserError(
                f"{role}= is missing: name the one that was made for {source.name_or_path or 'this model'}"
            )
        return resource(needed)

    def save_pretrained(self, save_directory: str | os.PathLike[Any], **kwargs: Any) -> None:
        """Write the whole system to a folder, from which a pipeline of any task is made again.

        A pipeline of `binary-attributes` that was made of an embedder and an autoencoder is no whole system: only
        the embedder is written then, and a warning says so.

        Args:
            save_directory (str or path): the folder, which is made if it does not exist.
            **kwargs: as for [`HubModel.save_pretrained`].
        """
        self._warn_of_embedder("Saved")
        self.model.save_pretrained(save_directory, **kwargs)

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> CommitInfo:  # type: ignore[override]
        """Upload the whole system with its card, or what `save_pretrained` would write of it.

        Args:
            repo_id (str): the repository, `name/repository`, which is made if it does not exist.
            **kwargs: as for [`HubModel.push_to_hub`].

        Returns:
            `huggingface_hub.CommitInfo`
        """
        self._warn_of_embedder("Uploaded")
        model: Any = self.model  # whose push_to_hub mypy takes for a function of transformers' wrapper
        return model.push_to_hub(repo_id, **kwargs)

    def _warn_of_embedder(self, done: str) -> None:
        if not isinstance(self.model, SpeakerComparisonModel):
            logger.warning("%s is the embedder only: the autoencoder of this pipeline must be saved by itself.", done)

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # no unnamed options
        if isinstance(inputs, list) and not inputs:  # of which the base class reads the first
            return []
        return super().__call__(several_recordings(inputs, self._RECORDINGS_OF_ROW), **kwargs)

    def _sanitize_parameters(self, on_error: str | None = None, **kwargs: Any) -> tuple[dict, dict, dict]:
        if kwargs:
            raise TypeError(f"{self.task} knows no {', '.join(kwargs)}")
        if on_error is None:
            return {}, {}, {}
        if on_error not in ON_ERROR:
            raise ConfigError(f"on_error={on_error!r}: expected {', '.join(ON_ERROR)}")
        return {"on_error": on_error}, {}, {"on_error": on_error}

    # Here and below: transformers declares that steps hand on tensors, but hands on whatever a pipeline makes.
    def preprocess(  # type: ignore[override]
        self, inputs: Any, on_error: str = "raise", **options: Any
    ) -> dict[str, list]:
        try:
            with torch.autocast("cpu", enabled=False):  # which the caller may be in: the voice detector knows no half
                return self._prepare(inputs, **options) | {"error": [None]}
        except AudioError as error:
            if on_error == "raise":
                raise
            return {**self._NOTHING, "error": [str(error)]}

    def _prepare(self, recording: Any) -> dict[str, list]:
        """Load the recordings of one input: lists of one item, so that those of several inputs can be joined."""
        loaded = self._loaded(recording)
        return {"recordings": [[loaded.samples]], "quality": [[loaded.quality]]}

    def _loaded(self, recording: Any, role: str | None = None) -> Loaded:
        """Decode and measure one recording; `role` names it in messages if it has no name of its own.

        Raises:
            AudioError: it cannot be used.
        """
        name = recording if isinstance(recording, str | Path) else role
        if isinstance(recording, Mapping) and recording.get("path"):
            name = recording["path"]
        if isinstance(recording, str) and recording.startswith(("http://", "https://")):
            recording = download(recording)
        elif isinstance(recording, np.ndarray | torch.Tensor):
            recording = {"array": recording, "sampling_rate": self.feature_extractor.sampling_rate}
        elif isinstance(recording, Mapping) and "raw" in recording:  # as transformers' own pipelines name it
            recording = {"array": recording["raw"], "sampling_rate": recording.get("sampling_rate")}
        loaded = load_usable(recording, self.feature_extractor, self.min_speech)
        if loaded.reason is not None:
            raise AudioError(loaded.reason if name is None else f"{name}: {loaded.reason}")
        return loaded

    def _forward(self, inputs: dict[str, list]) -> dict[str, list]:  # type: ignore[override]
        """Process the recordings of all items together, and give one array per item back."""
        self._follow_models()
        waveforms = [samples for item in inputs["recordings"] for samples in item]
        embeddings = embed_waveforms(self._embedder, self.feature_extractor, waveforms, self.device)
        if waveforms:
            self._check_embeddings(embeddings)
        with torch.autocast(self.device.type, enabled=False):
            bits = self._encoder.encode(torch.from_numpy(embeddings).to(self.device)).cpu().numpy()
        ends = np.cumsum([len(item) for item in inputs["recordings"]])[:-1]
        outputs: dict[str, list] = {"ba": np.split(bits, ends), "embedding": np.split(embeddings, ends)}
        return outputs | {name: value for name, value in inputs.items() if name != "recordings"}

    def _check_embeddings(self, embeddings: np.ndarray) -> None:
        """Where the autoencoder does not say for which embedder it was trained, see whether it reconstructs these.

        Raises:
            MismatchError: it evidently was trained for another one, and that was not allowed.
        """
        if getattr(self.autoencoder.config, "embedder_identity", None) is not None:
            return
        wrong = mismatch(self._encoder, embeddings)
        if wrong is not None and not self.allow_mismatch:
            raise MismatchError(wrong)
        if wrong is not None:
            self._wrong = wrong

    def postprocess(  # type: ignore[override]
        self, outputs: dict[str, Any], on_error: str = "raise", **options: Any
    ) -> dict[str, Any] | None:
        (error,) = _flat(outputs["error"])
        if error is None:
            return self._result(outputs, **options) | {"error": None}
        if on_error == "return":
            return self._refused() | {"error": error}
        logger.warning("Skipped: %s", error)
        return None

    def _refused(self) -> dict[str, Any]:
        """What stands in the place of a result where a recording could not be used: its keys, which hold nothing."""
        return dict.fromkeys(("ba", "active", "embedding", "quality"))

    def _result(self, outputs: dict[str, Any]) -> dict[str, Any]:
        """The result of one input whose recordings could all be used."""
        bits = outputs["ba"][0][0]
        (quality,) = _flat(outputs["quality"])
        return {
            "ba": bits.tolist(),
            "active": np.flatnonzero(bits).tolist(),
            "embedding": outputs["embedding"][0][0].tolist(),
            "quality": quality.to_dict(),
        }

    def get_iterator(
        self,
        inputs: Any,
        num_workers: int,
        batch_size: int,
        preprocess_params: dict[str, Any],
        forward_params: dict[str, Any],
        postprocess_params: dict[str, Any],
    ) -> Iterator[dict[str, Any]]:
        """Do what the base class does, but keep recordings of different lengths in a batch as they are."""
        dataset: PipelineDataset | PipelineIterator
        if isinstance(inputs, Sized):
            dataset = PipelineDataset(inputs, self.preprocess, preprocess_params)
        else:
            dataset, num_workers = PipelineIterator(inputs, self.preprocess, preprocess_params), min(num_workers, 1)
        loader = DataLoader(dataset, num_workers=num_workers, batch_size=batch_size, collate_fn=_collate)
        outputs = PipelineIterator(loader, self.forward, forward_params, loader_batch_size=batch_size)
        results = PipelineIterator(outputs, self.postprocess, postprocess_params)
        if postprocess_params.get("on_error") != "skip":
            return results
        return (result for result in results if result is not None)


def _system_or_embedder(
    system: SpeakerComparisonModel, autoencoder: str | Path | BinaryAttributeAutoEncoder | None
) -> "tuple[PreTrainedModel, WespeakerModel, str | Path | BinaryAttributeAutoEncoder]":
    """The model of a pipeline, its embedder and its autoencoder, if it is made of a system.

    If another autoencoder is named, of the system only its embedder is used.
    """
    if autoencoder is not None:
        return system.embedder, system.embedder, autoencoder
    return system, system.embedder, system.autoencoder


def _flat(nested: Any) -> list:
    """What nested lists hold, in one list."""
    return [item for part in nested for item in _flat(part)] if isinstance(nested, list) else [nested]


def _collate(items: list[dict[str, list]]) -> dict[str, list]:
    return {name: [value for item in items for value in item[name]] for name in items[0]}


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
            `calibrated_llr` (float): the natural-log likelihood ratio, within `bounds`; None if the scorer is not
                calibrated. It is there even if it must not be used: see `no_verdict`;
            `unbounded_llr` (float): the same before it is held within `bounds`, of which `interval` is;
            `verbal` (str): its place on the verbal scale (ENFSI, 2015); None unless `no_verdict` is empty;
            `no_verdict` (list[str]): why the result must not be used, see [`Findings.no_verdict`]; empty if it may;
            `interval`, `bounds` (list[float]): how sure the ratio is, and what the calibration can vouch for, in
                natural-log units; None where that is unknown;
            `deviations` (list[dict]): what of the recordings lies outside what the scorer was fitted to and calibrated
                on;
            `copies` (list[str]): sentences on recordings of both sides that hold the same sound;
            `voices` (dict): of the recordings of side `a` and `b`, whether each holds one voice;
            `quality` (dict): what was measured of the recordings of side `a` and `b`;
            `cautions` (list[str]): what a reader must know before relying on the result;
            `demonstration` (bool): whether models of the package made it, which are not for casework;
            `attributes` (list[dict]): for each attribute its number `attribute`, its term `llr`, the states of both
                sides, and its `typicality` among the reference speakers; if the system has descriptions, also its
                `class`, its `group` and a `sentence` on what it goes with;
            `groups` (list[dict]): what the attributes of each group add, only if the system has descriptions.

    Raises:
        AudioError: a recording cannot be used; the message says why.
        ConfigError: `top_k` is no number of attributes, or another option is none that is known.
        UserError: a model is missing or does not go with the others, or an input is not two sides with recordings.

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
        "measures": [[]],
        "stretches": [[]],
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
        **kwargs: Any,
    ):
        for name, column in (("match_within", match_within), ("match_across", match_across)):
            if column is not None and match is None:
                raise ConfigError(f"{name} is for the trials of match: give a corpus to calibrate on")
        super().__init__(model, autoencoder, **kwargs)
        self.limits = limits
        if scorer is None and isinstance(self.model, SpeakerComparisonModel):
            scorer = self.model.scorer
        if scorer is None:
            scorer = self._shipped(self.autoencoder, AUTOENCODER, SCORER, "scorer")
        if not isinstance(scorer, torch.nn.Module):
            scorer = load_scorer(scorer)
        self._check_parts(None, self.autoencoder, scorer)
        if not isinstance(self.model, SpeakerComparisonModel) or scorer is not self.model.scorer:
            embedder: Any = getattr(self.model, "embedder", self.model)
            modes = {module: module.training for part in (embedder, self.autoencoder) for module in part.modules()}
            descriptions = getattr(self.model, "descriptions", None)
            self.model = SpeakerComparisonModel.from_parts(
                embedder, self.autoencoder, scorer, allow_mismatch=self.allow_mismatch
            )
            self.model.descriptions = descriptions  # of the autoencoder, which is that of the system before
            for module, mode in modes.items():  # which are now in evaluation mode
                module.training = mode
        self.scorer = scorer
        self.scorer.to(self.device)  # type: ignore[arg-type]  # as above
        self.matcher = None if match is None else self._matcher(match, match_cache, match_within, match_across)

    def _matcher(
        self,
        match: "str | Path | datasets.Dataset",
        cache: str | Path | None,
        within: str | None,
        across: str | None,
    ) -> "CaseMatcher":
        """What calibrates the scorer for each comparison."""
        from balr_hf.data.reading import load_corpus
        from balr_hf.matching import CaseMatcher

        name = str(match) if isinstance(match, str | Path) else "the calibration corpus"
        folder = None if cache is None else Path(cache)
        corpus = load_corpus(match, vectors=())
        embedder: Any = getattr(self.model, "embedder", self.model)
        return CaseMatcher(
            *(embedder, self._encoder, self.scorer, corpus, name), cache=folder, within=within, across=across
        )

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
        told = [
            describe_averaged(side if len(recordings) == 1 else f"recording {number} of {side}", one.channels)
            for side, recordings in zip("AB", loaded, strict=True)
            for number, one in enumerate(recordings, 1)
        ]
        return {
            "recordings": [[one.samples for side in loaded for one in side]],
            "quality": [[one.quality for side in loaded for one in side]],
            "copies": [list(copies)],
            "remarks": [[*(text for text in told if text is not None), *doubts]],
            "sizes": [[len(side) for side in sides]],
            "measures": [self._measures(loaded, heard) if measured else []],
            "stretches": [[one.stretches for side in loaded for one in side]],
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
        return outputs | {"one_voice": found}

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
        nothing |= {name: {"a": [], "b": []} for name in ("voices", "quality")}
        nothing |= {name: [] for name in ("deviations", "copies", "cautions", "attributes")}
        return nothing | ({} if getattr(self.model, "descriptions", None) is None else {"groups": []})

    @property
    def _is_demonstration(self) -> bool:
        """Whether models of the package make the results."""
        return any(map(is_shipped, (self._embedder, self.autoencoder, self.scorer)))

    def _result(  # type: ignore[override]  # with options of its own
        self,
        outputs: dict[str, Any],
        top_k: int | None = None,
        return_explanation: bool = False,
        names: tuple[str, str] = ("A", "B"),
    ) -> dict[str, Any]:
        counts = recording_counts(outputs["ba"][0])
        first = np.ravel(outputs["sizes"])[0]
        measured = [quality.to_dict() for quality in _flat(outputs["quality"])]
        sides = measured[:first], measured[first:]
        matched = None if self.matcher is None else self.matcher.match(sides, (len(sides[0]), len(sides[1])))
        scorer = self.scorer if matched is None else matched.scorer
        remarks = (*_flat(outputs["remarks"]), *(() if matched is None else matched.remarks))
        voices = _flat(outputs["measures"])
        voices = [[one for one in side if one is not None] for side in (voices[:first], voices[first:])]
        one_voice = tuple(_flat(outputs["one_voice"]))
        explanation = scorer.explain(
            counts[:first].sum(0),
            counts[first:].sum(0),
            names=names,
            quality=sides,
            copies=tuple(_flat(outputs["copies"])),
            limits=self.limits,
            remarks=remarks if self._wrong is None else (f"{self._wrong}.", *remarks),
            details=() if matched is None else matched.rows,
            demonstration=self._is_demonstration,
            descriptions=getattr(self.model, "descriptions", None),
            measures=(voices[0], voices[1]),
            voices=(one_voice[:first], one_voice[first:]),
        )
        found = explanation.to_dict()
        result = {
            "llr": found["raw_llr"],
            "raw_llr": found["raw_llr"],
            "calibrated_llr": found["calibrated_llr"],
            "unbounded_llr": found["unbounded_llr"] if explanation.is_calibrated else None,
            "verbal": found["verbal"],
            "no_verdict": found["no_verdict"],
            "interval": found["interval"],
            "bounds": found["bounds"],
            "deviations": found["deviations"],
            "copies": found["copies"],
            "voices": found["voices"],
            "quality": found["quality"],
            "cautions": found["cautions"],
            "demonstration": found["demonstration"],
            "attributes": found["attributes"][:top_k],
        }
        if "groups" in found:
            result["groups"] = found["groups"]
        return result | ({"explanation": explanation} if return_explanation else {})


def _recordings(side: Any) -> list:
    """The recordings of one side of a comparison."""
    column = as_column(side)
    if column is not None:
        return list(undecoded(column.source)[column.column_name])
    return side if isinstance(side, list) else [side]


def _register() -> None:
    try:
        default = {"model": (str(resource(SYSTEM)), "main")}
    except UserError:  # an installation without its resources can still load others
        default = None
    for task, cls in (
        ("binary-attributes", BinaryAttributesPipeline),
        ("speaker-comparison", SpeakerComparisonPipeline),
    ):
        PIPELINE_REGISTRY.register_pipeline(task, cls, pt_model=AutoModel, default=default, type="audio")


_register()

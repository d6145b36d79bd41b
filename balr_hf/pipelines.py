"""Two tasks for `transformers.pipeline`: `speaker-comparison` and `binary-attributes`.

import balr_hf
from transformers import pipeline

compare = pipeline("speaker-comparison")  # the small models of the package; name your own for real work
compare("questioned.wav", "known.wav")["calibrated_llr"]
"""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import AutoModel, Pipeline, PreTrainedModel
from transformers.pipelines import PIPELINE_REGISTRY

# Nothing public stands for these two: `Pipeline.get_iterator` uses them, and has no option for collating batches.
from transformers.pipelines.pt_utils import PipelineDataset, PipelineIterator

from balr_hf.attributes.binarization import mismatch
from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
from balr_hf.audio import SAMPLING_RATE, AudioError, resample
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SCORER, SYSTEM, is_shipped, resource
from balr_hf.domain import Limits
from balr_hf.embeddings.passes import Loaded, embed_waveforms, load_usable
from balr_hf.errors import ConfigError, UserError
from balr_hf.quality import MIN_SPEECH
from balr_hf.quality.copies import describe_copies
from balr_hf.scoring.auto import load_scorer
from balr_hf.scoring.counts import recording_counts
from balr_hf.scoring.modeling_scorer import Scorer
from balr_hf.system.modeling_system import SpeakerComparisonModel

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel


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
        **kwargs: `device`, `batch_size`, `num_workers`, ..., as for every pipeline.

    Inputs:
        A recording, or a list, a Dataset or a generator of recordings. A recording is a path, the bytes of a file, the
        samples at the embedder's rate (array or tensor), a dict with `array` and `sampling_rate`, an undecoded row of
        a `datasets.Audio` column, or an `AudioDecoder` of torchcodec.

    Returns:
        for each recording a dict with
            `ba` (bool `(attributes,)`): which attributes are active;
            `active` (list[int]): the numbers of the active attributes;
            `embedding` (float32 `(embed_dim,)`): the embedding;
            `quality` ([`RecordingQuality`]): what is in the recording.

    Raises:
        AudioError: a recording cannot be used; the message says why.
        UserError: the autoencoder is missing, or was trained for another embedder.
    """

    # Only these flags, which have no public name, tell `pipeline` to load nothing besides the model; an embedder has
    # its own feature extractor. In transformers they are None, which mypy takes for their type.
    _load_processor: bool | None = False  # type: ignore[assignment]
    _load_image_processor: bool | None = False  # type: ignore[assignment]
    _load_video_processor: bool | None = False  # type: ignore[assignment]
    _load_feature_extractor: bool | None = False  # type: ignore[assignment]
    _load_tokenizer: bool | None = False  # type: ignore[assignment]

    feature_extractor: "WespeakerFeatureExtractor"

    def __init__(
        self,
        model: "SpeakerComparisonModel | WespeakerModel",
        autoencoder: str | Path | BinaryAttributeAutoEncoder | None = None,
        min_speech: float = MIN_SPEECH,
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
        self.model.eval()
        if autoencoder is None:
            autoencoder = self._shipped(model, EMBEDDER, AUTOENCODER, "autoencoder")
        if not isinstance(autoencoder, torch.nn.Module):
            autoencoder = BinaryAttributeAutoEncoder.from_pretrained(autoencoder)
        if autoencoder.config.input_dim != model.config.embed_dim:
            raise UserError(
                f"the embedder makes {model.config.embed_dim} values, the autoencoder expects "
                f"{autoencoder.config.input_dim}: use the autoencoder trained for this embedder"
            )
        self.autoencoder = autoencoder.eval()
        self.autoencoder.to(self.device)  # type: ignore[arg-type]  # mypy sees no method in transformers' wrapper
        self._embedder = model.for_inference()

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
            **kwargs: as for `PreTrainedModel.save_pretrained`.
        """
        if not isinstance(self.model, SpeakerComparisonModel):
            logger.warning("Saved is the embedder only: the autoencoder of this pipeline must be saved by itself.")
        self.model.save_pretrained(save_directory, **kwargs)

    def _sanitize_parameters(self, **kwargs: Any) -> tuple[dict, dict, dict]:
        if kwargs:
            raise TypeError(f"{self.task} knows no {', '.join(kwargs)}")
        return {}, {}, {}

    # Here and below: transformers declares that steps hand on tensors, but hands on whatever a pipeline makes.
    def preprocess(self, recording: Any) -> dict[str, list]:  # type: ignore[override]
        loaded = self._loaded(recording)
        return {"recordings": [[loaded.samples]], "quality": [[loaded.quality]]}

    def _loaded(self, recording: Any) -> Loaded:
        """Decode and measure one recording.

        Raises:
            AudioError: it cannot be used.
        """
        if isinstance(recording, np.ndarray | torch.Tensor):
            recording = {"array": recording, "sampling_rate": self.feature_extractor.sampling_rate}
        elif isinstance(recording, Mapping) and "raw" in recording:  # as transformers' own pipelines name it
            recording = {"array": recording["raw"], "sampling_rate": recording.get("sampling_rate")}
        loaded = load_usable(recording, self.feature_extractor, self.min_speech)
        if loaded.reason is not None:
            raise AudioError(f"{recording}: {loaded.reason}" if isinstance(recording, str | Path) else loaded.reason)
        return loaded

    def _forward(self, inputs: dict[str, list]) -> dict[str, list]:  # type: ignore[override]
        """Process the recordings of all items together, and give one array per item back."""
        waveforms = [samples for item in inputs["recordings"] for samples in item]
        embeddings = embed_waveforms(self._embedder, self.feature_extractor, waveforms, self.device)
        wrong = mismatch(self.autoencoder, embeddings)
        if wrong is not None:
            logger.warning("%s", wrong[0].upper() + wrong[1:])
        bits = self.autoencoder.encode(torch.from_numpy(embeddings).to(self.device)).cpu().numpy()
        ends = np.cumsum([len(item) for item in inputs["recordings"]])[:-1]
        outputs: dict[str, list] = {"ba": np.split(bits, ends), "embedding": np.split(embeddings, ends)}
        return outputs | {name: value for name, value in inputs.items() if name != "recordings"}

    def postprocess(self, outputs: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        bits = outputs["ba"][0][0]
        (quality,) = _flat(outputs["quality"])
        found = {"ba": bits, "active": np.flatnonzero(bits).tolist(), "embedding": outputs["embedding"][0][0]}
        return found | {"quality": quality}

    def get_iterator(
        self,
        inputs: Any,
        num_workers: int,
        batch_size: int,
        preprocess_params: dict[str, Any],
        forward_params: dict[str, Any],
        postprocess_params: dict[str, Any],
    ) -> PipelineIterator:
        """Do what the base class does, but keep recordings of different lengths in a batch as they are."""
        dataset: PipelineDataset | PipelineIterator
        if hasattr(inputs, "__len__"):
            dataset = PipelineDataset(inputs, self.preprocess, preprocess_params)
        else:
            dataset, num_workers = PipelineIterator(inputs, self.preprocess, preprocess_params), min(num_workers, 1)
        loader = DataLoader(dataset, num_workers=num_workers, batch_size=batch_size, collate_fn=_collate)
        outputs = PipelineIterator(loader, self.forward, forward_params, loader_batch_size=batch_size)
        return PipelineIterator(outputs, self.postprocess, postprocess_params)


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
        model, autoencoder, min_speech, **kwargs: as for [`BinaryAttributesPipeline`].
        scorer (folder, Hub repository or [`Scorer`], *optional*): a scorer that was fitted to this autoencoder's
            attributes. It is taken instead of that of a system, and may be left out only if the model is a system
            whose autoencoder is used, or the autoencoder is the package's own.
        limits ([`Limits`], *optional*): how far outside the calibration's own range of recordings a verbal verdict is
            still given.

    Inputs:
        Two sides, or a list, a Dataset or a generator of pairs `(a, b)` of sides. A side is a recording, as for
        [`BinaryAttributesPipeline`], or a list of several recordings of one speaker. A call also takes the keywords
            top_k (int, *optional*): return only this many attributes, those with the largest terms first;
            return_explanation (bool): also return the [`Explanation`], which can be shown as text, page or figure;
            names (tuple[str, str]): the names of the two sides in the explanation.

    Returns:
        for each pair a dict with
            `llr` (float): the raw score in natural-log units, which is overconfident, since it is a sum over
                attributes that depend on one another;
            `calibrated_llr` (float): the natural-log likelihood ratio; None if the scorer is not calibrated;
            `verbal` (str): its place on the verbal scale (ENFSI, 2015); None if the scorer is not calibrated, if the
                recordings lie outside what it was calibrated for, or if both sides hold the same recording;
            `interval`, `bounds` (list[float]): how sure the ratio is, and what the calibration can vouch for, in
                natural-log units; None where that is unknown;
            `deviations` (list[dict]): what of the recordings lies outside what the scorer was fitted to and calibrated
                on;
            `cautions` (list[str]): what a reader must know before relying on the result;
            `attributes` (list[dict]): for each attribute its number `attribute`, its term `llr`, the states of both
                sides, and its `typicality` among the reference speakers.

    Raises:
        AudioError: a recording cannot be used; the message says why.
        UserError: a model is missing or does not go with the others, or an input is not two sides with recordings.

    Example:
        >>> compare = pipeline("speaker-comparison", "me/system")
        >>> compare = pipeline("speaker-comparison", "me/embedder", autoencoder="me/attributes", scorer="me/scorer")
        >>> compare("questioned.wav", ["known-1.wav", "known-2.wav"], top_k=10)
        >>> compare([("a.wav", "b.wav"), ("a.wav", "c.wav")], batch_size=8)
    """

    def __init__(
        self,
        model: "SpeakerComparisonModel | WespeakerModel",
        autoencoder: str | Path | BinaryAttributeAutoEncoder | None = None,
        scorer: str | Path | Scorer | None = None,
        limits: Limits | None = None,
        **kwargs: Any,
    ):
        super().__init__(model, autoencoder, **kwargs)
        self.limits = limits
        if scorer is None and isinstance(self.model, SpeakerComparisonModel):
            scorer = self.model.scorer
        if scorer is None:
            scorer = self._shipped(self.autoencoder, AUTOENCODER, SCORER, "scorer")
        if not isinstance(scorer, torch.nn.Module):
            scorer = load_scorer(scorer)
        if not isinstance(self.model, SpeakerComparisonModel) or scorer is not self.model.scorer:
            embedder: Any = getattr(self.model, "embedder", self.model)
            self.model = SpeakerComparisonModel.from_parts(embedder, self.autoencoder, scorer)
        self.scorer = scorer
        self.scorer.to(self.device)  # type: ignore[arg-type]  # as above

    def __call__(self, inputs: Any, test: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]  # a second side
        return super().__call__(inputs if test is None else (inputs, test), **kwargs)

    def _sanitize_parameters(
        self,
        top_k: int | None = None,
        return_explanation: bool | None = None,
        names: tuple[str, str] | None = None,
        **kwargs: Any,
    ) -> tuple[dict, dict, dict]:
        super()._sanitize_parameters(**kwargs)
        given = {"top_k": top_k, "return_explanation": return_explanation, "names": names}
        return {}, {}, {name: value for name, value in given.items() if value is not None}

    def preprocess(self, pair: Sequence) -> dict[str, list]:  # type: ignore[override]
        if isinstance(pair, str | bytes | Mapping) or not hasattr(pair, "__len__") or len(pair) != 2:
            raise UserError("a comparison is of two sides: compare(a, b), or a list of pairs (a, b)")
        sides = [side if isinstance(side, list) else [side] for side in pair]
        if not all(sides):
            raise UserError("a side of the comparison has no recording")
        loaded = [[self._loaded(recording) for recording in side] for side in sides]
        heard = [[self._heard(one) for one in side] for side in loaded]
        named = [
            {f"{word} {number + 1} of {side}": samples for number, samples in enumerate(recordings)}
            for side, word, recordings in zip("AB", ("Recording", "recording"), heard, strict=True)
        ]
        copies = list(describe_copies(*named))
        return {
            "recordings": [[one.samples for side in loaded for one in side]],
            "quality": [[one.quality for side in loaded for one in side]],
            "copies": [copies],
            "sizes": [[len(side) for side in sides]],
        }

    def _heard(self, loaded: Loaded) -> np.ndarray:
        """The samples at the rate at which recordings are compared."""
        assert loaded.samples is not None  # else it would have been refused
        return resample(loaded.samples, self.feature_extractor.sampling_rate, SAMPLING_RATE)

    def postprocess(  # type: ignore[override]
        self,
        outputs: dict[str, Any],
        top_k: int | None = None,
        return_explanation: bool = False,
        names: tuple[str, str] = ("A", "B"),
    ) -> dict[str, Any]:
        counts = recording_counts(outputs["ba"][0])
        first = np.ravel(outputs["sizes"])[0]
        measured = [quality.to_dict() for quality in _flat(outputs["quality"])]
        explanation = self.scorer.explain(
            counts[:first].sum(0),
            counts[first:].sum(0),
            names=names,
            quality=(measured[:first], measured[first:]),
            copies=tuple(_flat(outputs["copies"])),
            limits=self.limits,
            demonstration=any(map(is_shipped, (self._embedder, self.autoencoder, self.scorer))),
        )
        found = explanation.to_dict()
        result = {
            "llr": found["raw_llr"],
            "calibrated_llr": found["llr"] if explanation.is_calibrated else None,
            "verbal": found["verbal"],
            "interval": found["interval"],
            "bounds": found["bounds"],
            "deviations": found["deviations"],
            "cautions": found["cautions"],
            "attributes": found["attributes"][:top_k],
        }
        return result | ({"explanation": explanation} if return_explanation else {})


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

"""Two tasks for `transformers.pipeline`: `speaker-comparison` and `binary-attributes`.

import balr_hf
from transformers import pipeline

compare = pipeline("speaker-comparison")  # the small models of the package; name your own for real work
compare("questioned.wav", "known.wav")["calibrated_llr"]
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import AutoModel, Pipeline, PreTrainedModel
from transformers.pipelines import PIPELINE_REGISTRY

# There is no public name for these two; `get_iterator` of the base class is made of them, and ours must be too.
from transformers.pipelines.pt_utils import PipelineDataset, PipelineIterator

from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
from balr_hf.audio import AudioError
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SCORER, resource
from balr_hf.embeddings.passes import embed_waveforms, load_usable
from balr_hf.errors import UserError
from balr_hf.scoring.auto import load_scorer
from balr_hf.scoring.counts import recording_counts
from balr_hf.scoring.modeling_scorer import Scorer

if TYPE_CHECKING:
    from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel


class BinaryAttributesPipeline(Pipeline):
    """`pipeline("binary-attributes")`: one recording -> its binary attributes.

    Args:
        model ([`WespeakerModel`] or what `AutoModel` loads): the embedder.
        autoencoder (folder, Hub repository or [`BinaryAttributeAutoEncoder`], *optional*): the one that was trained on
            this embedder's embeddings; needed unless the embedder is the package's own.
        **kwargs: `device`, `batch_size`, `num_workers`, ... as for every pipeline.

    Called with a recording, or with a list (a Dataset, a generator) of them, each one of
        a path, a file's bytes, samples at the embedder's rate (array or tensor), a dict with `array` and
        `sampling_rate`, an undecoded row of a `datasets.Audio` column, a torchcodec `AudioDecoder`.

    Returns:
        for each recording a dict with
            `ba`: bool `(attributes,)`;
            `active`: the numbers of the attributes that are active;
            `embedding`: float32 `(embed_dim,)`.

    Raises:
        AudioError: a recording that cannot be used, with the reason.
    """

    # `pipeline` asks for these flags, which have no public name, what to load beside the model: nothing, since an
    # embedder has its feature extractor. (The base class sets them to None, which mypy takes for their type.)
    _load_processor: bool | None = False  # type: ignore[assignment]
    _load_image_processor: bool | None = False  # type: ignore[assignment]
    _load_video_processor: bool | None = False  # type: ignore[assignment]
    _load_feature_extractor: bool | None = False  # type: ignore[assignment]
    _load_tokenizer: bool | None = False  # type: ignore[assignment]

    feature_extractor: "WespeakerFeatureExtractor"

    def __init__(
        self,
        model: "WespeakerModel",
        autoencoder: str | Path | BinaryAttributeAutoEncoder | None = None,
        **kwargs: Any,
    ):
        kwargs["feature_extractor"] = kwargs.get("feature_extractor") or model.feature_extractor
        super().__init__(model, **kwargs)
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
        self.autoencoder.to(self.device)  # type: ignore[arg-type]  # transformers wraps `to` in what is no method to mypy
        self._embedder = model.for_inference()

    @staticmethod
    def _shipped(source: PreTrainedModel, own: str, needed: str, role: str) -> Path:
        """The package's model that goes with another of its models."""
        if str(source.name_or_path) != str(resource(own)):
            raise UserError(
                f"{role}= is missing: name the one that was made for {source.name_or_path or 'this model'}"
            )
        return resource(needed)

    def _sanitize_parameters(self, **kwargs: Any) -> tuple[dict, dict, dict]:
        if kwargs:
            raise TypeError(f"{self.task} knows no {', '.join(kwargs)}")
        return {}, {}, {}

    # The steps (here and below) override ones that transformers declares for tensors; lists are handed on here.
    def preprocess(self, recording: Any) -> dict[str, list]:  # type: ignore[override]
        return {"recordings": [[self._samples(recording)]]}

    def _samples(self, recording: Any) -> np.ndarray:
        if isinstance(recording, np.ndarray | torch.Tensor):
            recording = {"array": recording, "sampling_rate": self.feature_extractor.sampling_rate}
        elif isinstance(recording, Mapping) and "raw" in recording:  # as transformers' own pipelines name it
            recording = {"array": recording["raw"], "sampling_rate": recording.get("sampling_rate")}
        samples = load_usable(recording, self.feature_extractor)
        if isinstance(samples, str):
            raise AudioError(f"{recording}: {samples}" if isinstance(recording, str | Path) else samples)
        return samples

    def _forward(self, inputs: dict[str, list]) -> dict[str, list]:  # type: ignore[override]
        """All recordings of all items at once; then one array an item again."""
        waveforms = [samples for item in inputs["recordings"] for samples in item]
        embeddings = embed_waveforms(self._embedder, self.feature_extractor, waveforms, self.device)
        bits = self.autoencoder.encode(torch.from_numpy(embeddings).to(self.device)).cpu().numpy()
        ends = np.cumsum([len(item) for item in inputs["recordings"]])[:-1]
        outputs = {"ba": np.split(bits, ends), "embedding": np.split(embeddings, ends)}
        return outputs | {name: value for name, value in inputs.items() if name != "recordings"}

    def postprocess(self, outputs: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        bits = outputs["ba"][0][0]
        return {"ba": bits, "active": np.flatnonzero(bits).tolist(), "embedding": outputs["embedding"][0][0]}

    def get_iterator(
        self,
        inputs: Any,
        num_workers: int,
        batch_size: int,
        preprocess_params: dict[str, Any],
        forward_params: dict[str, Any],
        postprocess_params: dict[str, Any],
    ) -> PipelineIterator:
        """As the base's, but a batch keeps recordings of different lengths as they are."""
        dataset: PipelineDataset | PipelineIterator
        if hasattr(inputs, "__len__"):
            dataset = PipelineDataset(inputs, self.preprocess, preprocess_params)
        else:
            dataset, num_workers = PipelineIterator(inputs, self.preprocess, preprocess_params), min(num_workers, 1)
        loader = DataLoader(dataset, num_workers=num_workers, batch_size=batch_size, collate_fn=_collate)
        outputs = PipelineIterator(loader, self.forward, forward_params, loader_batch_size=batch_size)
        return PipelineIterator(outputs, self.postprocess, postprocess_params)


def _collate(items: list[dict[str, list]]) -> dict[str, list]:
    return {name: [value for item in items for value in item[name]] for name in items[0]}


class SpeakerComparisonPipeline(BinaryAttributesPipeline):
    """`pipeline("speaker-comparison")`: two recordings -> how strongly they support "same speaker", and why.

    Args:
        model, autoencoder, **kwargs: as for [`BinaryAttributesPipeline`].
        scorer (folder, Hub repository or [`Scorer`], *optional*): fitted to this autoencoder's attributes; needed
            unless the autoencoder is the package's own.

    Called with two sides, or with a list (a Dataset, a generator) of pairs `(a, b)`. A side is a recording, as
    [`BinaryAttributesPipeline`] takes them, or a list of several recordings of one speaker. Keywords of a call:
        top_k (int): only so many attributes, the weightiest first; all by default.
        return_explanation (bool): also the [`Explanation`], for its text, page and figure.
        names (tuple[str, str]): of the two sides, for the explanation.

    Returns:
        for each pair a dict with
            `llr`: the raw score, a sum over dependent attributes, in natural-log units: overconfident;
            `calibrated_llr`: the natural-log likelihood ratio; None if the scorer is not calibrated;
            `verbal`: its place on the verbal scale (ENFSI, 2015); None likewise;
            `cautions`: what a reader must know before relying on it;
            `attributes`: a dict an attribute, with its number `attribute`, its term `llr`, both sides' states, and
                its `typicality` among reference speakers.

    Example:
        >>> compare = pipeline("speaker-comparison", "me/embedder", autoencoder="me/attributes", scorer="me/scorer")
        >>> compare("questioned.wav", ["known-1.wav", "known-2.wav"], top_k=10)
        >>> compare([("a.wav", "b.wav"), ("a.wav", "c.wav")], batch_size=8)
    """

    def __init__(
        self,
        model: "WespeakerModel",
        autoencoder: str | Path | BinaryAttributeAutoEncoder | None = None,
        scorer: str | Path | Scorer | None = None,
        **kwargs: Any,
    ):
        super().__init__(model, autoencoder, **kwargs)
        if scorer is None:
            scorer = self._shipped(self.autoencoder, AUTOENCODER, SCORER, "scorer")
        if not isinstance(scorer, torch.nn.Module):
            scorer = load_scorer(scorer)
        if scorer.config.num_attributes != self.autoencoder.config.internal_dim:
            raise UserError(
                f"the autoencoder makes {self.autoencoder.config.internal_dim} attributes, the scorer knows "
                f"{scorer.config.num_attributes}: use a scorer fitted to this autoencoder's attributes"
            )
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
        recordings = [self._samples(recording) for side in sides for recording in side]
        return {"recordings": [recordings], "sizes": [[len(side) for side in sides]]}

    def postprocess(  # type: ignore[override]
        self,
        outputs: dict[str, Any],
        top_k: int | None = None,
        return_explanation: bool = False,
        names: tuple[str, str] = ("A", "B"),
    ) -> dict[str, Any]:
        counts = recording_counts(outputs["ba"][0])
        first = np.ravel(outputs["sizes"])[0]
        explanation = self.scorer.explain(counts[:first].sum(0), counts[first:].sum(0), names=names)
        found = explanation.to_dict()
        result = {
            "llr": found["raw_llr"],
            "calibrated_llr": found["llr"] if explanation.is_calibrated else None,
            "verbal": found["verbal"],
            "cautions": found["cautions"],
            "attributes": found["attributes"][:top_k],
        }
        return result | ({"explanation": explanation} if return_explanation else {})


def _register() -> None:
    try:
        default = {"model": (str(resource(EMBEDDER)), "main")}
    except UserError:  # an installation without its resources can still load others
        default = None
    for task, cls in (
        ("binary-attributes", BinaryAttributesPipeline),
        ("speaker-comparison", SpeakerComparisonPipeline),
    ):
        PIPELINE_REGISTRY.register_pipeline(task, cls, pt_model=AutoModel, default=default, type="audio")


_register()

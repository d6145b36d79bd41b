"""`pipeline("binary-attributes")`: recordings -> binary attributes."""

import copy
import logging
import os
import reprlib
from collections.abc import Iterator, Mapping, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from huggingface_hub import CommitInfo
from torch.utils.data import DataLoader
from transformers import Pipeline, PreTrainedModel

# Nothing public stands for these two: `Pipeline.get_iterator` uses them, and has no option for collating batches.
from transformers.pipelines.pt_utils import PipelineDataset, PipelineIterator

from balr_hf.attributes.binarization import mismatch
from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
from balr_hf.audio import AudioError
from balr_hf.defaults import AUTOENCODER, EMBEDDER, resource
from balr_hf.embeddings.passes import Loaded, embed_waveforms, load_usable
from balr_hf.errors import ConfigError, MismatchError, UserError
from balr_hf.identity import wrong_parts
from balr_hf.pipelines.inputs import download, several_recordings
from balr_hf.quality import MIN_SPEECH
from balr_hf.system.modeling_system import SpeakerComparisonModel, check_precision

logger = logging.getLogger(__name__)

# What happens with a recording that cannot be used.
ON_ERROR = ("raise", "skip", "return")

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
        ConfigError: `on_error` or `min_speech` is none that is known, or a `feature_extractor` is not the embedder's.
        UserError: the autoencoder is missing, or takes embeddings of another size; a model is of another kind; weights
            are not float32; or a part was replaced by another one after the pipeline was made. What was trained
            further, or calibrated anew, is followed.
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
        check_kind(model, "model", "for_inference", "compare", expected="a whole system or an embedder")
        given = kwargs.get("feature_extractor") or model.feature_extractor
        if isinstance(given, str | Path):  # `pipeline` hands names on, because of the flags above
            given = type(model.feature_extractor).from_pretrained(given)
        if given.to_dict() != model.feature_extractor.to_dict():
            raise ConfigError(
                "feature_extractor= has other settings than that of the embedder, whose embeddings it would change: "
                "leave it out"
            )
        kwargs["feature_extractor"] = given
        whole: PreTrainedModel = model
        if isinstance(model, SpeakerComparisonModel):
            whole, model, autoencoder = _system_or_embedder(model, autoencoder)
        super().__init__(whole, **kwargs)
        if autoencoder is None:
            autoencoder = self._shipped(model, EMBEDDER, AUTOENCODER, "autoencoder")
        if isinstance(autoencoder, str | Path):
            autoencoder = BinaryAttributeAutoEncoder.from_pretrained(autoencoder)
        check_kind(autoencoder, "autoencoder", "encode", expected="an autoencoder, or a folder or repository of one")
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
        self._used: dict[str, Any] = {"embedder": model, "autoencoder": autoencoder}
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

    def _versions(self) -> list[tuple[int, int, torch.dtype, float]]:
        """What changes with the weights: how often each was changed in place, where it is, its type, and its sum.

        Only the sum changes where a weight is changed by its `data`, as `weight.data.copy_(average)` does; so what
        leaves it as it was, such as another order of the values, is not noticed there.
        """
        versions = []
        for part in (self._source, self.autoencoder):
            weights = list(part.state_dict().values())
            sums = torch.stack([_sum(weight) for weight in weights]).tolist()
            versions += [
                (0 if one.is_inference() else one._version, one.data_ptr(), one.dtype, total)
                for one, total in zip(weights, sums, strict=True)
            ]
        return versions

    def _check_kept(self) -> None:
        """See whether the parts are still those that the pipeline was made with.

        Raises:
            UserError: one was replaced.
        """
        model: Any = self.model
        for name, used in self._used.items():
            own, of_model = getattr(self, name, used), getattr(model, name, model if name == "embedder" else used)
            if own is not used or of_model is not used:
                raise UserError(
                    f"the {name} of this pipeline was replaced after the pipeline was made, which still computes with "
                    "the one before: make a pipeline of the models that are wanted"
                )

    def _follow_models(self) -> None:
        """Copy the models again if their weights were changed or cast since.

        Raises:
            UserError: they were cast to half precision, or others stand in their places.
            MismatchError: they no longer belong together, and that was not allowed.
        """
        self._check_kept()
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

        Raises:
            UserError: a part was replaced, so that this would not be what computed.
        """
        self._check_kept()
        self._warn_of_embedder("Saved")
        self.model.save_pretrained(save_directory, **kwargs)

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> CommitInfo:  # type: ignore[override]
        """Upload the whole system with its card, or what `save_pretrained` would write of it.

        Args:
            repo_id (str): the repository, `name/repository`, which is made if it does not exist.
            **kwargs: as for [`HubModel.push_to_hub`].

        Returns:
            `huggingface_hub.CommitInfo`

        Raises:
            UserError: a part was replaced, so that this would not be what computed.
        """
        self._check_kept()
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
        elif isinstance(recording, Mapping) and recording.get("raw") is not None:  # as transformers' own pipelines say
            if recording.get("array") is not None:
                reason = "has both raw and array, of which only one can be its samples"
                raise AudioError(reason if name is None else f"{name}: {reason}")
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
        (error,) = flat(outputs["error"])
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
        (quality,) = flat(outputs["quality"])
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


def check_kind(given: Any, name: str, *methods: str, expected: str) -> None:
    """Refuse what is no model of the kind that stands in its place.

    Args:
        given: what should be a model.
        name (str): the argument that it was given as.
        *methods: models of this kind have one of these methods.
        expected (str): how a message names the kind.

    Raises:
        UserError: it has none of them.
    """
    if not (isinstance(given, torch.nn.Module) and any(callable(getattr(given, method, None)) for method in methods)):
        shown = type(given).__name__ if isinstance(given, torch.nn.Module) else reprlib.repr(given)
        raise UserError(f"{name}={shown}: expected {expected}")


def _sum(weight: torch.Tensor) -> torch.Tensor:
    """The sum of a weight's values, whatever the number of threads: each row is added up by one of them."""
    values = weight.detach()
    return (values.flatten(1).sum(1) if values.ndim > 1 else values).sum().float()


def flat(nested: Any) -> list:
    """What nested lists hold, in one list."""
    return [item for part in nested for item in flat(part)] if isinstance(nested, list) else [nested]


def _collate(items: list[dict[str, list]]) -> dict[str, list]:
    return {name: [value for item in items for value in item[name]] for name in items[0]}

"""A whole system for speaker comparison: embedder, autoencoder and scorer in one model."""

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import torch
from huggingface_hub import HfApi
from transformers import AutoModel, PreTrainedModel
from transformers.dynamic_module_utils import custom_object_save
from transformers.utils import ModelOutput
from transformers.utils.hub import create_and_tag_model_card

from .configuration_system import SpeakerComparisonConfig, check_kind

try:
    from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
    from balr_hf.describing.descriptions import FILE as ATTRIBUTES
    from balr_hf.describing.descriptions import load_descriptions
    from balr_hf.detectors.detector import FILES, load_detectors, read_detector
    from balr_hf.embeddings.configuration_wespeaker import MIN_FRAMES
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel
    from balr_hf.errors import MismatchError, UserError
    from balr_hf.identity import model_identity, wrong_parts
    from balr_hf.pretrained import HubModel
    from balr_hf.quality import measure_recording
    from balr_hf.scoring.counts import recording_counts
    from balr_hf.scoring.modeling_beta import DirichletMultinomialScorer
    from balr_hf.scoring.modeling_cosine import CosineSimilarityScorer
    from balr_hf.scoring.modeling_maxllr import MaxLLRScorer
    from balr_hf.scoring.modeling_profile import DNALLRScorer, SpeechLLRScorer
    from balr_hf.scoring.modeling_scorer import Scorer
    from balr_hf.scoring.quality_measures import recordings_quality

    if TYPE_CHECKING:  # inside `try`: transformers requires what is imported outside wherever this file is loaded
        from balr_hf.describing.descriptions import AttributeDescriptions
        from balr_hf.detectors.detector import Detector
        from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor
        from balr_hf.scoring.configuration_scorers import ScorerConfig
except ModuleNotFoundError:  # this file came with a model, to where the package is not installed
    if not TYPE_CHECKING:
        from .configuration_wespeaker import MIN_FRAMES
        from .counts import recording_counts
        from .modeling_autoencoder import BinaryAttributeAutoEncoder
        from .modeling_beta import DirichletMultinomialScorer
        from .modeling_cosine import CosineSimilarityScorer
        from .modeling_maxllr import MaxLLRScorer
        from .modeling_profile import DNALLRScorer, SpeechLLRScorer
        from .modeling_scorer import Scorer
        from .modeling_wespeaker import WespeakerModel
        from .quality_measures import recordings_quality

        measure_recording = model_identity = load_descriptions = load_detectors = None
        UserError, MismatchError, HubModel = ValueError, ValueError, PreTrainedModel

        def wrong_parts(*_):
            """Without the package, nothing is known of the models' identities."""


logger = logging.getLogger(__name__)

Waveform = np.ndarray | torch.Tensor

# The mean square of a silent recording's samples is less: -90 dB of full scale.
SILENCE = 1e-9

# Samples are in [-1, 1]; what is louder than this, by far, is of another scale.
LOUDEST = 100.0

# What a system consists of.
PARTS = ("embedder", "autoencoder", "scorer")

# The scorers that a system knows by itself, and whose code comes with it.
SCORERS = (CosineSimilarityScorer, DirichletMultinomialScorer, DNALLRScorer, MaxLLRScorer, SpeechLLRScorer)

# Keywords of `save_pretrained` that concern the upload.
UPLOADING = ("repo_id", "private", "token", "revision", "create_pr", "commit_message", "commit_description", "tags")


@dataclass
class SpeakerComparisonOutput(ModelOutput):
    """Output of [`SpeakerComparisonModel`], one row per comparison.

    Args:
        llr (`torch.DoubleTensor` of shape `(comparisons,)`): the raw scores in natural-log units. They are sums over
            attributes that depend on one another, and so overconfident.
        calibrated_llr (`torch.DoubleTensor` of shape `(comparisons,)`, *optional*): the natural-log likelihood ratios,
            within the bounds that the calibration vouches for; None if the scorer is not calibrated.
        attribute_llrs (`torch.DoubleTensor` of shape `(comparisons, attributes)`): what each attribute adds. The terms
            are calibrated if the scorer is; their sum plus `scorer.calibration_offset`, and plus
            `scorer.quality_terms` if the calibration has quality measures, is then the calibrated LLR before it is
            bounded. If it is not, their sum is `llr`.
    """

    llr: torch.Tensor | None = None
    calibrated_llr: torch.Tensor | None = None
    attribute_llrs: torch.Tensor | None = None


class SpeakerComparisonModel(HubModel):
    """Compares recordings: an embedder, an autoencoder and a scorer that belong together, as one model.

    A system is saved in one folder or repository: `config.json` with the configurations of the parts,
    `model.safetensors` with their weights under `embedder.`, `autoencoder.` and `scorer.`, and
    `preprocessor_config.json` of the embedder's features. The classes of the parts load their part from it too. Where
    the attributes have been described (see `balr describe`), `attributes.json` says what they go with. Where the
    system has learnt to notice people who speak at the same time, speech at another speed, or reverberant rooms (see
    `balr detectors`), it does so by `overlapped_speech.safetensors`, `changed_speed.safetensors` and
    `reverberant_room.safetensors`.

    This model computes. For recordings of a case use `pipeline("speaker-comparison")`, which takes a system as well:
    it also measures the recordings, refuses those that cannot be used, and says what a reader of the result must know.

    Args:
        config ([`SpeakerComparisonConfig`]): the configurations of the parts.
        embedder, autoencoder, scorer (*optional*): the parts, if they exist already; see `from_parts`.

    Another part can be assigned (`system.scorer = ...`) if it goes with the two that stay; otherwise `from_parts`
    makes a system of all three.

    Attributes:
        embedder ([`WespeakerModel`]): makes embeddings.
        autoencoder ([`BinaryAttributeAutoEncoder`]): makes attributes of embeddings.
        scorer ([`Scorer`]): compares attributes.
        descriptions ([`AttributeDescriptions`], *optional*): what the attributes go with, as far as measures tell;
            None where that is not known. They are saved and loaded with the system where the package is installed.
        detectors (dict of [`Detector`]): notice what makes a comparison meaningless, by the names of their kinds
            (`overlapped`, `speed`, `room`). They are saved and loaded likewise.

    Raises:
        UserError: the sizes of the parts do not fit.

    Example:
        >>> from balr_hf.defaults import SYSTEM, resource
        >>> system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
        >>> noise = np.random.default_rng(0).normal(scale=0.1, size=(2, 16000))
        >>> output = system.compare(noise[0], noise[1])
        >>> output.calibrated_llr.shape, output.attribute_llrs.shape
        (torch.Size([1]), torch.Size([1, 512]))
    """

    config_class = SpeakerComparisonConfig
    base_model_prefix = "system"
    main_input_name = "enroll_features"
    role = "system"

    config: SpeakerComparisonConfig
    embedder: WespeakerModel
    autoencoder: BinaryAttributeAutoEncoder
    scorer: Scorer

    def __init__(
        self,
        config: SpeakerComparisonConfig,
        embedder: WespeakerModel | None = None,
        autoencoder: BinaryAttributeAutoEncoder | None = None,
        scorer: Scorer | None = None,
    ):
        _check_sizes(config)
        super().__init__(config)
        self.embedder = embedder or WespeakerModel(config.embedder)
        self.autoencoder = autoencoder or BinaryAttributeAutoEncoder(config.autoencoder)
        self.scorer = scorer or _build_scorer(config.scorer)
        self.descriptions: AttributeDescriptions | None = None
        self.detectors: dict[str, Detector] = {}
        self._loaded_beside: set[str] = set()  # the files of descriptions and detectors
        config.scorer.dtype = self.scorer.dtype  # transformers gives all parts the type of the first weights
        self.post_init()
        self._keys_to_ignore_on_load_unexpected = []  # only the parts, in a folder of a system, ignore the others

    def __setattr__(self, name: str, value: Any) -> None:
        """Take another part as `from_parts` takes it: what is computed and what is saved stay one system.

        Raises:
            UserError: this is no such part, or its size does not fit, it is not fitted, or not float32.
            MismatchError: the parts would not belong together, which was not allowed when they were joined.
        """
        if name in PARTS and name in self._modules:
            self._join(name, value)
        super().__setattr__(name, value)

    def _join(self, name: str, part: Any) -> None:
        """Check that another part goes with the two that stay, and take its configuration."""
        if not isinstance(part, PreTrainedModel):
            raise UserError(f"{name}={type(part).__name__}: expected a model that is the {name} of a system")
        parts: dict[str, Any] = {one: getattr(self, one) for one in PARTS} | {name: part}
        config = _joined(**parts, allow_mismatch=self.config.mismatch is not None)
        config.scorer.dtype = parts["scorer"].dtype
        self.config.mismatch = config.mismatch
        setattr(self.config, name, part.config)

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Do nothing: the parts make their own weights."""

    @property
    def feature_extractor(self) -> "WespeakerFeatureExtractor":
        """What makes the embedder's features of waveforms."""
        return self.embedder.feature_extractor

    @property
    def files_beside(self) -> tuple[str, ...]:  # type: ignore[override]  # known only where the package is installed
        """What may lie beside a system: the descriptions of its attributes, and its detectors."""
        return ATTRIBUTES, *FILES.values()

    @property
    def parameter_ranges(self) -> dict[str, tuple[float, float]]:
        """The least and the largest value of each weight that cannot be any number."""
        return {f"scorer.{name}": ends for name, ends in self.scorer.parameter_ranges.items()}

    def check_whole(self) -> None:
        """Check that the calibration is that of the scorer, and as it was saved.

        The identities of the parts are compared once the features are there.

        Raises:
            UserError: it is that of another one.
            MismatchError: its record and its tensors are not those that were saved together.
        """
        self.scorer.check_whole()

    @classmethod
    def from_parts(
        cls,
        embedder: WespeakerModel,
        autoencoder: BinaryAttributeAutoEncoder,
        scorer: Scorer,
        allow_mismatch: bool = False,
    ) -> Self:
        """Join models that belong together. They are not copied.

        Args:
            embedder ([`WespeakerModel`]): the embedder.
            autoencoder ([`BinaryAttributeAutoEncoder`]): one that was trained on this embedder's embeddings.
            scorer ([`Scorer`]): one that was fitted to this autoencoder's attributes.
            allow_mismatch (bool): join models that are known not to belong together; the system's configuration says
                so, and so does every comparison.

        Returns:
            [`SpeakerComparisonModel`], in evaluation mode.

        Raises:
            UserError: the sizes of the parts do not fit, the scorer is not fitted, or weights are not float32.
            MismatchError: the parts are known not to belong together.
        """
        return cls(_joined(embedder, autoencoder, scorer, allow_mismatch), embedder, autoencoder, scorer).eval()

    @classmethod
    def from_pretrained(  # type: ignore[override]  # as in HubModel: a source is always named
        cls,
        pretrained_model_name_or_path: str | Path,
        *model_args: Any,
        with_descriptions: bool = True,
        with_detectors: bool = True,
        **kwargs: Any,
    ) -> Self:
        """Load a system from a folder or from the Hub.

        Args:
            pretrained_model_name_or_path (str or `Path`): a folder, or the id of a repository on the Hub.
            *model_args: as for `PreTrainedModel.from_pretrained`.
            with_descriptions (bool): also load what is known of the attributes, from `attributes.json`.
            with_detectors (bool): also load the detectors that lie beside it.
            **kwargs: as for `PreTrainedModel.from_pretrained`.

        Returns:
            the system, in evaluation mode.

        Raises:
            UserError: there is no system, weights are missing, of another shape or out of range, its parts do not
                fit, or it was to be loaded in another precision than float32.
            MismatchError: its parts are known not to belong together, which was not allowed when they were joined; or
                its `attributes.json` or one of its detectors is of other models.
        """
        loaded: Any = super().from_pretrained(pretrained_model_name_or_path, *model_args, **kwargs)
        model = loaded[0] if kwargs.get("output_loading_info") else loaded
        try:
            model.embedder.load_feature_extractor(pretrained_model_name_or_path, **kwargs)
        except OSError as error:
            raise UserError(
                f"{pretrained_model_name_or_path} lacks preprocessor_config.json, so that the features which its "
                "embedder takes are unknown"
            ) from error
        _check_features(model.embedder)
        check_precision(model.embedder, model.autoencoder)  # before identities, which are of weights in float32
        wrong = wrong_parts(model.embedder, model.autoencoder, model.scorer)
        if wrong is not None and model.config.mismatch is None:
            raise MismatchError(wrong)
        if with_descriptions:
            model._load_descriptions(pretrained_model_name_or_path, **kwargs)
        if with_detectors:
            model._load_detectors(pretrained_model_name_or_path, **kwargs)
        for part in (getattr(model, name) for name in PARTS):
            part.name_or_path = part.config.name_or_path = str(pretrained_model_name_or_path)
        return loaded

    def prepare_saving(self, state_dict: Mapping[str, torch.Tensor] | None = None) -> None:
        """State the digest of the scorer's calibration, as it does where it is saved alone.

        Args:
            state_dict (dict, *optional*): weights that are to be saved instead of the system's own.

        Raises:
            ConfigError: the embedder or the autoencoder is of a kind that would not be loaded again.
        """
        for name in ("embedder", "autoencoder"):
            check_kind(name, getattr(self.config, name).model_type)
        of_scorer = {name: value for name, value in (state_dict or {}).items() if name.startswith("scorer.")}
        self.scorer.prepare_saving({name.removeprefix("scorer."): value for name, value in of_scorer.items()} or None)

    def save_pretrained(  # type: ignore[override]  # as in HubModel
        self,
        save_directory: str | os.PathLike[Any],
        is_main_process: bool = True,
        state_dict: dict[str, Any] | None = None,
        push_to_hub: bool = False,
        **kwargs: Any,
    ) -> None:
        """Write the system to a folder, with the code that `trust_remote_code=True` loads where the package is not.

        Args:
            save_directory: the folder, which is made if it does not exist.
            is_main_process (bool): whether this is the process that uploads, among several that train together.
            state_dict (dict, *optional*): weights to save instead of the model's own.
            push_to_hub (bool): also upload the system, to the repository `repo_id`.
            **kwargs: as for `PreTrainedModel.save_pretrained`.

        Raises:
            ConfigError: the embedder or the autoencoder is of a kind that would not be loaded again.
        """
        self.config.auto_map = {
            "AutoConfig": f"configuration_system.{SpeakerComparisonConfig.__name__}",
            "AutoModel": f"modeling_system.{SpeakerComparisonModel.__name__}",
        }
        # PreTrainedModel, which stands for HubModel without the package, would upload neither features nor code.
        alone = HubModel is PreTrainedModel
        upload = {name: kwargs.pop(name) for name in UPLOADING if name in kwargs} if alone else {}
        pushes = push_to_hub and not alone
        super().save_pretrained(save_directory, is_main_process, state_dict, push_to_hub=pushes, **kwargs)
        self.feature_extractor.save_pretrained(save_directory)
        for part in (WespeakerModel, BinaryAttributeAutoEncoder, *SCORERS):
            custom_object_save(part, save_directory)
        for own in (SpeakerComparisonConfig, SpeakerComparisonModel):  # the files that they need are the parts'
            shutil.copy(str(sys.modules[own.__module__].__file__), save_directory)
        if is_main_process and model_identity is not None:
            self._remove_stale(Path(save_directory))
        beside: tuple[tuple[str, Any, Callable[[Any], None]], ...] = (
            ("The descriptions of the attributes are", self.descriptions, self._check_descriptions),
            *((f"The {one.name} is", one, self._check_detector) for one in self.detectors.values()),
        )
        for what, found, check in beside:
            try:
                check(found)
            except MismatchError as error:  # after training, which must not be lost for this
                logger.warning("%s not saved: %s", what, error)
            else:
                if found is not None:
                    found.save(Path(save_directory))
        if push_to_hub and alone and is_main_process:
            repo_id = upload.pop("repo_id", None) or Path(save_directory).resolve().name
            with tempfile.TemporaryDirectory() as temporary:
                self.save_pretrained(temporary, state_dict=state_dict, **kwargs)
                _upload(Path(temporary), repo_id, **upload)

    def _remove_stale(self, folder: Path) -> None:
        """Remove what an earlier system left in a folder, of its attributes or for its embedder, and is not of this.

        With what is of other models, the folder could not be loaded. What was loaded with this system and is no part
        of it any more would be part of it again.
        """
        now = {FILES[kind] for kind in self.detectors} | ({ATTRIBUTES} if self.descriptions is not None else set())
        for name in self._loaded_beside - now:
            (folder / name).unlink(missing_ok=True)
        beside: tuple[tuple[str, Callable[[Path], Any], Callable[[Any], None]], ...] = (
            (ATTRIBUTES, load_descriptions, self._check_descriptions),
            *(
                (name, lambda folder, name=name: read_detector(folder / name), self._check_detector)
                for name in FILES.values()
            ),
        )
        for name, load, check in beside:
            try:
                if (folder / name).is_file():
                    check(load(folder))
            except UserError as error:  # of other models, damaged, or of an earlier version
                logger.warning("Removed %s of an earlier system from %s: %s", name, folder, error)
                (folder / name).unlink()

    def _load_descriptions(self, source: str | Path, **kwargs: Any) -> None:
        """Take the descriptions of the attributes that lie beside the system, if there are any.

        Raises:
            MismatchError: they are those of another autoencoder.
            UserError: they are damaged.
        """
        if load_descriptions is None:  # the package has what reads them
            return
        self.descriptions = load_descriptions(source, **kwargs)
        self._check_descriptions(self.descriptions)
        if self.descriptions is not None:
            self._loaded_beside.add(ATTRIBUTES)

    def _check_descriptions(self, descriptions: "AttributeDescriptions | None") -> None:
        if descriptions is not None:
            identities = model_identity(self.autoencoder), model_identity(self.embedder)
            descriptions.check(identities[0], self.config.autoencoder.internal_dim, identities[1])

    def _load_detectors(self, source: str | Path, **kwargs: Any) -> None:
        """Take the detectors that lie beside the system.

        Raises:
            MismatchError: one is that of another embedder.
            UserError: one is damaged.
        """
        if load_detectors is None:  # the package has what reads them
            return
        self.detectors = load_detectors(source, **kwargs)
        self._loaded_beside |= {FILES[kind] for kind in self.detectors}
        for detector in self.detectors.values():
            self._check_detector(detector)

    def _check_detector(self, detector: "Detector") -> None:
        detector.check(self.embedder)

    @torch.no_grad()
    def embed(self, recordings: Waveform | Sequence[Waveform], sampling_rate: int | None = None) -> torch.Tensor:
        """Embed recordings, one after another, as they are.

        [`SpeakerComparisonPipeline`] and `balr explain` do more: they measure recordings, refuse what has too little
        speech, and leave out long pauses and digital silence, which drown a speaker.

        Args:
            recordings: a waveform `(samples,)` in [-1, 1], or several of any lengths.
            sampling_rate (int, *optional*): the waveforms' rate in Hz, which is checked against the embedder's.

        Returns:
            `torch.FloatTensor` of shape `(recordings, embed_dim)`.

        Raises:
            ValueError: the waveforms have another sampling rate.
            UserError: a waveform is not mono, has too few samples, is silent, or has samples that are masked, no
                floats or not finite; or the weights were cast to another precision than float32, or the system is in
                training mode.
        """
        check_precision(self.embedder)
        self._check_mode()
        return torch.cat([self._embed_one(waveform, sampling_rate) for waveform in _as_list(recordings)])

    def _check_mode(self) -> None:
        """Refuse training mode, in which a comparison would change what the batch norms know.

        Raises:
            UserError: a part is in training mode.
        """
        if self.embedder.training or self.autoencoder.training:
            raise UserError(
                "the system is in training mode, in which comparing changes its weights: call eval() first"
            )

    def _embed_one(self, waveform: Waveform, sampling_rate: int | None) -> torch.Tensor:
        samples = torch.as_tensor(waveform)
        if np.ma.is_masked(waveform) or not samples.is_floating_point():
            kind = "some are masked" if np.ma.is_masked(waveform) else str(samples.dtype).removeprefix("torch.")
            raise UserError(f"a recording has samples that are no floats in [-1, 1] ({kind})")
        samples = samples.float()
        if samples.ndim != 1:
            raise UserError(f"a recording of shape {tuple(samples.shape)}: expected mono, (samples,)")
        if not torch.isfinite(samples).all():
            raise UserError("a recording has samples that are not finite numbers")
        if len(samples) and samples.abs().max() > LOUDEST:
            raise UserError(f"a recording has samples up to {samples.abs().max():g}: expected them in [-1, 1]")
        frames = self.feature_extractor.num_frames(len(samples))
        if frames < MIN_FRAMES:
            raise UserError(f"a recording is too short: {frames} frames of at least {MIN_FRAMES}")
        if len(samples) and samples.square().mean() < SILENCE:
            raise UserError("a recording is silent: its level is below the last bit of 16 (-90 dBFS)")
        with torch.autocast(self.device.type, enabled=False):  # half precision gives other attributes
            features = self.feature_extractor([samples], sampling_rate, device=self.device)["input_features"]
            return self.embedder(features.to(self.embedder.dtype)).embeddings

    @torch.no_grad()
    def attributes(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Turn embeddings into binary attributes.

        Args:
            embeddings (`torch.FloatTensor` of shape `(recordings, embed_dim)`): the embeddings.

        Returns:
            `torch.BoolTensor` of shape `(recordings, attributes)`.

        Raises:
            UserError: the weights were cast to another precision than float32.
        """
        check_precision(self.embedder, self.autoencoder)
        with torch.autocast(self.device.type, enabled=False):
            return self.autoencoder.encode(embeddings.to(self.autoencoder.device, self.autoencoder.dtype))

    def compare(
        self,
        recordings_a: Waveform | Sequence[Waveform],
        recordings_b: Waveform | Sequence[Waveform],
        sampling_rate: int | None = None,
        quality: Sequence[Sequence[Mapping[str, Any]]] | None = None,
    ) -> SpeakerComparisonOutput:
        """Compare the recordings of one speaker with those of one other, or of the same; recordings as in `embed`.

        This only computes, also of noise, and a warning says so once: nothing is measured or refused, and there is no
        verdict. [`SpeakerComparisonPipeline`] and `balr explain` measure the recordings and say what they are worth.
        They also shorten long pauses, so that of recordings with such their likelihood ratio is another.

        Args:
            recordings_a: the recordings of one side: a waveform `(samples,)` in [-1, 1], or several of any lengths.
            recordings_b: those of the other side.
            sampling_rate (int, *optional*): the waveforms' rate in Hz, which is checked against the embedder's.
            quality (two sequences of dict, *optional*): what was measured of each recording of the two sides, as
                [`RecordingQuality.to_dict`] gives it. A calibration with quality measures needs it; with the package,
                and at 16 kHz, it is measured here.

        Returns:
            [`SpeakerComparisonOutput`] of one comparison.

        Raises:
            ValueError, UserError: as for `embed`; or the scorer cannot compare several recordings, or needs what was
                measured of them.
        """
        _say_unmeasured()
        sides = [self.attributes(self.embed(side, sampling_rate)) for side in (recordings_a, recordings_b)]
        enroll, test = (recording_counts(bits.cpu().numpy()).sum(0)[None] for bits in sides)
        if not self.scorer.needs_quality:
            return self._score(enroll, test)
        if quality is None:
            quality = [self._measured(_as_list(side)) for side in (recordings_a, recordings_b)]
        known = [recordings_quality(side, len(bits))[None] for side, bits in zip(quality, sides, strict=True)]
        return self._score(enroll, test, (known[0], known[1]))

    def _measured(self, recordings: list[Waveform]) -> list[Mapping[str, Any]]:
        """What is in recordings at 16 kHz.

        Raises:
            UserError: it cannot be measured here.
        """
        if measure_recording is None or self.feature_extractor.sampling_rate != 16_000:
            raise UserError(
                "this calibration takes what is in the recordings (speech, noise, bandwidth) into account: pass "
                "quality=, what was measured of them; the package balr_hf measures recordings at 16 kHz"
            )
        samples = [torch.as_tensor(recording, dtype=torch.float32).cpu().numpy() for recording in recordings]
        return [measure_recording(one)[0].to_dict() for one in samples]

    @torch.no_grad()
    def forward(
        self,
        enroll_features: torch.Tensor,
        test_features: torch.Tensor,
        enroll_mask: torch.Tensor | None = None,
        test_mask: torch.Tensor | None = None,
        quality: tuple[np.ndarray, np.ndarray] | None = None,
        **kwargs: Any,
    ) -> SpeakerComparisonOutput:
        """Compare pairs of recordings by their features: the first with the first, and so on.

        Args:
            enroll_features (`torch.FloatTensor` of shape `(comparisons, frames, feat_dim)`): one side, as the feature
                extractor makes them.
            test_features (`torch.FloatTensor` of shape `(comparisons, frames, feat_dim)`): the other side.
            enroll_mask (`torch.LongTensor` of shape `(comparisons, frames)`, *optional*): 1 for real frames, 0 for the
                padding at the end.
            test_mask (`torch.LongTensor` of shape `(comparisons, frames)`, *optional*): that of the other side.
            quality (two `np.ndarray` of shape `(comparisons, 4)`, *optional*): what was measured of the two sides, see
                [`recordings_quality`]; a calibration with quality measures needs it.

        Returns:
            [`SpeakerComparisonOutput`]
        """
        both = (enroll_features, enroll_mask), (test_features, test_mask)
        bits = [self.attributes(self.embedder(features, mask).embeddings) for features, mask in both]
        enroll, test = (recording_counts(side.cpu().numpy()) for side in bits)
        return self._score(enroll, test, quality)

    def _score(
        self, enroll: np.ndarray, test: np.ndarray, quality: tuple[np.ndarray, np.ndarray] | None = None
    ) -> SpeakerComparisonOutput:
        """Compare counts, each `(comparisons, attributes, 2)`."""
        calibrated = self.scorer.is_calibrated
        llr = self.scorer.score(enroll, test)
        terms = self.scorer.attribute_scores(enroll, test, calibrated)
        if not calibrated:
            return SpeakerComparisonOutput(llr=llr, attribute_llrs=terms)
        ratios = self.scorer.score(enroll, test, calibrated=True, quality=quality)
        if self.scorer.bounds is not None:
            ratios = ratios.clamp(*self.scorer.bounds)
        return SpeakerComparisonOutput(llr=llr, calibrated_llr=ratios, attribute_llrs=terms)


@cache
def _say_unmeasured() -> None:
    """Warn, once in a process, of what `compare` does not do."""
    logger.warning(
        "compare() of a model only computes: it neither measures the recordings, nor shortens their long pauses, nor "
        "says whether the calibration holds for them, and gives noise a likelihood ratio too. "
        "pipeline('speaker-comparison') of balr_hf does that"
    )


def _as_list(recordings: Waveform | Sequence[Waveform]) -> list[Waveform]:
    """One recording or several, as a list.

    Raises:
        UserError: there is none, or what is given is a file.
    """
    files = str | bytes | os.PathLike | Mapping
    one = isinstance(recordings, np.ndarray | torch.Tensor) and recordings.ndim == 1
    found = [cast("Waveform", recordings)] if one or isinstance(recordings, files) else list(recordings)
    if not found:
        raise UserError("a side of the comparison has no recording")
    named = next((recording for recording in found if isinstance(recording, files)), None)
    if named is not None:
        raise UserError(
            f"a recording is of type {type(named).__name__}: expected its samples. pipeline('speaker-comparison', "
            "model=...) reads files, and measures what is in them"
        )
    return found


def _upload(
    folder: Path,
    repo_id: str,
    private: bool | None = None,
    token: str | None = None,
    tags: list[str] | None = None,
    **commit: Any,
) -> None:
    """Upload a saved system to the Hub in one commit, as transformers uploads models, where the package is not."""
    api = HfApi(token=token)
    repo_id = str(api.create_repo(repo_id, private=private, exist_ok=True).repo_id)
    create_and_tag_model_card(repo_id, tags, token=token).save(folder / "README.md")
    api.upload_folder(repo_id=repo_id, folder_path=folder, **{"commit_message": "Upload system", **commit})


def _joined(
    embedder: WespeakerModel, autoencoder: BinaryAttributeAutoEncoder, scorer: Scorer, allow_mismatch: bool
) -> SpeakerComparisonConfig:
    """The configuration of a system of these parts, as [`SpeakerComparisonModel.from_parts`] takes them.

    Raises:
        UserError: the sizes of the parts do not fit, the scorer is not fitted, or weights are not float32.
        MismatchError: the parts are known not to belong together, which is not allowed.
    """
    if not scorer.is_fitted:
        raise UserError(f"the scorer ({type(scorer).__name__}) is not fitted, so that the system could not score")
    _check_features(embedder)
    check_precision(embedder, autoencoder)
    config = SpeakerComparisonConfig(embedder.config, autoencoder.config, scorer.config)
    _check_sizes(config)
    config.mismatch = wrong_parts(embedder, autoencoder, scorer)
    if config.mismatch is not None and not allow_mismatch:
        raise MismatchError(config.mismatch)
    return config


def _check_sizes(config: SpeakerComparisonConfig) -> None:
    """Refuse parts that cannot be joined."""
    embedder, autoencoder, scorer = config.embedder, config.autoencoder, config.scorer
    if embedder.embed_dim != autoencoder.input_dim:
        raise UserError(
            f"the embedder makes {embedder.embed_dim} values, the autoencoder expects {autoencoder.input_dim}: use "
            "the autoencoder trained for this embedder"
        )
    if autoencoder.internal_dim != scorer.num_attributes:
        raise UserError(
            f"the autoencoder makes {autoencoder.internal_dim} attributes, the scorer knows {scorer.num_attributes}: "
            "use a scorer fitted to this autoencoder's attributes"
        )


def _check_features(embedder: WespeakerModel) -> None:
    """Refuse an embedder with features that it cannot take, or one that is no [`WespeakerModel`]."""
    extractor, config = (getattr(embedder, name, None) for name in ("feature_extractor", "config"))
    needed = {
        "feature_extractor": extractor is not None,
        "feature_extractor.num_mel_bins": hasattr(extractor, "num_mel_bins"),
        "config.feat_dim": hasattr(config, "feat_dim"),
        "config.embed_dim": hasattr(config, "embed_dim"),
    }
    lacking = [name for name, is_there in needed.items() if not is_there]
    if lacking:
        raise UserError(
            f"{type(embedder).__name__} cannot be the embedder of a system: it has no {', '.join(lacking)}, which "
            "WespeakerModel and its subclasses have. Put the embeddings of another embedder into the column embedding "
            "of a corpus, which balr train and all that follows takes"
        )
    made, taken = embedder.feature_extractor.num_mel_bins, embedder.config.feat_dim
    if made != taken:
        raise UserError(f"the feature extractor makes {made} mel bins, the embedder takes {taken}")


def check_precision(*parts: PreTrainedModel) -> None:
    """Refuse an embedder or an autoencoder whose weights are not float32.

    Half precision changes some attributes of a recording, and so its likelihood ratio, while the calibration is of the
    attributes in float32.

    Raises:
        UserError: the weights of a part have another type.
    """
    for part in parts:
        if part.dtype != torch.float32:
            raise UserError(
                f"the {part.role} has weights of type {str(part.dtype).removeprefix('torch.')}, with which attributes "
                "would not be those that the calibration is of: load it in float32, without dtype= and without a cast "
                "(for speed, extract_embeddings(corpus, precision='bf16') computes the embeddings of a corpus so, and "
                "notes it)"
            )


def _build_scorer(config: "ScorerConfig") -> Scorer:
    """Make the scorer of a configuration of any kind; those of the user's own are registered with `AutoModel`."""
    scorers: tuple[type[Any], ...] = SCORERS
    for scorer in scorers:
        if config.model_type == scorer.config_class.model_type:
            return scorer(config)
    return cast("Scorer", AutoModel.from_config(config))

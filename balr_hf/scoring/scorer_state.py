"""What a scorer keeps: what was fitted, a calibration, and whether both are as they were saved."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

import torch
from transformers import PreTrainedModel

from .configuration_scorers import NUM_KINDS, ScorerConfig
from .counts import name_digests

try:
    from balr_hf.errors import MismatchError, UserError
    from balr_hf.identity import calibration_digest, uncalibrated_digest
    from balr_hf.pretrained import HubModel
    from balr_hf.scoring.calibration_draws import llr_interval

    if TYPE_CHECKING:  # inside `try`: transformers requires what is imported outside wherever this file is loaded
        from balr_hf.scoring.calibration import Calibration
except ModuleNotFoundError:  # this file came with a model, to where the package is not installed
    if not TYPE_CHECKING:
        UserError, MismatchError, HubModel = ValueError, ValueError, PreTrainedModel

        def _needs_package(*_, **__):
            raise ImportError("all but scoring needs the package: pip install balr_hf")

        llr_interval = uncalibrated_digest = _needs_package
        calibration_digest = None

# The range of a share or probability, with room for errors of rounding.
SHARE = (-1e-9, 1 + 1e-9)


class ScorerState(HubModel):
    """The buffers and the configuration of a scorer; [`Scorer`] says what they are.

    The configuration says the sizes of all buffers, so that a scorer can be loaded. A calibration is kept in buffers
    of its own, and its record in the configuration.

    Args:
        config (ScorerConfig): the settings of the scorer, and what it was fitted and calibrated on.
    """

    config_class: type[ScorerConfig] = ScorerConfig
    base_model_prefix = "scorer"
    main_input_name = "enroll"

    # The least and the largest value of each parameter that cannot be any number; a file with others is not loaded.
    parameter_ranges: Mapping[str, tuple[float, float]] = {
        "typicality": SHARE,
        "activation": SHARE,
        "calibration_weights": (0.0, math.inf),
    }
    # Whether the scorer needs no reference population.
    fitted_by_nature = False
    # What a scorer is called in messages.
    role = "scorer"

    config: ScorerConfig
    informative: torch.Tensor
    typicality: torch.Tensor
    activation: torch.Tensor
    reference_speakers: torch.Tensor
    reference_recordings: torch.Tensor
    calibration_weights: torch.Tensor
    calibration_offset: torch.Tensor
    calibration_speakers: torch.Tensor
    calibration_recordings: torch.Tensor
    calibration_draws: torch.Tensor
    calibration_quality: torch.Tensor

    def __init__(self, config: ScorerConfig):
        super().__init__(config)
        self._loaded_without_digest: dict[str, Any] | None = None  # see `prepare_saving`
        for name, value in self._initial_buffers().items():
            self.register_buffer(name, value)
        self.post_init()

    def _initial_buffers(self) -> dict[str, torch.Tensor]:
        """Make the buffers by name, of the sizes that the configuration says, as they are before `fit` or loading."""
        size, calibration = self.config.num_attributes, self.config.calibration
        buffers = {
            "informative": torch.ones(size, dtype=torch.bool),
            "typicality": torch.zeros(size, dtype=torch.float64),
            "activation": torch.zeros(size, dtype=torch.float64),
            "reference_speakers": torch.zeros(self.config.num_reference_speakers or 0, dtype=torch.int64),
        }
        if self.config.num_reference_digests:
            shape = self.config.num_reference_digests, NUM_KINDS
            buffers["reference_recordings"] = torch.zeros(shape, dtype=torch.int32)
        if calibration is None:
            return buffers
        if calibration.get("num_digests"):
            shape = calibration["num_digests"], NUM_KINDS
            buffers["calibration_recordings"] = torch.zeros(shape, dtype=torch.int32)
        weights = torch.ones(size, dtype=torch.float64)
        sizes = calibration["num_speakers"], calibration.get("num_draws", 0), calibration.get("num_quality", 0)
        return buffers | _calibration_buffers(weights, *sizes)

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Fill buffers that were made without values, on the meta device; those from a file stay as they are."""
        from transformers import initialization as init

        if module is self:
            with torch.device("cpu"):
                initial = self._initial_buffers()
            for name, value in initial.items():
                init.copy_(self.get_buffer(name), value)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        """Move the buffers to where `fn` would, without the loss of digits of a change of type."""

        def move(buffer: torch.Tensor) -> torch.Tensor:
            moved = fn(buffer)
            return moved if moved.dtype == buffer.dtype else buffer.to(moved.device)

        return super()._apply(move, recurse)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the buffers, since a scorer has no parameters, where transformers would look."""
        return torch.float64

    @property
    def device(self) -> torch.device:
        """The device that the buffers are on."""
        return self.informative.device

    @property
    def is_fitted(self) -> bool:
        """Whether the scorer can score: it was fitted, or needs no fitting."""
        return self.fitted_by_nature or self.config.num_reference_speakers is not None

    @property
    def is_calibrated(self) -> bool:
        """Whether the scorer can give calibrated scores."""
        return self.config.calibration is not None

    @property
    def is_calibration_unchecked(self) -> bool:
        """Whether the calibration was loaded without a digest, so that nobody knows whether it is as it was saved."""
        return self.config.calibration is not None and self.config.calibration == self._loaded_without_digest

    @property
    def needs_quality(self) -> bool:
        """Whether calibrated scores need what was measured of the recordings."""
        return bool((self.config.calibration or {}).get("num_quality"))

    @property
    def num_values(self) -> int:
        """The size of the last axis of counts."""
        return getattr(self.config, "num_values", 2)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The lowest and the highest natural-log LR that the calibration can vouch for; None where that is unknown."""
        found = (self.config.calibration or {}).get("bounds")
        return None if found is None else (float(found[0]), float(found[1]))

    def llr_interval(self, llr: float, confidence: float = 0.95) -> tuple[float, float] | None:
        """How sure a calibrated LLR is, given how few speakers the calibration has seen.

        Args:
            llr (float): a calibrated natural-log LR, before it is bounded.
            confidence (float): of the interval.

        Returns:
            the ends of the interval, natural-log units; None where the calibration keeps no draws.
        """
        draws = getattr(self, "calibration_draws", None)
        return None if draws is None else llr_interval(llr, draws.cpu().numpy(), confidence)

    def set_calibration(self, calibration: "Calibration") -> Self:
        """Use a calibration, in place of an earlier one.

        Args:
            calibration ([`Calibration`]): a fitted calibration.

        Returns:
            the scorer itself.
        """
        names = name_digests(calibration.speakers).sort().values  # in no order that tells of the corpus
        weights = torch.as_tensor(calibration.weights, dtype=torch.float64, device=self.device)
        num_draws = 0 if calibration.draws is None else len(calibration.draws)
        num_quality = 0 if calibration.quality is None else calibration.quality.shape[1]
        self.remove_calibration()
        weights = weights.expand(self.config.num_attributes).clone()
        for name, value in _calibration_buffers(weights, len(names), num_draws, num_quality).items():
            self.register_buffer(name, value)
        self.calibration_offset += calibration.offset
        self.calibration_speakers += names.to(self.device)
        if calibration.draws is not None:
            self.calibration_draws += torch.from_numpy(calibration.draws).to(self.device)
        if calibration.quality is not None:
            self.calibration_quality += torch.from_numpy(calibration.quality).to(self.device)
        self.config.calibration = {**calibration.describe(), "scorer": uncalibrated_digest(self)}
        return self

    def remove_calibration(self) -> Self:
        """Forget the calibration, if there is one; returns the scorer itself."""
        for name in ("weights", "offset", "speakers", "draws", "quality", "recordings"):
            if hasattr(self, f"calibration_{name}"):
                delattr(self, f"calibration_{name}")
        self.config.calibration = None
        return self

    def prepare_saving(self, state_dict: Mapping[str, torch.Tensor] | None = None) -> None:
        """State the digest of the calibration in its record, if there is one, as it is now; see `check_whole`.

        What was changed on purpose is so saved with a digest of its own. A calibration that was loaded without one is
        saved without one: what became of it before is not known.

        Args:
            state_dict (dict, *optional*): weights that are to be saved instead of the scorer's own.
        """
        unknown = self.is_calibration_unchecked
        if self.config.calibration is not None and calibration_digest is not None and not unknown:
            self.config.calibration = {**self.config.calibration, "digest": calibration_digest(self, state_dict)}

    def check_whole(self) -> None:
        """Check that the calibration is that of this scorer, and as it was saved; called when it is loaded.

        Raises:
            UserError: it was fitted to another one, or to this one before it was fitted again.
            MismatchError: its record and its tensors are not those that were saved together.
        """
        stated = (self.config.calibration or {}).get("digest")
        self._loaded_without_digest = copy.deepcopy(self.config.calibration) if stated is None else None
        if stated is not None and stated != calibration_digest(self):
            raise MismatchError(
                f"the calibration of {self.name_or_path or 'this scorer'} is not as it was saved: its record in "
                "config.json (bounds, descriptions of its recordings and of the reference population, ...) and its "
                "tensors in model.safetensors (offset, weights, ...) come from two calibrations, were edited, or are "
                "of an earlier version, whose digest covered less",
                "Get both files again from where they were saved; or fit the scorer again with balr score train, and "
                "calibrate it with balr score calibrate",
            )
        known = (self.config.calibration or {}).get("scorer")
        if known is not None and known != uncalibrated_digest(self):
            raise UserError(
                f"the calibration of {self.name_or_path or 'this scorer'} is that of another scorer, or from before "
                "this one was fitted again: calibrate it with balr score calibrate"
            )

    def _check_fitted(self) -> None:
        if not self.is_fitted:
            raise UserError(f"{type(self).__name__} is not fitted: call fit(counts), or load a fitted one")


def _calibration_buffers(
    weights: torch.Tensor, num_speakers: int, num_draws: int, num_quality: int
) -> dict[str, torch.Tensor]:
    """Make the buffers of a calibration with these weights, the others filled with zeros."""
    buffers = {
        "calibration_weights": weights,
        "calibration_offset": weights.new_zeros(()),
        "calibration_speakers": torch.zeros(num_speakers, dtype=torch.int64, device=weights.device),
    }
    if num_draws:
        buffers["calibration_draws"] = weights.new_zeros(num_draws, 2)
    if num_quality:
        buffers["calibration_quality"] = weights.new_zeros(3, num_quality)
    return buffers

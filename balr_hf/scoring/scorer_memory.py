"""What a scorer remembers of the people and the corpora that it was fitted and calibrated on."""

import copy
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from .counts import name_digests
from .scorer_state import ScorerState

try:
    from balr_hf.data.columns import recordings_of, vector_matrix
    from balr_hf.data.origins import attributes_made_by
    from balr_hf.data.recording_digests import distinctive_digests, known_again
    from balr_hf.domain import describe_population, log_probabilities
    from balr_hf.errors import UserError
    from balr_hf.identity import uncalibrated_digest

    if TYPE_CHECKING:  # inside `try`: transformers requires what is imported outside wherever this file is loaded
        import datasets
except ModuleNotFoundError:  # this file came with a model, to where the package is not installed
    if not TYPE_CHECKING:
        UserError = ValueError

        def _needs_package(*_, **__):
            raise ImportError("all but scoring needs the package: pip install balr_hf")

        vector_matrix = describe_population = log_probabilities = recordings_of = _needs_package
        attributes_made_by = uncalibrated_digest = distinctive_digests = known_again = _needs_package

# What stands for the cautions of the case that a scorer was saved for, once it has forgotten people.
FORGOTTEN = "several things, which forget_people took out, since they name people and files"


class ScorerMemory(ScorerState):
    """Descriptions of a scorer's corpora, and digests of who and what is in them.

    Cases are compared with the descriptions. By the digests, speakers and recordings are known again.
    """

    def forget_people(self) -> Self:
        """Forget the digests by which speakers and recordings are known again; returns the scorer itself.

        The names of sessions, which earlier versions kept, are forgotten too; and what was said of the case that a
        scorer was matched to and saved for, which names its speakers and the corpus.

        For a scorer that others get. It scores as before, but no longer notices speakers and recordings that it was
        fitted to or calibrated on. Its identity is another one, so do this before it is tested and validated.
        """
        unchecked = self.is_calibration_unchecked
        fitted_to = self.config.calibration and self.config.calibration.get("scorer") == uncalibrated_digest(self)
        self.reference_speakers = torch.zeros_like(self.reference_speakers)
        self.config.num_reference_digests = self._know("reference", None)
        self.config.reference = _without_sessions(self.config.reference)
        if self.config.calibration is None:
            return self
        self.calibration_speakers = torch.zeros_like(self.calibration_speakers)
        self.config.calibration = {**self.config.calibration, "num_digests": self._know("calibration", None)}
        if self.config.calibration.get("domain"):
            self.config.calibration["domain"] = _without_sessions(self.config.calibration["domain"])
        if self.config.calibration.get("saved_for"):
            self.config.calibration["saved_for"] = [FORGOTTEN]
        if fitted_to:  # and still is: what it knew of people changes no score
            self.config.calibration["scorer"] = uncalibrated_digest(self)
        if unchecked:
            self._loaded_without_digest = copy.deepcopy(self.config.calibration)
        return self

    def describe_reference(self, dataset: "datasets.Dataset") -> Self:
        """Keep a description of the reference population, with which cases are compared; returns the scorer itself.

        It has the identities of the models that made the attributes, with which other attributes are compared, and
        digests of the recordings, by which they are known again.

        Args:
            dataset (`datasets.Dataset`): the corpus that the scorer was fitted to, with `ba`, and with what was
                measured of its recordings and what made its attributes, if that is known.

        Raises:
            UserError: the corpus has no attributes, or the scorer is not fitted.
        """
        self._check_fitted()
        bits, present = vector_matrix(dataset, "ba")
        logs = log_probabilities(bits, self.activation.cpu().numpy(), self.config.num_reference_speakers or 0)
        counted = dataset.select(np.flatnonzero(present))
        fitted_to = self.config.calibration and self.config.calibration.get("scorer") == uncalibrated_digest(self)
        described = describe_population(counted, log_probabilities=logs)
        self.config.reference = described
        self.config.num_reference_digests = self._know("reference", distinctive_digests(counted))
        self.config.autoencoder_identity, self.config.embedder_identity = attributes_made_by(dataset)
        if fitted_to:  # and still is: what is known of its recordings changes no score
            self.config.calibration = {**(self.config.calibration or {}), "scorer": uncalibrated_digest(self)}
        return self

    def describe_calibration(
        self,
        dataset: "datasets.Dataset",
        sides: Sequence[Sequence[str]],
        trials: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> Self:
        """Keep a description of what the scorer was calibrated on, with which cases are compared.

        Args:
            dataset (`datasets.Dataset`): the corpus of the calibration trials, with what was measured of its
                recordings, if that is known.
            sides: the ids of the recordings of each side of the trials, as in [`Trials`].
            trials (*optional*): the numbers of the sides of each trial, two arrays `(trials,)`.

        Returns:
            the scorer itself.

        Raises:
            UserError: the scorer is not calibrated.
        """
        if self.config.calibration is None:
            raise UserError(f"{type(self).__name__} is not calibrated: call calibrate first")
        described = describe_population(dataset, sides, trials=trials)
        known = self._know("calibration", distinctive_digests(recordings_of(dataset, sides)))
        self.config.calibration = {**self.config.calibration, "domain": described, "num_digests": known}
        return self

    def knows_people(self, role: str) -> bool:
        """Whether it has digests of speakers or recordings of a role (`reference` or `calibration`) at all."""
        speakers = getattr(self, f"{role}_speakers", None)
        return hasattr(self, f"{role}_recordings") or (speakers is not None and bool(speakers.any()))

    def known_speakers(self, names: Iterable[str], role: str) -> list[str]:
        """Find those of some speakers on whom the scorer was fitted or calibrated.

        Args:
            names (Iterable[str]): speakers' names.
            role (str): `reference` for the reference population, or `calibration`.

        Returns:
            list[str]: the names that are known in this role, sorted.
        """
        known = set(getattr(self, f"{role}_speakers", torch.zeros(0)).tolist())
        names = sorted(set(names))
        return [name for name, digest in zip(names, name_digests(names).tolist(), strict=True) if digest in known]

    def known_recordings(self, digests: np.ndarray, role: str) -> np.ndarray:
        """Find those of some recordings which the scorer was fitted or calibrated on.

        Args:
            digests (int32 `(recordings, 18)`): see [`balr_hf.data.recording_digests`]; 0 where unknown.
            role (str): `reference` for the reference population, or `calibration`.

        Returns:
            bool `(recordings,)`: whether it is known in this role. One that was coded anew or cut is not known again.
        """
        known = getattr(self, f"{role}_recordings", None)
        return np.zeros(len(digests), dtype=bool) if known is None else known_again(digests, known.cpu().numpy())

    def _know(self, role: str, digests: np.ndarray | None) -> int:
        """Keep the digests of the recordings of a role, in place of earlier ones; returns how many are kept.

        They are sorted, since the order of a corpus tells which recordings are of one speaker.
        """
        if hasattr(self, f"{role}_recordings"):
            delattr(self, f"{role}_recordings")
        if digests is None or not len(digests):
            return 0
        digests = digests[np.lexsort(digests.T[::-1])]
        self.register_buffer(f"{role}_recordings", torch.from_numpy(digests).to(self.device))
        return len(digests)


def _without_sessions(population: dict[str, Any] | None) -> dict[str, Any] | None:
    """The description of a population without the names of its sessions."""
    if population is None or "session" not in population.get("counts", {}):
        return population
    return {**population, "counts": {name: of for name, of in population["counts"].items() if name != "session"}}

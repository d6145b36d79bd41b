"""On whom models were trained: kept as digests, by which a name is recognised, but cannot be read.

An autoencoder keeps them itself. Of embedders, only the training of the package's own is known.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.defaults import SCORER, resource
from balr_hf.errors import name_some
from balr_hf.identity import is_demonstration, is_of_demonstration, is_same
from balr_hf.scoring.auto import load_scorer
from balr_hf.scoring.counts import name_digests

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from balr_hf.scoring.modeling_scorer import Scorer

# The key of the record that `config.training` is.
KEY = "speaker_digests"


def pack_speakers(names: Iterable[str]) -> str:
    """The digests of speakers' names in text for a configuration: 64 bits each, sorted, in base64.

    Args:
        names (Iterable[str]): the names, each once or more.
    """
    digests = np.unique(name_digests(names).numpy()).astype("<i8")
    return base64.b64encode(digests.tobytes()).decode("ascii")


def trained_on(record: Mapping[str, Any] | None, names: Iterable[str]) -> list[str] | None:
    """Find those of some speakers who are in the sets that an autoencoder was trained and validated on.

    Args:
        record (dict, *optional*): `config.training` of the autoencoder.
        names (Iterable[str]): speakers' names.

    Returns:
        list[str]: the names that are known, sorted; None where the autoencoder does not tell.
    """
    known = _packed(record)
    if not known:
        return None
    names = sorted(set(names))
    return [name for name, digest in zip(names, name_digests(names).tolist(), strict=True) if digest in known]


def _packed(record: Mapping[str, Any] | None) -> set[int]:
    """The digests that [`pack_speakers`] wrote into a record; none where it does not tell."""
    packed = record.get(KEY) if isinstance(record, Mapping) else None
    try:
        return set(np.frombuffer(base64.b64decode(packed or "", validate=True), dtype="<i8").tolist())
    except (binascii.Error, TypeError, ValueError):  # what somebody else wrote there tells nothing
        return set()


def embedder_trained_on(embedder: Any, names: Iterable[str]) -> list[str] | None:
    """Find those of some speakers whom an embedder was trained on, if it is the package's own.

    Its speakers are those of the reference population of the scorer that ships with it, which keeps their digests.

    Args:
        embedder ([`WespeakerModel`] or str, *optional*): the embedder, or its identity: see [`model_identity`].
        names (Iterable[str]): speakers' names.

    Returns:
        list[str]: the names that are known, sorted; None where it is not known on whom the embedder was trained.
    """
    scorer = _shipped_scorer()
    made_by = str(scorer.config.embedder_identity)
    is_own = is_same(embedder, made_by) if isinstance(embedder, str) else is_demonstration(embedder)
    return scorer.known_speakers(names, "reference") if is_own else None


def describe_embedder_trained_on(
    embedder: Any, names: Iterable[str], what: str = "speakers of the test"
) -> str | None:
    """Say how many of some speakers an embedder was trained on; None if it is none, or is not known.

    Args:
        embedder, names: as for [`embedder_trained_on`].
        what (str): what the speakers are called.
    """
    known = embedder_trained_on(embedder, names)
    return f"{len(known)} {what} are those that the embedder was trained on ({name_some(known)})" if known else None


def people_trained_on(scorer: Scorer, autoencoder: PreTrainedModel | None = None) -> tuple[str, str]:
    """Say how many speakers of a scorer's reference population and calibration its models were trained on, by name.

    Voices that a model was trained on are steadier, and easier to tell apart, than those of a case.

    Args:
        scorer ([`Scorer`]): it knows its speakers, and which embedder and autoencoder made their attributes.
        autoencoder ([`BinaryAttributeAutoEncoder`], *optional*): that autoencoder, which keeps whom it was trained on.

    Returns:
        a row of a report: its name and its value.
    """
    config = scorer.config
    roles = {"reference": "of the reference population", "calibration": "of the calibration"}
    people = {where: known for role, where in roles.items() if (known := _digests_of(scorer, role))}
    own = _digests_of(_shipped_scorer(), "reference")
    made_by = {"embedder": config.embedder_identity, "autoencoder": config.autoencoder_identity}
    models: dict[str, set[int] | None] = {
        role: own if name and is_of_demonstration(name) else None for role, name in made_by.items()
    }
    if autoencoder is not None:
        models["autoencoder"] = _packed(autoencoder.config.training) or models["autoencoder"]
    told: dict[str, list[str]] = {}  # the models of which the same is told
    for role, trained in models.items():
        shares = [
            f"{len(known & trained):,} of the {len(known):,} speakers {where}"
            for where, known in people.items()
            if trained
        ]
        told.setdefault(" and ".join(shares), []).append(f"the {role}")
    sentences = [
        f"{' and '.join(names)} on {shares}" if shares else f"not known of {' and '.join(names)}"
        for shares, names in told.items()
    ]
    return "Trained on the same people", "; ".join(sentences)


def _digests_of(scorer: Scorer, role: str) -> set[int]:
    """The digests of a scorer's speakers in a role (`reference` or `calibration`); none where it forgot them."""
    return set(getattr(scorer, f"{role}_speakers", np.zeros(0)).tolist()) - {0}


@cache
def _shipped_scorer() -> Scorer:
    return load_scorer(resource(SCORER))

"""Seeds: what is drawn for a recording depends on its id alone, never on the order or the number of processes."""

import hashlib
from enum import IntEnum

import numpy as np


class Step(IntEnum):
    """What is drawn: each has random numbers of its own, so that one more step changes nothing in the others."""

    CUT = 0
    NOISE = 1
    ROOM = 2


def recording_seed(name: str, seed: int = 0) -> int:
    """The seed of one recording.

    Args:
        name (str): the recording's id.
        seed (int): the seed of the whole copy.

    Returns:
        an int of 63 bits, which a csv and a Dataset can hold.
    """
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, step: Step) -> np.random.Generator:
    """The random numbers of one step, from a recording's seed."""
    return np.random.default_rng([seed, step])

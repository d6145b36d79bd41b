"""Room: reverberation of a simulated room, by the image method of pyroomacoustics (the extra `rooms`)."""

from functools import lru_cache

import numpy as np

from balr_hf.audio import SAMPLING_RATE
from balr_hf.errors import UserError

# Seconds: the reverberation times that can be asked for.
LOWEST, HIGHEST = 0.1, 1.5
# Metres: length, width and height of the rooms, from the smallest to the largest; how far from the walls the speaker
# and the microphone stand, and from each other.
SMALLEST, LARGEST = (3.0, 2.5, 2.4), (9.0, 7.0, 3.5)
FROM_WALLS, DISTANCE = 0.5, (0.5, 3.0)
# How many rooms there are for each reverberation time: simulating one takes a second or two, so they are kept.
ROOMS = 64
# Drawing a room fails where its walls cannot absorb enough for the wanted time: it is then drawn anew.
DRAWS = 50


def reverberate(samples: np.ndarray, seconds: float, generator: np.random.Generator) -> np.ndarray:
    """Put a recording into a simulated room.

    Args:
        samples (`(samples,)`): float32 at 16 kHz.
        seconds (float): the reverberation time, in which sound falls by 60 dB (RT60), by Sabine's formula.
        generator: draws one of 64 rooms, each with its places of the speaker and the microphone.

    Returns:
        float32 `(samples,)`: as loud as before, and without delay.

    Raises:
        UserError: pyroomacoustics is not installed.

    References:
        R. Scheibler, E. Bezzam and I. Dokmanić, "Pyroomacoustics: a Python package for audio room simulation and array
        processing algorithms", ICASSP 2018.
        J. Allen and D. Berkley, "Image method for efficiently simulating small-room acoustics", JASA 65, 1979.
    """
    from scipy.signal import oaconvolve

    response = room_response(seconds, int(generator.integers(ROOMS)))
    before = float(np.std(samples, dtype=np.float64))
    heard = oaconvolve(samples, response)[: len(samples)].astype(np.float32)
    after = float(np.std(heard, dtype=np.float64))
    return heard * np.float32(before / after) if after > 0 else heard


@lru_cache(maxsize=4 * ROOMS)
def room_response(seconds: float, number: int) -> np.ndarray:
    """The impulse response of a room, from the direct sound on: float32 `(taps,)` at 16 kHz.

    Args:
        seconds (float): its reverberation time.
        number (int): which of the rooms with this time: it decides the size and the places.
    """
    try:
        import pyroomacoustics
    except ImportError as error:
        raise UserError("reverb: simulated rooms need pyroomacoustics: pip install 'balr_hf[rooms]'") from error
    generator = np.random.default_rng([round(1_000 * seconds), number])
    absorption = order = size = None
    for _ in range(DRAWS):
        size = generator.uniform(SMALLEST, LARGEST)
        try:
            absorption, order = pyroomacoustics.inverse_sabine(seconds, size)
        except ValueError:
            continue
        break
    if absorption is None or size is None:
        raise UserError(f"reverb={seconds:g}: no room of usual size has this reverberation time")
    source, microphone = _places(size, generator)
    room = pyroomacoustics.ShoeBox(
        size, fs=SAMPLING_RATE, materials=pyroomacoustics.Material(absorption), max_order=order
    )
    room.add_source(source)
    room.add_microphone(microphone)
    room.compute_rir()
    response = np.asarray(room.rir[0][0], dtype=np.float32)
    return response[int(np.abs(response).argmax()) :]


def _places(size: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Where the speaker and the microphone stand: both `(3,)`, in metres."""
    low, high = np.full(3, FROM_WALLS), size - FROM_WALLS
    best: tuple[np.ndarray, np.ndarray] | None = None
    for _ in range(DRAWS):
        best = generator.uniform(low, high), generator.uniform(low, high)
        if DISTANCE[0] <= np.linalg.norm(best[0] - best[1]) <= DISTANCE[1]:
            break
    assert best is not None
    return best

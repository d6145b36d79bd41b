"""How well reverberant rooms are noticed, and what they do to comparisons: the tables in `README.md`.

Recordings of a corpus are put into simulated rooms, of other reverberation times than those that the detector was
fitted to and so other rooms, and the system's detector listens to them; also to the recordings as they are, cut, and
brought to conditions. Then recordings of one speaker are compared, the second one in a room.

Usage:
    python benchmarks/rooms.py CORPUS.csv [--system FOLDER]

The corpus has the columns `audio` and `speaker`. Its speakers must not be those that the detector was fitted to. The
extra `rooms` of the package is needed.
"""

from collections.abc import Callable

import numpy as np
from listening import comparisons, detection, system_and_corpus
from measuring import corpus_parser

from balr_hf.conditions import Condition

# Seconds; none is among those of [`balr_hf.detectors.rooms`].
TIMES = (0.15, 0.22, 0.28, 0.33, 0.45, 0.7)
WITH = ("snr=15", "band=telephone", "codec=opus:12k")


def brought_to(condition: str) -> Callable[[np.ndarray, int], np.ndarray]:
    """What brings a recording to a condition."""
    return Condition.parse(condition).apply


def main() -> None:
    parser = corpus_parser(__doc__)
    parser.add_argument("--pairs", type=int, default=1, help="comparisons of each speaker")
    arguments = parser.parse_args()
    measured = system_and_corpus(arguments.system, arguments.corpus)
    rooms = {f"room, {time:.2f} s": brought_to(f"reverb={time}") for time in TIMES}
    more = {f"room, 0.33 s, {condition}": brought_to(f"reverb=0.33,{condition}") for condition in WITH}
    detection(*measured, arguments.every, "room", "as it is", rooms | more)
    comparisons(*measured, arguments.pairs, "room", {"as it is": None, **rooms})


if __name__ == "__main__":
    main()

"""How well speech at another speed is noticed, and what it does to comparisons: the tables in `README.md`.

Recordings of a corpus are played faster and slower, as where their files state a wrong sampling rate, and the system's
detector listens to them; also to the recordings as they are, cut, and brought to conditions. Then recordings of one
speaker are compared, the second one at another speed.

Usage:
    python benchmarks/speeds.py CORPUS.csv [--system FOLDER]

The corpus has the columns `audio` and `speaker`. Its speakers must not be those that the detector was fitted to.
"""

from listening import comparisons, detection, system_and_corpus
from measuring import corpus_parser

from balr_hf.detectors.speed import at_speed

FACTORS = (0.5, 0.667, 0.8, 0.9, 0.919, 1.088, 1.1, 1.25, 1.378, 1.5, 2.0)


def main() -> None:
    parser = corpus_parser(__doc__)
    parser.add_argument("--pairs", type=int, default=1, help="comparisons of each speaker")
    arguments = parser.parse_args()
    measured = system_and_corpus(arguments.system, arguments.corpus)
    changes = {
        f"{factor:.3f} times as fast": lambda samples, _, factor=factor: at_speed(samples, factor)
        for factor in FACTORS
    }
    detection(*measured, arguments.every, "speed", "as spoken", changes)
    comparisons(*measured, arguments.pairs, "speed", {"1.000 times as fast": None, **changes})


if __name__ == "__main__":
    main()

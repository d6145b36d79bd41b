"""`balr verify`: whether models, vectors and results still belong together."""

import logging
from dataclasses import dataclass

from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.options import Checked, option

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options(Checked):
    """Options of `balr verify`."""

    path: str = positional(
        "path",
        "folder of a model or of a whole system, training run, results of balr score test or balr validate, export to "
        "ONNX, or corpus with vectors",
    )
    system: str | None = option(
        None, "folder or Hub repository of the system that vectors or results should come from", type=str
    )
    recompute: int = option(
        10,
        "of how many recordings of a corpus the vectors are computed again with --system; 0 for none",
        type=int,
        least=0,
    )
    json: bool = option(False, "print the results to standard output, as one JSON object")


COMMAND = Command(
    "verify",
    "Check whether models, vectors and results still belong together. Digests are computed again: of weights, of the "
    "audio files that were embedded, of each vector, of the scores. With --system, some vectors, all scores and what "
    "an exported graph gives are computed again. What does not hold ends with exit status 1.",
    Options,
    epilog="""examples:
  balr verify systems/mine
  balr verify corpus.csv --system systems/mine
  balr verify runs/score --system systems/mine""",
)


def run(arguments: Arguments) -> int:
    """Check, and print what was found; returns the exit status."""
    from balr_hf.cli.printing import print_json, print_text
    from balr_hf.system.modeling_system import SpeakerComparisonModel
    from balr_hf.verification import verify

    system = None if arguments.system is None else SpeakerComparisonModel.from_pretrained(arguments.system)
    checks = verify(arguments.path, system, arguments.recompute)
    wrong = sum(check.holds is False for check in checks)
    unknown = sum(check.holds is None for check in checks)
    print_json(arguments, {"checks": [check.to_dict() for check in checks], "wrong": wrong, "unknown": unknown})
    if not arguments.json:
        words = {True: "holds", False: "WRONG", None: "unknown"}
        print_text("\n".join(f"{words[check.holds]:8} {check.text}" for check in checks))
    logger.info(
        "%d of %d checks hold, %d are wrong, %d unknown", len(checks) - wrong - unknown, len(checks), wrong, unknown
    )
    return 1 if wrong else 0

"""What `channels` and `degrade` share: reading the corpus that is copied, and reporting what was saved."""

import logging
from typing import TYPE_CHECKING, Any

from balr_hf.cli.parsing import Arguments
from balr_hf.cli.printing import print_json

if TYPE_CHECKING:
    from balr_hf.conditions.copies import SavedCopies
    from balr_hf.data.contract import Corpus

logger = logging.getLogger(__name__)


def read_input(arguments: Arguments, what: str) -> "Corpus":
    """The corpus `arguments.input`, for a folder of `what` (in words) that is made of it.

    Raises:
        ConfigError: no folder is named.
    """
    from balr_hf.data.reading import read_corpus
    from balr_hf.errors import ConfigError

    if arguments.save_dir is None:
        raise ConfigError(f"--save-dir is missing: the folder for the {what}")
    return read_corpus(arguments.input, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir, vectors=())


def report(arguments: Arguments, saved: "SavedCopies", step: str, **said: Any) -> int:
    """Report what was saved, and return the exit status: 1 if there is nothing.

    Args:
        arguments: the command's arguments.
        saved: what was saved.
        step: what left recordings out, in words.
        **said: what `--json` says besides.
    """
    from balr_hf.data.skipped import warn_skipped

    warn_skipped(saved.skipped, step)
    counts = {"recordings": saved.recordings, "there_already": saved.there_already, **said}
    print_json(arguments, {**counts, "skipped": [vars(row) for row in saved.skipped], "saved_in": str(saved.folder)})
    logger.info(
        "%d recording%s in %s (%d there already, %d skipped)%s",
        *(
            saved.recordings,
            "s" * (saved.recordings != 1),
            saved.folder,
            saved.there_already,
            len(saved.skipped),
            f"; balr inspect {saved.folder} measures them" if saved.recordings else "",
        ),
    )
    return 0 if saved.recordings else 1

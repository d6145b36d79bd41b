"""`balr describe`: says what the attributes of a system go with, as far as measures tell."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from balr_hf.cli.parsing import Arguments, Command
from balr_hf.cli.printing import print_json, print_text
from balr_hf.cli.sections import CorpusOptions
from balr_hf.options import option
from balr_hf.tables import aligned

if TYPE_CHECKING:
    import datasets

    from balr_hf.describing import AttributeDescriptions

logger = logging.getLogger(__name__)

# Attributes that the screen shows of those that are described best.
SHOWN = 10


def attribute_numbers(text: str) -> tuple[int, ...]:
    """`17` or `17,23` as numbers, each once."""
    return tuple(dict.fromkeys(int(number) for number in text.split(",")))


@dataclass(kw_only=True)
class Options(CorpusOptions):
    """Options of `balr describe`."""

    words: list[str] = field(
        default_factory=list,
        metadata={
            "args": ["words"],
            "nargs": "*",
            "type": str,
            "metavar": "SYSTEM CORPUS",
            "help": "folder or Hub repository of a whole system (see balr assemble) [default with --attribute: the "
            "one that ships with the package], and, without --attribute, a corpus of recordings with speakers, with "
            "their sex if it is known (a column sex), and with where they are from if that differs (a column source): "
            "a csv, a saved Dataset, a parquet file or a Hub dataset; a hundred speakers or more",
        },
    )
    attribute: tuple[int, ...] | None = option(
        None,
        "look up these attributes by their numbers, separated by commas, in what is known of SYSTEM: no corpus is "
        "needed, and nothing is measured or written",
        type=attribute_numbers,
    )
    save_dir: str | None = option(
        None, "folder to write attributes.json to [default: the system's own folder]", type=str
    )
    name: str | None = option(
        None, "what the corpus is called in descriptions [default: the name of its file or folder]", type=str
    )
    permutations: int = option(
        1000, "permutations of the speakers, by which associations by chance are told", type=int, least=100
    )
    seed: int = option(0, "of the permutations", type=int)
    cache: str | None = option(
        None,
        "folder in which measures are kept, so that a run that was broken off goes on [default: balr-describing, "
        "beside the Hub's cache]",
        type=str,
    )
    html: str | None = option(
        None, "also write a page with every attribute, to filter and sort, to this file: self-contained HTML", type=str
    )
    audio: int = option(
        0,
        "put 4 s of so many speakers' recordings, of those who show an attribute most, into the page of --html; only "
        "where the licence of the corpus and the speakers' consent allow it",
        type=int,
        least=0,
    )
    json: bool = option(False, "print the descriptions as one JSON object instead of a summary")


COMMAND = Command(
    "describe",
    "Describe the attributes of a system: measure the voices and the recordings of a corpus, and find on speakers who "
    "were not fitted on which measures go with which attribute. Each attribute gets a class (described, weakly "
    "described, follows the recording, undescribed), a group, a sentence, and what that does not say. The results "
    "are saved in the system's folder, and balr explain shows them. With --attribute, look up what was found.",
    Options,
    epilog="""examples:
  balr describe me/system corpus.csv --save-dir described
  balr describe runs/system corpus.csv --html attributes.html
  balr describe runs/system corpus.csv --html attributes.html --audio 3
  balr describe runs/system corpus.csv --json > attributes.json
  balr describe --attribute 17
  balr describe runs/system --attribute 17,203 --json""",
)


def run(arguments: Arguments) -> None:
    """Describe, save and print."""
    from balr_hf.data.reading import read_corpus
    from balr_hf.data.skipped import warn_skipped
    from balr_hf.describing.corpus import cache_folder
    from balr_hf.devices import resolve_devices
    from balr_hf.errors import ConfigError
    from balr_hf.system.describing import describe_system
    from balr_hf.system.modeling_system import SpeakerComparisonModel

    if arguments.attribute is not None:
        _look_up(arguments)
        return
    if len(arguments.words) != 2:
        raise ConfigError(
            f"expected SYSTEM CORPUS, got {' '.join(arguments.words) or 'neither'}. To look up attributes that are "
            "described already: balr describe --attribute 17, with SYSTEM before it if it is not that of the package"
        )
    source, recordings = arguments.words
    if arguments.audio and arguments.html is None:
        raise ConfigError("--audio needs --html, the page to put the recordings into")
    folder = _folder(arguments, source)
    system = SpeakerComparisonModel.from_pretrained(source, with_descriptions=False)
    system.to(resolve_devices(arguments.device)[0])  # type: ignore[arg-type]  # transformers wraps `to` wrongly
    corpus = read_corpus(recordings, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir, vectors=())
    descriptions, dataset, skipped = describe_system(
        system,
        corpus.dataset,
        name=arguments.name or Path(recordings).name,
        permutations=arguments.permutations,
        seed=arguments.seed,
        cache=Path(arguments.cache) if arguments.cache else cache_folder(),
        progress=True,
    )
    warn_skipped([*corpus.skipped, *skipped], "Describing")
    folder.mkdir(parents=True, exist_ok=True)
    path = descriptions.save(folder)
    if arguments.html is not None:
        _write_page(arguments, _system_name(source), descriptions, dataset)
    if arguments.json:
        print_json(arguments, descriptions.to_dict())
    else:
        print_text(_summary(descriptions))
    for text in descriptions.cautions:
        logger.warning("%s", text)
    logger.info("Saved in %s", path)


def _look_up(arguments: Arguments) -> None:
    """Print what is known of the attributes that were named.

    Raises:
        ConfigError: a corpus or a setting of describing was given, too.
    """
    from balr_hf.defaults import SYSTEM, resource
    from balr_hf.errors import ConfigError
    from balr_hf.system.lookup import look_up
    from balr_hf.system.modeling_system import SpeakerComparisonModel

    if len(arguments.words) > 1:
        raise ConfigError(
            f"--attribute looks up what is known of a system, and needs no corpus: got {' '.join(arguments.words)}, "
            "expected one system, or none for that of the package"
        )
    for name in ("html", "save_dir", "name", "cache", "audio"):
        if getattr(arguments, name):
            raise ConfigError(f"--{name.replace('_', '-')} has no meaning with --attribute, which writes nothing")
    source = arguments.words[0] if arguments.words else resource(SYSTEM)
    found = look_up(SpeakerComparisonModel.from_pretrained(source), arguments.attribute)
    if arguments.json:
        print_json(arguments, found.to_dict())
    else:
        print_text(found.text())


def _folder(arguments: Arguments, system: str) -> Path:
    """Where the descriptions are written.

    Raises:
        ConfigError: the system has no folder on this machine, and none was named.
    """
    from balr_hf.errors import ConfigError

    if arguments.save_dir is not None:
        return Path(arguments.save_dir)
    if not Path(system).is_dir():
        raise ConfigError(f"{system} is no folder on this machine: name one for attributes.json with --save-dir")
    return Path(system)


def _system_name(system: str) -> str:
    """What the page calls the system: its folder's name, or its repository on the Hub."""
    path = Path(system)
    return path.resolve().name if path.is_dir() else system


def _write_page(
    arguments: Arguments, name: str, descriptions: "AttributeDescriptions", dataset: "datasets.Dataset"
) -> None:
    from balr_hf.describing.clips import clips, examples
    from balr_hf.describing.page import page
    from balr_hf.files import atomic_path

    chosen = examples(dataset, arguments.audio) if arguments.audio else []
    sounds = clips(dataset, [one.recording for row in chosen for one in row])
    path = Path(arguments.html)
    with atomic_path(path) as temporary:
        temporary.write_text(page(descriptions, name, chosen, sounds), encoding="utf-8")
    logger.info("Wrote %s", path)


def _summary(descriptions: "AttributeDescriptions") -> str:
    """How many attributes are of each class and group, and the sentences of those that the voice describes best."""
    from balr_hf.describing import Meaning
    from balr_hf.describing.wording import pairs

    count = descriptions.count()
    lines = [f"{len(descriptions.attributes)} attributes, {descriptions.describe()}.", ""]
    for key, heading in (("meaning", "class"), ("group", "group")):
        rows = [(heading, "attributes"), *((words, str(number)) for words, number in count[key].items())]
        lines += [*aligned(rows), ""]
    of_voice = (Meaning.DESCRIBED, Meaning.WEAKLY_DESCRIBED)
    best = sorted(
        (one for one in descriptions.attributes if one.meaning in of_voice), key=lambda one: -(one.voice_auc or 0)
    )
    heading = "Best described, with 95 % intervals over the speakers:"
    lines.append(heading if best else "No attribute is described by measures of the voice.")
    for one in best[:SHOWN]:
        told = "" if one.voice_auc is None else f" ({pairs(one.voice_auc, one.intervals.get('voice_auc'))})"
        lines.append(f"{one.attribute}: {descriptions.sentence(one.attribute)}{told}")
    return "\n".join(lines)

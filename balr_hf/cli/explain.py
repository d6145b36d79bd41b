"""`balr explain`: compares two recordings and explains the result."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from balr_hf.cli.parsing import Arguments, Command, Section, positional
from balr_hf.cli.sections import (
    EMBEDDER,
    FEATURES,
    SCORER,
    CorpusOptions,
    EncoderArguments,
    mismatch_option,
    system_option,
)
from balr_hf.options import option

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import datasets
    from transformers import PreTrainedModel

    from balr_hf.data.skipped import Skipped
    from balr_hf.describing import AttributeDescriptions
    from balr_hf.domain import Limits
    from balr_hf.quality import Measured
    from balr_hf.scoring.modeling_scorer import Scorer

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options(CorpusOptions):
    """Options of `balr explain`."""

    a: str = positional(
        "a", "one side: an audio file, or a recording id of --corpus; several of one speaker are joined by commas"
    )
    b: str = positional("b", "the other side, likewise")
    corpus: str | None = option(
        None,
        "corpus in which A and B are recording ids: a csv, a folder, a saved Dataset, a parquet file or a Hub dataset",
        type=str,
    )
    system: str | None = system_option()
    top: int = option(
        10,
        "number of attributes to show that speak for the same speaker, and for different speakers",
        type=int,
        least=1,
    )
    json: bool = option(False, "print JSON with all attributes instead of text")
    html: str | None = option(
        None, "also write the explanation with a figure to this file, as a self-contained HTML page", type=str
    )
    case: str | None = option(
        None,
        "YAML file with what the report is to say of the case: case, examiner, details (labels and texts of one's "
        "own), propositions (H1 and H2, Hp and Hd, or Hs and Hd), remarks",
        type=str,
    )
    timeline: bool = option(
        False,
        "also find the attributes of windows of 1 s of the recordings: how far they agree with those of the whole, in "
        "the text, and the tracks of the strongest attributes, in --html (which then plays stretches, and holds the "
        "sound of recordings of up to five minutes) and --save-dir",
    )
    occlusion: bool = option(
        False,
        "as --timeline, and find which bands and stretches of time the strongest attributes change with; this takes "
        "about 150 times as long as one embedding of at most 20 s",
    )
    save_dir: str | None = option(
        None, "write the figures of --timeline and --occlusion to this folder, as PNG and SVG", type=str
    )
    match: str | None = option(
        None,
        "corpus of calibration recordings with speakers: they are brought to the conditions of A and of B (net "
        "speech, noise, bandwidth, recordings a side), and the scorer is calibrated on them for this case. Best are "
        "recordings of other people that were really made in the conditions of the case, in different sessions if "
        "those of the case are; second best are clean, wide-band ones, whose conditions are then simulated",
        type=str,
    )
    match_a: str | None = option(
        None,
        "with --match: take for A only recordings whose column has a value, such as channel=telephone, so that one "
        "corpus can hold calls for A and interviews for B, of the same speakers",
        type=str,
        metavar="COLUMN=VALUE",
        pairs=True,
    )
    match_b: str | None = option(
        None,
        "with --match: likewise for B, such as channel=interview",
        type=str,
        metavar="COLUMN=VALUE",
        pairs=True,
    )
    match_cache: bool = option(
        True,
        "with --match: take copies that were computed for an earlier case, and keep new ones for a later one, in "
        "balr-matching in the folder that HF_HOME names; with --no-match-cache all are computed now",
    )
    save_scorer: str | None = option(
        None,
        "with --match: new folder to save the scorer in, as it was calibrated for this case, so that the comparison "
        "can be computed again (scorer.checkpoint_path=FOLDER in the place of --match)",
        type=str,
    )
    within: str | None = option(
        None,
        "with --match: column of its corpus (sex, ...): compare different speakers only if both have the same value",
        type=str,
    )
    across: str | None = option(
        None,
        "with --match: column of its corpus (session, ...): compare recordings of one speaker only if it differs",
        type=str,
    )
    min_speech: float = option(
        0.5,
        "seconds of speech that a recording needs, or nothing is said of it; 0 takes any recording that is not silent",
        type=float,
        least=0,
    )
    limits: str = option(
        "",
        "how far outside the calibration's own range of recordings a verbal verdict is still given, e.g. "
        "snr=6,net_speech=2 (dB; a factor); decay is a factor of how fast sounds end, which rooms and noise slow "
        "down; voices is how many times more probable the two parts of a recording that differ most may be if "
        "different people speak in them; overlapped is how few recordings of one voice, in percent, may sound as much "
        "like two at once, and speed likewise of speech that is played faster or slower, and room of "
        "reverberant rooms; filtered is the share of the calibration's recordings with the band of a call that may be "
        "copies which were made so, by a filter or a coder [default: "
        "snr=1.5,net_speech=1.25,bandwidth=0.5,clipping=0.01,tone_share=0.05,probability=0.5,recordings=0,voices=2,"
        "snr_difference=3,bandwidth_difference=1,filtered=0.5,overlapped=1,speed=1,room=1,decay=1.05]",
        type=str,
        pairs=True,
    )
    allow_mismatch: bool = mismatch_option()
    calibrated: bool = option(True, "apply the scorer's calibration, if it has one")


# Its flags are --encoder-..., since the scorer has settings of the same names.
ENCODER = Section("encoder.model", EncoderArguments, prefix="encoder_", only="autoencoder")

COMMAND = Command(
    "explain",
    "Compare two recordings and explain the result: the log-likelihood ratio, its place on the verbal scale (if the "
    "scorer is calibrated), and the attributes that speak for the same speaker and for different speakers. Embeddings "
    "and attributes that are missing are computed.",
    Options,
    [FEATURES, EMBEDDER, ENCODER, SCORER],
    on_more_words="several recordings of one side are joined by commas: a1.wav,a2.wav b.wav",
    epilog="""examples:
  balr explain questioned.wav known.wav
  balr explain --system me/system questioned.wav known.wav
  balr explain --html report.html questioned.wav known1.wav,known2.wav
  balr explain --match calibration.csv --within sex questioned.wav known.wav
  balr explain --match both.csv --match-a channel=telephone --match-b channel=interview call.wav interview.wav
  balr explain --timeline --html report.html questioned.wav known.wav
  balr explain --corpus test.csv espeak17/espeak17-01 espeak17/espeak17-02 scorer.checkpoint_path=runs/scorer/train""",
)


def run(arguments: Arguments) -> None:
    """Compare the two sides and print the explanation."""
    from balr_hf.cli.explain_match import matched_scorer
    from balr_hf.cli.explain_timeline import compared_timelines, page_sections, save_figures
    from balr_hf.cli.explain_voices import find_voices
    from balr_hf.cli.models import check_attributes, load_named_scorer
    from balr_hf.cli.printing import print_text
    from balr_hf.data.origins import vector_origins
    from balr_hf.domain import Limits
    from balr_hf.errors import ConfigError
    from balr_hf.explanation.case import computation, read_case
    from balr_hf.files import atomic_path, json_text
    from balr_hf.identity import is_demonstration, is_of_demonstration
    from balr_hf.scoring.trials import side_counts
    from balr_hf.training.trained_speakers import people_trained_on

    if arguments.save_dir is not None and not (arguments.timeline or arguments.occlusion):
        raise ConfigError("--save-dir is for the figures of --timeline and --occlusion: add one of them")
    for name in ("within", "across", "match_a", "match_b", "save_scorer"):
        if getattr(arguments, name) is not None and arguments.match is None:
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag} is for --match: add a corpus to calibrate on")
    if not arguments.match_cache and arguments.match is None:
        raise ConfigError("--no-match-cache is for --match: add a corpus to calibrate on")
    if arguments.save_scorer is not None and Path(arguments.save_scorer).exists():
        raise ConfigError(f"--save-scorer {arguments.save_scorer} is there already: name a new folder")
    limits = Limits.parse(arguments.limits)
    case = () if arguments.case is None else read_case(arguments.case)
    sides = [_names(text) for text in (arguments.a, arguments.b)]
    dataset = _audio_files(sides) if arguments.corpus is None else _recordings(arguments, sides)
    heard = _Heard.of(dataset, sides, arguments.min_speech)
    earlier = _Earlier.of(dataset)
    dataset, models = _with_attributes(arguments, dataset)
    counts = side_counts(dataset, sides)
    scorer = load_named_scorer(arguments, counts.shape[1])
    wrong = check_attributes(arguments, dataset, scorer, thorough=True)
    voices = find_voices(arguments, heard.measured, heard.quality, sides, models, scorer, limits)
    unlike = _unlike(arguments, scorer, dataset, sides, heard.quality, limits)
    matched: tuple[tuple[str, str], ...] = ()
    files = {"Scorer's file": scorer}
    if arguments.match is not None:
        found = matched_scorer(arguments, scorer, heard.quality, dataset, sides, models)
        if arguments.save_scorer is not None:
            found = found.save_scorer(arguments.save_scorer)
        scorer, matched, wrong, files = found.scorer, found.rows, (*wrong, *found.remarks), {}
    speakers = _speaker(dataset, sides[0]), _speaker(dataset, sides[1])
    calibrated = arguments.calibrated and scorer.is_calibrated
    descriptions = _descriptions(arguments, dataset, scorer, models)
    explanation = scorer.explain(
        *counts,
        names=(", ".join(sides[0]), ", ".join(sides[1])),
        speakers=speakers,
        calibrated=calibrated,
        remarks=(
            *wrong,
            *earlier.remarks,
            *unlike,
            *heard.remarks,
            *_remarks(scorer, models, dataset, speakers, calibrated),
        ),
        quality=heard.quality,
        copies=heard.copies,
        limits=limits,
        demonstration=any(map(is_demonstration, (*models.values(), scorer)))
        or any(map(is_of_demonstration, earlier.makers)),
        case=case,
        details=(
            *matched,
            *voices.rows,
            *heard.files,
            *earlier.rows,
            people_trained_on(scorer, models.get("Autoencoder")),
            *computation({**models, **files}, vector_origins(dataset, "embedding").field("precision").to_pylist()),
        ),
        descriptions=descriptions,
        measures=((), ()) if descriptions is None else _measures(dataset, sides),
        voices=voices.one,
        heard=voices.heard,
    )
    over_time = compared_timelines(arguments, dataset, sides, models, scorer, explanation)
    if over_time is not None and arguments.save_dir is not None:
        save_figures(over_time, Path(arguments.save_dir))
    if arguments.html is not None:
        path, sections = Path(arguments.html), page_sections(over_time)
        with atomic_path(path) as temporary:
            temporary.write_text(explanation.to_html(arguments.top, sections), encoding="utf-8")
        logger.info("Wrote %s", path)
    if arguments.json:
        shown = explanation.to_dict() | ({} if over_time is None else {"timeline": over_time.to_dict()})
        print_text(json_text(shown))
        return
    text = explanation.to_text(arguments.top)
    print_text(text if over_time is None else f"{text}\n\n{over_time.to_text()}")


def _names(text: str) -> list[str]:
    """The recordings of a side; text that is an existing file is one recording, even with commas in its name."""
    from balr_hf.errors import ConfigError

    names = [text] if Path(text).exists() else [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise ConfigError("one side of the comparison names no recording")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} is named more than once on one side: a recording counts once")
    return names


def _audio_files(sides: list[list[str]]) -> "datasets.Dataset":
    """The files as a corpus; the ids are their paths as typed."""
    import datasets

    from balr_hf.errors import UserError

    paths = list(dict.fromkeys(path for side in sides for path in side))
    for path in paths:
        if not Path(path).is_file():
            raise UserError(
                f"no audio file {path}; to compare recordings of a corpus by their ids, add --corpus CORPUS"
            )
    files = datasets.Dataset.from_dict({"id": paths, "audio": [str(Path(path).absolute()) for path in paths]})
    return files.cast_column("audio", datasets.Audio(decode=False))


def _recordings(arguments: Arguments, sides: list[list[str]]) -> "datasets.Dataset":
    """The rows of the corpus that are compared."""
    from balr_hf.data.reading import read_corpus
    from balr_hf.errors import UserError, name_some

    corpus = read_corpus(arguments.corpus, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir)
    wanted = list(dict.fromkeys(name for side in sides for name in side))
    row_of = {name: row for row, name in enumerate(corpus.dataset["id"])}
    unknown = [name for name in wanted if name not in row_of]
    if unknown:
        raise UserError(
            f"{arguments.corpus} has no recording {name_some(unknown)}; its ids are {name_some(row_of, 3)}"
        )
    for skipped in corpus.skipped:
        if skipped.id in wanted:
            logger.warning("%s: %s", skipped.id, skipped.reason)
    return corpus.dataset.select([row_of[name] for name in wanted])


def _speaker(dataset: "datasets.Dataset", side: list[str]) -> str | None:
    """The speaker of a side; None if the corpus does not name one for every recording."""
    from balr_hf.scoring.trials import side_speakers

    found = side_speakers(dataset, [side])
    return None if found is None else str(found[0])


@dataclass(frozen=True)
class _Heard:
    """What is to be said of the recordings themselves.

    Attributes:
        quality: what was measured of the recordings of either side.
        copies: a sentence for each pair of recordings of the two sides that hold the same sound.
        files: rows of the recordings' files.
        remarks: what else a reader must know of them.
        measured: the recordings that have audio, by name.
    """

    quality: "tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]"
    copies: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]
    measured: "Mapping[str, Measured]"

    @classmethod
    def of(cls, dataset: "datasets.Dataset", sides: list[list[str]], min_speech: float) -> "_Heard":
        """Listen to all recordings that have audio; of the others, take what was measured earlier.

        Raises:
            AudioError: a recording cannot be decoded, or has too little speech, or a side holds one twice.
        """
        from balr_hf.audio import AudioError, reason_not_decoded
        from balr_hf.data.quality import known_quality
        from balr_hf.errors import name_some
        from balr_hf.explanation.case import recording_files
        from balr_hf.quality import describe_averaged, describe_gaps, load_measured, reason_to_refuse
        from balr_hf.quality.copies import NOTHING, describe_copies, refuse_copies

        known: dict[str, Mapping[str, Any]] = dict(known_quality(dataset))
        audio = dict(zip(dataset["id"], dataset["audio"], strict=True)) if "audio" in dataset.column_names else {}
        listened: dict[str, Measured] = {}
        remarks = []
        for name, source in audio.items():
            if source is None:
                continue
            try:
                measured = load_measured(source)
            except Exception as error:
                raise AudioError(f"{name}: {reason_not_decoded(error)}") from error
            reason = reason_to_refuse(measured.quality, min_speech)
            if reason is not None:
                raise AudioError(f"{name}: {reason}")
            listened[name], known[name] = measured, measured.quality.to_dict()
            remarks += [describe_averaged(name, measured.channels), describe_gaps(name, measured.samples)]
        both = [name for name in sides[0] if name in sides[1]]
        heard = [{name: listened[name].samples for name in side if name in listened} for side in sides]
        for side in heard:
            refuse_copies(side)
        copies, doubts = describe_copies(*heard)
        copies = (*(f"{name} is on both sides: {NOTHING}" for name in both), *copies)
        remarks += doubts
        quality = ([known[n] for n in sides[0] if n in known], [known[n] for n in sides[1] if n in known])
        stated = [name for name in dict.fromkeys(sides[0] + sides[1]) if name in known and name not in listened]
        if stated:
            remarks.append(
                f"What was measured of {name_some(stated)} was in the corpus already: there is no audio here to check "
                "it by."
            )
        files = {name: source.get("bytes") or source.get("path") for name, source in audio.items() if source}
        named = [[(name, files[name]) for name in side if files.get(name)] for side in sides]
        return cls(quality, copies, recording_files(named), tuple(filter(None, remarks)), listened)


def _with_attributes(
    arguments: Arguments, dataset: "datasets.Dataset"
) -> "tuple[datasets.Dataset, dict[str, PreTrainedModel]]":
    """The recordings with their attributes, and the models that computed what was missing.

    Raises:
        UserError: attributes cannot be computed, or the models do not belong together and this was not allowed.
    """
    import datasets

    from balr_hf.attributes.binarization import compute_binary_attributes
    from balr_hf.cli.models import load_autoencoder, load_embedder
    from balr_hf.data.columns import vector_present
    from balr_hf.devices import resolve_devices
    from balr_hf.embeddings.extraction import compute_embeddings
    from balr_hf.errors import UserError

    models: dict[str, PreTrainedModel] = {}
    if vector_present(dataset, "ba").all():
        return dataset, models
    datasets.disable_progress_bars()
    devices = resolve_devices(arguments.device)
    skipped: list[Skipped] = []
    if not vector_present(dataset, "embedding").all():
        models["Embedder"] = embedder = load_embedder(arguments)
        dataset, skipped = compute_embeddings(embedder, dataset, devices=devices[:1], min_speech=arguments.min_speech)
    if not skipped:
        models["Autoencoder"] = autoencoder = load_autoencoder(arguments)
        dataset, skipped = compute_binary_attributes(
            autoencoder, dataset, device=devices[0], allow_mismatch=arguments.allow_mismatch
        )
    if skipped:
        raise UserError("; ".join(f"{row.id}: {row.reason}" for row in skipped))
    return dataset, models


def _descriptions(
    arguments: Arguments, dataset: "datasets.Dataset", scorer: "Scorer", models: "Mapping[str, Any]"
) -> "AttributeDescriptions | None":
    """What the attributes that are compared go with; None where that is not known.

    Raises:
        MismatchError: what lies beside the models describes other attributes.
    """
    from balr_hf.cli.models import load_attribute_descriptions
    from balr_hf.data.origins import attributes_made_by
    from balr_hf.identity import model_identity

    autoencoder, embedder = attributes_made_by(dataset)
    if "Autoencoder" in models:
        autoencoder = model_identity(models["Autoencoder"])
    if "Embedder" in models:
        embedder = model_identity(models["Embedder"])
    autoencoder = autoencoder or scorer.config.autoencoder_identity
    return load_attribute_descriptions(arguments, autoencoder, embedder, scorer.config.num_attributes)


def _measures(
    dataset: "datasets.Dataset", sides: list[list[str]]
) -> "tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]":
    """The measures of voice and recording of the two sides, of those recordings that have audio."""
    from balr_hf.data.skipped import Skipped
    from balr_hf.describing.corpus import measure_recordings

    if "audio" not in dataset.column_names:
        return [], []
    there = [row for row, audio in enumerate(dataset["audio"]) if audio is not None]
    known: dict[str, Mapping[str, Any]] = {}
    for name, found in measure_recordings(dataset.select(there)):
        if isinstance(found, Skipped):
            logger.warning("%s: its voice is not measured: %s", name, found.reason)
        else:
            known[name] = found
    return [known[name] for name in sides[0] if name in known], [known[name] for name in sides[1] if name in known]


@dataclass(frozen=True)
class _Earlier:
    """What is to be said of vectors that were in the corpus already, and were not computed for this report.

    Attributes:
        makers: the identities of the models that made them; an empty one where that is unknown.
        rows: which models made them, in words.
        remarks: of which recordings it is not known what they were made from.
    """

    makers: tuple[str, ...]
    rows: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]

    @classmethod
    def of(cls, dataset: "datasets.Dataset") -> "_Earlier":
        """Find the vectors of a corpus whose missing ones are not computed yet."""
        from balr_hf.data.columns import vector_present
        from balr_hf.data.origins import origins_of
        from balr_hf.errors import name_some

        names = list(dataset["id"])
        found = {kind: vector_present(dataset, kind) for kind in ("ba", "embedding")}
        found["embedding"] = found["embedding"] & ~found["ba"]  # attributes that are there are not computed anew
        makers: dict[str, dict[str, list[str]]] = {"Embedder": {}, "Autoencoder": {}}
        remarks = []
        for kind, what in (("embedding", "embeddings"), ("ba", "attributes")):
            origins = origins_of(dataset, kind) if found[kind].any() else []
            unknown = []
            for name, there, origin in zip(names, found[kind], origins, strict=False):
                if not there:
                    continue
                embedder = "" if origin is None else origin.model if kind == "embedding" else origin.embedder
                makers["Embedder"].setdefault(embedder, []).append(name)
                if kind == "ba":
                    makers["Autoencoder"].setdefault("" if origin is None else origin.model, []).append(name)
                if not embedder:
                    unknown.append(name)
            if unknown:
                remarks.append(
                    f"The {what} of {name_some(unknown)} were in the corpus already, and nothing there says what "
                    "they were made from: that they are of these recordings was not checked."
                )
        rows = [
            (role, f"{maker or 'unknown'}, of what was in the corpus already ({', '.join(of)})")
            for role, made in makers.items()
            for maker, of in made.items()
        ]
        return cls(tuple(maker for made in makers.values() for maker in made), tuple(rows), tuple(remarks))


def _unlike(
    arguments: Arguments,
    scorer: "Scorer",
    dataset: "datasets.Dataset",
    sides: list[list[str]],
    quality: "tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]",
    limits: "Limits",
) -> tuple[str, ...]:
    """Cautions of sides whose recordings may be of different speakers."""
    from balr_hf.explanation.voices import unlike_recordings
    from balr_hf.scoring.trials import side_counts

    if not arguments.calibrated:
        return ()
    each = [side_counts(dataset, [[name] for name in side]) for side in sides]
    named = zip("AB", each, quality, strict=True)
    return tuple(text for side in named for text in unlike_recordings(scorer, *side, limits))


def _remarks(
    scorer: "Scorer",
    models: "Mapping[str, Any]",
    dataset: "datasets.Dataset",
    speakers: tuple[str | None, str | None],
    calibrated: bool,
) -> tuple[str, ...]:
    """Cautions that follow from the recordings, and from the speakers, where they are named, and the models."""
    from balr_hf.data.belonging import describe_precision
    from balr_hf.data.origins import vector_origins
    from balr_hf.data.recording_digests import recording_digests
    from balr_hf.explanation.cautions import known_recordings, known_speakers, unknown_people
    from balr_hf.training.trained_speakers import trained_on

    names = [name for name in dict.fromkeys(speakers) if name is not None]
    remarks = known_recordings(scorer, dataset["id"], recording_digests(dataset))
    remarks += [*known_speakers(scorer, speakers), *unknown_people(scorer)]
    for precision in vector_origins(dataset, "embedding").counts("precision"):
        other = describe_precision({"precision": precision}, scorer.config.calibration if calibrated else None)
        remarks += [] if other is None else [other]
    if "Autoencoder" in models:
        for name in trained_on(models["Autoencoder"].config.training, names) or []:
            remarks.append(f"Speaker {name} is one that the autoencoder was trained on: the figure flatters it.")
    return tuple(remarks)

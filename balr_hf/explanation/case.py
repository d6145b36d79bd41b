"""What a report says of the case, beside the result: who asked, which recordings, with what it was computed."""

from __future__ import annotations

import datetime
import hashlib
import io
import platform
import reprlib
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from balr_hf.errors import UserError
from balr_hf.explanation.heard import KINDS
from balr_hf.explanation.wording import WHAT_IS_COMPUTED
from balr_hf.identity import calibration_digest, file_digest, model_digest

# The keys of a case file, and what a report calls them.
KEYS = {
    "case": "Case",
    "examiner": "Examiner",
    "details": "{label}",
    "propositions": "{label} of the case",
    "remarks": "Remarks",
}

# Rows and figures of a report that are computed, whose names no detail of a case may have.
COMPUTED = {
    *("hs", "hd", "propositions", "verbal scale", "reference population", "calibration", "calibrated on", "bounds"),
    *("misleading evidence", "attributes", "descriptions", "software", "command", "limits", "cross-validation"),
    *("precision", "trained on the same people"),
    *("lr", "llr", "ln lr", "log10 lr", "likelihood ratio", "log-likelihood ratio", "interval", "interval of the lr"),
    *("95 % interval", "95 % interval of the lr", "verdict", "verbal verdict", "note", "scorer", "scorer's file"),
    *("sum before calibration", "embedder", "autoencoder", "recording of a", "recording of b", "one voice"),
    *(name.casefold() for kind in KINDS for name in (kind.label, kind.detector)),
    *("matched calibration", "matching corpus", "scorer before matching", "scorer after matching"),
    *(f"{what} {side}" for what in ("conditions of", "copies for") for side in "ab"),
}

# The labels that the two propositions of a case may have: that of the same speaker, that of different speakers.
LABELS = (("H1", "H2"), ("Hp", "Hd"), ("Hs", "Hd"))

# The names of the console script, and the module of `python -m` that does the same.
PROGRAMS, MODULES = ("balr", "balr.exe"), ("balr_hf.__main__", "balr_hf.cli.main")
# The packages that decide a result.
PACKAGES = ("balr_hf", "torch", "transformers", "datasets", "numpy", "av", "silero-vad")


def read_case(path: str | Path) -> tuple[tuple[str, str], ...]:
    """Read what a YAML file says of a case: `case`, `examiner`, `details`, `propositions`, `remarks`.

    Args:
        path: the file. `propositions` has a label and a text for each of two: `H1` and `H2`, `Hp` and `Hd`, or `Hs`
            and `Hd`. `details` has labels of one's own (when it was examined, what was listened to, sessions, devices)
            and what is to stand beside each. Each other value, and that of each detail, is a text, or a list of texts;
            numbers and dates are texts as they are written.

    Returns:
        rows of a name and a value, for [`Findings.case`]. Propositions are followed by what was computed, since
        the likelihood ratio is of Hs and Hd whatever they say.

    Raises:
        UserError: the file cannot be read, is no YAML mapping, has other keys or values, a key twice, or a detail
            with a label of another row that says something of the case or of the likelihood ratio.
    """
    import yaml

    try:
        found = yaml.load(Path(path).read_text(encoding="utf-8"), _loader())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"the case file {path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, Mapping):
        raise UserError(f"the case file {path} has no keys: expected {', '.join(KEYS)}")
    unknown = sorted(set(map(str, found)) - set(KEYS))
    if unknown:
        raise UserError(f"the case file {path} has unknown keys {', '.join(unknown)}: expected {', '.join(KEYS)}")
    rows: list[tuple[str, str]] = []
    for key, title in KEYS.items():
        if key == "propositions" and key in found:
            texts = _propositions(path, found[key])
            rows += [*((title.format(label=label), text) for label, text in texts), ("Computed", WHAT_IS_COMPUTED)]
        elif key == "details" and key in found:
            rows += _details(path, found[key])
        elif found.get(key) is not None:
            rows.append((title, _text(path, key, found[key])))
    names = Counter(name for name, _ in rows)
    for name in (name for name, times in names.items() if times > 1 or name.casefold() in COMPUTED):
        raise UserError(f"the case file {path} has a detail {name!r}, as the report calls another row: rename it")
    return tuple(rows)


def computation(models: Mapping[str, Any], precisions: Iterable[str] = ()) -> tuple[tuple[str, str], ...]:
    """When and with what a result was computed: rows of a name and a value.

    Args:
        models: the role of each model, e.g. `Embedder`, and the model.
        precisions: in which each embedding was computed, e.g. `fp32`; empty where that is not known.
    """
    facts, found = run_facts(), dict.fromkeys(precisions)
    known = " and ".join(filter(None, found))
    rows = [("Date", facts["date"]), ("Command", facts["command"])]
    rows += [(role, identity_in_full(model)) for role, model in models.items()]
    others = ", and of some not known" if known and "" in found else ""
    rows.append(("Precision", f"of the embeddings: {known or 'not known'}{others}"))
    rows.append(("Software", ", ".join(f"{name} {found}" for name, found in facts["software"].items())))
    return tuple(rows)


def identity_in_full(model: Any) -> str:
    """Name a model by its folder or repository, and by its digests."""
    return f"{getattr(model, 'name_or_path', '') or 'unnamed'}, {digests_in_full(model)}"


def digests_in_full(model: Any) -> str:
    """The digest of what decides a model's numbers, and of a calibrated scorer that of its calibration's record.

    The first does not change with the ranges, names and rates in the record, by which verdicts and cautions go.
    """
    text = f"SHA-256 {model_digest(model)}"
    if getattr(model.config, "calibration", None) is not None:
        text += f"; its calibration, with the record of it, SHA-256 {calibration_digest(model)}"
    return text


def run_facts() -> dict[str, Any]:
    """When, how and with what software a result is computed: `date` with its zone, `command` and `software`."""
    now = datetime.datetime.now().astimezone()
    return {
        "date": f"{now.isoformat(sep=' ', timespec='seconds')} ({now.tzname()})",
        "command": _command(),
        "software": {"Python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }


def recording_files(sides: Sequence[Sequence[tuple[str, str | Path | bytes]]]) -> tuple[tuple[str, str], ...]:
    """Which files were compared: a row for each with its format and SHA-256.

    Args:
        sides: of A and of B, the name of each recording and its file, or what is in it.
    """
    rows = []
    for side, recordings in zip("AB", sides, strict=True):
        for name, file in recordings:
            if isinstance(file, bytes):
                told = f"{_format(io.BytesIO(file))}, SHA-256 {hashlib.sha256(file).hexdigest()}"
            else:
                told = f"{_format(str(file))}, SHA-256 {file_digest(file)}"
            rows.append((f"Recording of {side}", f"{name}: {told}"))
    return tuple(rows)


def _command() -> str:
    """What was typed, quoted for a shell: `balr explain ...`, or a script and its arguments."""
    program, *words = sys.argv or [""]
    started = getattr(sys.modules.get("__main__"), "__spec__", None)  # of `python -m`; a console script has none
    if Path(program).name in PROGRAMS or (started is not None and started.name in MODULES):
        program = "balr"
    return shlex.join([program, *words])


def _loader() -> Any:
    """A loader that leaves numbers and dates as they are written, and refuses a key that is there twice.

    The case 0123 is not the number 83, and of two keys alike YAML would take the last one without a word.
    """
    import yaml

    class AsWritten(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            for key in (key for key, times in keys.items() if times > 1):
                raise yaml.constructor.ConstructorError(None, None, f"it has the key {key} twice", node.start_mark)
            return super().construct_mapping(node, deep)

    for kind in ("int", "float", "timestamp"):
        AsWritten.add_constructor(f"tag:yaml.org,2002:{kind}", yaml.SafeLoader.construct_yaml_str)
    return AsWritten


def _propositions(path: str | Path, value: Any) -> list[tuple[str, str]]:
    """The label and the text of both propositions, that of the same speaker first.

    Raises:
        UserError: they are not exactly two texts with labels that belong together.
    """
    found = value if isinstance(value, Mapping) else {}
    texts = {label: " ".join(text.split()) for label, text in found.items() if isinstance(text, str)}
    labels = next((pair for pair in LABELS if set(found) == set(pair)), ())
    if not labels or not all(any(map(str.isalpha, texts.get(label, ""))) for label in labels):
        first, *others = (" and ".join(pair) for pair in LABELS)
        raise UserError(
            f"the case file {path} has propositions {reprlib.repr(value)}: expected exactly two texts, that of the "
            f"same speaker and that of different speakers, with the labels {first} (or {', or '.join(others)}), e.g. "
            '{H1: "The caller is the suspect.", H2: "The caller is somebody else."}'
        )
    return [(label, texts[label]) for label in labels]


def _details(path: str | Path, value: Any) -> list[tuple[str, str]]:
    """The labels and the texts of what else is said of a case, in the order of the file.

    Raises:
        UserError: they are no mapping of texts to texts.
    """
    if not isinstance(value, Mapping) or not value:
        raise UserError(
            f"the case file {path} has details {reprlib.repr(value)}: expected labels with a text each, e.g. "
            '{Listened to: "both recordings, whole", Devices: "not known"}'
        )
    for label in value:
        if not isinstance(label, str) or not label.strip():
            raise UserError(f"the case file {path} has a detail with the label {label!r}: expected a text")
    return [(" ".join(label.split()), _text(path, f"details, {label}:", text)) for label, text in value.items()]


def _text(path: str | Path, key: str, value: Any) -> str:
    """A text, or several in one."""
    parts = value if isinstance(value, list) else [value]
    if not parts or not all(isinstance(part, str) and part.strip() for part in parts):
        raise UserError(
            f"the case file {path} has {key} {reprlib.repr(value)}: expected a text or a list of texts (words such as "
            "yes and no are texts in quotation marks)"
        )
    parts = [" ".join(part.split()) for part in parts]
    return (" " if all(part.endswith((".", "?", "!")) for part in parts) else "; ").join(parts)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def _format(file: str | io.BytesIO) -> str:
    """Container, codec, sampling rate and channels of an audio file."""
    import av

    try:
        with av.open(file, "r", metadata_errors="ignore") as container:
            stream = container.streams.audio[0]
            codec = stream.codec_context
            return f"{container.format.name}/{codec.name}, {codec.sample_rate} Hz, {codec.channels} channel(s)"
    except (av.error.FFmpegError, IndexError):
        return "unknown format"

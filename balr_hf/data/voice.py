"""Tables of what was measured of voices, as csv and parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from balr_hf.files import atomic_path
from balr_hf.phonetics import VoiceMeasures
from balr_hf.untrusted import SafeWriter

# The formats of a table, each with the name of its file.
FILES = {"csv": "measures.csv", "parquet": "measures.parquet"}
NAMES = tuple(item.name for item in fields(VoiceMeasures))


def write_voices(folder: Path, voices: Mapping[str, VoiceMeasures], file_format: str = "csv") -> Path:
    """Write one row per recording: its `id` and the [`VoiceMeasures`] by name, empty where there is no figure.

    Args:
        folder (`Path`): is made if it does not exist.
        voices: the measures by recording.
        file_format (str): `csv` or `parquet`.

    Returns:
        `Path`: the file, complete or not there at all.

    Raises:
        ValueError: the format is unknown.
    """
    if file_format not in FILES:
        raise ValueError(f"unknown format {file_format!r}: expected one of {', '.join(FILES)}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILES[file_format]
    with atomic_path(path) as temporary:
        (_write_csv if file_format == "csv" else _write_parquet)(temporary, voices)
    return path


def _write_csv(path: Path, voices: Mapping[str, VoiceMeasures]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = SafeWriter(file)
        writer.writerow(["id", *NAMES])
        for name, voice in voices.items():
            writer.writerow([name, *("" if value is None else value for value in voice.to_dict().values())])


def _write_parquet(path: Path, voices: Mapping[str, VoiceMeasures]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"id": pa.array(list(voices), pa.string())}
    for name in NAMES:
        columns[name] = pa.array([getattr(voice, name) for voice in voices.values()], pa.float64())
    pq.write_table(pa.table(columns), path)

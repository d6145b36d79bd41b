"""`balr measure`: a table of voices, on the screen and in files."""

import csv
import json

import numpy as np
import pytest
from scipy.io import wavfile

from balr_hf.phonetics import VoiceMeasures


@pytest.fixture
def two(few):
    """A csv of two recordings of two voices."""
    lines = few.read_text().splitlines()
    path = few.with_name("two.csv")
    path.write_text("\n".join([lines[0], lines[1], lines[4]]) + "\n")
    return path


def test_table_files_and_pictures_say_the_same(two, balr, tmp_path):
    folder = tmp_path / "measured"
    status, said = balr("measure", two, "--save-dir", folder, "--plots")
    assert status == 0 and "2 recordings measured, in 0 of which" in said
    with (folder / "measures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", *VoiceMeasures.__dataclass_fields__] and len(rows) == 2
    for row in rows:
        line = next(line for line in said.splitlines() if line.startswith(row["id"]))
        assert line.split()[2] == f"{float(row['f0_median']):.0f}"
        assert (folder / "plots" / f"{row['id']}.png").read_bytes().startswith(b"\x89PNG")
    with (folder / "quality.csv").open(newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == [row["id"] for row in rows]


def test_json_keeps_voice_and_recording_apart(two, balr, tmp_path):
    status, said = balr("measure", two, "--json", "--save-dir", tmp_path, "--save-format", "parquet")
    assert status == 0
    found = json.loads(said[said.index("{") : said.rindex("}") + 1])["recordings"]
    assert set(found[0]) == {"id", "voice", "recording"} and "snr" in found[0]["recording"]
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "measures.parquet").to_pylist()
    assert [row.pop("id") for row in table] == [row["id"] for row in found]
    assert table == [row["voice"] for row in found]


def test_a_recording_without_a_voice_has_dashes_and_empty_cells(balr, tmp_path):
    path = tmp_path / "silent.wav"
    wavfile.write(path, 16_000, np.zeros(32_000, dtype=np.float32))
    status, said = balr("measure", path, "--save-dir", tmp_path / "measured", "--plots")
    assert status == 0 and "in 1 of which there is no voice to measure" in said
    with (tmp_path / "measured" / "measures.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["f0_median"] == "" and float(row["voiced"]) == 0
    assert next(line for line in said.splitlines() if line.startswith("silent")).split()[2:] == ["-"] * 12


def test_pictures_need_a_folder(two, balr):
    status, said = balr("measure", two, "--plots")
    assert status != 0 and "--plots needs --save-dir" in said

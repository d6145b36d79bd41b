import csv

import pytest

from balr_hf.data.voice import write_voices
from balr_hf.phonetics import measure_voice


def test_figures_are_written_whole_and_missing_ones_are_empty(tmp_path, root):
    from balr_hf.audio import load_audio

    samples = load_audio(root / "resources/data/sample/espeak02/espeak02-01.opus")
    voices = {"a,b": measure_voice(samples, [(0.2, 1.0)])[0], "empty": measure_voice(samples, [])[0]}
    path = write_voices(tmp_path / "new", voices)
    with path.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first["id"] == "a,b" and float(first["f4"]) == voices["a,b"].f4
    assert second["hnr"] == second["voiced_share"] == "" and float(second["speech"]) == 0


def test_unknown_formats_are_refused(tmp_path):
    with pytest.raises(ValueError, match="csv, parquet"):
        write_voices(tmp_path, {}, "xlsx")

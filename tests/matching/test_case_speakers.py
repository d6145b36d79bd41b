"""Who of a corpus speaks in a case, as far as names and files tell."""

import datasets

from balr_hf.matching.case_speakers import sizes_of, speakers_of_the_case


def corpus(*rows):
    """A corpus of a speaker and a file, or what is in it, or nothing, for each row."""
    audio = [
        None
        if of is None
        else {"path": None if isinstance(of, bytes) else str(of), "bytes": of if isinstance(of, bytes) else None}
        for _, of in rows
    ]
    kind = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    features = datasets.Features({"audio": kind, "speaker": datasets.Value("string")})
    found = datasets.Dataset.from_dict({"audio": audio, "speaker": [speaker for speaker, _ in rows]}, features)
    return found.cast_column("audio", datasets.Audio(decode=False))


def test_speakers_of_a_case_are_found_by_name_and_by_what_files_hold(tmp_path):
    contents = {"questioned": b"one", "copy": b"one", "of-same-size": b"two", "known": b"three", "gone": b"one"}
    paths = {name: tmp_path / f"{name}.wav" for name in contents}
    for name, content in contents.items():
        paths[name].write_bytes(content)
    paths["gone"].unlink()
    case = [str(paths["questioned"]), b"three"]
    others = corpus(
        ("of a copy", paths["copy"]),
        ("of other sound", paths["of-same-size"]),
        ("of a file", paths["known"]),
        ("of bytes", b"one"),
        ("A. Nybody", paths["of-same-size"]),
        ("of a missing file", paths["gone"]),
        ("of nothing", None),
        (None, paths["copy"]),
    )

    def found(case, names=("A. Nybody",), others=others):
        return speakers_of_the_case(case, names, others, sizes_of(others))

    expected = {"of a copy", "of a file", "of bytes", "A. Nybody"}
    assert found(case) == expected
    assert found([paths["questioned"], {"bytes": b"three", "path": None}]) == expected
    assert found(case, ()) == expected - {"A. Nybody"}
    samples = {"array": [0.0], "sampling_rate": 16_000}
    assert found([samples, paths["gone"]]) == found([]) == found(case, others=others.remove_columns("audio"))
    assert found([]) == {"A. Nybody"}

"""What a report says of the case and of how its result was computed."""

import hashlib
import importlib.util
import re
import shlex
import sys

import pytest

from balr_hf.errors import UserError
from balr_hf.explanation.case import COMPUTED, computation, read_case, recording_files, run_facts
from balr_hf.explanation.wording import LOGARITHMS, THE_CASE, THE_METHOD, WHAT_IS_COMPUTED


def test_case_file_becomes_rows(tmp_path):
    path = tmp_path / "case.yaml"
    path.write_text("case: 2026-17\nexaminer: [A. Example, B. Example]\nremarks: [One., Two.]\n")
    assert read_case(path) == (("Case", "2026-17"), ("Examiner", "A. Example; B. Example"), ("Remarks", "One. Two."))


def test_details_are_rows_in_the_order_of_the_file(tmp_path):
    path = tmp_path / "case.yaml"
    path.write_text(
        "remarks: None.\ncase: 7\ndetails:\n  Examined on: 2026-01-07\n  Listened to: [A, 'B, twice']\n"
        "  Devices: >\n    a phone,\n    <b>not</b> known\n"
    )
    assert read_case(path) == (
        ("Case", "7"),
        ("Examined on", "2026-01-07"),
        ("Listened to", "A; B, twice"),
        ("Devices", "a phone, <b>not</b> known"),
        ("Remarks", "None."),
    )


@pytest.mark.parametrize("number", ["0123", "12:30", "1_000", "2026-01-07", "1e3"])
def test_numbers_of_a_case_stay_as_they_are_written(tmp_path, number):
    path = tmp_path / "case.yaml"
    path.write_text(f"case: {number}\n")
    assert read_case(path) == (("Case", number),)


@pytest.mark.parametrize("labels", [("H1", "H2"), ("Hp", "Hd"), ("Hs", "Hd")])
def test_propositions_are_followed_by_what_was_computed(tmp_path, labels):
    path, (same, different) = tmp_path / "case.yaml", labels
    path.write_text(f"propositions:\n  {different}: Another man\n    speaks.\n  {same}: Mr X speaks.\n")
    assert read_case(path) == (
        (f"{same} of the case", "Mr X speaks."),
        (f"{different} of the case", "Another man speaks."),
        ("Computed", WHAT_IS_COMPUTED),
    )


@pytest.mark.parametrize(
    "propositions",
    [
        "[Mr X speaks, another man speaks]",  # without labels
        "Mr X speaks",
        "{H1: Mr X speaks}",
        "{H1: Mr X speaks, H2: another man speaks, H3: his brother speaks}",
        "{H1: Mr X speaks, Hd: another man speaks}",  # labels of two pairs
        "{A: Mr X speaks, B: another man speaks}",
        "{H1: Mr X speaks, H2: }",
        "{H1: Mr X speaks, H2: 0.5}",
        "{H1: Mr X speaks, H2: yes}",
        "{H1: Mr X speaks, H2: [another man speaks]}",
        "{H1: Mr X speaks, H2: '  '}",
        "{}",
        "0",
        "",
    ],
)
def test_other_propositions_than_two_labelled_texts_are_refused(tmp_path, propositions):
    path = tmp_path / "case.yaml"
    path.write_text(f"propositions: {propositions}\n")
    with pytest.raises(UserError, match=r"expected exactly two texts, .*with the labels H1 and H2"):
        read_case(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case: [", "cannot be read"),
        ("- one\n- two\n", "has no keys"),
        ("case: 1\njudge: B\n", "unknown keys judge: expected case, examiner"),
        ("examiner: {name: B}\n", "has examiner {'name': 'B'}: expected a text or a list of texts"),
        ("remarks: [none, true]\n", "has remarks .*: expected a text or a list of texts"),
        ("remarks:\n  ''\n", "has remarks ''"),
        ("case: 1\ncase: 2\n", "cannot be read: it has the key case twice"),
        ("propositions: {H1: Mr X speaks, H1: another man speaks}\n", "cannot be read: it has the key H1 twice"),
        ("details: {Devices: a phone, Devices: a radio}\n", "cannot be read: it has the key Devices twice"),
        ("details: [a phone]\n", r"has details \['a phone'\]: expected labels with a text each"),
        ("details: {}\n", "has details {}: expected labels"),
        ("details:\n", "has details None: expected labels"),
        ("details: {Listened: yes}\n", r"has details, Listened: True: expected a text .*yes and no are texts in quot"),
        ("details: {Listened: {to: A}}\n", "has details, Listened: {'to': 'A'}: expected a text or a list of texts"),
        ("details: {Devices: []}\n", r"has details, Devices: \[\]: expected a text"),
        ("details: {Devices: }\n", "has details, Devices: None: expected a text"),
        ("details: {Misleading evidence: none}\n", "has a detail 'Misleading evidence', as the report calls another"),
        ("details: {yes: A}\n", "has a detail with the label True: expected a text"),
        ("case: 1\ndetails: {Case: 2}\n", "has a detail 'Case', as the report calls another row: rename it"),
        ("details: {'a b': 1, 'a  b': 2}\n", "has a detail 'a b', as the report"),
        ("!!python/object/apply:os.system ['true']", "cannot be read"),
    ],
)
def test_bad_case_files_are_refused(tmp_path, text, message):
    path = tmp_path / "case.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_case(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_case(tmp_path / "missing.yaml")


LABELS = ("LR", "verdict", "95 % interval of the LR", "Scorer's file", "Cross-validation", "Speed", "Recording of A")


@pytest.mark.parametrize("label", LABELS)
def test_no_detail_of_a_case_has_the_name_of_what_is_computed(tmp_path, label):
    path = tmp_path / "case.yaml"
    path.write_text(f'details:\n  "{label}": as if the program had found it\n')
    with pytest.raises(UserError, match="as the report calls another row"):
        read_case(path)


def test_all_rows_of_a_report_but_its_date_are_refused_as_details(few, balr):
    a, b = (line.split(",")[0] for line in few.read_text().splitlines()[1:3])
    said = balr("explain", "--corpus", few, a, b, "--limits", "snr=6")[1]
    rows = said.split(THE_METHOD)[1].split(LOGARITHMS)[0].strip().splitlines()
    names = {re.split(" {2,}", row.strip())[0].casefold() for row in rows}
    assert len(names) > 20 and names - COMPUTED == {"date"}


def test_a_report_says_that_nothing_of_the_case_was_checked(few, balr, tmp_path):
    a, b = (line.split(",")[0] for line in few.read_text().splitlines()[1:3])
    (tmp_path / "case.yaml").write_text("case: 7\n")
    page = tmp_path / "page.html"
    status, said = balr("explain", "--corpus", few, a, b, "--case", tmp_path / "case.yaml", "--html", page)
    assert status == 0 and said.index(THE_CASE) < said.index("Case  7") and THE_CASE in page.read_text()


def test_recordings_are_named_with_format_and_digest(sample):
    path = sample / "espeak01" / "espeak01-01.opus"
    ((name, text), *others) = recording_files([[("a", path)], [("b", path)]])
    assert name == "Recording of A" and "opus, 48000 Hz, 1 channel" in text and len(others) == 1
    assert hashlib.sha256(path.read_bytes()).hexdigest() in text


def test_computation_names_models_versions_and_the_time_with_its_zone(tiny_embedder):
    rows = dict(computation({"Embedder": tiny_embedder}, ["bf16", "bf16"]))
    assert rows["Precision"] == "of the embeddings: bf16"
    for precisions, told in ((["fp32", "", "bf16"], "fp32 and bf16, and of some not known"), ([], "not known")):
        assert dict(computation({}, precisions))["Precision"] == f"of the embeddings: {told}"
    assert "system-small, SHA-256 " in rows["Embedder"]
    assert "balr_hf " in rows["Software"] and "silero-vad " in rows["Software"] and "Python 3" in rows["Software"]
    assert rows["Date"][10] == " " and rows["Date"].endswith(")") and rows["Command"]


@pytest.mark.parametrize(
    ("program", "module", "shown"),
    [
        ("/venv/bin/balr", None, "balr"),
        ("/lib/balr_hf/__main__.py", "balr_hf.__main__", "balr"),
        ("/lib/balr_hf/cli/main.py", "balr_hf.cli.main", "balr"),
        ("my scripts/compare.py", None, "'my scripts/compare.py'"),
        (
            "/venv/lib/python3.12/site-packages/json/tool.py",
            "json.tool",
            "/venv/lib/python3.12/site-packages/json/tool.py",
        ),
    ],
)
def test_command_is_shown_as_it_can_be_pasted(program, module, shown, monkeypatch):
    words = ["explain", "a b.wav", "it's.wav", "--limits", "snr=1;x"]
    monkeypatch.setattr(sys, "argv", [program, *words])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", module and importlib.util.find_spec(module))
    command = run_facts()["command"]
    assert command.startswith(f"{shown} explain ") and shlex.split(command)[1:] == words

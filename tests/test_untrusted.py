"""Texts that others wrote do nothing in terminals and spreadsheets, and come back as they were."""

import csv
import io
import logging

import pytest

from balr_hf.cli.printing import PrintableFormatter
from balr_hf.tables import aligned
from balr_hf.untrusted import SafeWriter, csv_cell, csv_value, one_line, printable, safe_rows

FORMULAS = ["=cmd|'/c calc'!A1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "''=1", "'-x", "-x", "="]
PLAIN = [
    "",
    "a",
    "a=b",
    "'tis",
    "'",
    "''",
    "Zoë",
    "-0.5",
    "-1",
    "+1e-7",
    "-inf",
    "nan",
    "-.5",
    "a, b",
    'say "a"',
    "x\ny",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_a_formula(text):
    file = io.StringIO(newline="")
    SafeWriter(file).writerow([text, 1])
    (cells,) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert cells[0] == f"'{text}"


@pytest.mark.parametrize("text", PLAIN)
def test_other_cells_stay_as_they_are(text):
    assert csv_cell(text) == text


def test_what_is_no_text_stays():
    assert [csv_cell(value) for value in (-1, -0.5, None, True)] == [-1, -0.5, None, True]


def test_lines_end_in_a_line_feed():
    file = io.StringIO(newline="")
    SafeWriter(file).writerows([["a", "ref"], ["b", "two\nlines"]])
    assert file.getvalue() == 'a,ref\nb,"two\nlines"\n'


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_rows_come_back_as_they_were(delimiter):
    rows = [FORMULAS, PLAIN, ["x" * 200_000, "=" * 200_000]]
    file = io.StringIO(newline="")
    SafeWriter(file, delimiter=delimiter).writerows(rows)
    file.seek(0)
    assert list(safe_rows(file, delimiter=delimiter)) == rows
    assert [csv_value(csv_value(text)) for text in ("''=1", "'''=1")] == ["=1", "'=1"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\0b\x7f\x9b", r"a\x00b\x7f\x9b"),
        ("abc\u202egpj.exe", r"abc\u202egpj.exe"),
        (b"caf\xe9.wav".decode(errors="surrogateescape"), r"caf\xe9.wav"),
        ("\ud800", r"\ud800"),
        ("Zoë 中 😀 a\tb\nc", "Zoë 中 😀 a\tb\nc"),
    ],
)
def test_terminals_get_no_control_characters(text, shown):
    assert printable(text) == shown
    record = logging.LogRecord("balr_hf", logging.WARNING, "", 0, "skipped %s", (text,), None)
    assert PrintableFormatter("%(message)s").format(record) == f"skipped {shown}"
    assert one_line(text) == " ".join(shown.split())


def test_no_cell_of_a_table_breaks_its_line():
    assert aligned([["name", "dB"], ["a\r\nb\x85c", "-25"]]) == ["name    dB", "a b c  -25"]

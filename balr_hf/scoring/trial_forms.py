"""Lists without a header: trials by VoxCeleb and Kaldi, scores by Kaldi, WeSpeaker and SpeechBrain; and others."""

import csv
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from balr_hf.errors import UserError

# What a header calls the sides, and what it may call a label.
SIDES, LABEL, SCORES = ("enrollment", "test"), "label", "scores"
# What else a header may call labels, and what they may say: whether both sides are of one speaker.
LABELS = {LABEL, "labels", "target", "is_target", "targettype", "same", "same_speaker", "is_same", "key"}
MEANINGS = {
    **dict.fromkeys(("1", "1.0", "true", "t", "yes", "y", "target", "same", "same_speaker", "tgt"), True),
    **dict.fromkeys(("0", "0.0", "false", "f", "no", "n", "nontarget", "non_target", "impostor", "imp"), False),
    **dict.fromkeys(("_1", "_1.0", "different", "different_speaker", "diff"), False),  # -1, as it is read
}
# The separators that a list without tabs may have, in the order in which they are tried.
OTHER_SEPARATORS = (" ", ",", ";", "|")


@dataclass(frozen=True)
class Form:
    """A form of lists without a header: so many words in each line, separated by white space or a tab.

    Attributes:
        maker: whose lists have this form; empty if nobody's in particular.
        shown: how a line looks.
        header: what the columns are.
        labels: what the column of labels may hold, if there is one.
    """

    maker: str
    shown: str
    header: tuple[str, ...]
    labels: tuple[str, ...] = ()

    @property
    def named(self) -> str:
        """Whose lists have this form, and how a line looks."""
        return f"{self.maker}'s ({self.shown})" if self.maker else f"one with labels ({self.shown})"

    @property
    def described(self) -> str:
        """The form for a message: how a line looks, and whose lists are so."""
        return f"{self.shown} ({self.maker}'s, without a header)" if self.maker else f"{self.shown} (without a header)"

    def fits(self, words: Sequence[str]) -> bool:
        """Whether these are the words of a line of this form."""
        if len(words) != len(self.header):
            return False
        named = dict(zip(self.header, words, strict=True))
        has_label = LABEL not in named or named[LABEL] in self.labels
        return has_label and (SCORES not in named or _is_number(named[SCORES]))


FORMS = (
    Form("VoxCeleb", "1|0 ID ID", (LABEL, *SIDES), ("1", "0")),
    Form("Kaldi", "ID ID target|nontarget", (*SIDES, LABEL), ("target", "nontarget")),
)
# What only a list with tabs can be: with spaces, three words may be ids, too, of which one is called 1.
TABBED_FORMS = (*FORMS, Form("", "ID ID 1|0", (*SIDES, LABEL), ("1", "0")))
# What WeSpeaker's score normalisation adds to each line of its scores.
_AFTER_NORMALISATION = ("enrollment_magnitude", "test_magnitude", "enrollment_cohort_mean", "test_cohort_mean")
# What other programs write scores in. They are looked for only where scores are read: a number may be an id, too.
SCORED_FORMS = (
    Form("Kaldi", "ID ID SCORE", (*SIDES, SCORES)),
    Form("WeSpeaker", "ID ID SCORE target|nontarget", (*SIDES, SCORES, LABEL), ("target", "nontarget")),
    Form(
        "WeSpeaker",
        "ID ID SCORE target|nontarget and four numbers, after score normalisation",
        (*SIDES, SCORES, LABEL, *_AFTER_NORMALISATION),
        ("target", "nontarget"),
    ),
    Form("SpeechBrain", "ID ID 1|0 SCORE", (*SIDES, LABEL, SCORES), ("1", "0")),
)


def is_label(name: str) -> bool:
    """Whether a column of this name holds labels; the name may be in any case, and its words apart."""
    return _plain(name) in LABELS


def meaning(label: str) -> bool | None:
    """Whether a label says that both sides are of one speaker; None of a text that is no label."""
    return MEANINGS.get(_plain(label))


def _plain(text: str) -> str:
    return text.strip().lower().replace(" ", "_").replace("-", "_")


def as_number(text: str) -> float:
    """The number that a text is.

    Raises:
        ValueError: it is none. `1_0` is none, though Python reads it as 10.
    """
    if "_" in text:
        raise ValueError(f"could not convert string to float: {text!r}")
    return float(text)


def _is_number(text: str) -> bool:
    try:
        as_number(text)
    except ValueError:
        return False
    return True


def read_known_form(path: Path, sep: str, scored: bool = False) -> tuple[Form, list[list[str]]] | None:
    """Read a trial list of VoxCeleb's or Kaldi's form, separated by spaces or tabs, or one of `ID ID 1|0` with tabs.

    Args:
        path (Path): the file.
        sep (str): the separator that was asked for. With any but a tab, the default, and a space, no form is known;
            with a space, a list with other lines among those of a form is left to be read by its columns.
        scored (bool): read a list of scores instead, of Kaldi's, WeSpeaker's or SpeechBrain's form.

    Returns:
        `(form, rows)`: the form and the words of each line; None if the first line is of no form, or a header, as the
        first line of a list with tabs is taken to be if the second is of another form; also None if scores are asked
        for, and all of them are 1 or 0, which are labels.

    Raises:
        UserError: the list may be read in several ways, or lines are of another form than the first one.
        UnicodeDecodeError: the file is not text.
    """
    if sep not in ("\t", " "):
        return None
    with path.open(newline="", encoding="utf-8-sig") as file:
        first = next((line for line in file if line.strip()), "")
        between = "\t" if "\t" in first else " "
        forms: tuple[Form, ...] = SCORED_FORMS if scored else TABBED_FORMS if between == "\t" else FORMS
        words = next(_words([first], between), (0, "", []))[2]
        if (between, sep) == ("\t", " ") or not _forms(forms, words) or set(SIDES) <= {word.lower() for word in words}:
            return None
        known: dict[str, str] = {}  # a text that many lines have is held once
        rows: list[list[str]] = []
        file.seek(0)
        for number, line, words in _words(file, between):
            rows.append([known.setdefault(word, word) for word in words])
            fitting = () if between == " " and "\t" in line else _forms(forms, rows[-1])
            may_be_header = between == "\t" and len(rows) == 2 and not scored  # scores stand in no header
            if not fitting and (sep == " " or may_be_header):
                return None
            if not fitting:
                raise UserError(_of_another_form(path, number, line, forms[0], between))
            forms = fitting
    if between == "\t" and not scored and _is_header(rows):
        return None
    if len(forms) > 1:
        raise UserError(_of_two_forms(path, forms, between))
    form = forms[0]
    if scored and {row[form.header.index(SCORES)] for row in rows} <= {"0", "1"}:
        return None
    sides = [place for place, name in enumerate(form.header) if name in SIDES]
    doubtful = next((row[place] for row in rows for place in sides if row[place] in form.labels), None)
    if doubtful is not None:
        raise UserError(_with_label_as_recording(path, form, doubtful, between))
    return form, rows


def _words(lines: Iterable[str], between: str) -> Iterator[tuple[int, str, list[str]]]:
    """The numbers, the texts and the words of the lines that have some; cells between tabs may be quoted."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            cells = line.split() if between == " " else next(csv.reader([line], delimiter=between))
            yield number, line, [cell.strip() for cell in cells]


def _is_header(rows: list[list[str]]) -> bool:
    """Whether a first line such as `one other target` is a header, whose names no other line has."""
    first, *others = rows
    return "target" in first and bool(others) and not any({*first[:2]} & {*row[:2]} for row in others)


def separator_of_scores(path: Path, asked: str) -> str:
    """The character that separates the columns of a list of scores.

    Two lists that are compared may have different ones: a csv of another program, and what this package wrote.

    Args:
        path (Path): the file.
        asked (str): the separator that was asked for.

    Returns:
        the one by which the header names both sides, or else the one by which it has a column `scores` after two
        others; else the one that was asked for, if the first line has it, or a tab, with which lists without a header
        are known by their form.
    """
    if len(asked) != 1:
        return asked  # which is refused where the list is read
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        first = next((line for line in file if line.strip()), "").strip()
    for one in (asked, "\t", *OTHER_SEPARATORS):
        if set(SIDES) <= set(_cells(first, one)):
            return one
    if not any(_forms(SCORED_FORMS, first.split(between)) for between in (None, "\t")):  # ids may have such parts
        for one in dict.fromkeys(re.findall(r'[^\w"]', first)):  # once each: a side may list thousands of recordings
            if SCORES in _cells(first, one)[len(SIDES) :]:
                return one
    return asked if asked in first else "\t"


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip().strip('"').lower() for cell in line.split(separator)]


def describe_no_scores(path: Path, first: str, sep: str) -> str:
    """Say what to do with a list of scores that has one column only, for an error; as [`describe_one_column`]."""
    forms = "; ".join(dict.fromkeys(form.shown for form in SCORED_FORMS))
    separator = next((one for one in OTHER_SEPARATORS if one in first.strip()), sep)
    why = f"its first line, {first.strip()!r}, is of none of the forms that are known without one: {forms}"
    if _forms(SCORED_FORMS, first.split()):
        why = "1 and 0 alone stand where its scores would be, which are taken for labels"
    return (
        f"the list of scores {path} has no header that names enrollment and test, and {why}. Put a header above "
        f"it that names its columns, such as {_header((*SIDES, SCORES), separator)}"
    )


def describe_one_column(path: Path, first: str, sep: str) -> str:
    """Say what to do with a trial list that has one column only, for an error.

    Args:
        path (Path): the file.
        first (str): its first line.
        sep (str): the separator that was asked for.
    """
    said = f"the trial list {path} has one column: expected two, separated by {sep!r} (--sep)"
    other = next((one for one in OTHER_SEPARATORS if one != sep and len(first.split(one)) > 1), None)
    if other is None:
        return said
    cells = [cell.strip().lower() for cell in first.split(other) if cell.strip()]
    option = f"add {_option(other)} ({other!r} separates its columns, as it seems)"
    if set(SIDES) <= set(cells):
        return f"{said}. To read it, {option}"
    names = [*SIDES, LABEL, *(f"column{number}" for number in range(4, len(cells) + 1))][: max(2, len(cells))]
    header = f"put the header {_header(names, other)} above it"
    return f"{said}. To read it, {option}; if its first line is a trial, {header}"


def _forms(forms: Sequence[Form], words: Sequence[str]) -> tuple[Form, ...]:
    return tuple(form for form in forms if form.fits(words))


def _of_another_form(path: Path, number: int, line: str, form: Form, sep: str) -> str:
    last = SCORES if SCORES in form.header else LABEL
    return (
        f"line {number} of the trial list {path} is not of the form of the lines before, {form.described}: "
        f"{line.strip()!r}. Correct that line; or, if the columns are others, put a header above the list, such as "
        f"{_header((*SIDES, last), sep)}{_and_option(sep)}"
    )


def _of_two_forms(path: Path, forms: Sequence[Form], sep: str) -> str:
    one, other = forms[:2]
    return (
        f"all lines of the trial list {path} can be read as {one.shown} and as {other.shown}: put the header "
        f"{_header(one.header, sep)} or {_header(other.header, sep)} above it{_and_option(sep)}"
    )


def _with_label_as_recording(path: Path, form: Form, word: str, sep: str) -> str:
    others = (*SIDES, "note") if form.header[0] == LABEL else (LABEL, *SIDES)
    scores = (SCORES,) if SCORES in form.header else ()
    return (
        f"the trial list {path} looks like {form.described}, but {word!r} is among the recordings, too: put the "
        f"header {_header(form.header, sep)} above it if that is what the columns are, else one such as "
        f"{_header((*others, *scores), sep)}{_and_option(sep)}"
    )


def _and_option(sep: str) -> str:
    return "" if sep == "\t" else f", and add {_option(sep)}"


def _header(names: Sequence[str], sep: str) -> str:
    return shlex.quote(sep.join(names))


def _option(sep: str) -> str:
    return f"--sep {shlex.quote(sep)}"

"""Trial lists that have no header, as VoxCeleb and Kaldi write them, and what to do with those of unknown form."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from balr_hf.errors import UserError

# What a header calls the sides, and what it may call a label.
SIDES, LABEL = ("enrollment", "test"), "label"
# The separators that a list without tabs may have, in the order in which they are tried.
OTHER_SEPARATORS = (" ", ",", ";", "|")


@dataclass(frozen=True)
class Form:
    """A form of trial lists without a header: three words in each line, separated by white space.

    Attributes:
        maker: whose lists have this form.
        shown: how a line looks.
        header: what the columns are.
        labels: what the column of labels may hold.
    """

    maker: str
    shown: str
    header: tuple[str, str, str]
    labels: tuple[str, str]

    def fits(self, words: Sequence[str]) -> bool:
        """Whether these are the words of a line of this form."""
        return len(words) == 3 and words[self.header.index(LABEL)] in self.labels


FORMS = (
    Form("VoxCeleb", "1|0 ID ID", (LABEL, *SIDES), ("1", "0")),
    Form("Kaldi", "ID ID target|nontarget", (*SIDES, LABEL), ("target", "nontarget")),
)


def read_known_form(path: Path, sep: str) -> tuple[Form, list[list[str]]] | None:
    """Read a trial list of VoxCeleb's or Kaldi's form.

    Args:
        path (Path): the file.
        sep (str): the separator that was asked for. With any but a tab, the default, and a space, no form is known;
            with a space, a list with other lines among those of a form is left to be read by its columns.

    Returns:
        `(form, rows)`: the form and the words of each line; None if the first line is of no form, or a header.

    Raises:
        UserError: the list may be read in several ways, or lines are of another form than the first one.
        UnicodeDecodeError: the file is not text.
    """
    if sep not in ("\t", " "):
        return None
    with path.open(encoding="utf-8-sig") as file:
        first = next((line for line in file if line.strip()), "")
        words = first.split()
        if "\t" in first or not _forms(FORMS, words) or set(SIDES) <= {word.lower() for word in words}:
            return None
        known: dict[str, str] = {}  # a text that many lines have is held once
        forms: tuple[Form, ...] = FORMS
        rows: list[list[str]] = []
        file.seek(0)
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            rows.append([known.setdefault(word, word) for word in line.split()])
            fitting = () if "\t" in line else _forms(forms, rows[-1])
            if not fitting and sep == " ":
                return None
            if not fitting:
                raise UserError(_of_another_form(path, number, line, forms[0]))
            forms = fitting
    if len(forms) > 1:
        raise UserError(_of_two_forms(path))
    form = forms[0]
    sides = [place for place, name in enumerate(form.header) if name != LABEL]
    doubtful = next((row[place] for row in rows for place in sides if row[place] in form.labels), None)
    if doubtful is not None:
        raise UserError(_with_label_as_recording(path, form, doubtful))
    return form, rows


def describe_one_column(path: Path, first: str, sep: str) -> str:
    """Say what to do with a list that has one column only, for an error.

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


def _of_another_form(path: Path, number: int, line: str, form: Form) -> str:
    return (
        f"line {number} of the trial list {path} is not of the form of the lines before, {form.shown} "
        f"({form.maker}'s, without a header): {line.strip()!r}. Correct that line; or, if the columns are others, put "
        f"a header above the list, such as {_header((*SIDES, LABEL), ' ')}, and add {_option(' ')}"
    )


def _of_two_forms(path: Path) -> str:
    one, other = FORMS
    return (
        f"all lines of the trial list {path} can be read as {one.maker}'s ({one.shown}) and as {other.maker}'s "
        f"({other.shown}): put the header {_header(one.header, ' ')} or {_header(other.header, ' ')} above it, and "
        f"add {_option(' ')}"
    )


def _with_label_as_recording(path: Path, form: Form, word: str) -> str:
    others = (*SIDES, "note") if form.header[0] == LABEL else (LABEL, *SIDES)
    return (
        f"the trial list {path} looks like {form.maker}'s ({form.shown}), but {word!r} is among the recordings, too: "
        f"put the header {_header(form.header, ' ')} above it if that is what the columns are, else one such as "
        f"{_header(others, ' ')}, and add {_option(' ')}"
    )


def _header(names: Sequence[str], sep: str) -> str:
    return shlex.quote(sep.join(names))


def _option(sep: str) -> str:
    return f"--sep {shlex.quote(sep)}"

"""Tables of text: rows whose columns are aligned."""

from collections.abc import Collection, Sequence

from balr_hf.untrusted import unbroken


def aligned(rows: Sequence[Sequence[str]], words: Collection[int] | None = (0,), indent: int = 0) -> list[str]:
    """The lines of a table, in which columns are aligned.

    Args:
        rows: of one text per column, whose line breaks become spaces.
        words: the numbers of the columns with words, which are aligned to the left; numbers go to the right. None if
            all columns hold words.
        indent (int): how many spaces each line begins with.
    """
    rows = [[unbroken(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        " " * indent
        + "  ".join(
            text.ljust(width) if words is None or number in words else text.rjust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]

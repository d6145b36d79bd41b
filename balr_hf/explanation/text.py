"""An explanation as plain text."""

from balr_hf.explanation import verbal_scale
from balr_hf.explanation.findings import AttributeEvidence, Findings
from balr_hf.explanation.wording import (
    DEMONSTRATION,
    EACH_ATTRIBUTE,
    GROUP_COLUMNS,
    GROUPS,
    LIMITS,
    LOGARITHMS,
    MEASURE_COLUMNS,
    MEASURE_PARTS,
    RARITY,
    RECORDINGS,
    THE_CASE,
    THE_GROUPS,
    THE_MEASURES,
    THE_METHOD,
    THE_RECORDINGS,
    THE_SUM,
    TYPICALITY,
    WORD_COLUMNS,
    describe_term,
    scale_in_a_line,
)
from balr_hf.tables import aligned
from balr_hf.untrusted import unbroken


def text(findings: Findings, top: int = 10) -> str:
    """The explanation as plain text.

    Args:
        findings ([`Findings`]): the findings to show.
        top (int): how many attributes for the same speaker to list, and how many for different speakers.
    """
    lines = [*_headline(findings), ""]
    if any(findings.quality):
        lines += [THE_RECORDINGS, *(f"  {side}  {what}" for side, what in findings.describe_quality())]
        lines += [f"  {RECORDINGS}", ""]
    lines += _groups(findings)
    lines += _each_attribute(findings)
    for title, evidence in findings.tables(top):
        lines += [title, *_table(findings, evidence), ""]
    width = max(40, *(len(name) + 2 for name, _ in findings.sums()))
    lines += [THE_SUM, *(f"  {name:<{width}}{value:>10}" for name, value in findings.sums()), ""]
    lines += _measures(findings)
    lines += [THE_METHOD, *_pairs(findings.describe_method())]
    lines += [*(["", LOGARITHMS] if findings.is_llr else []), "", LIMITS]
    return "\n".join(map(unbroken, lines))


def _headline(findings: Findings) -> list[str]:
    width = max(len(name) for name in findings.names)
    banner = [DEMONSTRATION, ""] if findings.demonstration else []
    sides = zip("AB", findings.describe_sides(), strict=True)
    case = [THE_CASE, *_pairs(list(findings.case)), ""] if findings.case else []
    lines = [*banner, *case, *(f"{side}  {name:<{width}}  {what}" for side, (name, what) in sides), ""]
    lines += [*findings.propositions(), ""]
    if not findings.has_verdict:
        lines += [f"{findings.describe_verdict()}.", f"     {findings.describe_doubtful()}"]
    else:
        lines += ["   ".join(findings.describe_figures()), f"     {findings.describe_verdict()}."]
        lines.append(f"     {findings.describe_findings()}")
        lines.append(f"     Verbal scale: {verbal_scale.SOURCE} ({scale_in_a_line()}).")
    if findings.describe_interval() is not None:
        lines.append(f"     {findings.describe_interval()}")
    return lines + [f"     Note: {text}" for text in findings.cautions]


def _groups(findings: Findings) -> list[str]:
    """What each group of attributes adds; nothing where attributes are not described."""
    groups = findings.groups()
    if not groups:
        return []
    rows = [[name.format(unit=findings.term_unit) for name in GROUP_COLUMNS]]
    for one in groups:
        sums = [describe_term(value, findings.is_llr) for value in (one.sum_for, one.sum_against, one.llr)]
        rows.append([one.group, str(one.attributes), *sums])
    return [THE_GROUPS, *aligned(rows, indent=2), f"  {GROUPS}", ""]


def _each_attribute(findings: Findings) -> list[str]:
    """What has to be known to read the tables of attributes."""
    notes = [] if findings.descriptions is None else [findings.describe_sentences()]
    if findings.typicality is not None:
        notes.append(TYPICALITY if findings.steadiness is None else RARITY)
    return [EACH_ATTRIBUTE, *(f"  {note}" for note in notes), ""] if notes else []


def _measures(findings: Findings) -> list[str]:
    """The measures of both sides; nothing where they are not known."""
    rows = [(one.measure.is_of_recording, cells) for one in findings.side_measures() for cells in one.rows()]
    if not rows:
        return []
    heading, *lines = aligned([list(MEASURE_COLUMNS), *(cells for _, cells in rows)], words=(0, 3, 5, 6), indent=2)
    found = [THE_MEASURES, heading]
    for of_recording, part in enumerate(MEASURE_PARTS):
        of_part = [line for line, (of, _) in zip(lines, rows, strict=True) if of == of_recording]
        found += [f"  {part}:", *of_part] if of_part else []
    return [*found, f"  {findings.describe_measures()}", ""]


def _table(findings: Findings, evidence: list[AttributeEvidence]) -> list[str]:
    if not evidence:
        return ["  no attribute"]
    columns = findings.columns()
    words = tuple(number for number, name in enumerate(columns) if name in WORD_COLUMNS)
    heading, *lines = aligned([columns, *(findings.row(e) for e in evidence)], words, indent=2)
    found = [heading]
    for line, e in zip(lines, evidence, strict=True):
        sentence = findings.sentence(e.attribute)
        found += [line] if sentence is None else [line, f"      {sentence}"]
    return found


def _pairs(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {value}" for name, value in rows]

"""An explanation as plain text."""

from balr_hf.explanation import verbal_scale
from balr_hf.explanation.findings import AttributeEvidence, Findings
from balr_hf.explanation.wording import (
    DEMONSTRATION,
    LIMITS,
    PROPOSITIONS,
    RARITY,
    THE_METHOD,
    THE_RECORDINGS,
    THE_SUM,
    TYPICALITY,
    WORD_COLUMNS,
    scale_in_a_line,
)


def text(findings: Findings, top: int = 10) -> str:
    """The explanation as plain text.

    Args:
        findings ([`Findings`]): the findings to show.
        top (int): how many attributes for the same speaker to list, and how many for different speakers.
    """
    lines = [*_headline(findings), ""]
    if any(findings.quality):
        lines += [THE_RECORDINGS, *(f"  {side}  {what}" for side, what in findings.describe_quality()), ""]
    for title, evidence in findings.tables(top):
        lines += [title, *_table(findings, evidence), ""]
    width = max(40, *(len(name) + 2 for name, _ in findings.sums()))
    lines += [THE_SUM, *(f"  {name:<{width}}{value:>10}" for name, value in findings.sums()), ""]
    lines += [THE_METHOD, *_pairs(findings.describe_method())]
    if findings.typicality is not None:
        lines += ["", TYPICALITY if findings.steadiness is None else RARITY]
    lines += ["", LIMITS]
    return "\n".join(lines)


def _headline(findings: Findings) -> list[str]:
    width = max(len(name) for name in findings.names)
    banner = [DEMONSTRATION, ""] if findings.demonstration else []
    sides = zip("AB", findings.describe_sides(), strict=True)
    case = [*_pairs(list(findings.case)), ""] if findings.case else []
    lines = [*banner, *case, *(f"{side}  {name:<{width}}  {what}" for side, (name, what) in sides), ""]
    lines += [*PROPOSITIONS, ""]
    if not findings.has_verdict:
        lines += [f"{findings.describe_verdict()}.", f"     {findings.describe_doubtful()}"]
    else:
        lines += ["   ".join(findings.describe_figures()), f"     {findings.describe_verdict()}."]
        lines.append(f"     {findings.describe_findings()}")
        lines.append(f"     Verbal scale: {verbal_scale.SOURCE} ({scale_in_a_line()}).")
    if findings.describe_interval() is not None:
        lines.append(f"     {findings.describe_interval()}")
    return lines + [f"     Note: {text}" for text in findings.cautions]


def _table(findings: Findings, evidence: list[AttributeEvidence]) -> list[str]:
    if not evidence:
        return ["  no attribute"]
    rows = [findings.columns(), *(findings.row(e) for e in evidence)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [str.ljust if name in WORD_COLUMNS else str.rjust for name in rows[0]]
    return [
        "  " + "  ".join(align(text, width) for align, text, width in zip(aligned, row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _pairs(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {value}" for name, value in rows]

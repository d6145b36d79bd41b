"""An explanation as plain text."""

from balr_hf.explanation import verbal_scale
from balr_hf.explanation.findings import AttributeEvidence, Findings
from balr_hf.explanation.wording import describe_term, percent, scale_in_a_line


def text(findings: Findings, top: int = 10) -> str:
    """The explanation as plain text, with the `top` attributes that speak for and against."""
    lines = [*_headline(findings), "", *_tables(findings, top), "", *_sums(findings), *_closing(findings)]
    return "\n".join(lines)


def _headline(findings: Findings) -> list[str]:
    width = max(len(name) for name in findings.names)
    sides = zip("AB", findings.describe_sides(), strict=True)
    lines = [*(f"{side}  {name:<{width}}  {what}" for side, (name, what) in sides), ""]
    lines.append("   ".join(findings.describe_figures()))
    if findings.is_calibrated:
        lines += [
            f"     {findings.describe_verdict()}",
            f"     {findings.describe_findings()}",
            f"     Verbal scale: {verbal_scale.SOURCE} ({scale_in_a_line()}).",
        ]
    return lines + [f"     Note: {text}" for text in findings.cautions]


def _tables(findings: Findings, top: int) -> list[str]:
    lines = []
    titles = ("For the same speaker", "For different speakers")
    for title, side in zip(titles, findings.strongest(top), strict=True):
        lines += [title, *(_table(findings, side) if side else ["  no attribute"]), ""]
    return lines[:-1]


def _table(findings: Findings, evidence: list[AttributeEvidence]) -> list[str]:
    header = ("attribute", findings.term_unit, "A", "B", "typicality")
    rows = [
        (str(e.attribute), describe_term(e.llr, findings.is_llr), *e.states, percent(e.typicality)) for e in evidence
    ]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(5)]
    aligned = (str.rjust, str.rjust, str.ljust, str.ljust, str.rjust)
    return [
        "  " + "  ".join(align(text, width) for align, text, width in zip(aligned, row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]


def _sums(findings: Findings) -> list[str]:
    digits = 2 if findings.is_llr else 4
    return [f"  {name:<40}{value:>+10.{digits}f}" for name, value in findings.sums()]


def _closing(findings: Findings) -> list[str]:
    uninformative, attributes = findings.num_uninformative, len(findings.terms)
    lines = ["", f"{uninformative} of {attributes} attributes are uninformative: their term is 0."]
    how = findings.scorer
    if findings.num_reference_speakers is not None:
        how += f", reference population of {findings.num_reference_speakers} speakers"
    if findings.is_calibrated:
        how += f"; {findings.calibration['method']} calibration (the raw sum was {findings.raw_llr:+.2f})"
    lines.append(f"{how}.")
    if findings.typicality is not None:
        lines.append(
            "Typicality: share of pairs of reference speakers who both showed the attribute, be it here or not."
        )
    return lines

"""An explanation as one self-contained HTML page: nothing is loaded, so it can be filed and printed as it is."""

from html import escape

from balr_hf._version import __version__
from balr_hf.explanation import verbal_scale
from balr_hf.explanation.findings import AttributeEvidence, Findings
from balr_hf.explanation.wording import describe_amount, describe_term, percent
from balr_hf.figures.style import figure_svg

STYLE = """
body { font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; color: #1b1b1b; margin: 0;
  background: #fff; }
main { max-width: 52rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.5rem; margin: 0 0 .75rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .75rem; margin: 0; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }
.answer { border: 1px solid #bbb; border-left: .4rem solid #666; padding: .75rem 1rem; margin: 1rem 0; }
.answer.same { border-left-color: #0072b2; } .answer.different { border-left-color: #d55e00; }
.answer .figure { font-size: 1.6rem; font-weight: 600; }
.answer .figure span { white-space: nowrap; margin-right: 1em; }
.answer .figure .small { font-size: 1.05rem; font-weight: 400; }
.caution { border: 1px solid #c9a227; background: #fff9e3; padding: .5rem 1rem; margin: .5rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { text-align: right; padding: .15rem .4rem; border-bottom: 1px solid #ddd; white-space: nowrap; }
th { color: #555; font-weight: 600; } td.text, th.text { text-align: left; }
tr.here td { font-weight: 700; background: #e8f1f8; } tr.here.different td { background: #fbe9dd; }
tr.sum td { font-weight: 700; border-top: 2px solid #888; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 0 2rem; }
svg { width: 100%; max-width: 36rem; height: auto; }
summary { cursor: pointer; } footer { color: #555; font-size: .85rem; margin-top: 2rem; }
@media (max-width: 24rem) { .pair { grid-template-columns: 1fr; } }
@media print { main { max-width: none; padding: 0; } .caution, tr.here td { print-color-adjust: exact; } }
"""


def page(findings: Findings, top: int = 10) -> str:
    """The page's HTML.

    Args:
        findings: what to show.
        top (int): attributes for and against that the tables and the figure show; all are in a table that unfolds.
    """
    same, different = findings.strongest(top)
    title = "Speaker comparison: {} and {}".format(*findings.names)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body><main>
<h1>Speaker comparison</h1>
{_sides(findings)}
{_answer(findings)}
{"".join(f'<p class="caution">{escape(text)}</p>' for text in findings.cautions)}
<h2>What each attribute adds</h2>
{figure_svg(findings.figure(top))}
<div class="pair">
<section><h2>For the same speaker</h2>{_attributes(findings, same)}</section>
<section><h2>For different speakers</h2>{_attributes(findings, different)}</section>
</div>
<h2>How the sum comes about</h2>
{_sums(findings)}
<details><summary>All {len(findings.terms)} attributes</summary>
{_attributes(findings, findings.evidence(), full=True)}</details>
{_scale(findings)}
<h2>How it was found</h2>
{_method(findings)}
<footer>balr_hf {__version__}. Natural logarithms unless it says log10.
Typicality: share of pairs of reference speakers who both showed the attribute, be it here or not.</footer>
</main></body>
</html>
"""


def _sides(findings: Findings) -> str:
    rows = [
        f"<dt>{side}</dt><dd>{escape(name)} <small>({escape(what)})</small></dd>"
        for side, (name, what) in zip("AB", findings.describe_sides(), strict=True)
    ]
    return f"<dl>{''.join(rows)}</dl>"


def _answer(findings: Findings) -> str:
    first, *rest = findings.describe_figures()
    if findings.is_calibrated:  # the ratio first
        first, rest = rest[-1], [first, *rest[:-1]]
    spans = "".join(f'<span class="small">{escape(figure)}</span>' for figure in rest)
    words = (
        f"<div>{findings.describe_verdict()} {findings.describe_findings()}</div>" if findings.is_calibrated else ""
    )
    return (
        f'<div class="answer {findings.direction}"><div class="figure"><span>{escape(first)}</span>{spans}</div>'
        f"{words}</div>"
    )


def _attributes(findings: Findings, evidence: list[AttributeEvidence], full: bool = False) -> str:
    if not evidence:
        return "<p>No attribute.</p>"
    unit = findings.term_unit
    more = '<th>active in population</th><th class="text">evidence</th>' if full else ""
    rows = []
    for e in evidence:
        cells = f"<td>{e.attribute}</td><td>{describe_term(e.llr, findings.is_llr)}</td>"
        cells += "".join(f'<td class="text">{state}</td>' for state in e.states)
        cells += f"<td>{percent(e.typicality)}</td>"
        if full:
            cells += f'<td>{percent(e.activation)}</td><td class="text">{"yes" if e.informative else "none"}</td>'
        rows.append(f"<tr>{cells}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr><th>attribute</th><th>{unit}</th><th class="text">A</th>'
        f'<th class="text">B</th><th>typicality</th>{more}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _sums(findings: Findings) -> str:
    digits = 2 if findings.is_llr else 4
    rows = [
        f'<tr><td class="text">{escape(name)}</td><td>{value:+.{digits}f}</td></tr>'
        for name, value in findings.sums()[:-1]
    ]
    name, value = findings.sums()[-1]
    rows.append(f'<tr class="sum"><td class="text">{escape(name)}</td><td>{value:+.{digits}f}</td></tr>')
    return f'<div class="scroll"><table><tbody>{"".join(rows)}</tbody></table></div>'


def _scale(findings: Findings) -> str:
    if not findings.is_calibrated:
        return ""
    here = verbal_scale.degree(findings.llr)
    rows = []
    for row, (limits, words) in enumerate(verbal_scale.ranges()):
        mark = f' class="here {findings.direction}"' if row == here else ""
        rows.append(f'<tr{mark}><td class="text">{limits}</td><td class="text">{words}</td></tr>')
    return (
        '<h2>Verbal scale</h2><div class="scroll"><table><thead><tr><th class="text">LR, or 1/LR</th>'
        '<th class="text">the findings give</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div><p><small>Source: {verbal_scale.SOURCE}.</small></p>"
    )


def _method(findings: Findings) -> str:
    rows = [("Scorer", findings.scorer)]
    if findings.num_reference_speakers is not None:
        rows.append(("Reference population", f"{findings.num_reference_speakers} speakers"))
    if findings.is_calibrated:
        rows.append(("Calibration", f"{findings.calibration['method']}, {describe_amount(findings.calibration)}"))
        rows.append(("Raw sum", f"{findings.raw_llr:+.2f}"))
    rows.append(("Attributes", f"{len(findings.terms)}, of which {findings.num_uninformative} uninformative"))
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{escape(text)}</dd>' for name, text in rows)}</dl>"

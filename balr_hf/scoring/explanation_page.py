"""An explanation as one self-contained HTML page: nothing is loaded, so it can be filed and printed as it is."""

from html import escape

from balr_hf import __version__
from balr_hf.figures.style import figure_svg
from balr_hf.scoring import verbal_scale
from balr_hf.scoring.calibration import describe_amount
from balr_hf.scoring.explanation import AttributeEvidence, Explanation, percent

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


def page(explanation: Explanation, top: int = 10) -> str:
    """The page's HTML.

    Args:
        explanation: what to show.
        top (int): attributes for and against that the tables and the figure show; all are in a table that unfolds.
    """
    same, different = explanation.strongest(top)
    title = "Speaker comparison: {} and {}".format(*explanation.names)
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
{_sides(explanation)}
{_answer(explanation)}
{"".join(f'<p class="caution">{escape(text)}</p>' for text in explanation.cautions)}
<h2>What each attribute adds</h2>
{figure_svg(explanation.figure(top))}
<div class="pair">
<section><h2>For the same speaker</h2>{_attributes(explanation, same)}</section>
<section><h2>For different speakers</h2>{_attributes(explanation, different)}</section>
</div>
<h2>How the sum comes about</h2>
{_sums(explanation)}
<details><summary>All {len(explanation.terms)} attributes</summary>
{_attributes(explanation, explanation.evidence(), full=True)}</details>
{_scale(explanation)}
<h2>How it was found</h2>
{_method(explanation)}
<footer>balr_hf {__version__}. Natural logarithms unless it says log10.
Typicality: share of pairs of reference speakers who both showed the attribute, be it here or not.</footer>
</main></body>
</html>
"""


def _sides(explanation: Explanation) -> str:
    rows = [
        f"<dt>{side}</dt><dd>{escape(name)} <small>({escape(what)})</small></dd>"
        for side, (name, what) in zip("AB", explanation.describe_sides(), strict=True)
    ]
    return f"<dl>{''.join(rows)}</dl>"


def _answer(explanation: Explanation) -> str:
    if not explanation.is_calibrated:
        name, digits = ("Similarity", 4) if explanation.similarity else ("Sum of LLRs", 2)
        return (
            f'<div class="answer"><div class="figure"><span>{name} {explanation.llr:+.{digits}f}</span>'
            '<span class="small">not calibrated</span></div></div>'
        )
    verdict = explanation.verdict
    return (
        f'<div class="answer {_direction(explanation)}">'
        f'<div class="figure"><span>{explanation.describe_ratio()}</span>'
        f'<span class="small">LLR {explanation.llr:+.2f} (ln)</span>'
        f'<span class="small">{explanation.log10_llr:+.2f} (log10)</span></div>'
        f"<div>{verdict[0].upper()}{verdict[1:]}. {explanation.describe_findings()}</div></div>"
    )


def _direction(explanation: Explanation) -> str:
    if verbal_scale.degree(explanation.llr) == 0:
        return "neither"
    return "same" if explanation.llr > 0 else "different"


def _attributes(explanation: Explanation, evidence: list[AttributeEvidence], full: bool = False) -> str:
    if not evidence:
        return "<p>No attribute.</p>"
    unit = "ln LR" if explanation.is_llr else "part"
    more = '<th>active in population</th><th class="text">evidence</th>' if full else ""
    rows = []
    for e in evidence:
        cells = f"<td>{e.attribute}</td><td>{e.llr:+.3{'f' if explanation.is_llr else 'g'}}</td>"
        cells += "".join(f'<td class="text">{state}</td>' for state in e.states)
        cells += f"<td>{percent(e.typicality)}</td>"
        if full:
            cells += f'<td>{percent(e.activation)}</td><td class="text">{"yes" if e.informative else "none"}</td>'
        rows.append(f"<tr>{cells}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr><th>attribute</th><th>{unit}</th><th class="text">A</th>'
        f'<th class="text">B</th><th>typicality</th>{more}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _sums(explanation: Explanation) -> str:
    digits = 2 if explanation.is_llr else 4
    rows = [
        f'<tr><td class="text">{escape(name)}</td><td>{value:+.{digits}f}</td></tr>'
        for name, value in explanation.sums()[:-1]
    ]
    name, value = explanation.sums()[-1]
    rows.append(f'<tr class="sum"><td class="text">{escape(name)}</td><td>{value:+.{digits}f}</td></tr>')
    return f'<div class="scroll"><table><tbody>{"".join(rows)}</tbody></table></div>'


def _scale(explanation: Explanation) -> str:
    if not explanation.is_calibrated:
        return ""
    here = verbal_scale.degree(explanation.llr)
    rows = []
    for row, (limits, words) in enumerate(verbal_scale.ranges()):
        mark = f' class="here {_direction(explanation)}"' if row == here else ""
        rows.append(f'<tr{mark}><td class="text">{limits}</td><td class="text">{words}</td></tr>')
    return (
        '<h2>Verbal scale</h2><div class="scroll"><table><thead><tr><th class="text">LR, or 1/LR</th>'
        '<th class="text">the findings give</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div><p><small>Source: {verbal_scale.SOURCE}.</small></p>"
    )


def _method(explanation: Explanation) -> str:
    rows = [("Scorer", explanation.scorer)]
    if explanation.num_reference_speakers is not None:
        rows.append(("Reference population", f"{explanation.num_reference_speakers} speakers"))
    if explanation.is_calibrated:
        rows.append(
            ("Calibration", f"{explanation.calibration['method']}, {describe_amount(explanation.calibration)}")
        )
        rows.append(("Raw sum", f"{explanation.raw_llr:+.2f}"))
    rows.append(("Attributes", f"{len(explanation.terms)}, of which {explanation.num_uninformative} uninformative"))
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{escape(text)}</dd>' for name, text in rows)}</dl>"

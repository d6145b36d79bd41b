"""A validation report as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from balr_hf.tables import aligned
from balr_hf.validation import wording
from balr_hf.validation.tables import FIGURES, PARTS, part_rows

if TYPE_CHECKING:
    from balr_hf.validation.findings import Findings


def text(validation: Findings) -> str:
    """The report as plain text.

    Args:
        validation ([`Findings`]): what to report.
    """
    found = validation
    lines = [wording.DEMONSTRATION, ""] if found.demonstration else []
    lines += [wording.TITLE, "", *wording.PROPOSITIONS, ""]
    lines += [f"{found.describe_trials()}.", f"{found.describe_adequacy()}"]
    lines += [f"  {criterion.describe()}" for criterion in found.adequacy] or [f"  {wording.STATE_ONE}"]
    lines += [f"Note: {caution}" for caution in found.cautions]
    lines += [
        "",
        wording.THE_FIGURES,
        *aligned([row[:3] for row in [FIGURES, *found.figures_of_merit()]], words=None, indent=2),
    ]
    lines += [f"  {sentence}" for sentence in (*found.describe_figures(), *found.describe_coverage())]
    outside = found.describe_outside()
    if outside is not None:
        lines += ["", wording.THE_DOMAIN, f"  {outside}"]
    if found.describe_alike() is not None:
        lines += ["", wording.THE_CONDITIONS, f"  {found.describe_alike()}"]
    for factor in found.varying:
        lines += [
            "",
            f"{wording.THE_CONDITIONS}: {factor.title}",
            *aligned([PARTS, *part_rows(factor)], words=None, indent=2),
        ]
    lines += ["", wording.THE_ZOO]
    for animal, speakers in found.zoo.animals.items():
        names = ", ".join(one.name for one in speakers) or "none"
        lines.append(f"  {animal}, {wording.ANIMALS[animal]}: {names}")
    lines += ["", wording.THE_WORST]
    for trial in found.worst:
        kind = "one speaker" if trial.same else "two speakers"
        outside = f"; outside: {trial.describe_outside()}" if trial.outside else ""
        lines.append(f"  LR {trial.describe_ratio()}, in truth {kind}: {' / '.join(trial.sides)}")
        lines.append(f"    {' / '.join(trial.speakers)}; {' / '.join(trial.conditions)}{outside}")
    if not found.worst:
        lines.append("  no trial misleads")
    for title, rows in ((wording.THE_SYSTEM, found.system), (wording.THE_DATA, found.data)):
        width = max(len(name) for name, _ in rows)
        lines += ["", title, *(f"  {name:<{width}}  {value}" for name, value in rows)]
    return "\n".join([*lines, "", wording.LIMITS])

"""Compare a questioned recording with one or several recordings of a known speaker, and explain the result.

    python examples/compare.py
    python examples/compare.py questioned.wav known-1.wav known-2.wav

Prints the likelihood ratio and the attributes that weigh most, and writes the page `comparison.html`. The models are
the small ones that ship with the package. For real work, name your own system:
`pipeline("speaker-comparison", "me/system")`.
"""

import sys
from pathlib import Path

from transformers import pipeline

import balr_hf  # noqa: F401 (registers the pipelines)
from balr_hf.defaults import SAMPLE_CORPUS, resource

voice = resource(SAMPLE_CORPUS) / "espeak17"
questioned, *known = sys.argv[1:] or [voice / f"espeak17-0{number}.opus" for number in (1, 2)]

compare = pipeline("speaker-comparison")
result = compare(questioned, known, names=("questioned", "known"), return_explanation=True)

explanation = result["explanation"]
print(explanation.to_text(top=5))
Path("comparison.html").write_text(explanation.to_html(), encoding="utf-8")
if result["no_verdict"]:  # why the result must not be used: other recordings than it was calibrated for, for instance
    print("\nNo verdict:", *result["no_verdict"])
else:
    print(f"\nln LR {result['calibrated_llr']:+.2f}: {result['verbal']}.")
print("Written: comparison.html")

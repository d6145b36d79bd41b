"""Make `report.png`, the picture of a report that README.md shows. It needs Chromium or Chrome.

    python docs/make_report_picture.py

The report is that of two recordings of one synthetic voice, by the small models of the package. What the report says
is kept as text in the picture's own metadata. `tests/test_docs.py` compares it with what the package says now, so that
a picture of models or of words that are no more is noticed.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from balr_hf.explanation import Explanation

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PICTURE = ROOT / "docs" / "report.png"
SIZE = (860, 820)  # the head of the page: propositions, likelihood ratio, cautions, recordings
COLOURS = 64  # which keep the file at a few kilobytes


def explained() -> "Explanation":
    """The explanation of which the picture is."""
    from transformers import pipeline

    import balr_hf  # noqa: F401 (registers the pipeline)
    from balr_hf.defaults import SAMPLE_CORPUS, resource

    voice = resource(SAMPLE_CORPUS) / "espeak17"
    compare = pipeline("speaker-comparison", device="cpu")
    recordings = (voice / "espeak17-01.opus", voice / "espeak17-02.opus")
    return compare(*recordings, names=("questioned", "known"), return_explanation=True)["explanation"]


def shown(explanation: "Explanation") -> str:
    """The part of the explanation, as text, that can be read in the picture."""
    return explanation.to_text().partition("\n\nFor the same speaker")[0]


def make(target: Path) -> None:
    """Write the picture.

    Raises:
        SystemExit: there is no browser, or it makes no picture.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    browsers = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    browser = next(browsers, None)
    if browser is None:
        raise SystemExit("needs chromium, chromium-browser or google-chrome on the PATH")
    explanation = explained()
    with tempfile.TemporaryDirectory() as temporary:
        page, taken = Path(temporary) / "report.html", Path(temporary) / "report.png"
        page.write_text(explanation.to_html(), encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={temporary}/it"]
        flags += [f"--window-size={SIZE[0]},{SIZE[1]}", f"--screenshot={taken}"]
        done = subprocess.run([browser, *flags, page.as_uri()], capture_output=True, text=True, timeout=120)
        if not taken.exists():
            raise SystemExit(f"{browser} made no picture:\n{done.stderr}")
        said = PngInfo()
        said.add_itxt("Description", shown(explanation))
        with Image.open(taken) as picture:
            picture.convert("RGB").quantize(COLOURS).save(target, pnginfo=said, optimize=True)


if __name__ == "__main__":
    make(PICTURE)

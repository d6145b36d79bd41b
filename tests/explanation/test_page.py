"""The page of a comparison in a browser: what stands on which printed page, and how wide it is on a phone."""

import html
import re
import runpy
import shutil
import subprocess
from dataclasses import replace

import pytest

from balr_hf.explanation import wording

pytestmark = [pytest.mark.slow, pytest.mark.browser]
PHONE = 390  # pixels


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """Run Chromium with these words, and give what it prints."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("needs chromium, chromium-browser or google-chrome")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    flags.append(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")

    def run(*words):
        done = subprocess.run([found, *flags, *words], check=True, capture_output=True, text=True, timeout=120)
        return done.stdout

    return run


@pytest.fixture(scope="module")
def explained(root):
    """The report of the README, whose likelihood ratio is held at its bound, with what a case may say."""
    found = runpy.run_path(str(root / "docs" / "make_report_picture.py"))["explained"]()
    case = (
        ("Case", "Example 2026-01"),
        ("Examiner", "A. Nobody"),
        ("Hp of the case", "The caller and the known speaker are the same person."),
        ("Hd of the case", "The caller is another person of the reference population."),
        ("Computed", wording.WHAT_IS_COMPUTED),
        ("Remarks", "The voices are synthetic, so that this report means nothing."),
    )
    return replace(found, case=case)


@pytest.mark.parametrize("top", [1, 10], ids=["short", "long"])
def test_printed_page_has_the_summary_first_and_cuts_nothing(explained, chromium, tmp_path, top):
    if shutil.which("pdftotext") is None:
        pytest.skip("needs pdftotext")
    assert explained.demonstration
    (tmp_path / "page.html").write_text(explained.to_html(top), encoding="utf-8")
    chromium(f"--print-to-pdf={tmp_path}/page.pdf", (tmp_path / "page.html").as_uri())
    words = ["pdftotext", "-layout", tmp_path / "page.pdf", "-"]
    pages = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split("\f")[:-1]
    first = " ".join(pages[0].split())
    assert explained.describe_ratio() in first
    assert wording.LIMITS in first and wording.THE_SUM not in first
    assert wording.THE_SUM in pages[1]  # no page in between has the end of the summary only
    headings = (wording.EACH_ATTRIBUTE, wording.FOR_SAME, wording.FOR_DIFFERENT, wording.THE_SUM, wording.THE_SCALE)
    for number, page in enumerate(pages, 1):
        assert wording.DEMONSTRATION[:40] in page and f"{number}/{len(pages)}" in page.replace(" ", "")
        *_, last = [line for line in page.splitlines() if line.strip()][:-1]  # above the number of the page
        assert last.strip() not in (*headings, wording.THE_VALIDATION, wording.THE_METHOD)
    (figure,) = (page for page in pages if wording.EACH_ATTRIBUTE in page)
    assert "Sum (ln LR)" in figure  # the last line of the figure is on the page of its heading


def test_page_is_as_wide_as_a_phone(explained, chromium, tmp_path):
    assert explained.describe_figures()[0].endswith("bound)")  # the longest words that stand there in large letters
    frame = f'<iframe width="{PHONE}" height="800" srcdoc="{html.escape(explained.to_html())}"></iframe>'
    told = "onload = () => { document.title = frames[0].document.documentElement.scrollWidth; }"
    (tmp_path / "page.html").write_text(f"<!DOCTYPE html><script>{told}</script>{frame}", encoding="utf-8")
    found = re.search(r"<title>(\d+)</title>", chromium("--dump-dom", (tmp_path / "page.html").as_uri()))
    assert found and 0 < int(found[1]) <= PHONE

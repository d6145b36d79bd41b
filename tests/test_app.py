"""The app in examples/space: what an answer holds, what is refused, and comparisons in a browser."""

import copy
import hashlib
import importlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from balr_hf.defaults import SAMPLE_CORPUS, resource
from balr_hf.errors import MismatchError
from balr_hf.explanation import wording

FIRST, SECOND = (resource(SAMPLE_CORPUS) / "espeak17" / f"espeak17-0{number}.opus" for number in (1, 2))
OTHER = resource(SAMPLE_CORPUS) / "espeak20" / "espeak20-02.opus"


@pytest.fixture(scope="module")
def app(root):
    """The app's modules, which lie beside each other and import each other as a Space has them."""
    folder = str(root / "examples" / "space")
    sys.path.insert(0, folder)
    yield importlib.import_module("app")
    sys.path.remove(folder)
    for name in ("app", "answer", "comparison"):
        del sys.modules[name]


@pytest.fixture(scope="module")
def pipeline(app):
    return app.load_pipeline()


@pytest.fixture(scope="module")
def explained(pipeline):
    """What the pipeline finds of two recordings of one voice."""
    return pipeline(str(FIRST), str(SECOND), return_explanation=True)["explanation"]


@pytest.fixture(scope="module")
def answered(app):
    """What the page shows of a comparison, as HTML."""

    def html(pipeline, first: list, second: list) -> str:
        found = app.compare(pipeline, list(map(str, first)), list(map(str, second)))
        return app.refusal(found) if isinstance(found, app.Refused) else app.answer(found, 16_000, pipeline.limits)

    return html


def words(page: str) -> str:
    """What is read on a page, in one line."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", "", page))).strip()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_uploads_are_kept_from_other_users_and_removed_when_the_app_is_ended(root, run_python, name):
    if not hasattr(signal, name):
        pytest.skip("Windows has no SIGHUP")
    script = """
        import os, signal, stat, sys, tempfile
        from pathlib import Path

        sys.path.insert(0, sys.argv[1])
        os.environ.pop("GRADIO_TEMP_DIR", None)
        from app import kept_from_others

        number = getattr(signal, sys.argv[2])
        signal.signal(number, signal.SIG_DFL)
        try:
            with kept_from_others():
                folder = Path(os.environ["GRADIO_TEMP_DIR"])
                (folder / "upload.wav").write_bytes(b"sound")
                assert os.name == "nt" or stat.S_IMODE(folder.stat().st_mode) == 0o700
                signal.raise_signal(number)
        except SystemExit as end:
            assert end.code == 128 + number and not folder.exists()
            print("removed")
        signal.signal(number, signal.SIG_IGN)  # as nohup does, for an app that is to outlive its window
        with kept_from_others():
            signal.raise_signal(number)
        print("went on")
    """
    said = run_python("-c", textwrap.dedent(script), root / "examples" / "space", name).stdout
    assert said.endswith("removed\nwent on\n")


def write_wav(path: Path, samples: np.ndarray) -> str:
    from scipy.io import wavfile

    wavfile.write(path, 16_000, samples.astype(np.float32))
    return str(path)


def test_answer_is_that_of_the_pipeline(answered, pipeline, explained):
    html, explanation = answered(pipeline, [str(FIRST)], [str(SECOND)]), explained
    for text in (explanation.verdict[1:], explanation.describe_ratio(), explanation.describe_findings()):
        assert text in words(html)
    assert html.count("<svg") == 3
    places = [words(html).index(text) for text in ("DEMONSTRATION", *wording.PROPOSITIONS, explanation.verdict[1:])]
    assert places == sorted(places)
    assert f"A bound then limits the total to {explanation.llr:+.2f}." in words(html) and "relied on" not in html
    assert explanation.describe_interval() in words(html)
    low, high = map(wording.ratio, explanation.bounds)
    assert f"vouches for an LR of {low} to {high}" in words(html) and html.count('class="unvouched') == 2
    assert wording.THE_VALIDATION in words(html) and "this case" in html


def test_recordings_are_shown_beside_the_range_of_the_calibration(app, pipeline, tmp_path):
    from scipy.signal import butter, sosfilt

    from balr_hf.audio import load_audio

    low = sosfilt(butter(12, 3000, fs=16_000, output="sos"), load_audio(SECOND))
    path = write_wav(tmp_path / "low.wav", low)
    found = app.compare(pipeline, [str(FIRST)], [path])
    rows = importlib.import_module("answer").quality_rows(found.recordings, found.explanation.calibration)
    (bandwidth,) = [row for row in rows if row.name == "Bandwidth"]
    (of_first, outside), (of_low, beyond) = bandwidth.cells
    assert (outside, beyond) == (False, True) and of_first.endswith("kHz") and float(of_low.split()[0]) < 4
    assert bandwidth.known in " ".join(found.explanation.cautions)
    (rate,) = [row for row in rows if row.name == "Sampling rate of the file"]
    assert [text for text, _ in rate.cells] == ["48 kHz", "16 kHz"]  # of the files, not of what is compared
    html = app.answer(found, 16_000)
    assert html.count("beyond the limits") == 1 and "NO VERDICT" in html and 'class="scale"' not in html


def test_groups_come_before_the_attributes_where_the_system_is_described(
    answered, pipeline, make_descriptions, monkeypatch
):
    monkeypatch.setattr(pipeline.model, "descriptions", make_descriptions(512))
    html = answered(pipeline, [str(FIRST)], [str(SECOND)])
    shown = words(html)
    assert shown.index(wording.THE_GROUPS) < shown.index("vocal tract") < shown.index(wording.EACH_ATTRIBUTE)
    (number, *_) = re.findall(r'<th scope="row">(\d+)</th>', html)
    assert words(pipeline.model.descriptions.sentence(int(number))) in shown
    assert wording.THE_MEASURES in shown and "is not known" not in shown
    monkeypatch.setattr(pipeline.model, "descriptions", None)
    html = answered(pipeline, [str(FIRST)], [str(SECOND)])
    assert "What the attributes go with is not known: this system has no descriptions" in words(html)
    assert wording.GROUPS not in words(html) and wording.THE_MEASURES not in words(html)


def test_more_recordings_than_it_was_calibrated_for_get_no_verdict(answered, pipeline):
    html = answered(pipeline, [str(FIRST)], [str(SECOND), str(OTHER)])
    assert "2 recordings" in html and "B has 2 recordings; the system was calibrated with 1 a side." in words(html)
    assert "NO VERDICT" in words(html) and 'class="scale"' not in html
    assert "not to be relied on: LR" in words(html)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "Voice B has no recording yet"),
        (lambda folder: write_wav(folder / "b.wav", np.zeros(16_000)), "Voice B, b.wav: digital silence"),
        (lambda folder: write_wav(folder / "b.wav", np.ones(500)), "Voice B, b.wav: too short: 31 ms"),
        (lambda folder: (folder / "b.wav").write_text("<b>words</b>") and str(folder / "b.wav"), "not audio"),
        (lambda folder: (folder / "b.wav").touch() or str(folder / "b.wav"), "Voice B, b.wav: empty file"),
        (lambda folder: str(folder / "b.wav"), "Voice B, b.wav: file not found"),
    ],
    ids=["none", "silence", "short", "text", "empty", "missing"],
)
def test_bad_input_gives_one_message(answered, pipeline, tmp_path, make, said):
    path = make(tmp_path)
    html = answered(pipeline, [str(FIRST)], [path] if path else [])
    assert html.count('role="alert"') == 1
    assert said in words(html)
    assert "Traceback" not in html and "verdict" not in html


def test_all_recordings_that_are_refused_are_told_at_once_with_those_that_are_not(app, pipeline, tmp_path):
    silence, text = write_wav(tmp_path / "a.wav", np.zeros(16_000)), tmp_path / "b.wav"
    text.write_text("words")
    found = app.compare(pipeline, [silence], [str(SECOND), str(text)])
    assert [one.label for one in found.recordings] == ["A", "B1", "B2"]
    assert [one.reason is None for one in found.recordings] == [False, True, False]
    assert [reason.split(":")[0] for reason in found.reasons] == ["Voice A, a.wav", "Voice B, b.wav"]
    html = app.refusal(found)
    assert "Nothing was compared." in html and "no: digital silence" in html and ">yes<" in html
    quality = found.recordings[1].quality
    assert f"{quality['net_speech']:.1f} s" in html


def test_recording_that_is_given_twice_on_one_side_does_not_count_twice(app, pipeline, tmp_path):
    copy = tmp_path / "copy.opus"
    shutil.copy(SECOND, copy)
    found = app.compare(pipeline, [str(FIRST)], [str(SECOND), str(copy)])
    (reason,) = found.reasons
    assert reason.startswith("Voice B: espeak17-02.opus and copy.opus are the same recording, sample for sample")


def test_report_and_data_hold_what_the_page_shows(app, pipeline, tmp_path):
    found = app.compare(pipeline, [str(FIRST)], [str(OTHER)])
    timelines = app.over_time(pipeline, found)
    page, data = app.write_files(found, timelines, tmp_path)
    text, figures = page.read_text(encoding="utf-8"), json.loads(data.read_text(encoding="utf-8"))
    digest = hashlib.sha256(OTHER.read_bytes()).hexdigest()
    assert digest in text and any(digest in row[1] for row in figures["details"])
    assert found.explanation.verdict[1:] in text and figures["llr"] == found.explanation.llr
    assert text.count("data:audio/wav;base64,") == len(figures["timeline"]["recordings"]) == 2
    frame = importlib.import_module("answer").timeline_frame(timelines)
    assert "&lt;script&gt;" in frame and frame.count("<") == 2  # the page of the frame is in an attribute
    page, data = app.write_files(found, None, tmp_path)
    assert "data:audio" not in page.read_text() and "timeline" not in json.loads(data.read_text())


def test_recordings_that_are_long_together_are_not_looked_at_over_time(app, pipeline, monkeypatch):
    monkeypatch.setattr(importlib.import_module("comparison"), "LONGEST_TIMELINE", 5.0)
    found = app.over_time(pipeline, app.compare(pipeline, [str(FIRST)], [str(OTHER)]))
    assert "Attributes over time are not shown: the recordings have 7 s together" in found
    assert found in words(importlib.import_module("answer").timeline_frame(found))


def test_models_that_do_not_belong_together_are_refused_or_told_everywhere(app, answered, tmp_path):
    from balr_hf import BinaryAttributeAutoEncoder
    from balr_hf.defaults import AUTOENCODER, EMBEDDER, SCORER

    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
    autoencoder.config.embedder_identity = f"another@{'0' * 64}"
    parts = (str(resource(EMBEDDER)), autoencoder, str(resource(SCORER)))
    with pytest.raises(MismatchError):
        app.load_pipeline(*parts)
    assert not app.parse_options([]).allow_mismatch and app.parse_options(["--allow-mismatch"]).allow_mismatch
    pipeline = app.load_pipeline(*parts, allow_mismatch=True)
    wrong = pipeline.model.config.mismatch
    assert wrong is not None
    found = app.compare(pipeline, [str(FIRST)], [str(OTHER)])
    page, data = app.write_files(found, None, tmp_path)
    for text in (app.answer(found, 16_000), page.read_text(encoding="utf-8")):
        assert wrong in unescape(text)
    assert f"{wrong}." in json.loads(data.read_text())["cautions"]


def test_name_of_a_file_is_shown_as_text(answered, pipeline, tmp_path):
    path = tmp_path / "<img src=x>.wav"
    shutil.copy(FIRST, path)
    html = answered(pipeline, [str(path)], [str(SECOND)])
    assert "<img" not in html and "&lt;img" in html


def test_same_recording_on_both_sides_is_told(answered, pipeline):
    html = answered(pipeline, [str(FIRST)], [str(FIRST)])
    assert "are the same recording, sample for sample: that says nothing about speakers" in words(html)
    assert "NO VERDICT: the two sides hold the same recording" in words(html)


@pytest.mark.parametrize("llr", [-30.0, -5.0, -0.1, 0.0, 3.0, 14.0, 40.0])
def test_mark_on_the_scale_is_within_the_step_of_the_words(app, explained, llr):
    explanation = copy.copy(explained)
    explanation.bounds, explanation.offset = (-99.0, 99.0), explanation.offset + llr - explanation.unbounded_llr
    html = importlib.import_module("answer").scale_html(explanation)
    at = float(re.search(r"--at: ([\d.]+)%", html)[1])
    steps = re.findall(r'<div class="step( here)?"[^>]*>([a-z ]+)<', html)
    here = [number for number, (mark, _) in enumerate(steps) if mark]
    assert len(steps) == 13 and len(here) == 1
    assert here[0] <= at / 100 * 13 <= here[0] + 1
    assert steps[here[0]][1].split()[0] in explanation.verdict


class Browser:
    """A headless Chromium, driven over its DevTools protocol."""

    def __init__(self, address: str):
        import websocket

        self.socket = websocket.create_connection(address, timeout=60, suppress_origin=True)
        self.count, self.events = 0, []
        for domain in ("Page", "DOM", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params) -> dict:
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.count:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self.events.append(answer)

    def value(self, expression: str):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, expression: str, seconds: float = 60):
        until = time.monotonic() + seconds
        while not (value := self.value(expression)):
            assert time.monotonic() < until, f"not within {seconds} s: {expression}"
            time.sleep(0.1)
        return value

    def choose(self, selector: str, *paths: Path) -> None:
        """Choose files in an `<input type=file>`."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def leave_out_time(self) -> None:
        """Ask for no attributes over time: they take longer than the answer, and one test looks at them."""
        assert self.value("document.querySelector('input[type=checkbox]').checked")
        self.value("document.querySelector('input[type=checkbox]').click()")

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        code = {"Enter": (13, "\r"), " ": (32, " ")}[key]
        keys = {"key": key, "windowsVirtualKeyCode": code[0]}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=code[1], **keys)
        self.call("Input.dispatchKeyEvent", type="keyUp", **keys)

    def resize(self, width: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=844,
            deviceScaleFactor=2 if width < 500 else 1,
            mobile=width < 500,
        )
        time.sleep(0.5)

    def has_sent(self, files: int) -> None:
        """Wait until the server has taken so many files: the player of each is there before."""
        until = time.monotonic() + 60
        while self._sent() < files:
            assert time.monotonic() < until, f"{self._sent()} of {files} files"
            time.sleep(0.1)
        time.sleep(0.5)  # in which the page hears of it

    def _sent(self) -> int:
        self.value("0")
        replies = [event["params"] for event in self.events if event["method"] == "Network.responseReceived"]
        return sum(urlsplit(reply["response"]["url"]).path.endswith("/upload") for reply in replies)

    def hosts(self) -> set[str]:
        """Those that anything was asked of."""
        self.value("0")
        sent = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return {urlsplit(request["request"]["url"]).hostname for request in sent} - {None}


@contextmanager
def running(*command: object, **kwargs):
    """A process for as long as it is wanted."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, **kwargs)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def patiently(look, process: subprocess.Popen | None, seconds: float = 120):
    """What `look` finds as soon as it raises nothing."""
    until = time.monotonic() + seconds
    while True:
        try:
            return look()
        except (OSError, ValueError):
            assert process is None or process.poll() is None, f"ended with {process.returncode}"
            assert time.monotonic() < until, f"not ready within {seconds} s"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def chromium() -> str:
    for package in ("gradio", "websocket"):
        pytest.importorskip(package, reason=f"needs {package}: pip install -e '.[app,dev]'")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return found or pytest.skip("needs chromium, chromium-browser or google-chrome")


@pytest.fixture(scope="module")
def address(root, chromium, tmp_path_factory):
    """Of the app, running from a folder in which the files lie as in a Space."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    space = tmp_path_factory.mktemp("space")
    shutil.copytree(root / "examples" / "space", space, dirs_exist_ok=True)
    for folder in ("balr_hf", "resources"):
        (space / folder).symlink_to(root / folder)
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "GRADIO_TEMP_DIR": str(tmp_path_factory.mktemp("gradio"))}
    env.pop("PYTHONPATH", None)
    with running(sys.executable, space / "app.py", "--port", port, env=env, cwd=space) as process:
        url = f"http://127.0.0.1:{port}/"
        patiently(lambda: urllib.request.urlopen(url, timeout=5).close(), process)
        yield url


@contextmanager
def chromium_running(chromium: str, profile: Path, *more: str):
    """A headless Chromium, for as long as it is wanted; gives the address of its DevTools."""
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    flags += ["--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={profile}", *more]
    with running(chromium, *flags, "about:blank", stderr=subprocess.DEVNULL) as process:
        ready = profile / "DevToolsActivePort"
        port = patiently(lambda: int(ready.read_text().split()[0]), process)
        yield f"http://127.0.0.1:{port}/json"


@contextmanager
def tab(tools: str, address: str):
    """A new tab at the app's page, which knows nothing of those before it."""
    new = urllib.request.Request(f"{tools}/new?about:blank", method="PUT")
    with urllib.request.urlopen(new, timeout=20) as response:
        opened = json.load(response)
    browser = Browser(opened["webSocketDebuggerUrl"])
    browser.call("Page.bringToFront")  # else it has no focus
    browser.resize(1280)
    browser.call("Page.navigate", url=address)
    browser.wait("document.querySelectorAll('input[type=file]').length >= 2 && !!document.querySelector('#compare')")
    yield browser
    browser.socket.close()
    urllib.request.urlopen(f"{tools}/close/{opened['id']}", timeout=20).close()


@pytest.fixture(scope="module")
def tools(chromium, tmp_path_factory):
    """One Chromium for all tests that ask nothing of how it starts."""
    with chromium_running(chromium, tmp_path_factory.mktemp("profile")) as tools:
        yield tools


@pytest.fixture
def browser(tools, address):
    """At the app's page."""
    with tab(tools, address) as browser:
        yield browser


VERDICT = "document.querySelector('#answer #verdict')?.textContent"
ALERT = "document.querySelector('#answer [role=alert]')?.textContent"
WAITING = "document.querySelectorAll('#voice-a input[type=file], #voice-b input[type=file]').length"


@pytest.mark.slow
def test_two_uploaded_voices_are_compared(browser, pipeline):
    browser.leave_out_time()
    browser.choose("#voice-a input[type=file]", FIRST)
    browser.choose("#voice-b input[type=file]", OTHER)
    browser.wait(f"{WAITING} == 0")  # a player takes the place of each
    browser.has_sent(2)
    browser.value("document.querySelector('#compare').click()")
    verdict = browser.wait(VERDICT)
    explanation = pipeline(str(FIRST), str(OTHER), return_explanation=True)["explanation"]
    assert verdict.lower() == explanation.verdict
    assert explanation.describe_ratio() in browser.value("document.querySelector('#answer').innerText")
    for width in (1280, 390):
        browser.resize(width)
        browser.wait(f"document.documentElement.scrollWidth <= {width}", 10)
    assert browser.value("document.title") == "Speaker comparison"
    browser.value("document.querySelector('#voice-b button[aria-label^=Clear]').click()")
    browser.wait(f"!{VERDICT}", 10)  # an answer goes as soon as it is not of the recordings above it
    browser.choose("#voice-b input[type=file]", SECOND)
    browser.wait(f"{WAITING} == 0")
    browser.has_sent(3)
    browser.value("document.querySelector('#compare').click()")
    assert "same speaker rather" in browser.wait(VERDICT)
    assert browser.hosts() == {"127.0.0.1"}


FRAME = "document.querySelector('#over-time iframe')?.contentDocument"


@pytest.mark.slow
def test_report_data_and_attributes_over_time_follow_the_answer(browser, tmp_path):
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.choose("#voice-a input[type=file]", FIRST)
    browser.choose("#voice-b input[type=file]", OTHER)
    browser.wait(f"{WAITING} == 0")
    browser.has_sent(2)
    browser.value("document.querySelector('#compare').focus()")
    browser.press("Enter")
    browser.wait(VERDICT)
    browser.wait("document.activeElement.id == 'verdict'", 10)  # the keyboard goes on from the answer
    browser.wait(f"{FRAME}?.querySelectorAll('svg a[role=button]').length > 1")
    browser.wait("document.querySelector('#over-time iframe').offsetHeight > 700", 10)  # as high as what is in it
    browser.value(f"{FRAME}.querySelector('svg a[tabindex=\"0\"]').focus()")
    browser.press(" ")
    browser.wait(f"{FRAME}.querySelector('.playing').textContent.startsWith('Attribute ')", 10)
    for name, ending in (("report", "html"), ("data", "json")):
        browser.wait(f"!!document.querySelector('#{name}')", 10)
        browser.value(f"document.querySelector('#{name}').click()")
        path = tmp_path / f"comparison.{ending}"
        patiently(lambda path=path: path.stat(), None, 20)
    assert "data:audio/wav" in (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "comparison.json").read_text())["timeline"]["recordings"]


@pytest.mark.slow
def test_several_recordings_of_a_side_are_compared(browser):
    browser.leave_out_time()
    browser.choose("#voice-a input[type=file]", FIRST)
    browser.choose("#voice-b input[type=file]", SECOND)
    browser.value("[...document.querySelectorAll('button')].find(b => b.innerText.includes('voice B')).click()")
    browser.wait("!!document.querySelector('#more-b input[type=file]')", 10)
    browser.choose("#more-b input[type=file]", OTHER)
    browser.wait(f"{WAITING} == 0 && document.querySelector('#more-b').innerText.includes('espeak20')")
    browser.has_sent(3)
    browser.value("document.querySelector('#compare').click()")
    assert browser.wait(VERDICT).startswith("NO VERDICT")  # the shipped system is calibrated with one a side
    shown = browser.value("document.querySelector('#answer').innerText")
    assert "B is espeak17-02.opus, espeak20-02.opus (2 recordings)." in shown


@pytest.mark.slow
def test_voice_is_recorded_with_the_microphone(chromium, address, tmp_path):
    from balr_hf.audio import load_audio

    voice = write_wav(tmp_path / "voice.wav", np.tile(load_audio(FIRST), 3))
    flags = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    flags.append(f"--use-file-for-fake-audio-capture={voice}")
    with chromium_running(chromium, tmp_path / "profile", *flags) as tools, tab(tools, address) as browser:
        browser.leave_out_time()
        browser.value("document.querySelector('#voice-a button[aria-label^=Record]').click()")
        browser.wait("!!document.querySelector('#voice-a .record-button')")
        browser.value("document.querySelector('#voice-a .record-button').click()")
        time.sleep(5)
        browser.value("document.querySelector('#voice-a .stop-button').click()")
        browser.choose("#voice-b input[type=file]", SECOND)
        browser.wait(f"{WAITING} == 0 && !!document.querySelector('#voice-a .playback')")
        browser.has_sent(2)
        browser.value("document.querySelector('#compare').click()")
        shown = browser.wait(f"({VERDICT} || {ALERT}) && document.querySelector('#answer').innerText")
    # Whether there is a verdict depends on what Chromium's device makes of the voice.
    assert "A is audio.wav (1 recording)." in shown and "LLR +" in shown


@pytest.mark.slow
def test_missing_voice_is_told_in_the_page(browser):
    browser.value("document.querySelector('#compare').click()")
    assert "Voice A has no recording yet" in browser.wait(ALERT)
    assert not browser.value(VERDICT)
    browser.wait("document.activeElement.getAttribute('role') == 'alert'", 10)
    names = browser.value("[...document.querySelectorAll('button')].map(b => b.ariaLabel || b.innerText.trim())")
    assert all(names) and len(set(names)) == len(names)  # a screen reader tells the buttons of both voices apart


@pytest.mark.slow
def test_example_is_compared_by_one_click(browser):
    browser.leave_out_time()
    browser.wait("[...document.querySelectorAll('button')].some(b => b.textContent.includes('One voice'))")
    browser.value("[...document.querySelectorAll('button')].find(b => b.textContent.includes('One voice')).click()")
    assert "same speaker" in browser.wait(VERDICT)


def test_a_whole_system_is_named_by_the_environment_or_a_flag(app, monkeypatch):
    from balr_hf.defaults import SYSTEM, resource

    monkeypatch.setenv("BALR_SYSTEM", "me/system")
    assert app.parse_options([]).system == "me/system"
    assert app.parse_options(["--system", "me/other"]).system == "me/other"
    assert app.load_pipeline(system=str(resource(SYSTEM))).scorer.is_calibrated
    with pytest.raises(app.UserError, match="a whole system and parts of one were named"):
        app.load_pipeline(scorer="me/scorer", system="me/system")

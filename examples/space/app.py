"""A page to compare two voices in a browser: `python examples/space/app.py`.

Wants `pip install "balr_hf[app]"`. Runs offline on the small models of the package; `--system`, or the environment
variable BALR_SYSTEM, names another whole system, and `--embedder`, `--autoencoder` and `--scorer`, or BALR_EMBEDDER,
BALR_AUTOENCODER and BALR_SCORER, name its parts one by one. Models that do not belong together are refused, unless
`--allow-mismatch`, or BALR_ALLOW_MISMATCH=1, takes them: every answer and report then says what is wrong with them.
As a Space of the Hugging Face Hub: see README.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from answer import answer, refusal, timeline_frame
from comparison import Refused, compare, load_pipeline, over_time, write_files

from balr_hf.defaults import SAMPLE_CORPUS, resource
from balr_hf.errors import UserError
from balr_hf.explanation import wording

if TYPE_CHECKING:
    import gradio

    from balr_hf.pipelines import SpeakerComparisonPipeline

# Uploads and reports are deleted from the server after so many seconds, and uploads may have so many bytes.
KEPT, LARGEST = 3600, "100mb"

EXAMPLES = {
    "One voice, two sentences": ("espeak17/espeak17-01.opus", "espeak17/espeak17-02.opus"),
    "Two voices of one sex": ("espeak16/espeak16-03.opus", "espeak20/espeak20-02.opus"),
    "A man and a woman": ("espeak17/espeak17-01.opus", "espeak20/espeak20-02.opus"),
}

INTRODUCTION = f"""
# {wording.TITLE}
How strongly do two recordings support that one person speaks in both, and why? The answer is a likelihood ratio, as a
sum of one term for each of many binary attributes of the voices. Upload one recording of each voice, or record it with
the microphone; a voice may have several recordings.
"""

LIMITS = """
## What the answer is not
- **Not the probability that it is the same person**, and none of guilt. A likelihood ratio says how much more probable
  the findings are if one person speaks than if two do. What follows for the case depends on all other evidence too.
- **Not valid for any kind of speech.** The calibration holds for speech like that it was fitted on: language, channel,
  duration and speaking style. Of other speech the figure can be far too strong, for either side.
- **Not a check of the recordings.** Synthetic, converted and replayed voices are not detected.
- **Not for casework with the demonstration models.** They are small, know a few hundred people, and are here to show
  the method. An expert report needs models validated for the conditions of the case.
"""

WORKING = '<div class="balr"><p class="source" role="status">Attributes over time and the report follow…</p></div>'

# Gradio names some buttons otherwise than they are labelled, which speech control and screen readers stumble over, and
# those of both voices alike: the label is put before the name, and the voice after it. The button that adds files has
# an untranslated name, and a button inside, which is the one that the keyboard is to find.
HEAD = """<style>
.gradio-container .main.app { max-width: 72rem !important; }
@media (max-width: 30rem) { .gradio-container .main.app { padding: 1rem .75rem !important; } }
</style>
<script>
const named = new WeakMap();
new MutationObserver(() => {
  for (const button of document.querySelectorAll("button[aria-label]")) {
    if (named.get(button) === button.getAttribute("aria-label")) continue;
    const text = button.textContent.replace(/\\s+/g, " ").trim();
    const name = button.getAttribute("aria-label").replace("common.upload", "Add files");
    const side = button.closest("#voice-a, #voice-b, #more-a, #more-b")?.id.slice(-1).toUpperCase();
    const voice = side && `voice ${side}`;
    const label = [!text || name.startsWith(text) ? name : `${text}: ${name}`, voice].filter(Boolean).join(", ");
    named.set(button, label);
    button.setAttribute("aria-label", label);
    if (button.querySelector("button")) {
      const group = { role: "group", tabindex: -1, title: label };
      for (const key in group) button.setAttribute(key, group[key]);
    }
  }
}).observe(document, { subtree: true, childList: true, characterData: true, attributeFilter: ["aria-label"] });
</script>"""

# When an answer appears, the keyboard and the screen reader go on from its verdict, or from why there is none.
TO_THE_ANSWER = """() => setTimeout(
  () => document.querySelector("#answer #verdict, #answer [role=alert]")?.focus(), 100)"""


def page(pipeline: SpeakerComparisonPipeline) -> gradio.Blocks:
    """The page as `gradio.Blocks`."""
    import gradio as gr

    hidden = [gr.DownloadButton(visible=False)] * 2

    def on_compare(*given: Any) -> Iterator[tuple]:
        (a, more_a, b, more_b), shows_time = given[:4], given[4]
        first, second = ([path for path in [one, *(more or [])] if path] for one, more in ((a, more_a), (b, more_b)))
        found = compare(pipeline, first, second)
        if isinstance(found, Refused):
            yield refusal(found), "", *hidden
            return
        yield answer(found, pipeline.feature_extractor.sampling_rate, pipeline.limits), WORKING, *hidden
        timelines = over_time(pipeline, found) if shows_time else None
        with tempfile.TemporaryDirectory() as folder:  # gradio keeps copies, and deletes them after an hour
            files = write_files(found, None if isinstance(timelines, str) else timelines, Path(folder))
            frame = "" if timelines is None else timeline_frame(timelines)
            yield gr.skip(), frame, *(gr.DownloadButton(value=str(path), visible=True) for path in files)

    with gr.Blocks(title=wording.TITLE, analytics_enabled=False, delete_cache=(KEPT, KEPT)) as blocks:
        gr.Markdown(INTRODUCTION)
        if pipeline.model.config.mismatch is not None:
            gr.HTML(f'<div class="balr"><p class="note">{escape(pipeline.model.config.mismatch)}.</p></div>')
        inputs: list[Any] = []
        with gr.Row():
            for side in "AB":
                with gr.Column(min_width=300):
                    audio = gr.Audio(
                        label=f"Voice {side}",
                        sources=["upload", "microphone"],
                        type="filepath",
                        editable=False,
                        buttons=[],
                        elem_id=f"voice-{side.lower()}",
                    )
                    with gr.Accordion(f"More recordings of voice {side}", open=False):
                        more = gr.File(
                            label=f"Of the same speaker as voice {side}; optional",
                            file_count="multiple",
                            height=180,
                            elem_id=f"more-{side.lower()}",
                        )
                    inputs += [audio, more]
        shows_time = gr.Checkbox(
            label="Show attributes over time, with the sound",
            info="Takes longer than the answer, which comes first. The report then holds the sound of the recordings.",
            value=True,
        )
        button = gr.Button("Compare", variant="primary", elem_id="compare")
        output = gr.HTML(elem_id="answer", render=False)
        frame = gr.HTML(elem_id="over-time", render=False)
        report = gr.DownloadButton("Report to file or print (HTML)", visible=False, elem_id="report", render=False)
        data = gr.DownloadButton("All figures (JSON)", visible=False, elem_id="data", render=False)
        outputs = [output, frame, report, data]
        comparing: dict[str, Any] = {
            "fn": on_compare,
            "inputs": [*inputs, shows_time],
            "outputs": outputs,
            "api_visibility": "private",
            "concurrency_limit": 1,
            "concurrency_id": "c",
        }
        sample = resource(SAMPLE_CORPUS)
        gr.Examples(
            [[str(sample / a), None, str(sample / b), None] for a, b in EXAMPLES.values()],
            inputs,
            example_labels=list(EXAMPLES),
            label="Examples: synthetic voices",
            cache_examples=False,
        ).load_input_event.then(**comparing)
        output.render()
        with gr.Row():
            report.render()
            data.render()
        frame.render()
        output.change(None, None, None, js=TO_THE_ANSWER, api_visibility="private")
        gone = "() => ['', '', {__type__: 'update', visible: false}, {__type__: 'update', visible: false}]"
        for audio, more in (inputs[:2], inputs[2:]):  # an answer goes as soon as it is not of these recordings
            changes = (audio.upload, audio.clear, audio.stop_recording, more.upload, more.clear, more.delete)
            gr.on(changes, None, outputs=outputs, js=gone, api_visibility="private")
        gr.Markdown(LIMITS)
        button.click(**comparing)
    return blocks


def parse_options(argv: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line, with those of the environment as defaults."""
    parser = argparse.ArgumentParser(description="A page to compare two voices in a browser.")
    for model in ("system", "embedder", "autoencoder", "scorer"):
        parser.add_argument(
            f"--{model}",
            default=os.environ.get(f"BALR_{model.upper()}") or None,
            help="folder or Hub repository; by default the package's own",
        )
    parser.add_argument(
        "--allow-mismatch",
        action="store_true",
        default=os.environ.get("BALR_ALLOW_MISMATCH") == "1",
        help="go on with models that do not belong together; every result says what is wrong with them",
    )
    parser.add_argument("--port", type=int, help="by default the first free one from 7860 on")
    parser.add_argument("--share", action="store_true", help="also at a public address for 72 hours")
    return parser.parse_args(argv)


def main() -> None:
    """Load the models and start the page."""
    options = parse_options()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio as gr
    except ImportError:
        raise SystemExit('gradio is missing: pip install "balr_hf[app]"') from None
    parts = (options.embedder, options.autoencoder, options.scorer, options.system)
    try:
        pipeline = load_pipeline(*parts, allow_mismatch=options.allow_mismatch)
    except (UserError, OSError) as error:
        raise SystemExit(f"cannot load the models: {error}") from error
    theme = gr.themes.Default(
        primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    ).set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
    )
    with kept_from_others():
        page(pipeline).launch(
            server_port=options.port,
            share=options.share,
            theme=theme,
            css_paths=[Path(__file__).with_name("app.css")],
            head=HEAD,
            max_file_size=LARGEST,
            ssr_mode=False,
            footer_links=[],
        )


@contextmanager
def kept_from_others() -> Iterator[None]:
    """Give gradio a folder for uploads and reports that other users cannot read, and remove it when the app ends.

    Gradio's own lies in the temporary folder, may be read by all users of the machine, and stays when the app ends.
    """
    for name in ("SIGTERM", "SIGHUP"):  # ended by another program or with its window, which are to be as any other end
        number = getattr(signal, name, None)  # Windows has no SIGHUP, and nohup ignores it
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="balr-app-", ignore_cleanup_errors=True) as folder:
        os.environ.setdefault("GRADIO_TEMP_DIR", folder)
        yield


if __name__ == "__main__":
    main()

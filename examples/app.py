"""A page to compare two voices in a browser: `python examples/app.py`.

Wants `pip install "balr_hf[app]"`. Runs offline on the small models of the package; `--system`, or the environment
variable BALR_SYSTEM, names another whole system, and `--embedder`, `--autoencoder` and `--scorer`, or BALR_EMBEDDER,
BALR_AUTOENCODER and BALR_SCORER, name its parts one by one. As a Space of the Hugging Face Hub: see space/README.md.
"""

import argparse
import base64
import os
from html import escape
from pathlib import Path

import numpy as np

from balr_hf.defaults import SAMPLE_CORPUS, SYSTEM, resource
from balr_hf.embeddings.passes import load_usable
from balr_hf.errors import UserError
from balr_hf.explanation import verbal_scale, wording
from balr_hf.explanation.explanation import Explanation
from balr_hf.figures import figure_svg, spectrograms
from balr_hf.figures.style import MINUS

# Uploads are deleted from the server after so many seconds, and may have so many bytes.
KEPT, LARGEST = 3600, "100mb"

EXAMPLES = {
    "One voice, two sentences": ("espeak17/espeak17-01.opus", "espeak17/espeak17-02.opus"),
    "Two voices of one sex": ("espeak18/espeak18-01.opus", "espeak20/espeak20-02.opus"),
    "A man and a woman": ("espeak17/espeak17-01.opus", "espeak18/espeak18-02.opus"),
}

INTRODUCTION = f"""
# {wording.TITLE}
How strongly do two recordings support that one person speaks in both, and why? The answer is a likelihood ratio, as a
sum of one term for each of many binary attributes of the voices.
"""

LIMITS = """
### What the answer is not
- **Not the probability that it is the same person**, and none of guilt. A likelihood ratio says how much more probable
  the findings are if one person speaks than if two do. What follows for the case depends on all other evidence too.
- **Not valid for any kind of speech.** The calibration holds for speech like that it was fitted on: language, channel,
  duration and speaking style. Of other speech the figure can be far too strong, for either side.
- **Not a check of the recordings.** Synthetic, converted and replayed voices are not detected.
- **Not for casework with the demonstration models.** They are small, know a few hundred people, and are here to show
  the method. An expert report needs models validated for the conditions of the case.
"""

# Of what is around gradio's blocks, where STYLE does not reach.
HEAD = """<style>
.gradio-container .main.app { max-width: 72rem !important; }
@media (max-width: 30rem) { .gradio-container .main.app { padding: 1rem .75rem !important; } }
</style>"""

STYLE = """
.prose { font-size: 16px; }
#answer, #answer .html-container { padding: 0; }
.balr { --same: #0072b2; --different: #d55e00; --edge: #bbb; --muted: #555; --paper: #fff; --note: #fff9e3;
  --text: #1b1b1b; font-size: 16px; line-height: 1.5; color: var(--text); padding-bottom: .5rem; }
.dark .balr { --same: #56b4e9; --different: #f08a4b; --edge: #555; --muted: #b4b4b4; --paper: #1f1f1f; --note: #332c12;
  --text: #eee; }
.balr p, .balr h3, .balr li, .balr summary, .balr strong, .balr td { color: inherit; margin: 0; }
.balr h3 { font-size: 1.1rem; font-weight: 600; margin: 1.75rem 0 .5rem; }
.balr .answer, .balr figure { border: 1px solid var(--edge); border-radius: 6px; background: var(--paper);
  padding: 1rem; margin: 0; }
.balr .answer { border-left: .4rem solid var(--muted); }
.balr .answer.same { border-left-color: var(--same); } .balr .answer.different { border-left-color: var(--different); }
.balr .verdict { font-size: 1.3rem; line-height: 1.3; font-weight: 600; margin-bottom: .25rem; }
.balr .numbers { color: var(--muted); font-variant-numeric: tabular-nums; }
.balr .numbers span { white-space: nowrap; margin-right: 1.25em; }
.balr .note, .balr .message { border: 1px solid #c9a227; border-radius: 6px; background: var(--note);
  padding: .5rem 1rem; margin-top: .5rem; }
.balr .message { border-color: var(--different); overflow-wrap: anywhere; }
.balr .banner { background: #1b1b1b; color: #fff; font-weight: 700; border: 1px solid var(--edge); border-radius: 6px;
  padding: .5rem 1rem; margin-bottom: .5rem; }
.balr .compared { margin-bottom: .5rem; overflow-wrap: anywhere; }
.balr .pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 1.5rem;
  align-items: start; }
.balr figure svg { display: block; width: 100%; height: auto; max-width: 34rem; margin: 0 auto; }
.dark .balr figure svg { filter: invert(.88) hue-rotate(180deg) saturate(1.35); }
.balr figcaption, .balr .source { color: var(--muted); font-size: .85rem; margin-top: .5rem; overflow-wrap: anywhere; }
.balr a { color: var(--same); text-decoration: underline; }
.balr .groups { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
.balr .groups th, .balr .groups td { text-align: right; padding: .15rem .5rem; border-bottom: 1px solid var(--edge); }
.balr .groups th:first-child, .balr .groups td:first-child { text-align: left; }

.balr .scale { display: grid; grid-template-columns: repeat(13, 1fr); position: relative; margin: 4.25rem 0 1.25rem;
  font-size: .75rem; line-height: 1.2; color: var(--muted); text-align: center; }
.balr .scale .step { position: relative; }
.balr .scale .step::before { content: ""; display: block; height: 1.1rem; background: var(--colour);
  opacity: var(--strength); border-right: 1px solid var(--paper); margin-bottom: 1.5rem; }
.balr .scale .here { color: var(--text); font-weight: 700; }
.balr .scale .here::before { outline: 2px solid var(--text); opacity: max(var(--strength), .35); z-index: 1;
  position: relative; }
.balr .scale .edge { position: absolute; top: 1.4rem; right: 0; transform: translateX(50%); white-space: nowrap;
  font-variant-numeric: tabular-nums; font-weight: 400; color: var(--muted); }
.balr .scale .step:last-of-type .edge { display: none; }
.balr .scale .side { position: absolute; top: -3.6rem; font-size: .85rem; font-weight: 600; }
.balr .scale .side.different { left: 0; color: var(--different); }
.balr .scale .side.same { right: 0; color: var(--same); }
.balr .scale .side.different::before { content: "← "; } .balr .scale .side.same::after { content: " →"; }
.balr .scale .marker { position: absolute; left: var(--at); top: -.45rem; width: 0; height: 0; z-index: 2;
  border: .4rem solid transparent; border-top-color: var(--text); border-bottom: 0; transform: translateX(-50%); }
.balr .scale .value { position: absolute; left: var(--at); top: -1.95rem; transform: translateX(calc(-1 * var(--at)));
  background: var(--text); color: var(--paper); border-radius: 4px; padding: .15rem .5rem; font-size: .85rem;
  font-weight: 600; white-space: nowrap; }
@media (max-width: 68rem) {
  .balr .scale { display: flex; flex-direction: column-reverse; margin: 2.5rem 0 2rem; text-align: left;
    font-size: .85rem; }
  .balr .scale .step { display: flex; height: 1.6rem; align-items: center; }
  .balr .scale .step::before { width: 2.2rem; height: 100%; margin: 0 4rem 0 .6rem; border-right: 0; flex: none;
    border-top: 1px solid var(--paper); }
  .balr .scale .edge { top: 0; left: 3.2rem; right: auto; transform: translateY(-50%); font-size: .75rem; }
  .balr .scale .side { top: auto; } .balr .scale .side.different { bottom: -1.7rem; }
  .balr .scale .side.same { right: auto; left: 0; top: -1.7rem; }
  .balr .scale .side.different::before { content: "↓ "; }
  .balr .scale .side.same::before { content: "↑ "; } .balr .scale .side.same::after { content: ""; }
  .balr .scale .marker { left: 0; top: calc(100% - var(--at)); transform: translateY(-50%);
    border: .4rem solid transparent; border-left-color: var(--text); border-right: 0; }
  .balr .scale .value { display: none; }
}
@media (max-width: 30rem) {
  .balr .answer { padding: .75rem; } .balr figure { padding: .75rem .25rem; } .balr figcaption { padding: 0 .5rem; }
}
"""


def load_pipeline(
    embedder: str | None = None, autoencoder: str | None = None, scorer: str | None = None, system: str | None = None
):
    """The comparison of `pipeline("speaker-comparison")`, by default with the package's own models."""
    import transformers

    import balr_hf  # noqa: F401

    transformers.utils.logging.disable_progress_bar()
    if system is not None and (embedder or autoencoder or scorer):
        raise UserError("a whole system and parts of one were named: name one or the other")
    model = system or embedder or str(resource(SYSTEM))
    return transformers.pipeline("speaker-comparison", model=model, autoencoder=autoencoder, scorer=scorer)


def compare_voices(pipeline, first: list, second: list) -> str:
    """The answer's HTML, or that of one message if a recording cannot be used.

    Args:
        pipeline: of [`load_pipeline`].
        first (list): paths of recordings of one voice.
        second (list): of the other.
    """
    sides = []
    for side, paths in (("A", first), ("B", second)):
        if not paths:
            return message(f"Voice {side} has no recording yet: upload one, or record it.")
        loaded = [load_usable(path, pipeline.feature_extractor, pipeline.min_speech) for path in paths]
        for path, one in zip(paths, loaded, strict=True):
            if one.reason is not None:
                return message(f"Voice {side}, {Path(path).name}: {one.reason}. Please choose another recording.")
        sides.append([one.samples for one in loaded])
    names = tuple(Path(paths[0]).name for paths in (first, second))
    try:
        explanation = pipeline(*sides, return_explanation=True, names=names)["explanation"]
    except UserError as error:
        return message(str(error))
    titles = [f"{side}: {shortened(name)}" for side, name in zip("AB", names, strict=True)]
    pictures = spectrograms([side[0] for side in sides], pipeline.feature_extractor.sampling_rate, titles)
    return answer(explanation, figure_svg(pictures))


def message(text: str) -> str:
    """One message in place of an answer."""
    return f'<div class="balr"><p class="message" role="alert">{escape(text)}</p></div>'


def answer(explanation: Explanation, spectrograms_svg: str, top: int = 6) -> str:
    """The explanation as HTML.

    Args:
        explanation: what to show.
        spectrograms_svg (str): the figure of both spectrograms.
        top (int): how many attributes for and against the figure shows.
    """
    sentence = explanation.describe_findings()
    scale = verbal_scale_html(explanation) if explanation.has_verdict else ""
    interval = explanation.describe_interval()
    numbers = explanation.describe_doubtful()
    if explanation.has_verdict:
        numbers = " ".join(f"<span>{figure}</span>" for figure in explanation.describe_figures())
    sides = zip("AB", explanation.describe_sides(), strict=True)
    compared = "; ".join(f"{side} is {escape(name)} ({escape(what)})" for side, (name, what) in sides)
    report = base64.b64encode(explanation.to_html().encode()).decode()
    bound = f" A bound then limits the total to {explanation.llr:+.2f}." if explanation.is_bounded else ""
    return f"""<div class="balr">
{f'<p class="banner">{wording.DEMONSTRATION}</p>' if explanation.demonstration else ""}
<p class="compared">{compared}.<br>{"<br>".join(wording.PROPOSITIONS)}</p>
<div class="answer {explanation.direction}"><p class="verdict" id="verdict">{explanation.describe_verdict()}</p>
{f"<p>{sentence}</p>" if sentence else ""}
<p class="numbers">{numbers.replace("-", MINUS)}</p>
{f'<p class="numbers">{escape(interval)}</p>' if interval else ""}{scale}</div>
{"".join(f'<p class="note">{escape(text)}</p>' for text in explanation.cautions)}
{groups_html(explanation)}
<div class="pair">
<section><h3>{wording.EACH_ATTRIBUTE}</h3><figure role="img" aria-label="Bars of the weightiest attributes">
{figure_svg(explanation.figure(top))}
<figcaption>The weightiest attributes for the same speaker (filled) and for different speakers (hatched). Below, how
all {len(explanation.terms)} add up.{bound.replace("-", MINUS)}</figcaption></figure></section>
<section><h3>Spectrograms</h3><figure role="img" aria-label="Spectrograms of both voices">
{spectrograms_svg}
<figcaption>Of the first recording of each voice, on the same scales. They are here to look at: the comparison does not
use them.</figcaption></figure></section>
</div>
<p class="source"><a download="comparison.html" href="data:text/html;base64,{report}">Full report
to file or print</a></p>
</div>"""


def groups_html(explanation: Explanation) -> str:
    """What the attributes of each group add, as a table; nothing where the system is not described."""
    groups = explanation.groups()
    if not groups:
        return ""
    heading = "".join(f"<th>{name.format(unit=explanation.term_unit)}</th>" for name in wording.GROUP_COLUMNS)
    rows = []
    for one in groups:
        terms = [wording.describe_term(value, explanation.is_llr) for value in (one.sum_for, one.sum_against, one.llr)]
        cells = [escape(one.group), str(one.attributes), *(term.replace("-", MINUS) for term in terms)]
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return (
        f'<section><h3>{wording.THE_GROUPS}</h3><table class="groups"><thead><tr>{heading}</tr></thead>'
        f'<tbody>{"".join(rows)}</tbody></table><p class="source">{wording.GROUPS}</p></section>'
    )


def verbal_scale_html(explanation: Explanation) -> str:
    """The verbal scale from different to same speaker, with a mark where the LR is."""
    least = [start for start, _ in verbal_scale.SCALE][1:]
    degrees = range(-len(least), len(least) + 1)
    edges = np.log10([1e12, *least[::-1]])
    edges = [*-edges, *edges[::-1]]  # the ends stand for whatever is beyond
    at = 100 * np.interp(explanation.log10_llr, edges, np.linspace(0, 1, len(edges)))
    here = verbal_scale.degree(explanation.llr) * (1 if explanation.llr >= 0 else -1)
    steps = []
    for degree in degrees:
        words = wording.strength(abs(degree))
        colour = "var(--muted)" if degree == 0 else f"var(--{'same' if degree > 0 else 'different'})"
        opacity = 0.25 + 0.75 * max(abs(degree) - 1, 0) / (len(least) - 1)
        edge = degree + 1 if degree >= 0 else degree
        edge = "" if degree == degrees[-1] else f"{'1/' if edge < 0 else ''}{least[abs(edge) - 1]:,}"
        edge = edge.replace("1,000,000", "10⁶").replace("10,000", "10⁴")
        steps.append(
            f'<div class="step{" here" if degree == here else ""}" style="--colour: {colour}; '
            f'--strength: {opacity:.2f}">{words}<span class="edge">{edge}</span></div>'
        )
    return (
        f'<div class="scale" style="--at: {at:.2f}%" role="img" aria-label="{explanation.verdict}">'
        f'{"".join(steps)}<span class="side different">different speakers</span>'
        '<span class="side same">same speaker</span><span class="marker"></span>'
        f'<span class="value">{explanation.describe_ratio()}</span></div>'
        f'<p class="source">Limits are those of the likelihood ratio. {verbal_scale.SOURCE}.</p>'
    )


def shortened(name: str, longest: int = 40) -> str:
    """A file's name, without its middle if it is too long."""
    return name if len(name) <= longest else f"{name[: longest // 2]}…{name[-longest // 2 :]}"


def page(pipeline):
    """The page as `gradio.Blocks`."""
    import gradio as gr

    def on_compare(a, more_a, b, more_b) -> str:
        first, second = ([path for path in [one, *(more or [])] if path] for one, more in ((a, more_a), (b, more_b)))
        return compare_voices(pipeline, first, second)

    with gr.Blocks(title=wording.TITLE, analytics_enabled=False, delete_cache=(KEPT, KEPT)) as blocks:
        gr.Markdown(INTRODUCTION)
        inputs = []
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
                        more = gr.File(label="Optional", file_count="multiple", height=180)
                    inputs += [audio, more]
        button = gr.Button("Compare", variant="primary", elem_id="compare")
        output = gr.HTML(elem_id="answer", render=False)
        sample = resource(SAMPLE_CORPUS)
        gr.Examples(
            [[str(sample / a), None, str(sample / b), None] for a, b in EXAMPLES.values()],
            inputs,
            output,
            on_compare,
            cache_examples=False,
            run_on_click=True,
            example_labels=list(EXAMPLES),
            label="Examples: synthetic voices",
        )
        output.render()
        for audio, more in (inputs[:2], inputs[2:]):  # an answer goes as soon as it is not of these recordings
            changes = (audio.upload, audio.clear, audio.stop_recording, more.upload, more.clear, more.delete)
            gr.on(changes, None, outputs=output, js="() => ''", api_visibility="private")
        gr.Markdown(LIMITS)
        button.click(on_compare, inputs, output, api_visibility="private", concurrency_limit=1)
    return blocks


def parse_options(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A page to compare two voices in a browser.")
    for model in ("system", "embedder", "autoencoder", "scorer"):
        parser.add_argument(
            f"--{model}",
            default=os.environ.get(f"BALR_{model.upper()}") or None,
            help="folder or Hub repository; by default the package's own",
        )
    parser.add_argument("--port", type=int, help="by default the first free one from 7860 on")
    parser.add_argument("--share", action="store_true", help="also at a public address for 72 hours")
    return parser.parse_args(argv)


def main() -> None:
    options = parse_options()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio as gr
    except ImportError:
        raise SystemExit('gradio is missing: pip install "balr_hf[app]"') from None
    try:
        pipeline = load_pipeline(options.embedder, options.autoencoder, options.scorer, options.system)
    except (UserError, OSError) as error:
        raise SystemExit(f"cannot load the models: {error}") from error
    page(pipeline).launch(
        server_port=options.port,
        share=options.share,
        theme=gr.themes.Default(
            primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
        ),
        css=STYLE,
        head=HEAD,
        max_file_size=LARGEST,
        ssr_mode=False,
        footer_links=[],
    )


if __name__ == "__main__":
    main()

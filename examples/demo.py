"""Go from recordings of real voices to explained likelihood ratios with what ships with the package: `make demo`.

Turns 36 recordings of 12 people into binary attributes, computes the likelihood ratios of 198 pairs, and compares two
pairs as a report would: of one speaker, and of two. Writes a page for each into the folder `demo`. Everything runs
offline. README.md beside the recordings says where they come from.
"""

from pathlib import Path

import datasets
import numpy as np
import transformers

import balr_hf  # noqa: F401 (registers the pipeline)
from balr_hf import load_corpus
from balr_hf.defaults import SYSTEM, VOICES, resource
from balr_hf.explanation.explanation import Explanation
from balr_hf.scoring.trials import read_trials, trial_labels
from balr_hf.validation import validate

ONE_VOICE = ("aln_9163ea-00", "aln_9163ea-01")
TWO_VOICES = ("aln_9163ea-00", "aln_31f8eb-00")
FOLDER = Path("demo")


def conclude(title: str, explanation: Explanation, page: Path) -> None:
    """Print what a comparison comes to, how sure that is and what limits it, and write the report page."""
    print(f"\n--- {title}: {' and '.join(name for name, _ in explanation.describe_sides())} ---")
    print(explanation.describe_verdict())
    figures = explanation.describe_figures() if explanation.has_verdict else [explanation.describe_doubtful()]
    print(f"  {'   '.join(figures)}")
    if explanation.describe_interval() is not None:
        print(f"  {explanation.describe_interval()}")
    for caution in explanation.cautions:
        print(f"  Limit: {caution}")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(explanation.to_html(), encoding="utf-8")
    print(f"  Report: {page.resolve()}")


def main() -> None:
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    compare = transformers.pipeline("speaker-comparison", str(resource(SYSTEM)))
    system, voices = compare.model, resource(VOICES)

    corpus = load_corpus(voices / "metadata.csv")
    print(f"1. Corpus: {len(corpus)} recordings of {len(set(corpus['speaker']))} people ({voices})")
    corpus = system.embedder.extract_embeddings(corpus)
    print(f"2. Embeddings: {system.embedder.config.embed_dim} numbers for each recording")
    corpus = system.autoencoder.get_binary_attributes(corpus)
    print(f"3. Binary attributes: {system.scorer.config.num_attributes} bits for each recording")
    trials = read_trials(voices / "trials.csv")
    people = system.scorer.config.num_reference_speakers
    print(f"4. Likelihood ratios of {len(trials)} pairs of recordings; reference population: {people} other people")
    labels = trial_labels(corpus, trials)
    # The people may be among those of the calibration, which is said below.
    found = validate(system, corpus, trials, corpus=voices.name, draws=200, allow_overlap=True)

    print(f"\nOf the pairs, {labels.sum()} are of one speaker and {(~labels).sum()} of two.")
    print(f"  median LLR, one speaker:  {np.median(found.llrs[labels]):+6.1f}")
    print(f"  median LLR, two speakers: {np.median(found.llrs[~labels]):+6.1f}")
    print(found.evaluation.describe())
    known = system.scorer.known_speakers(corpus["speaker"], "calibration")
    if known:
        print(
            f"  Limit: {len(known)} of the people are among those of the calibration ({', '.join(known)}), so that\n"
            "  these figures are better than those of people whom the system does not know."
        )

    audio = dict(zip(corpus["id"], corpus["audio"], strict=True))
    speaker = dict(zip(corpus["id"], corpus["speaker"], strict=True))
    for title, pair, page in (
        ("One speaker", ONE_VOICE, "one-speaker.html"),
        ("Two speakers", TWO_VOICES, "two-speakers.html"),
    ):
        result = compare(*(audio[name] for name in pair), names=pair, return_explanation=True)
        explanation = result["explanation"]
        both = {speaker[name] for name in pair} & {*known}
        if both:
            names = " and ".join(sorted(both))
            explanation.remarks += (
                f"The calibration was fitted to recordings of {names} too: this does not show how the system does on "
                "people whom it does not know.",
            )
        conclude(title, explanation, FOLDER / page)
    print("\nThe models are small, and here to show the method: they are not for casework.")


if __name__ == "__main__":
    main()

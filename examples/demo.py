"""Go from recordings to likelihood ratios with what ships with the package: `make demo`.

Extracts the embeddings of the synthetic sample corpus, turns them into binary attributes, scores all pairs of the test
voices, and explains two comparisons. Everything runs offline; nothing is written.
"""

import datasets
import numpy as np
import transformers

from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel, compute_metrics, load_corpus, load_scorer
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SAMPLE_CORPUS, SCORER, resource
from balr_hf.scoring.modeling_scorer import Scorer
from balr_hf.scoring.trials import Trials, read_trials, score_trials, side_counts, side_embeddings, trial_labels


def explain(title: str, scorer: Scorer, counts: np.ndarray, trials: Trials, trial: int) -> None:
    """Print one comparison and the attributes that weigh most in it."""
    explanation = scorer.explain(counts[trials.enroll[trial]], counts[trials.test[trial]], names=trials.rows[trial])
    print(f"\n--- {title} ---\n{explanation.to_text(top=3)}")


def main() -> None:
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    sample = resource(SAMPLE_CORPUS)
    print(f"1. Corpus: 64 recordings of 8 synthetic voices ({sample / 'test.csv'})")
    corpus = load_corpus(sample / "test.csv")
    print("2. Embeddings: 256 numbers per recording")
    corpus = WespeakerModel.from_pretrained(resource(EMBEDDER)).extract_embeddings(corpus)
    print("3. Binary attributes: 512 bits per recording")
    corpus = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER)).get_binary_attributes(corpus)
    scorer = load_scorer(resource(SCORER))
    trials = read_trials(sample / "trials.csv")
    print(
        f"4. Likelihood ratios of {len(trials)} pairs; reference: {scorer.config.num_reference_speakers} real speakers"
    )
    counts, labels = side_counts(corpus, trials.sides), trial_labels(corpus, trials)
    scores = score_trials(scorer, counts, trials, calibrated=True)
    metrics = compute_metrics(scores, labels)
    sides = side_embeddings(corpus, trials.sides)
    cosine = compute_metrics((sides[trials.enroll] * sides[trials.test]).sum(1), labels)

    print(f"\nResult: of the pairs, {labels.sum()} are of one voice and {(~labels).sum()} of two.")
    print(f"  median LLR, one voice:  {np.median(scores[labels]):+7.1f}")
    print(f"  median LLR, two voices: {np.median(scores[~labels]):+7.1f}")
    print(f"  equal error rate by binary attributes:     {metrics['eer']:.1%}")
    print(f"  equal error rate by cosine of embeddings:  {cosine['eer']:.1%}")
    print(f"  Cllr, calibrated on real English speech:   {metrics['cllr']:.2f} (at least {metrics['cllr_min']:.2f})")
    explain("One voice", scorer, counts, trials, int(np.flatnonzero(labels)[0]))
    explain("Two voices", scorer, counts, trials, int(np.flatnonzero(~labels)[0]))
    print(
        "\nThe voices are synthetic, the models are small, and the calibration is of other speech: this demonstration"
        "\nshows how the parts work together, not how well they work."
    )


if __name__ == "__main__":
    main()

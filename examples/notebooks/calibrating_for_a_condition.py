# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Calibrating for a condition
#
# A calibration is good for recordings like its own. Here, the recordings of a case come over a noisy telephone, while
# the calibration that ships with the package is of clean wide-band speech. What is it worth, and what helps?
#
# The voices are synthetic and the models small, so that the figures say nothing about real speech.

# %%
import datasets
import matplotlib.pyplot as plt

from balr_hf import SpeakerComparisonModel, load_corpus
from balr_hf.audio import SAMPLING_RATE
from balr_hf.conditions import Condition
from balr_hf.conditions.corpus import degrade_corpus
from balr_hf.defaults import SAMPLE_CORPUS, SYSTEM, resource
from balr_hf.evaluation import Evaluation
from balr_hf.scoring.made_trials import make_trials
from balr_hf.scoring.trials import score_trials, side_counts, side_speakers

system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
scorer = system.scorer
recordings = load_corpus(resource(SAMPLE_CORPUS) / "metadata.csv")

# %% [markdown]
# ## Two sets of speakers in two conditions
#
# Eight voices are for the calibration and eight others for the test. Each recording is there as it is, and brought to
# the condition.

# %%
condition = Condition.parse("snr=5,band=telephone")


def with_attributes(corpus, condition=None):
    if condition is not None:
        speaker = dict(zip(corpus["id"], corpus["speaker"], strict=True))
        rows = [
            {"id": name, "speaker": speaker[name], "audio": {"array": samples, "sampling_rate": SAMPLING_RATE}}
            for name, samples in degrade_corpus(corpus, condition)
        ]
        corpus = load_corpus(datasets.Dataset.from_list(rows))
    return system.autoencoder.get_binary_attributes(system.embedder.extract_embeddings(corpus))


for_calibration = recordings.select([row for row in range(64, 128) if row % 8 < 5])
for_test = recordings.select([row for row in range(128, 192) if row % 8 < 5])
clean, noisy = with_attributes(for_calibration), with_attributes(for_calibration, condition)
test = with_attributes(for_test, condition)
print(f"{len(set(clean['speaker']))} voices to calibrate on, {len(set(test['speaker']))} to test with")
print(f"condition: {condition}")


# %%
def trials_of(corpus):
    trials = make_trials(corpus)
    speakers = side_speakers(corpus, trials.sides)
    return trials, side_counts(corpus, trials.sides), speakers[trials.enroll], speakers[trials.test]


def calibrate(corpus):
    trials, counts, first, second = trials_of(corpus)
    scorer.calibrate(counts, counts, first == second, trials=trials, enroll_speakers=first, test_speakers=second)


def evaluate():
    trials, counts, first, second = trials_of(test)
    llrs = score_trials(scorer, counts, trials, calibrated=True)
    return llrs, first == second, Evaluation.of(llrs, first == second, (first, second), resamples=200)


# %% [markdown]
# ## Three calibrations, tested over the telephone
#
# A Cllr of 1 is as good as saying nothing. Above 1, the likelihood ratios mislead more than they help. The equal error
# rate and the least Cllr are the same each time, because these calibrations cannot reorder trials: they do not make
# voices easier to tell apart, but they decide whether the numbers mean what they say.

# %%
found = {"shipped, wide-band": evaluate()}
calibrate(clean)
found["synthetic voices, clean"] = evaluate()
calibrate(noisy)
found["synthetic voices, noisy telephone"] = evaluate()
for name, (llrs, labels, evaluation) in found.items():
    metrics = evaluation.metrics
    print(name)
    print(f"  EER {metrics['eer']:.0%}, Cllr {metrics['cllr']:.2f}, least Cllr {metrics['cllr_min']:.2f}")
    print(f"  trials of two voices with an LR above 1: {(llrs[~labels] > 0).mean():.0%}")

# %% [markdown]
# The distributions show why: what is alike on both sides, noise and telephone, makes voices alike. The line is
# LR = 1. A calibration on such recordings moves both distributions to where they belong.

# %%
figure, panels = plt.subplots(1, 2, figsize=(8, 2.8), dpi=72, sharey=True)
for axes, name in zip(panels, list(found)[1:], strict=True):
    llrs, labels, _ = found[name]
    axes.hist([llrs[~labels], llrs[labels]], bins=25, density=True, label=["two voices", "one voice"])
    axes.axvline(0, color="black", linewidth=1)
    axes.set(title=name, xlabel="log-likelihood ratio (ln)")
panels[0].legend()
figure.tight_layout()

# %% [markdown]
# For a real case, `balr explain --match` brings a calibration corpus to the conditions of both sides by itself, and
# `--method quality` fits one calibration for many conditions. Both are described in
# [Recording conditions](../../docs/conditions.md). A filter is not a telephone: calls get a verdict only by a
# calibration on real calls.

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
# # Reading a validation report
#
# Before a likelihood ratio is said in a case, the system that computes it is validated on recordings like those of the
# case, of speakers whom it does not know. `balr validate` writes the report as a page. This notebook makes the same
# report in Python, and reads it from the top: the order in which to believe or doubt a system.
#
# The system and its calibration are those that ship with the package (speech of people), and the voices are synthetic.
# A calibration of other speech is a good example of what a report must not hide.

# %%
import matplotlib.pyplot as plt
import numpy as np

from balr_hf import SpeakerComparisonModel, load_corpus
from balr_hf.attributes.binarization import compute_binary_attributes
from balr_hf.defaults import SAMPLE_CORPUS, SYSTEM, resource
from balr_hf.embeddings.extraction import compute_embeddings
from balr_hf.scoring.made_trials import make_trials
from balr_hf.validation import validate
from balr_hf.validation.adequacy import parse_thresholds

system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
corpus = load_corpus(resource(SAMPLE_CORPUS) / "metadata.csv").select(range(0, 64, 2))
corpus, _ = compute_embeddings(system.embedder, corpus)
corpus, _ = compute_binary_attributes(system.autoencoder, corpus)

# %% [markdown]
# ## 1. What was demanded, before anything was computed
#
# Thresholds are stated first. No program knows what is good enough for a court.

# %%
thresholds = parse_thresholds("cllr=0.5,eer=0.2")
report = validate(system, corpus, make_trials(corpus), thresholds=thresholds, draws=200)
print(report.describe_adequacy())
for criterion in report.adequacy:
    print(" ", criterion.describe())

# %% [markdown]
# ## 2. What it rests on
#
# The number of speakers decides how much can be concluded, not the number of trials: all trials of a speaker share one
# voice. The cautions come before the figures.

# %%
print(report.describe_trials())
for caution in report.cautions:
    print("-", caution)

# %% [markdown]
# ## 3. The figures, each with its interval
#
# Cllr is what the likelihood ratios cost. Its least value (Cllr_min) is what any calibration would leave, and the rest
# is lost by this calibration and its bounds. Where the rest is large, calibrate on speech like that of the case, of
# more speakers. Where the least value is large, the system cannot tell these voices apart, and no calibration helps.

# %%
metrics, intervals = report.evaluation.metrics, report.evaluation.intervals
for name in ("eer", "cllr", "cllr_min"):
    low, high = intervals[name]
    print(f"{name:8} {metrics[name]:.3f} ({low:.3f} to {high:.3f})")
print(f"lost by calibration and its bounds: {metrics['cllr'] - metrics['cllr_min']:.3f}")

# %% [markdown]
# ## 4. Where it does harm
#
# One good figure for all trials can hide a condition in which the system misleads. Look at each part, and at how few
# trials some of them have.

# %%
for factor in report.varying:
    for part in factor.parts:
        few = " (few)" if part.is_few else ""
        cllr = "-" if part.cllr is None else f"{part.cllr:.2f}"
        print(f"{factor.name}: {factor.describe(part)}: Cllr {cllr}, {part.evaluation.trials} trials{few}")

# %% [markdown]
# ## 5. The trials that mislead most
#
# Listen to these first. A wrong label looks like this too.

# %%
for trial in [trial for trial in report.worst if not trial.same][:2]:
    print(f"{trial.sides[0]} and {trial.sides[1]}, two speakers: LR {trial.describe_ratio()}")

# %% [markdown]
# A Tippett plot has all trials. At LR = 1 (the line) both curves should be far down: the rising one is the share of
# trials of one speaker with at most this LR, and the falling one that of trials of two speakers with more.

# %%
figure, axes = plt.subplots(figsize=(5, 3), dpi=72)
for name, llrs in (("one speaker", report.llrs[report.labels]), ("two speakers", report.llrs[~report.labels])):
    share = np.arange(1, len(llrs) + 1) / len(llrs)
    axes.step(np.sort(llrs), share if name == "one speaker" else 1 - share, label=name)
axes.axvline(0, color="black", linewidth=1)
axes.set(xlabel="log-likelihood ratio (ln)", ylabel="share of trials")
axes.legend()
figure.tight_layout()

# %% [markdown]
# `report.to_html()` is the page to file, and [Validate your system](../../docs/validation.md) says what else is in it.

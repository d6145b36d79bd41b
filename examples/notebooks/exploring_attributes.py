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
# # Exploring attributes
#
# What are the 512 binary attributes of a recording, and what do they say about a speaker? This notebook looks at them
# with the small demonstration system and the synthetic voices that ship with the package. Nothing is downloaded.

# %%
import matplotlib.pyplot as plt
import numpy as np

from balr_hf import SpeakerComparisonModel, load_corpus
from balr_hf.defaults import SAMPLE_CORPUS, SYSTEM, resource

system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))  # yours is a folder, or "me/system"
corpus = load_corpus(resource(SAMPLE_CORPUS) / "test.csv").select(range(0, 64, 2))
corpus = system.autoencoder.get_binary_attributes(system.embedder.extract_embeddings(corpus))

active = np.array(corpus["ba"])
speakers = np.array(corpus["speaker"])
print(f"{len(corpus)} recordings of {len(set(speakers))} voices, {active.shape[1]} attributes each")
print(f"active in a recording: {active.sum(1).min()} to {active.sum(1).max()}")

# %% [markdown]
# ## How common is an attribute, and how steady?
#
# An attribute that nearly every recording shows says little when two recordings share it. One that a speaker shows in
# one recording and not in the next says little as well. The scorer has learnt both from its reference population of
# real speakers: how often an attribute is active, and how much of its variation lies between speakers rather than
# within one (the steadiness).

# %%
common = system.scorer.activation.numpy()
steady = system.scorer.steadiness.numpy()
print(f"an attribute is active in {common.min():.0%} to {common.max():.0%} of the population's recordings")
for share in (0.25, 0.5, 0.75):
    print(f"{share:.0%} of the attributes have a steadiness of at most {np.quantile(steady, share):.2f}")

# %%
figure, axes = plt.subplots(figsize=(5, 3.2), dpi=72)
axes.scatter(common, steady, s=6)
axes.set_xlabel("share of recordings in which it is active")
axes.set_ylabel("steadiness")
figure.tight_layout()

# %% [markdown]
# ## What tells one voice from the others?
#
# These attributes are active in all recordings of one voice and in few of the others. They have no names: each is a
# feature that the network found, and not a property of voices that phonetics knows.

# %%
voice = "espeak17"
own, others = active[speakers == voice].mean(0), active[speakers != voice].mean(0)
for attribute in np.argsort(others - own, kind="stable")[:3]:
    print(f"attribute {attribute}: {own[attribute]:.0%} of {voice}'s, {others[attribute]:.0%} of the others'")

# %% [markdown]
# ## One comparison, term by term
#
# The log-likelihood ratio of two recordings is the sum of one term per attribute and of an offset, so that one can ask
# where it comes from: from a few attributes, or from many?

# %%
one, two = np.flatnonzero(speakers == voice)[:2]
counts = np.stack([active, ~active], axis=-1).astype(float)
terms = system.scorer.attribute_scores(counts[[one]], counts[[two]], calibrated=True)[0].numpy()
largest = np.sort(np.abs(terms))[::-1]
print(f"sum of the terms {terms.sum():+.2f}, offset {system.scorer.calibration_offset.item():+.2f}")
print(f"{(terms > 0).sum()} attributes for the same speaker, {(terms < 0).sum()} for different speakers")
print(f"the ten largest of {len(terms)} terms are {largest[:10].sum() / largest.sum():.0%} of all that is added up")

# %% [markdown]
# ## Why the sum has to be calibrated
#
# The sum would be the log-likelihood ratio if the attributes were independent. They are not: many of them go together,
# so that the sum counts the same thing more than once. A calibration on other speakers learns by how much.

# %%
varying = active[:, active.std(0) > 0]
correlations = np.corrcoef(varying.T.astype(float))
pairs = np.abs(correlations[np.triu_indices(varying.shape[1], k=1)])
print(f"pairs of attributes with a correlation above 0.5: {(pairs > 0.5).mean():.0%}")
print(f"weight of each term after calibration: {system.scorer.calibration_weights.mean().item():.2f}")

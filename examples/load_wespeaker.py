"""Load an embedder that WeSpeaker published, and compare voices by its embeddings.

    python examples/load_wespeaker.py
    python examples/load_wespeaker.py path/to/folder

The argument is a folder or a Hub repository with WeSpeaker's `avg_model.pt` and `config.yaml`. By default it is
Wespeaker/wespeaker-voxceleb-resnet34-LM, which is downloaded. Writes the folder `embedder`, which can be loaded with
`from_pretrained` of this package and of transformers.
"""

import sys

import numpy as np

from balr_hf import WespeakerModel, load_corpus
from balr_hf.data import vector_matrix
from balr_hf.defaults import SAMPLE_CORPUS, resource

source = sys.argv[1] if len(sys.argv) > 1 else "Wespeaker/wespeaker-voxceleb-resnet34-LM"

model = WespeakerModel.from_pretrained(source)
model.save_pretrained("embedder")
config = model.config
print(f"{source}: {model.num_parameters():,} parameters, {config.num_blocks} {config.block} blocks: embedder/")

corpus = load_corpus(resource(SAMPLE_CORPUS) / "test.csv").select(range(4, 12))  # two voices
embeddings = vector_matrix(model.extract_embeddings(corpus), "embedding")[0]
unit, speakers = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), np.array(corpus["speaker"])
a, b = np.triu_indices(len(unit), 1)
cosines, same = (unit[a] * unit[b]).sum(1), speakers[a] == speakers[b]
print(f"Embeddings of {config.embed_dim} values. Mean cosine: {cosines[same].mean():.2f} within a voice, ", end="")
print(f"{cosines[~same].mean():.2f} between two")

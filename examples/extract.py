"""Extract one speaker embedding from each recording of a corpus, and save the corpus with them.

    python examples/extract.py
    python examples/extract.py recordings.csv Wespeaker/wespeaker-voxceleb-resnet34-LM

The first argument is a csv, a folder, a saved Dataset, a parquet file or the id of a dataset on the Hub, and the
second is the folder or repository of an embedder. Without arguments the sample corpus and the embedder that ship with
the package are used. Writes the folder `embeddings`, a Dataset; if the script is stopped and started again, it
continues where it was.
"""

import sys

import numpy as np

from balr_hf import WespeakerModel, load_corpus
from balr_hf.data import vector_matrix
from balr_hf.defaults import EMBEDDER, SAMPLE_CORPUS, resource

source, embedder = sys.argv[1:] or (resource(SAMPLE_CORPUS) / "test.csv", resource(EMBEDDER))

model = WespeakerModel.from_pretrained(embedder)  # on a GPU: .to("cuda")
corpus = model.extract_embeddings(load_corpus(source), save_dir="embeddings")

embeddings, present = vector_matrix(corpus, "embedding")
print(f"{present.sum()} of {len(corpus)} recordings have an embedding of {embeddings.shape[1]} values: embeddings/")
if "speaker" in corpus.column_names:
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    speakers = np.array(corpus["speaker"])[present]
    a, b = np.triu_indices(min(len(unit), 1000), 1)
    cosines, same = (unit[a] * unit[b]).sum(1), speakers[a] == speakers[b]
    print(f"Mean cosine: {cosines[same].mean():.2f} within a speaker, {cosines[~same].mean():.2f} between two")

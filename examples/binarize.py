"""Turn the embeddings of a corpus into binary attributes, and save the corpus with them.

    python examples/binarize.py
    python examples/binarize.py embeddings runs/train/best

The first argument is a corpus with embeddings (examples/extract.py makes one), the second an autoencoder's folder or
repository. Without arguments the sample corpus and the models that ship with the package are used. Writes the folder
`attributes`, a Dataset; if the script is stopped and started again, it continues where it was.
"""

import sys

from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel, load_corpus
from balr_hf.data import vector_matrix
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SAMPLE_CORPUS, resource

if len(sys.argv) > 1:
    corpus, autoencoder = load_corpus(sys.argv[1]), sys.argv[2]
else:
    corpus, autoencoder = load_corpus(resource(SAMPLE_CORPUS) / "test.csv"), resource(AUTOENCODER)
    corpus = WespeakerModel.from_pretrained(resource(EMBEDDER)).extract_embeddings(corpus)

corpus = BinaryAttributeAutoEncoder.from_pretrained(autoencoder).get_binary_attributes(corpus, save_dir="attributes")

bits, present = vector_matrix(corpus, "ba")
constant = (bits.all(0) | ~bits.any(0)).sum()
print(f"{present.sum()} of {len(corpus)} recordings have {bits.shape[1]} binary attributes: attributes/")
print(f"{bits.mean():.0%} of them are active; {constant} are the same in all recordings")

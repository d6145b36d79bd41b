"""Push an embedder, an autoencoder, a scorer and a corpus to the Hub, each with its card.

    hf auth login
    python examples/push.py me

The argument is your name on the Hub, or your organisation's. The script pushes the small models and the sample corpus
that ship with the package, to private repositories, which it makes if they do not exist. `balr push` does the same
from the command line, and also pushes training runs.
"""

import sys

from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel, load_corpus, load_scorer, publish_corpus
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SAMPLE_CORPUS, SCORER, resource

(namespace,) = sys.argv[1:]
embedder, autoencoder, scorer, corpus = (
    f"{namespace}/balr-{name}" for name in ("embedder", "attributes", "scorer", "corpus")
)

model = WespeakerModel.from_pretrained(resource(EMBEDDER))
print(model.push_to_hub(embedder, private=True, license="mit").commit_url)

model = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
print(model.push_to_hub(autoencoder, private=True, license="mit", embedder=embedder).commit_url)

model = load_scorer(resource(SCORER))
print(model.push_to_hub(scorer, private=True, license="mit", embedder=embedder, autoencoder=autoencoder).commit_url)

dataset = load_corpus(resource(SAMPLE_CORPUS) / "test.csv")
print(publish_corpus(dataset, corpus, split="test", private=True, license="mit").commit_url)

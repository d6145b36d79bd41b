"""Convert an autoencoder of BALR 2.0 to a folder that `from_pretrained` reads.

    python examples/convert_balr.py BAE_mse.pt models/bae-mse

The folder can then be used like that of any autoencoder:
`balr binarize corpus.csv encoder.model.checkpoint_path=models/bae-mse`. BALR's own autoencoder was trained on
embeddings of waveforms that were not scaled as WeSpeaker scales them, so extract with
`embeddings.model.features.waveform_scale=1`.
"""

import sys

import torch

from balr_hf import BinaryAttributeAutoEncoder

checkpoint, target = sys.argv[1:]

original = BinaryAttributeAutoEncoder.from_upstream(checkpoint)
original.save_pretrained(target)

converted = BinaryAttributeAutoEncoder.from_pretrained(target).eval()
embeddings = torch.randn(1000, converted.config.input_dim)
same = (original.encode(embeddings) == converted.encode(embeddings)).float().mean()
print(f"{target}: {converted.config.input_dim} values -> {converted.config.internal_dim} attributes")
print(f"{same:.0%} of the attributes of 1,000 random embeddings are the same before and after")

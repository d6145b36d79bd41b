"""balr_hf: explainable speaker comparison with binary attributes, on Hugging Face Accelerate and datasets.

A recording goes in, a likelihood ratio that can be read attribute by attribute comes out:

    audio -> WespeakerModel -> embedding -> BinaryAttributeAutoEncoder -> ba -> scorer -> log-likelihood ratio

The public names stand in `__init__.pyi`, for editors and for this file: each is loaded on first use (PEP 562), so
`import balr_hf` itself imports neither torch nor transformers. It teaches transformers our models and pipelines as
soon as transformers is imported: see `balr_hf.registration`.
"""

import lazy_loader

from balr_hf import registration

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

registration.install()

"""balr_hf: explainable speaker comparison with binary attributes, on Hugging Face Accelerate and datasets.

Recordings go in, and a likelihood ratio comes out that can be read attribute by attribute:

    audio -> WespeakerModel -> embedding -> BinaryAttributeAutoEncoder -> ba -> scorer -> log-likelihood ratio

The public names are listed in `__init__.pyi`, for editors and for this file. Each is loaded on first use (PEP 562), so
that `import balr_hf` itself imports neither torch nor transformers. As soon as transformers is imported, it learns of
our models and pipelines: see `balr_hf.registration`.
"""

import lazy_loader

from balr_hf import registration

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

registration.install()

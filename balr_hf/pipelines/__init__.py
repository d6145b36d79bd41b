"""Two tasks for `transformers.pipeline`: `speaker-comparison` and `binary-attributes`.

import balr_hf
from transformers import pipeline

compare = pipeline("speaker-comparison")  # the small models of the package; name your own for real work
compare("questioned.wav", "known.wav")["calibrated_llr"]
"""

from transformers import AutoModel
from transformers.pipelines import PIPELINE_REGISTRY

from balr_hf.defaults import SYSTEM, resource
from balr_hf.errors import UserError
from balr_hf.pipelines.binary_attributes import BinaryAttributesPipeline
from balr_hf.pipelines.speaker_comparison import SpeakerComparisonPipeline

__all__ = ["BinaryAttributesPipeline", "SpeakerComparisonPipeline"]


def _register() -> None:
    try:
        default = {"model": (str(resource(SYSTEM)), "main")}
    except UserError:  # an installation without its resources can still load others
        default = None
    for task, cls in (
        ("binary-attributes", BinaryAttributesPipeline),
        ("speaker-comparison", SpeakerComparisonPipeline),
    ):
        PIPELINE_REGISTRY.register_pipeline(task, cls, pt_model=AutoModel, default=default, type="audio")


_register()

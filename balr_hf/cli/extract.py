"""`balr extract`: audio -> embeddings."""

import dataclasses
import logging
from dataclasses import dataclass

from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.sections import DATA, EMBEDDER, FEATURES, StepOptions
from balr_hf.options import option

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options(StepOptions):
    """Options of `balr extract`."""

    input: str = positional("input", "csv, folder of audio, audio file, saved Dataset, parquet or Hub dataset")
    num_proc: int = option(None, "processes; one a device by default", type=int, least=1)
    precision: str = option(
        "fp32",
        "fp32, tf32 (GPUs) or bf16: faster where the hardware has it, and a little off",
        type=str,
        among=("fp32", "tf32", "bf16"),
    )


COMMAND = Command(
    "extract",
    "Extract one speaker embedding from each recording. A run that was stopped goes on where it was.",
    Options,
    [FEATURES, EMBEDDER, DATA],
    epilog="""examples:
  balr extract recordings/
  balr extract --save-dir embeddings corpus.csv
  balr extract --device cuda corpus.csv embeddings.model.model_repo=Wespeaker/wespeaker-voxceleb-resnet34-LM""",
)


def run(arguments: Arguments) -> int:
    """Extract; returns the exit status."""
    from balr_hf.checkpoints import weights_digest
    from balr_hf.cli.steps import run_step
    from balr_hf.devices import resolve_devices

    devices = resolve_devices(arguments.device)
    model = load_embedder(arguments)
    data = arguments.section("data")

    def compute(dataset, save):
        from balr_hf.embeddings.extraction import extract_embeddings

        return extract_embeddings(
            model,
            dataset,
            batch_size=data.batch_size,
            devices=devices,
            num_proc=arguments.num_proc,
            decode_threads=data.num_workers if data.num_workers > 1 else None,
            precision=arguments.precision,
            save=save,
        )

    identity = f"{weights_digest(model)} {model.feature_extractor.to_json_string()}"
    if arguments.precision != "fp32":
        identity += f" {arguments.precision}"
    return run_step(arguments, "embedding", "audio", identity, compute)


def load_embedder(arguments: Arguments):
    """The embedder that the settings name, with the changes to its features."""
    from balr_hf import defaults
    from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel
    from balr_hf.errors import UserError

    settings = arguments.section("embeddings.model")
    source = settings.model_repo
    if source is None:
        source = defaults.resource(defaults.EMBEDDER)
        logger.info(
            "Embedder: the small demonstration model of the package. For real work: "
            "embeddings.model.model_repo=Wespeaker/wespeaker-voxceleb-resnet34-LM"
        )
    model = WespeakerModel.from_pretrained(
        source, model_name=settings.model_name, config_name=settings.config_name, cache_dir=settings.model_dir
    )
    changes = dataclasses.asdict(arguments.section("embeddings.model.features"))
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes:
        current = {n: getattr(model.feature_extractor, n) for n in ("sampling_rate", "normalize_mean")}
        current |= {n: getattr(model.feature_extractor, n) for n in dataclasses.asdict(FEATURES.arguments())}
        model.feature_extractor = WespeakerFeatureExtractor(**{**current, **changes})
    if model.feature_extractor.num_mel_bins != model.config.feat_dim:
        raise UserError(
            f"features of {model.feature_extractor.num_mel_bins} mel bins, but the embedder takes "
            f"{model.config.feat_dim}"
        )
    return model

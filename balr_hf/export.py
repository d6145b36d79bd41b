"""From audio to embeddings and binary attributes in one ONNX file, which onnxruntime runs without this package."""

import copy
import importlib
import io
import logging
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from balr_hf._version import __version__
from balr_hf.attributes.binarization import mismatch
from balr_hf.audio import load_audio
from balr_hf.defaults import SAMPLE_CORPUS, resource
from balr_hf.embeddings.configuration_wespeaker import MIN_FRAMES
from balr_hf.embeddings.feature_extraction_wespeaker import LOG_FLOOR, PREEMPHASIS, WespeakerFeatureExtractor
from balr_hf.embeddings.passes import embed_waveforms
from balr_hf.errors import MismatchError, UserError, reason_of
from balr_hf.files import changed_folder, write_json
from balr_hf.hub.cards import card_text
from balr_hf.identity import is_demonstration, model_identity, wrong_parts

if TYPE_CHECKING:
    import onnxruntime

    from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel

MODEL_FILE, CONFIG_FILE, CARD_FILE = "model.onnx", "config.json", "README.md"
# The roles of the models that are exported.
EXPORTED = ("embedder", "autoencoder")
INPUTS, OUTPUTS = ("waveforms", "lengths"), ("embedding", "attributes")
PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime")

# The largest difference between an exported embedding and the package's, over the root mean square of the latter's
# values, with which an export is kept. Rounding alone makes it about 0.00001.
TOLERANCE = 1e-4
# An attribute may only differ if what is compared with 0 is this close to it, over the root mean square of all.
CLOSE_TO_ZERO = 1e-3

# Where the exporter notes for each node which lines of code it comes from, with the paths of this machine.
STACK_TRACE = "pkg.torch.onnx.stack_trace"
# How many samples the exporter is told that a recording may have, two hours at 16 kHz; torch 2.10 and before need it.
MOST_SAMPLES = 2**27

# What the graph's node is called that fails for recordings that cannot be embedded; onnxruntime names it in its error.
REFUSAL = "REFUSED_a_length_is_below_{least}_or_above_the_number_of_samples_or_samples_are_not_finite"


class FilterBanks(nn.Module):
    """Computes the features of a [`WespeakerFeatureExtractor`] from a padded batch, in operations that ONNX has.

    All that the extractor does to a frame before the power spectrum is linear: it removes the mean, applies
    pre-emphasis, the window and the Fourier transform. So this multiplies frames by one matrix. It does so in double
    precision, since in single precision the large low frequencies of speech would leave rounding errors in the small
    high ones.

    Args:
        extractor ([`WespeakerFeatureExtractor`]): its parameters are taken.

    Raises:
        UserError: the extractor adds noise (dither).
    """

    spectrum: torch.Tensor
    mel: torch.Tensor

    def __init__(self, extractor: WespeakerFeatureExtractor):
        super().__init__()
        if extractor.dither:
            raise UserError(
                f"dither={extractor.dither}: an exported model adds no noise to recordings, and its embeddings would "
                "not be those of the package; set embeddings.model.features.dither=0"
            )
        self.window_samples = extractor.window_samples
        self.shift_samples = extractor.shift_samples
        self.normalize_mean = extractor.normalize_mean
        impulses = extractor.waveform_scale * np.eye(extractor.window_samples)
        impulses -= impulses.mean(1, keepdims=True)
        impulses -= PREEMPHASIS * np.concatenate([impulses[:, :1], impulses[:, :-1]], axis=1)
        spectrum = np.fft.rfft(impulses * extractor.window(), extractor.fft_length)
        spectrum = np.concatenate([spectrum.real, spectrum.imag], axis=1)
        self.register_buffer("spectrum", torch.from_numpy(spectrum), persistent=False)
        self.register_buffer("mel", torch.tensor(extractor.mel_filters(), dtype=torch.float32), persistent=False)

    def forward(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the features of a batch.

        Args:
            waveforms (`torch.FloatTensor` of shape `(batch, samples)`): samples in [-1, 1]; what lies beyond a
                recording's length has no effect.
            lengths (`torch.LongTensor` of shape `(batch,)`): how many samples of each recording are real.

        Returns:
            `(features, attention_mask)`: float32 of shape `(batch, frames, num_mel_bins)`, with zeros in the padding,
            and bool of shape `(batch, frames)`, true for real frames.
        """
        samples, device = waveforms.shape[1], waveforms.device
        count = (samples - self.window_samples) // self.shift_samples + 1
        starts = self.shift_samples * torch.arange(count, device=device)
        frames = waveforms[:, starts[:, None] + torch.arange(self.window_samples, device=device)]
        real, imaginary = (frames.double() @ self.spectrum).chunk(2, -1)
        power = (real.square() + imaginary.square()).float()
        features = (power @ self.mel).clamp(min=LOG_FLOOR).log()
        counts = (lengths - self.window_samples) // self.shift_samples + 1
        mask = torch.arange(count, device=device) < counts[:, None]
        if self.normalize_mean:
            means = torch.where(mask[..., None], features, 0.0).sum(1) / counts[:, None]
            features = features - means[:, None]
        return torch.where(mask[..., None], features, 0.0), mask


class AudioToAttributes(nn.Module):
    """An embedder and an autoencoder as one model, from waveforms to embeddings and binary attributes.

    A recording's results do not depend on its neighbours in the batch, nor on what it is padded with. This is what
    [`export_onnx`] exports; it computes the same in PyTorch, and works with `torch.export` too.

    Args:
        embedder ([`WespeakerModel`]): with its feature extractor; a copy of it is kept, in single precision.
        autoencoder ([`BinaryAttributeAutoEncoder`]): likewise.

    Raises:
        UserError: the autoencoder takes embeddings of another size, the features have noise added (dither), or the
            embedder is of an architecture outside the ResNet family, which cannot leave out padding.

    Example:
        >>> model = AudioToAttributes(embedder, autoencoder)
        >>> embedding, attributes = model(torch.randn(2, 32000), torch.tensor([32000, 20000]))
        >>> embedding.shape, attributes.shape
        (torch.Size([2, 256]), torch.Size([2, 512]))
    """

    usable: torch.Tensor

    def __init__(self, embedder: "WespeakerModel", autoencoder: "BinaryAttributeAutoEncoder"):
        super().__init__()
        if embedder.config.architecture is not None:
            raise UserError(
                f"{embedder.config.architecture} cannot be exported: its padding would change the embeddings. "
                "The embedders of the ResNet family can"
            )
        if autoencoder.config.input_dim != embedder.config.embed_dim:
            raise UserError(
                f"the embedder makes embeddings of {embedder.config.embed_dim} values, the autoencoder expects "
                f"{autoencoder.config.input_dim}: use the autoencoder trained for this embedder"
            )
        extractor = embedder.feature_extractor
        self.filter_banks = FilterBanks(extractor)
        self.embedder = embedder.for_inference().float().cpu().to(memory_format=torch.contiguous_format)
        self.autoencoder = copy.deepcopy(autoencoder).float().cpu().eval()
        self.least_samples = extractor.window_samples + (MIN_FRAMES - 1) * extractor.shift_samples
        self.register_buffer("usable", torch.tensor([True]), persistent=False)

    def forward(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embed and binarize a batch.

        Args:
            waveforms (`torch.FloatTensor` of shape `(batch, samples)`): samples in [-1, 1] at the sampling rate of
                the embedder's features; what lies beyond a recording's length has no effect.
            lengths (`torch.LongTensor` of shape `(batch,)`): how many samples of each recording are real, at least
                `least_samples`.

        Returns:
            `(embedding, attributes)`: float32 of shape `(batch, embed_dim)`, and bool of shape
            `(batch, internal_dim)`.

        Raises:
            IndexError: a length is too small or larger than the number of samples, or samples are not finite.
        """
        features, mask = self.filter_banks(waveforms, lengths)
        embedding = self.embedder(features, mask).embeddings
        has_length = (lengths >= self.least_samples) & (lengths <= waveforms.shape[1])
        embedding = torch.where(has_length[:, None], embedding, math.nan)
        # A graph cannot raise errors of its own, but to look for what is not in a table is an error.
        unusable = (~torch.isfinite(embedding).all(1)).long()
        usable = torch.index_select(self.usable, 0, unusable)
        return embedding, self.autoencoder.encode(embedding) & usable[:, None]


@dataclass(frozen=True)
class Agreement:
    """How well an exported graph agrees with the package's own results.

    Attributes:
        recordings: how many were compared.
        difference: the largest difference between values of embeddings, over the root mean square of the package's.
        attributes: how many attributes were compared.
        differing_attributes: how many of them differ.
    """

    recordings: int
    difference: float
    attributes: int
    differing_attributes: int


def export_onnx(
    embedder: "WespeakerModel",
    autoencoder: "BinaryAttributeAutoEncoder",
    path: str | Path,
    *,
    exist_ok: bool = False,
    allow_mismatch: bool = False,
) -> Agreement:
    """Export an embedder and an autoencoder as one ONNX graph, from audio to embedding and attributes.

    The folder gets `model.onnx` with all weights in it, `config.json`, which says what the inputs and outputs are and
    which models they come from, and a `README.md` with code. The graph includes the filter banks, with masks for the
    padding; batch and samples can have any size. Before the folder appears, onnxruntime runs the graph on generated
    signals of several lengths, and its results are compared with those of the models.

    Args:
        embedder ([`WespeakerModel`]): with its feature extractor.
        autoencoder ([`BinaryAttributeAutoEncoder`]): trained for this embedder.
        path: the folder, which is written whole or not at all.
        exist_ok (bool): also write if the folder exists: an export in it is replaced, and other files there stay.
        allow_mismatch (bool): export models that do not belong together; `config.json` says so.

    Returns:
        [`Agreement`]: what the comparison gave.

    Raises:
        UserError: the folder exists, onnxruntime or the exporter is not installed, the models cannot be exported (see
            [`AudioToAttributes`]), or the graph's results differ from the models'.
        MismatchError: the models do not belong together.

    Example:
        >>> export_onnx(embedder, autoencoder, "onnx")
    """
    folder = Path(path)
    if folder.exists() and not exist_ok:
        raise UserError(f"{folder} exists already: choose another folder, or exist_ok (--exist-ok) to write into it")
    versions = {"balr_hf": __version__, **_installed()}
    model = AudioToAttributes(embedder, autoencoder)
    extractor = embedder.feature_extractor
    wrong = wrong_parts(embedder, autoencoder) or _implausible(embedder, model.autoencoder)
    if wrong is not None and not allow_mismatch:
        raise MismatchError(wrong)
    identities = {"embedder": model_identity(embedder), "autoencoder": model_identity(autoencoder)}
    with changed_folder(folder) as temporary:
        opset = _write_graph(model, temporary / MODEL_FILE, {"sampling_rate": extractor.sampling_rate, **identities})
        try:
            agreement = compare_export(temporary / MODEL_FILE, embedder, model.autoencoder)
        except UserError as error:
            raise UserError(f"{error}. Nothing was written") from error
        facts = {
            **_signature(embedder.config.embed_dim, autoencoder.config.internal_dim),
            "sampling_rate": extractor.sampling_rate,
            "least_samples": model.least_samples,
            "features": {name: value for name, value in extractor.to_dict().items() if "version" not in name},
            "identities": identities,
            "mismatch": wrong,
            "demonstration": any(map(is_demonstration, (embedder, autoencoder))),
            "opset": opset,
            "versions": versions,
            "agreement": asdict(agreement),
        }
        write_json(temporary / CONFIG_FILE, facts)
        card = card_text("onnx.md.jinja", facts=facts, name=folder.absolute().name)
        (temporary / CARD_FILE).write_text(card, encoding="utf-8")
    return agreement


def compare_export(
    path: str | Path, embedder: "WespeakerModel", autoencoder: "BinaryAttributeAutoEncoder"
) -> Agreement:
    """Run an exported graph on generated signals, padded together, and compare it with the models.

    The models embed each recording alone, as [`WespeakerModel.extract_embeddings`] does.

    Args:
        path: `model.onnx`.
        embedder ([`WespeakerModel`]): the embedder that was exported.
        autoencoder ([`BinaryAttributeAutoEncoder`]): the autoencoder that was exported.

    Returns:
        [`Agreement`]

    Raises:
        UserError: the graph cannot be run, or its outputs have other sizes; embeddings differ by more than
            `TOLERANCE`, or attributes differ by more than rounding.
    """
    session = _session(path)
    extractor, cpu = embedder.feature_extractor, torch.device("cpu")
    reference = embedder.for_inference().float().cpu()
    encoder = copy.deepcopy(autoencoder.encoder[:-1]).float().cpu().eval()
    difference, attributes, differing, recordings, far = 0.0, 0, 0, 0, 0
    for waveforms, lengths in generated_batches(extractor):
        try:
            found, bits = session.run(list(OUTPUTS), {"waveforms": waveforms, "lengths": lengths})
        except Exception as error:  # of classes that onnxruntime does not name
            raise UserError(f"the exported graph cannot be run ({reason_of(error)})") from error
        alone = [row[:length] for row, length in zip(waveforms, lengths, strict=True)]
        expected = embed_waveforms(reference, extractor, alone, cpu)
        with torch.inference_mode():
            latent = encoder(torch.from_numpy(expected)).numpy()
        if (found.shape, bits.shape) != (expected.shape, latent.shape):
            raise UserError(
                f"the exported graph does not compute what the models do: its embeddings and attributes are of the "
                f"shapes {found.shape} and {bits.shape}, and the models' of {expected.shape} and {latent.shape}"
            )
        wrong = np.abs(found - expected).max() / _root_mean_square(expected)
        difference = max(difference, float(wrong)) if np.isfinite(wrong) else math.inf
        differs = bits != (latent > 0)
        recordings, attributes, differing = recordings + len(bits), attributes + bits.size, differing + differs.sum()
        far += (differs & (np.abs(latent) > CLOSE_TO_ZERO * _root_mean_square(latent))).sum()
    if difference > TOLERANCE or far:
        raise UserError(
            f"the exported graph does not compute what the models do: embeddings differ by up to {difference:.2g} of "
            f"their root mean square (at most {TOLERANCE:g} is rounding), and {far} of {attributes} attributes differ "
            "by more than rounding"
        )
    return Agreement(recordings, difference, attributes, int(differing))


def exported_identities(path: str | Path) -> dict[str, str | None]:
    """The models that an exported graph says it was made of, by their role.

    Args:
        path: `model.onnx`.

    Raises:
        UserError: it is no graph that onnxruntime can load.
    """
    stated = _session(path).get_modelmeta().custom_metadata_map
    return {role: stated.get(role) for role in EXPORTED}


def _session(path: str | Path) -> "onnxruntime.InferenceSession":
    # Without it, onnxruntime 1.32 and later note events for their maker. It is read when onnxruntime is imported.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # of a damaged file, onnxruntime raises classes that it does not name
        raise UserError(f"{path} is damaged: onnxruntime cannot load it ({reason_of(error)})") from error


def generated_batches(extractor: WespeakerFeatureExtractor) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Make batches of signals like voices, of several sizes and lengths, the same at each call.

    Yields:
        `(waveforms, lengths)`: float32 of shape `(batch, samples)`, with noise as padding, and int64 of shape
        `(batch,)`, from the fewest samples that can be embedded to six seconds.
    """
    random, rate = np.random.default_rng(0), extractor.sampling_rate
    least = extractor.window_samples + (MIN_FRAMES - 1) * extractor.shift_samples
    for lengths in ([least], [6 * rate], [rate, least + 1], [4 * rate + 7, 2 * rate, rate // 2, 3 * rate + 1, least]):
        waveforms = random.normal(0, 0.1, (len(lengths), max(lengths)))
        for row, length in zip(waveforms, lengths, strict=True):
            row[:length] = _voice(length, rate, random)
        yield waveforms.astype(np.float32), np.array(lengths, dtype=np.int64)


def _voice(length: int, rate: int, random: np.random.Generator) -> np.ndarray:
    """Harmonics of a gliding pitch in syllables, over noise, with a stretch of digital silence in the middle."""
    time = np.arange(length) / rate
    pitch = random.uniform(90, 220) * (1 + 0.1 * np.sin(2 * np.pi * random.uniform(0.3, 1) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    slope = random.uniform(0.8, 1.6)
    harmonics = sum(np.sin(n * phase + random.uniform(0, 6)) / n**slope for n in range(1, 15))
    syllables = 0.5 + 0.5 * np.sin(2 * np.pi * random.uniform(2, 5) * time)
    signal = random.uniform(0.01, 0.2) * syllables * harmonics + random.normal(0, 0.002, length)
    if length > rate:
        signal[length // 2 : length // 2 + rate // 5] = 0
    return signal


def _signature(embed_dim: int, internal_dim: int) -> dict[str, dict[str, dict[str, Any]]]:
    """What goes into the graph and what comes out: types, shapes and meanings."""

    def described(dtype: str, shape: list[str | int], meaning: str) -> dict[str, Any]:
        return {"dtype": dtype, "shape": shape, "meaning": meaning}

    values = (
        described("float32", ["batch", "samples"], "recordings, from -1 to 1, each padded at its end with anything"),
        described("int64", ["batch"], "how many samples of each recording are real"),
        described("float32", ["batch", embed_dim], "speaker embeddings, not length-normalised"),
        described("bool", ["batch", internal_dim], "binary attributes"),
    )
    return {
        "inputs": dict(zip(INPUTS, values[:2], strict=True)),
        "outputs": dict(zip(OUTPUTS, values[2:], strict=True)),
    }


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _installed() -> dict[str, str]:
    """The versions of what an export needs.

    Raises:
        UserError: something is missing.
    """
    try:
        return {name: importlib.import_module(name).__version__ for name in PACKAGES}
    except ImportError as error:
        raise UserError(f'an export needs {error.name}, which is not installed: pip install "balr_hf[onnx]"') from None


def _implausible(embedder: "WespeakerModel", autoencoder: "BinaryAttributeAutoEncoder") -> str | None:
    """Tell whether an autoencoder that names no embedder cannot reconstruct embeddings of the sample's voices."""
    if autoencoder.config.embedder_identity is not None:
        return None
    extractor = embedder.feature_extractor
    voices = sorted(path for path in resource(SAMPLE_CORPUS).iterdir() if path.is_dir())
    files = [min(voice.glob("*.opus")) for voice in voices[::4]]
    waveforms = [load_audio(path, extractor.sampling_rate) for path in files]
    embeddings = embed_waveforms(embedder.for_inference().cpu(), extractor, waveforms, torch.device("cpu"))
    return mismatch(autoencoder, embeddings)


def _write_graph(model: AudioToAttributes, path: Path, metadata: dict[str, Any]) -> int:
    """Write a model as ONNX, weights included, and return the version of the operators."""
    batch = torch.export.Dim("batch", min=1)
    samples = torch.export.Dim("samples", min=model.least_samples, max=MOST_SAMPLES)
    lengths = torch.tensor([2, 3]) * model.least_samples
    waveforms = torch.zeros(2, 3 * model.least_samples)
    with _quiet():
        program = torch.onnx.export(
            model,
            (waveforms, lengths),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes={"waveforms": {0: batch, 1: samples}, "lengths": {0: batch}},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    from onnx_ir.traversal import RecursiveGraphIterator  # comes with onnxscript

    graph = program.model
    (refusal,) = (node for node in graph.graph if any(value and value.name == "usable" for value in node.inputs))
    refusal.name = REFUSAL.format(least=model.least_samples)
    for node in (*RecursiveGraphIterator(graph.graph), *chain.from_iterable(graph.functions.values())):
        node.metadata_props.pop(STACK_TRACE, None)
    graph.metadata_props.update({name: str(value) for name, value in metadata.items()})
    program.save(path, external_data=False)
    return graph.opset_imports[""]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says of itself from users, who can do nothing about it, and from programs."""
    logs = logging.getLogger("torch.onnx")
    level = logs.level
    logs.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logs.setLevel(level)

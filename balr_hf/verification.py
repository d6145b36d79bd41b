"""Whether models, vectors and results still belong together: all digests are computed again and compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.attributes.binarization import compute_binary_attributes
from balr_hf.checkpoints import resolve_checkpoint
from balr_hf.data.audio_behind import describe_replaced_audio
from balr_hf.data.columns import vector_matrix, vector_present
from balr_hf.data.origins import makers_of, mismatches, origins_of, outdated_attributes, sources_of
from balr_hf.data.quality import LATER, known_quality
from balr_hf.data.reading import read_corpus
from balr_hf.embeddings.extraction import compute_embeddings
from balr_hf.errors import UserError, name_some
from balr_hf.export import CONFIG_FILE, EXPORTED, MODEL_FILE, compare_export, exported_identities
from balr_hf.hub.publishing import load_model
from balr_hf.identity import (
    allowed_in_training,
    digest_of,
    file_digest,
    model_digest,
    model_identity,
    other_makers,
    shown,
)
from balr_hf.metrics import cllr, eer
from balr_hf.metrics.decisions import misleading_rates
from balr_hf.metrics.intervals import RATES
from balr_hf.metrics.tally import tally
from balr_hf.scoring.distinct_trials import distinct_pairs
from balr_hf.scoring.listed_ids import match_ids
from balr_hf.scoring.result_files import read_result
from balr_hf.scoring.trials import compact_side_counts, score_trials, trial_labels

if TYPE_CHECKING:
    import datasets

    from balr_hf.system.modeling_system import SpeakerComparisonModel

# How far a value of an embedding that is computed again may be from the stored one, over the embedding's root mean
# square: other processors and versions of libraries round differently.
TOLERANCE = 1e-3
# How far a score of a trial that is scored again may be from the stored one, absolute and relative, likewise.
SCORED = 1e-4
# How far a measure of a recording that is measured again may be from the stored one, likewise.
MEASURED = {"duration": 0.001, "net_speech": 0.1, "snr": 0.5, "bandwidth": 125.0, "level": 0.1, "peak": 0.5}
MEASURED |= {"clipping": 0.001, "tone_share": 0.002, "decay": 10.0}


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes:
        holds (bool, *optional*): whether it holds; None where that is not known.
        text (str): a sentence that says what was found.
    """

    holds: bool | None
    text: str

    def to_dict(self) -> dict[str, Any]:
        """The check as plain values."""
        return asdict(self)


def verify(path: str | Path, system: SpeakerComparisonModel | None = None, recompute: int = 10) -> list[Check]:
    """Check whether what lies at a path still belongs together.

    Args:
        path (str or Path): a folder of a model or of a system, a training run, the results of `balr score test`, an
            export to ONNX or its `model.onnx`, or a corpus with vectors, as [`load_corpus`] reads it.
        system ([`SpeakerComparisonModel`], *optional*): what vectors and results should come from.
        recompute (int): of how many recordings the vectors are computed again with the system, evenly spaced over a
            corpus.

    Returns:
        list of [`Check`].

    Raises:
        UserError: there is nothing at this path, or a model is damaged.
    """
    folder = Path(path)
    if folder.name == MODEL_FILE and folder.is_file():
        return list(_verify_export(folder.parent, system))
    if (folder / "metrics.json").is_file():
        return list(_verify_results(folder, system))
    if (folder / MODEL_FILE).is_file() and not (folder / "model.safetensors").is_file():
        return list(_verify_export(folder, system))
    if folder.is_dir() and any((folder / name).is_file() for name in ("config.json", "best/config.json")):
        return list(_verify_model(resolve_checkpoint(folder), system))
    return list(_verify_corpus(path, system, recompute))


def _verify_model(folder: Path, system: SpeakerComparisonModel | None) -> Iterator[Check]:
    model = load_model(folder)  # which checks weights, and that a calibration is that of its scorer
    role = str(model.role)
    yield Check(True, f"the {role} {shown(model_identity(model))} is whole: no weight is missing or out of its range")
    parts = {name: getattr(model, name) for name in ("embedder", "autoencoder", "scorer")} if role == "system" else {}
    for name, part in (parts or {role: model}).items():
        if parts:
            yield Check(True, f"its {name} is {shown(model_identity(part))}")
        for maker in ("embedder", "autoencoder"):
            known = getattr(part.config, f"{maker}_identity", None)
            if known is not None:
                yield _compare(f"the {name} was made for the {maker}", known, maker, parts or _parts(system))
        if role != "system" and name == "autoencoder" and (allowed := allowed_in_training(part)) is not None:
            yield Check(False, f"{allowed}, which was allowed")
        if name == "scorer" and part.is_calibrated:
            bound = part.config.calibration.get("scorer") is not None
            text = "the calibration is that of this scorer" if bound else "the calibration names no scorer"
            yield Check(True if bound else None, text)
            stated = part.config.calibration.get("digest") is not None
            text = (
                "as it was saved" if stated else "without a digest, so that whether it is as it was saved is unknown"
            )
            yield Check(True if stated else None, f"the calibration (its record and its tensors) is {text}")
    for detector in getattr(model, "detectors", {}).values():
        text = f"the {detector.kind.detector} is as it was saved, and made for the embedder"
        yield _compare(text, detector.embedder_identity, "embedder", parts)
    if role == "system" and model.config.mismatch is not None:
        yield Check(False, f"{model.config.mismatch}, which was allowed")


def _verify_export(folder: Path, system: SpeakerComparisonModel | None) -> Iterator[Check]:
    """Whether an ONNX graph is of the models that are named beside it, and computes what those of the system do."""
    try:
        facts = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        facts = None
    identities = facts.get("identities") if isinstance(facts, dict) else None
    if not isinstance(identities, Mapping) or not all(isinstance(identities.get(role), str) for role in EXPORTED):
        raise UserError(f"{folder / CONFIG_FILE} does not say which models {MODEL_FILE} comes from: balr export does")
    parts = _parts(system)
    compared = [_compare(f"the {role} in the graph is", identities[role], role, parts) for role in EXPORTED]
    yield from compared
    if facts.get("mismatch") is not None:
        yield Check(False, f"{facts['mismatch']}, which was allowed")
    if find_spec("onnxruntime") is None:
        yield Check(None, 'the graph was not run: that needs onnxruntime (pip install "balr_hf[onnx]")')
        return
    try:
        named = exported_identities(folder / MODEL_FILE)
        same = named == {role: identities[role] for role in EXPORTED}
        yield Check(same, f"{MODEL_FILE} and {CONFIG_FILE} name " + ("the same models" if same else "other models"))
        if system is None:
            yield Check(None, "what the graph computes was not compared: name the system it comes from (--system)")
        elif all(check.holds for check in compared):
            found = compare_export(folder / MODEL_FILE, system.embedder, system.autoencoder)
            yield Check(
                True,
                f"on {found.recordings} generated signals, the graph's embeddings differ from those of the system by "
                f"at most {found.difference:.1e} of their root mean square, and {found.differing_attributes} of "
                f"{found.attributes} attributes differ, by no more than rounding",
            )
    except UserError as error:
        yield Check(False, str(error))


def _verify_corpus(path: str | Path, system: SpeakerComparisonModel | None, recompute: int) -> Iterator[Check]:
    corpus = read_corpus(path)
    dataset = corpus.dataset
    for skipped in corpus.skipped:
        yield Check(False, f"{skipped.id}: {skipped.reason}")
    kinds = [kind for kind in ("embedding", "ba") if vector_present(dataset, kind).any()]
    if not kinds:
        raise UserError(f"{path} has no embeddings and no attributes to verify")
    for kind in kinds:
        yield from _verify_vectors(dataset, kind, system)
    outdated = outdated_attributes(dataset) if len(kinds) == 2 else None
    if len(kinds) == 2:
        yield Check(outdated is None, outdated or "the attributes are those of the embeddings beside them")
    for sentence in mismatches(dataset):
        yield Check(False, f"{sentence}, which was allowed")
    if system is not None and recompute:
        yield from _recomputed(dataset, system, recompute)


def _verify_vectors(dataset: datasets.Dataset, kind: str, system: SpeakerComparisonModel | None) -> Iterator[Check]:
    what, maker = {"embedding": ("embeddings", "embedder"), "ba": ("attributes", "autoencoder")}[kind]
    present, origins = vector_present(dataset, kind), origins_of(dataset, kind)
    unknown = [row for row in np.flatnonzero(present).tolist() if origins[row] is None]
    if unknown:
        names = name_some(dataset.select(unknown)["id"], 3)
        yield Check(None, f"{len(unknown)} of {present.sum()} {what} are of unknown origin, or were changed ({names})")
    makers = [name for name in makers_of(dataset, kind) if name]
    wrong = other_makers(makers, None, what, maker)
    if wrong is not None:
        yield Check(False, wrong)
    for identity in makers if wrong is None else ():
        yield _compare(
            f"{present.sum() - len(unknown)} {what} were made by the {maker}", identity, maker, _parts(system)
        )
    alone = kind == "ba" and not vector_present(dataset, "embedding").any()
    if alone and "audio" in dataset.column_names:
        replaced = describe_replaced_audio(dataset, thorough=True, kinds=("ba",))
        if replaced is not None:
            yield Check(False, replaced)
    if kind == "embedding" and "audio" in dataset.column_names:
        known = [row for row in np.flatnonzero(present).tolist() if origins[row] is not None]
        by_time = [row for row in known if str(origins[row].source).startswith("stat:")]  # type: ignore[union-attr]
        stale: list[int] = []
        for rows, quick in ((sorted({*known} - {*by_time}), False), (by_time, True)):
            sources = sources_of(dataset, "audio", rows, quick) if rows else []
            stale += [r for r, now in zip(rows, sources, strict=True) if now != origins[r].source]  # type: ignore[union-attr]
        if known:
            names = name_some(dataset.select(stale)["id"], 3)
            text = f"the audio of {len(stale)} recordings is not what was embedded, or is gone ({names})"
            yield Check(not stale, text if stale else f"the audio of {len(known)} recordings is what was embedded")


def _recomputed(dataset: datasets.Dataset, system: SpeakerComparisonModel, count: int) -> Iterator[Check]:
    """Compute vectors again, and compare them with those that are there."""
    if "audio" in dataset.column_names and "embedding" in dataset.column_names:
        both = np.flatnonzero(vector_present(dataset, "audio") & vector_present(dataset, "embedding"))
        part = dataset.select(_spread(both, count))
        again, skipped = compute_embeddings(system.embedder, part, min_speech=0, force=True)
        for row in skipped:
            yield Check(False, f"{row.id} cannot be embedded again: {row.reason}")
        kept = np.flatnonzero(vector_present(again, "embedding"))
        if len(kept):
            old = vector_matrix(part.select(kept), "embedding")[0]
            new = vector_matrix(again.select(kept), "embedding")[0]
            if old.shape != new.shape:
                yield Check(
                    False, f"embeddings have {old.shape[1]} values, the system's embedder makes {new.shape[1]}"
                )
            else:
                scale = np.sqrt(np.square(new).mean(1, keepdims=True)).clip(min=1e-12)
                off = (np.abs(old - new) / scale).max()
                text = f"{len(kept)} embeddings computed again differ by at most {off:.1e} of their root mean square"
                yield Check(bool(off <= TOLERANCE), text)
        yield from _measured_again(known_quality(part), known_quality(again))
    if {"embedding", "ba"} <= set(dataset.column_names):
        both = np.flatnonzero(vector_present(dataset, "embedding") & vector_present(dataset, "ba"))
        part = dataset.select(_spread(both, count))
        if len(part) and vector_matrix(part, "embedding")[0].shape[1] == system.autoencoder.config.input_dim:
            again, _ = compute_binary_attributes(system.autoencoder, part, force=True, allow_mismatch=True)
            old, new = vector_matrix(part, "ba")[0], vector_matrix(again, "ba")[0]
            if old.shape != new.shape:
                yield Check(
                    False, f"there are {old.shape[1]} attributes, the system's autoencoder makes {new.shape[1]}"
                )
            else:
                differing = int((old != new).sum())
                text = f"of {len(part)} recordings' attributes computed again, {differing} of {old.size} differ"
                yield Check(differing == 0, text)


def _measured_again(before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> Iterator[Check]:
    """Compare what was measured of recordings with what is measured of them now."""
    both = [name for name in before if name in now]
    wrong = {
        name: [measure for measure in MEASURED if _differs(measure, before[name][measure], now[name][measure])]
        for name in both
    }
    told = [
        f"{name}: {measures[0]} {before[name][measures[0]]}, now {now[name][measures[0]]}"
        for name, measures in wrong.items()
        if measures
    ]
    if told:
        text = f"what was measured of {len(told)} of {len(both)} recordings is not what is measured now"
        yield Check(False, f"{text} ({name_some(told, 3)})")
    elif both:
        yield Check(True, f"what was measured of {len(both)} recordings is what is measured now")


def _differs(measure: str, before: float | None, now: float | None) -> bool:
    """Whether two values of a measure cannot be of one recording; what an earlier version did not measure can."""
    if before is None and measure in LATER:
        return False
    return before != now and (before is None or now is None or not abs(before - now) <= MEASURED[measure])


def _verify_results(folder: Path, system: SpeakerComparisonModel | None) -> Iterator[Check]:
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{folder / 'metrics.json'} is damaged ({error})") from error
    if not isinstance(metrics, dict):
        raise UserError(f"{folder / 'metrics.json'} is not from balr score test or balr validate")
    scores, known = folder / "scores.csv", metrics.get("scores_sha256")
    if not scores.is_file():
        yield Check(False, "scores.csv is missing")
    elif known is None:
        yield Check(None, "metrics.json does not say from which scores.csv it was computed")
    else:
        same = file_digest(scores) == known
        yield Check(same, f"scores.csv is {'the one' if same else 'not the one'} that the metrics were computed from")
    chain = metrics.get("chain") or {}
    for role in ("embedder", "autoencoder", "scorer"):
        if role in chain:
            yield _compare(f"the scores come from the {role}", chain[role], role, _parts(system))
        else:
            yield Check(None, f"it is not known which {role} the scores come from")
    for sentence in metrics.get("mismatch") or ():
        yield Check(False, f"{sentence} Scores were made all the same, as was allowed")
    name = (metrics.get("corpus") or {}).get("name")
    if name is None or not Path(name).exists():
        yield Check(None, f"the corpus {name} is not there, so its attributes were not looked at")
        return
    dataset = read_corpus(name, vectors=("ba",)).dataset
    yield _verify_figures(folder, metrics, dataset)
    makers = [maker for maker in makers_of(dataset, "ba") if maker]
    known = chain.get("autoencoder")
    if makers and known:
        same = {digest_of(maker) for maker in makers} == {digest_of(known)}
        text = "the autoencoder that the scores come from" if same else f"{name_some(map(shown, makers))} now"
        yield Check(same, f"the attributes of {name} are of {text}")
    if system is not None and digest_of(chain.get("scorer", "")) == model_digest(system.scorer):
        yield _scored_again(folder, dataset, system)


def _scored_again(folder: Path, dataset: datasets.Dataset, system: SpeakerComparisonModel) -> Check:
    """Whether the corpus still has the attributes that were scored: its recordings may have been replaced since."""
    if "ba" not in dataset.column_names:
        return Check(None, "no trial was scored again: the corpus has no attributes now")
    try:
        stated = read_result(str(folder))
        if "raw_scores" in stated.trials.header:
            stated = read_result(f"{folder}:raw_scores")
        trials = match_ids(dataset, stated.trials)
        again = score_trials(system.scorer, compact_side_counts(dataset, trials.sides), trials)
    except UserError as error:
        return Check(None, f"no trial was scored again ({error})")
    differing = int((~np.isclose(again, stated.scores, rtol=SCORED, atol=SCORED)).sum())
    text = f"of {len(trials)} trials scored again with the attributes that are there now, {differing} differ"
    return Check(differing == 0, text)


def _verify_figures(folder: Path, metrics: Mapping[str, Any], dataset: datasets.Dataset) -> Check:
    """Whether EER, Cllr and rates of misleading trials are those of the scores, whose digest does not cover them."""
    figures, unknown = "the figures in metrics.json", "were not computed again"
    stated = {name: metrics[name] for name in ("eer", "cllr") if metrics.get(name) is not None}
    validation = metrics.get("validation")
    misleading = validation.get("misleading") if isinstance(validation, Mapping) else None
    if isinstance(misleading, Mapping):
        stated |= {name: misleading[name] for name in RATES if misleading.get(name) is not None}
    if not stated:
        return Check(None, "metrics.json has no EER and no Cllr to be computed again")
    try:
        exact = read_result(str(folder))
        is_held = "unbounded_scores" in exact.trials.header
        reported = read_result(f"{folder}:scores") if is_held else exact
        trials = match_ids(dataset, exact.trials)
        same = trial_labels(dataset, trials)
        if same is None:
            return Check(None, f"{figures} {unknown}: the corpus does not name the speakers")
        # The file has all that is listed, and each pair of sides is evaluated once.
        once = next((one for one in distinct_pairs(dataset, trials) if len(one) == metrics.get("trials")), None)
        if once is None:
            return Check(None, f"{figures} {unknown}: of which trials they are is not known")
        values = {
            "eer": eer(exact.scores[once], same[once])[0],
            "cllr": cllr(reported.scores[once], same[once]),
            **dict(zip(RATES, misleading_rates(tally(reported.scores[once], same[once])), strict=True)),
        }
    except UserError as error:
        return Check(None, f"{figures} {unknown} ({error})")
    wrong = [
        f"{name} {json.dumps(value)[:20]}, where the scores give {values[name]:.6g}"
        for name, value in stated.items()
        if not _is_about(value, values[name])
    ]
    if wrong:
        return Check(False, f"metrics.json states {'; '.join(wrong)}")
    which = "EER, Cllr and rates of misleading trials" if set(RATES) & set(stated) else "EER and Cllr"
    return Check(True, f"{which} in metrics.json are those of scores.csv, computed again")


def _is_about(stated: Any, value: float) -> bool:
    """Whether a figure of a file is a value that was computed again, of scores that are rounded in their file."""
    return isinstance(stated, int | float) and abs(stated - value) <= 1e-4


def _compare(said: str, identity: str, role: str, parts: dict[str, Any]) -> Check:
    """Compare an identity with that of the model which has this role, if there is one."""
    if role not in parts:
        return Check(None, f"{said} {shown(identity)}, which is not here to be compared with")
    own = model_identity(parts[role])
    same = digest_of(own) == digest_of(identity)
    other = "" if same else f", where the {role} that is here is {shown(own)}"
    return Check(same, f"{said} {shown(identity)}{other}")


def _parts(system: SpeakerComparisonModel | None) -> dict[str, Any]:
    return {} if system is None else {name: getattr(system, name) for name in ("embedder", "autoencoder", "scorer")}


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    """At most so many of some rows, evenly spaced."""
    return (
        rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]
        if len(rows)
        else rows
    )

"""Uploading models, training runs, scorers and corpora to the Hub, each with its card."""

from __future__ import annotations

import json
import logging
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from huggingface_hub import CommitInfo, DatasetCard, DatasetCardData, HfApi, ModelCard, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers import PreTrainedModel

from balr_hf.checkpoints import resolve_checkpoint, weight_files
from balr_hf.errors import UserError, reason_of
from balr_hf.evaluation import Evaluation
from balr_hf.hub.card_writers import CardFacts
from balr_hf.hub.cards import MARK, model_card
from balr_hf.hub.dataset_card import dataset_card
from balr_hf.identity import digest_of, model_digest

if TYPE_CHECKING:
    import datasets
    from huggingface_hub import ModelCardData

logger = logging.getLogger(__name__)

# The files that are uploaded with a model: from its own folder, with the pictures that its README.md shows, and from
# the folder of the training run that it is in. Whatever else lies there may be anything.
EXTRA_FILES = ("calibration.json", "README.md")
PICTURES = ("*.png", "*.svg")
RUN_FILES = ("run.json", "history.json")

# Keywords of `PreTrainedModel.save_pretrained` that concern the files of the weights.
SAVING_KEYWORDS = ("state_dict", "max_shard_size", "variant", "save_peft_format", "save_original_format")

# What authors state of a model or corpus with a push.
STATED = ("license", "language", "pretty_name")

# The errors of the network, of the disk and of the Hub itself, and that of a name that the Hub cannot have. The errors
# of the HTTP client are found as a base of huggingface_hub's own, which has changed its client before.
HUB_ERRORS = (*HfHubHTTPError.__bases__, HFValidationError, EntryNotFoundError)
# Clients of the Hub. They raise ValueError and RuntimeError too, e.g. for a split that does not fit, and for an upload
# that broke off.
HUB_CLIENTS = ("huggingface_hub", "datasets")


def publish_model(
    source: PreTrainedModel | str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | bool | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    commit_description: str | None = None,
    create_pr: bool = False,
    **details: Any,
) -> CommitInfo:
    """Upload a model with its card, in one commit.

    Args:
        source (`PreTrainedModel`, str or `Path`): one of our models, the folder of a model or of a scorer, or the
            folder of a training run, which stands for its `best` model with the history and the curves of training.
        repo_id (str): the repository, `name/repository`, which is made if it does not exist.
        private (bool, *optional*): whether the repository is private if it is made.
        token (str, *optional*): a token of the Hub; by default the one that `hf auth login` stored, or `HF_TOKEN`.
        revision (str, *optional*): the branch to commit to, which is made if it does not exist.
        commit_message (str, *optional*): the first line of the commit's message, `Upload model` by default.
        commit_description (str, *optional*): the rest of the commit's message.
        create_pr (bool): whether to commit to a new pull request.
        **details: `max_shard_size`, `variant`, ... as for `PreTrainedModel.save_pretrained`, and the attributes of
            [`CardFacts`].

    Returns:
        `huggingface_hub.CommitInfo`

    Raises:
        UserError: there is no whole model, the results are those of another one, or the Hub refuses or cannot be
            reached.
    """
    api = HfApi(token=token)
    with tempfile.TemporaryDirectory() as temporary:
        prepared = Path(temporary)
        model: Any = prepare_model(source, prepared, repo_id, **details)
        with _reaching_hub(repo_id):
            repo_id = str(api.create_repo(repo_id, private=private, exist_ok=True).repo_id)
            _warn_if_public(api, repo_id, "model")
            _keep_authors_card(prepared, repo_id, revision, token)
            if revision is not None and not create_pr:
                api.create_branch(repo_id, branch=revision, exist_ok=True)
            return api.upload_folder(
                repo_id=repo_id,
                folder_path=prepared,
                commit_message=commit_message or "Upload model",
                commit_description=commit_description,
                revision=revision,
                create_pr=create_pr,
                # What an earlier push left would be loaded instead of these weights, or with this model.
                delete_patterns=[*weight_files(details.get("variant")), *model.files_beside],
            )


@contextmanager
def _reaching_hub(repo_id: str) -> Iterator[None]:
    """Turn errors on the way to the Hub into a `UserError`. All other errors are bugs, and pass unchanged.

    If an upload fails, nothing of it is visible on the Hub.
    """
    try:
        yield
    except Exception as error:
        if not _is_of_hub(error):
            raise
        raise UserError(f"cannot upload to {repo_id}: {reason_of(error)}") from error


def _warn_if_public(api: HfApi, repo_id: str, kind: str) -> None:
    """Say before the upload that anybody will be able to download it, and what that can mean for people in it."""
    if api.repo_info(repo_id, repo_type=kind).private:
        return
    what = (
        "all columns and the recordings themselves"
        if kind == "dataset"
        else "and a model can tell of the people that it was made with"
    )
    logger.warning(
        "%s is public: anybody can download what is uploaded, %s. A new repository becomes private with private=True "
        "(--private); one that is there, in its settings on the Hub",
        *(repo_id, what),
    )


def _is_of_hub(error: Exception) -> bool:
    """Whether an error is of the network, the disk or the Hub, or was raised inside of a client of the Hub."""
    if isinstance(error, HUB_ERRORS):
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_in = "" if trace is None else trace.tb_frame.f_globals.get("__name__", "")
    return isinstance(error, ValueError | RuntimeError) and raised_in.split(".")[0] in HUB_CLIENTS


def prepare_model(source: PreTrainedModel | str | Path, target: Path, repo_id: str, **details: Any) -> PreTrainedModel:
    """Write the files that [`publish_model`] uploads, including the card.

    Args:
        source (`PreTrainedModel`, str or `Path`): as for [`publish_model`].
        target (`Path`): the folder to write to, which has to exist.
        repo_id (str): the repository, as the card names it.
        **details: as for [`publish_model`]; `results` may be dicts as in `metrics.json`.

    Returns:
        the model.

    Raises:
        UserError: there is no whole model, or the results are those of another one.
    """
    if isinstance(source, PreTrainedModel):
        model = source
    else:
        model = load_model(source)
        _copy_extras(resolve_checkpoint(source), target)
    saving = {name: details.pop(name) for name in SAVING_KEYWORDS if name in details}
    facts = details
    facts["results"] = [
        found if isinstance(found, Evaluation) else Evaluation.from_dict(found) for found in facts.get("results") or ()
    ]
    _check_results(model, facts["results"])
    model.save_pretrained(target, **saving)
    history = target / "history.json"
    if history.is_file():
        facts["figures"] = _draw_curves(json.loads(history.read_text()), target)
    facts["descriptions"] = getattr(model, "descriptions", None)
    detectors = getattr(model, "detectors", {}).values()
    facts["detectors"] = [(detector.name, detector.file, detector.describe()) for detector in detectors]
    card, path = model_card(model.config, CardFacts(repo_id, **facts)), target / "README.md"
    if path.is_file() and MARK not in path.read_text(encoding="utf-8"):
        card = _with_results(ModelCard.load(path), card)
    card.save(path)
    return model


def load_model(source: str | Path) -> PreTrainedModel:
    """Load any of our models from a folder.

    Args:
        source (str or Path): the folder, or a training run.

    Raises:
        UserError: there is no model, it is none of ours, or it is damaged.
    """
    folder = resolve_checkpoint(source)
    if not (folder / "config.json").is_file():
        raise UserError(f"{source} holds no model: expected a folder with config.json, or a training run")
    from transformers import AutoModel

    try:
        model = AutoModel.from_pretrained(folder)
    except UserError:
        raise
    except (ValueError, OSError) as error:
        raise UserError(f"cannot load a model from {source}: {_unknown_kind(folder) or reason_of(error)}") from error
    if not hasattr(model, "role"):
        raise UserError(f"{source} holds a {type(model).__name__}, which is not a model of balr_hf")
    return model


def _unknown_kind(folder: Path) -> str | None:
    """What to do about a model of a type that transformers does not know; None if that is not what is wrong."""
    from transformers import CONFIG_MAPPING

    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (ValueError, OSError, LookupError, TypeError):
        return None
    if not isinstance(kind, str) or kind in CONFIG_MAPPING:
        return None
    return (
        f"its type {kind!r:.80} is not known here. A scorer of your own is known in Python as soon as its class is "
        "named by balr_hf.scoring.auto.scorer_class: then call its push_to_hub, or balr_hf.verification.verify"
    )


def _copy_extras(folder: Path, target: Path) -> None:
    for name in EXTRA_FILES:
        if (folder / name).is_file():
            shutil.copy(folder / name, target)
    card = target / "README.md"
    text = unquote(card.read_text(encoding="utf-8")) if card.is_file() else ""
    for path in (path for pattern in PICTURES for path in sorted(folder.glob(pattern))):
        if re.search(rf"(?<![\w.-]){re.escape(path.name)}", text):  # not a part of another name
            shutil.copy(path, target)
        else:
            logger.warning("Left out %s, which no README.md beside it shows", path)
    for name in RUN_FILES:
        if folder.name == "best" and (folder.parent / name).is_file():
            shutil.copy(folder.parent / name, target)


def _check_results(model: PreTrainedModel, results: Sequence[Evaluation]) -> None:
    """Refuse results of other models, or of these before they were fitted or calibrated again.

    Args:
        model: what is published: one model, or a whole system.
        results: of `balr score test`.
    """
    roles = ("embedder", "autoencoder", "scorer") if model.role == "system" else (str(model.role),)
    digests = {role: model_digest(getattr(model, role, model)) for role in roles}
    for found in results:
        for role, digest in digests.items():
            named = found.scorer_digest if role == "scorer" else digest_of((found.chain or {}).get(role, ""))
            if named and named != digest:
                raise UserError(
                    f"the results on {found.corpus_name} are of another {role}, or from before it was trained, "
                    "fitted or calibrated again: run balr score test with this one"
                )
        if found.mismatch:
            raise UserError(
                f"the results on {found.corpus_name} are of models that do not belong together: {found.mismatch[0]}"
            )


def _draw_curves(history: list[dict[str, float]], target: Path) -> dict[str, str]:
    """Draw the losses of a training run into the folder `target`; returns the captions of the files by their names."""
    from balr_hf.figures.style import save_figure
    from balr_hf.figures.training import curves

    save_figure(curves(history), target, "training_curves")
    (target / "training_curves.svg").unlink()  # the card shows the PNG file
    return {"training_curves.png": "Losses of training and validation by epoch"}


def _keep_authors_card(folder: Path, repo_id: str, revision: str | None, token: str | bool | None) -> None:
    """Replace our card in `folder` by the card on the Hub, with our results, if that card belongs to its author."""
    ours = ModelCard.load(folder / "README.md")
    if MARK not in ours.text:
        return
    try:
        path = hf_hub_download(repo_id, "README.md", revision=revision, token=token)
    except (EntryNotFoundError, RevisionNotFoundError, RepositoryNotFoundError):
        return
    theirs = ModelCard.load(path)
    if MARK not in theirs.text:
        _with_results(theirs, ours).save(folder / "README.md")


def _with_results(card: ModelCard, ours: ModelCard) -> ModelCard:
    """An author's card with our results and the licence that was stated, and with our metadata where it has none."""
    theirs, added = cast("ModelCardData", card.data), cast("ModelCardData", ours.data)
    _add_missing(card, ours)
    if added.eval_results:
        theirs.eval_results, theirs.model_name = added.eval_results, added.model_name
        theirs.metrics = added.metrics
    return card


def _add_missing(card: ModelCard | DatasetCard, ours: ModelCard | DatasetCard) -> None:
    """Add to an author's card our metadata where it has none, and what was stated with this push in any case."""
    for name, value in ours.data.to_dict().items():
        earlier = card.data.get(name)
        if name == "license" and earlier not in (None, value):
            logger.warning("The README stated the licence %s, its metadata now %s: check its text.", earlier, value)
        if name != "model-index" and (earlier is None or name in STATED):
            card.data[name] = value


def publish_corpus(
    dataset: datasets.Dataset,
    repo_id: str,
    *,
    split: str = "train",
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    license: str | None = None,
    language: str | Sequence[str] | None = None,
    pretty_name: str | None = None,
) -> CommitInfo:
    """Upload a corpus by `Dataset.push_to_hub`, including the audio itself, and write its card.

    The audio becomes a column of type `datasets.Audio` with the bytes of the files, which the Hub's viewer plays. Of
    the files' paths only the names are kept.

    Args:
        dataset (`datasets.Dataset`): a corpus.
        repo_id (str): the repository, `name/repository`, which is made if it does not exist.
        split (str): the name of the split that the corpus is uploaded as.
        private (bool, *optional*): whether the repository is private if it is made.
        token (str, *optional*): a token of the Hub; by default the one that `hf auth login` stored, or `HF_TOKEN`.
        revision (str, *optional*): the branch to commit to.
        commit_message (str, *optional*): the first line of the commit's message.
        license (str, *optional*): the Hub's name of the corpus's licence.
        language (str or sequence of str, *optional*): the codes (ISO 639, as `en`) of the languages that are spoken.
        pretty_name (str, *optional*): the corpus's name for readers, by default that of the repository.

    Returns:
        `huggingface_hub.CommitInfo`

    Raises:
        UserError: this is no Dataset, a recording cannot be read, or the Hub refuses or cannot be reached.
    """
    dataset = _playable(dataset)
    api = HfApi(token=token)
    with _reaching_hub(repo_id):
        repo_id = str(api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True).repo_id)
        _warn_if_public(api, repo_id, "dataset")
        info = dataset.push_to_hub(
            repo_id, split=split, private=private, token=token, revision=revision, commit_message=commit_message
        )
        earlier = DatasetCard.load(
            hf_hub_download(repo_id, "README.md", repo_type="dataset", revision=revision, token=token)
        )
        stated = {"license": license, "language": language, "pretty_name": pretty_name}
        before, card = str(earlier), _card_of_corpus(dataset, repo_id, earlier, split=split, **stated)
        if str(card) == before:
            return info
        return api.upload_file(
            path_or_fileobj=str(card).encode(),
            path_in_repo="README.md",
            repo_id=repo_id,
            repo_type="dataset",
            revision=revision,
            commit_message="Write the card",
        )


def prepare_corpus(
    dataset: datasets.Dataset,
    target: Path,
    repo_id: str,
    *,
    split: str = "train",
    license: str | None = None,
    language: str | Sequence[str] | None = None,
    pretty_name: str | None = None,
) -> None:
    """Write the card that [`publish_corpus`] uploads to a new repository. The Hub is not asked, and nothing is sent.

    What only the upload finds out is not in it: how many bytes the files have, and what they are called.

    Args:
        dataset (`datasets.Dataset`): a corpus.
        target (`Path`): the folder to write `README.md` to, which has to exist.
        repo_id (str): the repository, as the card names it.
        split, license, language, pretty_name: as for [`publish_corpus`].
    """
    from datasets.info import DatasetInfosDict
    from datasets.splits import SplitDict, SplitInfo

    dataset = _playable(dataset)
    info = dataset.info.copy()
    info.splits = SplitDict({split: SplitInfo(split, num_examples=len(dataset))})
    info.download_checksums = info.download_size = info.dataset_size = None
    metadata = DatasetCardData()
    DatasetInfosDict({"default": info}).to_dataset_card_data(metadata)
    written = DatasetCard(f"---\n{metadata.to_yaml()}\n---\n")
    stated = {"license": license, "language": language, "pretty_name": pretty_name}
    _card_of_corpus(dataset, repo_id, written, split=split, **stated).save(target / "README.md")


def _playable(dataset: datasets.Dataset) -> datasets.Dataset:
    """The corpus with its recordings as a column that the Hub's viewer plays.

    Raises:
        UserError: it is no corpus, or several.
    """
    import datasets

    if not isinstance(dataset, datasets.Dataset):
        hint = ": push each of its splits by itself, with split=" if isinstance(dataset, datasets.DatasetDict) else ""
        raise UserError(f"the corpus is of type {type(dataset).__name__}: expected one datasets.Dataset{hint}")
    return dataset.cast_column("audio", datasets.Audio()) if "audio" in dataset.column_names else dataset


def _card_of_corpus(dataset: datasets.Dataset, repo_id: str, earlier: DatasetCard, **stated: Any) -> DatasetCard:
    """The card to upload: ours, or that of an author (`earlier`) with our metadata where it has none."""
    card = dataset_card(dataset, repo_id, earlier, **stated)
    if earlier.text.strip() and MARK not in earlier.text:  # it belongs to its author
        _add_missing(earlier, card)
        return earlier
    return card

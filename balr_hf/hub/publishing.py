"""To the Hub: models, training runs, scorers and corpora, each with its card."""

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import CommitInfo, DatasetCard, HfApi, ModelCard, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers import PreTrainedModel

from balr_hf.checkpoints import resolve_checkpoint, weights_digest
from balr_hf.errors import UserError, reason_of
from balr_hf.evaluation import Evaluation
from balr_hf.hub.card_writers import CardFacts
from balr_hf.hub.cards import MARK, model_card
from balr_hf.hub.dataset_card import dataset_card

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)

# What goes along from a model's folder, and from the folder of the training run that it is in.
EXTRA_FILES = ("calibration.json", "README.md", "*.png", "*.svg")
RUN_FILES = ("run.json", "history.json")

# What goes wrong on the way to the Hub: on the network, on the disk, there, and with a name that cannot be there. The
# errors of the HTTP client, below huggingface_hub's own, are a base of these: it has changed clients.
HUB_ERRORS = (*HfHubHTTPError.__bases__, HFValidationError, EntryNotFoundError)
# The clients, which raise ValueError and RuntimeError too: a split that does not fit, an upload that broke off.
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
        source: one of our models, a model's or scorer's folder, or a training run (its `best` model, with its history
            and curves).
        repo_id (str): `name/repository`; made if there is none.
        private (bool, *optional*): whether a repository that is made is private.
        token (str, *optional*): by default what `hf auth login` or `HF_TOKEN` gave to `huggingface_hub`.
        revision (str, *optional*): the branch to commit to; made if there is none.
        commit_message, commit_description (str, *optional*)
        create_pr (bool): commit to a pull request.
        **details: `max_shard_size`, and what [`CardFacts`] has.

    Returns:
        `huggingface_hub.CommitInfo`

    Raises:
        UserError: there is no whole model, the results are those of another one, or the Hub refuses or cannot be
            reached.
    """
    api = HfApi(token=token)
    with tempfile.TemporaryDirectory() as temporary:
        prepared = Path(temporary)
        prepare_model(source, prepared, repo_id, **details)
        with _reaching_hub(repo_id):
            repo_id = str(api.create_repo(repo_id, private=private, exist_ok=True).repo_id)
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
            )


@contextmanager
def _reaching_hub(repo_id: str) -> Iterator[None]:
    """Raise a UserError for what can go wrong on the way to the Hub; other errors, which are bugs, pass.

    Nothing of an upload that fails is visible on the Hub.
    """
    try:
        yield
    except Exception as error:
        if not _is_of_hub(error):
            raise
        raise UserError(f"cannot upload to {repo_id}: {reason_of(error)}") from error


def _is_of_hub(error: Exception) -> bool:
    if isinstance(error, HUB_ERRORS):
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_in = "" if trace is None else trace.tb_frame.f_globals.get("__name__", "")
    return isinstance(error, ValueError | RuntimeError) and raised_in.split(".")[0] in HUB_CLIENTS


def prepare_model(
    source: PreTrainedModel | str | Path, target: Path, repo_id: str, max_shard_size: int | str = "50GB", **facts: Any
) -> None:
    """Write to the folder `target` what [`publish_model`] uploads, the card included."""
    if isinstance(source, PreTrainedModel):
        model = source
    else:
        model = _load(source)
        _copy_extras(resolve_checkpoint(source), target)
    facts["results"] = [
        found if isinstance(found, Evaluation) else Evaluation.from_dict(found) for found in facts.get("results") or ()
    ]
    if model.role == "scorer":
        _check_results(model, facts["results"])
    model.save_pretrained(target, max_shard_size=max_shard_size)
    history = target / "history.json"
    if history.is_file():
        facts["figures"] = _draw_curves(json.loads(history.read_text()), target)
    card, path = model_card(model.config, CardFacts(repo_id, **facts)), target / "README.md"
    if path.is_file() and MARK not in path.read_text(encoding="utf-8"):
        card = _with_results(ModelCard.load(path), card)
    card.save(path)


def _load(source: str | Path) -> PreTrainedModel:
    """Any of our models."""
    folder = resolve_checkpoint(source)
    if not (folder / "config.json").is_file():
        raise UserError(f"{source} holds no model: expected a folder with config.json, or a training run")
    from transformers import AutoModel

    try:
        model = AutoModel.from_pretrained(folder)
    except UserError:
        raise
    except (ValueError, OSError) as error:
        raise UserError(f"cannot load a model from {source}: {reason_of(error)}") from error
    if not hasattr(model, "role"):
        raise UserError(f"{source} holds a {type(model).__name__}, which is not a model of balr_hf")
    return model


def _copy_extras(folder: Path, target: Path) -> None:
    for pattern in EXTRA_FILES:
        for path in folder.glob(pattern):
            shutil.copy(path, target)
    for name in RUN_FILES:
        if folder.name == "best" and (folder.parent / name).is_file():
            shutil.copy(folder.parent / name, target)


def _check_results(scorer: PreTrainedModel, results: Sequence[Evaluation]) -> None:
    """Refuse figures that are those of another scorer, or of this one before it was calibrated."""
    digest = weights_digest(scorer)
    for found in results:
        if found.scorer_digest not in (None, digest):
            raise UserError(
                f"the results on {found.corpus_name} are of another scorer, or from before it was fitted or "
                "calibrated again: run balr score test with this one"
            )


def _draw_curves(history: list[dict], target: Path) -> dict[str, str]:
    from balr_hf.figures.style import save_figure
    from balr_hf.figures.training import curves

    save_figure(curves(history), target, "training_curves")
    (target / "training_curves.svg").unlink()  # the Hub shows the other
    return {"training_curves.png": "Losses of training and validation by epoch"}


def _keep_authors_card(folder: Path, repo_id: str, revision: str | None, token: str | bool | None) -> None:
    """A card on the Hub that somebody wrote, or changed and unmarked, keeps its text; results are added."""
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
    """An author's card with our metadata where it has none, and our results."""
    for name, value in ours.data.to_dict().items():
        if name == "model-index":
            continue
        if getattr(card.data, name, None) is None:
            setattr(card.data, name, value)
    if ours.data.eval_results:
        card.data.eval_results, card.data.model_name = ours.data.eval_results, ours.data.model_name
    return card


def publish_corpus(
    dataset: "datasets.Dataset",
    repo_id: str,
    *,
    split: str = "train",
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    license: str | None = None,
) -> CommitInfo:
    """Upload a corpus by `Dataset.push_to_hub`, with the audio itself, and write its card.

    Args:
        dataset (`datasets.Dataset`): a corpus.
        repo_id, private, token, revision, commit_message: as for [`publish_model`].
        split (str): the name of this part.
        license (str, *optional*): Hub's name of the corpus's licence.

    Returns:
        `huggingface_hub.CommitInfo`

    Raises:
        UserError: the Hub refuses or cannot be reached.
    """
    with _reaching_hub(repo_id):
        info = dataset.push_to_hub(
            repo_id, split=split, private=private, token=token, revision=revision, commit_message=commit_message
        )
        earlier = DatasetCard.load(
            hf_hub_download(repo_id, "README.md", repo_type="dataset", revision=revision, token=token)
        )
        if earlier.text.strip() and MARK not in earlier.text:
            return info
        return HfApi(token=token).upload_file(
            path_or_fileobj=str(dataset_card(dataset, repo_id, earlier, license)).encode(),
            path_in_repo="README.md",
            repo_id=repo_id,
            repo_type="dataset",
            revision=revision,
            commit_message="Write the card",
        )

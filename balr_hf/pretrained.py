"""What our models add to transformers' `PreTrainedModel`: checks when they are loaded, a card when they are pushed."""

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from balr_hf.checkpoints import check_weights, load_whole, weight_files

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo


@contextmanager
def evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode for a while, and then back into the mode that each of its parts was in."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


def _share_weights(folder: Path) -> None:
    """Let whoever may read the settings of a model read its weights, whose files safetensors makes private."""
    mode = stat.S_IMODE((folder / "config.json").stat().st_mode)
    for path in folder.glob("*.safetensors"):
        with suppress(OSError):  # a file system without such permissions
            path.chmod(mode)


def _remove_earlier_weights(folder: Path, variant: str | None) -> None:
    """Remove a whole file that an earlier save left beside shards, or an index that it left beside a whole file.

    transformers removes earlier shards only, and takes a whole file before an index.
    """
    whole, index = (folder / name for name in weight_files(variant)[:2])
    if not (whole.is_file() and index.is_file()):
        return
    try:
        shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        is_new = all((folder / shard).is_file() for shard in shards)
    except (ValueError, KeyError, TypeError, AttributeError):  # damaged, and so not what was just written
        is_new = False
    (whole if is_new else index).unlink()


class HubModel(PreTrainedModel):
    """Base of our models.

    Attributes:
        role (str): what a model of the class is called in messages, and as a part of a whole system, e.g.
            `autoencoder`.
        files_beside (sequence of str): what may lie beside the files of any model of transformers, and is loaded with
            the model if it does.
    """

    role: str
    files_beside: Sequence[str] = ()

    # A part of a whole system is also loaded from the system's file, where the other parts have these prefixes.
    _keys_to_ignore_on_load_unexpected = [r"^(embedder|autoencoder|scorer)\."]

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: str | Path | None, *model_args: Any, **kwargs: Any
    ) -> Self:
        """Load a model from a folder or from the Hub.

        Args:
            pretrained_model_name_or_path (str or `Path`): a folder, or the id of a repository on the Hub; None with
                `config` and `state_dict`.
            *model_args: as for `PreTrainedModel.from_pretrained`.
            **kwargs: as for `PreTrainedModel.from_pretrained`. With `ignore_mismatched_sizes=True`, weights of another
                shape are initialised instead; with `output_loading_info=True`, and without a folder, so are missing
                ones, which transformers then reports.

        Returns:
            the model, in evaluation mode.

        Raises:
            ModelFilesError: there is no model, or its files are damaged; this is an `OSError` too.
            WeightsError: weights are missing or of another shape; this is a `RuntimeError` too.
            UserError: the model is of another kind, or weights are not finite or out of their range.
        """
        if pretrained_model_name_or_path is None or model_args or kwargs.get("output_loading_info"):
            loaded: Any = super().from_pretrained(pretrained_model_name_or_path, *model_args, **kwargs)
            model = loaded[0] if isinstance(loaded, tuple) else loaded
            source = pretrained_model_name_or_path or "the state dict"
            check_weights(model.state_dict(), source, getattr(model, "parameter_ranges", None))
            model.check_whole()
            return loaded
        kinds = [cast("type[PreTrainedConfig]", cls.config_class).model_type]
        model = load_whole(super().from_pretrained, pretrained_model_name_or_path, kinds, cls.role, **kwargs)
        return cast("Self", model)

    def check_whole(self) -> None:
        """Check that the parts of the model belong together; called when it is loaded.

        Raises:
            UserError: they do not.
        """

    def prepare_saving(self, state_dict: Mapping[str, torch.Tensor] | None = None) -> None:
        """Bring what the configuration says of the weights up to date; called before the model is saved.

        Args:
            state_dict (dict, *optional*): weights that are to be saved instead of the model's own.
        """

    def save_pretrained(  # type: ignore[override]  # the base class names each keyword
        self,
        save_directory: str | os.PathLike[Any],
        is_main_process: bool = True,
        state_dict: dict[str, Any] | None = None,
        push_to_hub: bool = False,
        **kwargs: Any,
    ) -> None:
        """Write the model to a folder, and upload it too if that is asked for.

        Args:
            save_directory (str or path): the folder, which is made if it does not exist.
            is_main_process (bool): whether this is the process that uploads, among several that train together.
            state_dict (dict, *optional*): weights to save instead of the model's own.
            push_to_hub (bool): also make the upload that the method [`HubModel.push_to_hub`] makes, with
                the card, to the repository `repo_id`, by default the name of the folder under the user's name.
            **kwargs: `max_shard_size`, `variant`, ..., as for `PreTrainedModel.save_pretrained`; with
                `push_to_hub=True` also the keywords of the method of that name.

        Raises:
            UserError: as for the method `push_to_hub`.
        """
        self.prepare_saving(state_dict)
        saving = kwargs
        if push_to_hub:
            from balr_hf.hub.publishing import SAVING_KEYWORDS

            saving = {name: value for name, value in kwargs.items() if name in SAVING_KEYWORDS}
        super().save_pretrained(save_directory, is_main_process=is_main_process, state_dict=state_dict, **saving)
        if is_main_process:
            _remove_earlier_weights(Path(save_directory), saving.get("variant"))
            _share_weights(Path(save_directory))
        if push_to_hub and is_main_process:
            repo_id = kwargs.pop("repo_id", None) or Path(save_directory).resolve().name
            self.push_to_hub(repo_id, state_dict=state_dict, **kwargs)

    def push_to_hub(  # type: ignore[override]
        self, repo_id: str, *, commit_message: str | None = None, tags: Sequence[str] | None = None, **options: Any
    ) -> "CommitInfo":
        """Upload the model and its card to the Hub, in one commit.

        Args:
            repo_id (str): the repository, `name/repository`, which is made if it does not exist.
            commit_message (str, *optional*): by default `Upload` and the model's role.
            tags (sequence of str, *optional*): tags that the card gets besides ours.
            **options: as for [`balr_hf.hub.publishing.publish_model`]: `private`, `token`, `revision`, `create_pr`,
                `max_shard_size`, ..., and what the card states: `license`, `results`, `datasets`, `embedder`, ...

        Returns:
            `huggingface_hub.CommitInfo`

        Raises:
            UserError: the results are those of another model, or the Hub refuses or cannot be reached.
        """
        from balr_hf.hub.publishing import publish_model

        message = commit_message or f"Upload {self.role}"
        return publish_model(self, repo_id, commit_message=message, tags=tags or (), **options)

"""What our models add to transformers' `PreTrainedModel`: checks when they are loaded, a card when they are pushed."""

from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedModel

from balr_hf.checkpoints import load_whole


class HubModel(PreTrainedModel):
    """Base of our models.

    `role` is what a model is called in messages: `autoencoder`.
    """

    role: str

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, *model_args, **kwargs):
        """Load a model from a folder or from the Hub; the keywords are those of transformers.

        Raises:
            UserError: nothing there, a model of another kind, or weights that are missing or of another shape.
        """
        if model_args or kwargs.get("output_loading_info"):
            return super().from_pretrained(pretrained_model_name_or_path, *model_args, **kwargs)
        kinds = [cls.config_class.model_type]
        return load_whole(super().from_pretrained, pretrained_model_name_or_path, kinds, cls.role, **kwargs)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | bool | None = None,
        revision: str | None = None,
        commit_message: str | None = None,
        commit_description: str | None = None,
        create_pr: bool = False,
        max_shard_size: int | str = "50GB",
        tags: Sequence[str] | None = None,
        license: str | None = None,
        results: Sequence[dict] = (),
        datasets: Sequence[str] = (),
        base_models: Sequence[str] = (),
    ):
        """Upload the model and its card to the Hub, in one commit.

        Args:
            repo_id (str): `name/repository`; made if there is none.
            private (bool, *optional*): of a repository that is made.
            token (str, *optional*): by default what `hf auth login` or `HF_TOKEN` gave to `huggingface_hub`.
            revision (str, *optional*): the branch to commit to; made if there is none.
            commit_message, commit_description (str, *optional*)
            create_pr (bool): commit to a pull request.
            max_shard_size: of the files of weights.
            tags: for the card, besides ours.
            license (str, *optional*): of the weights, as the Hub names it, for the card.
            results: metrics of `balr score test` (`metrics.json`), for the card.
            datasets: Hub ids of what it was trained on, for the card.
            base_models: Hub ids of the models whose output it takes, the embedder first, for the card.

        Returns:
            `huggingface_hub.CommitInfo`
        """
        from balr_hf.hub.publishing import publish_model

        return publish_model(
            self,
            repo_id,
            private=private,
            token=token,
            revision=revision,
            commit_message=commit_message or f"Upload {self.role}",
            commit_description=commit_description,
            create_pr=create_pr,
            max_shard_size=max_shard_size,
            tags=tags or (),
            license=license,
            results=results,
            datasets=datasets,
            base_models=base_models,
        )

"""The Accelerate loop that fits the binary-attribute autoencoder."""

import atexit
import dataclasses
import json
import logging
import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import accelerate
import torch
import transformers
from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import (
    GradientAccumulationPlugin,
    ProjectConfiguration,
    broadcast_object_list,
    parse_flag_from_env,
    set_seed,
)
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers.modeling_utils import local_torch_dtype
from transformers.utils import logging as transformers_logging

from balr_hf._version import __version__
from balr_hf.attributes.configuration_autoencoder import BinaryAttributeAutoEncoderConfig
from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
from balr_hf.data.origins import makers_of, one_maker
from balr_hf.devices import part_from_other_processes
from balr_hf.errors import ConfigError, MismatchError, UserError, name_some
from balr_hf.files import atomic_folder, new_run_folder, replace_folder, restore_folder, write_json
from balr_hf.identity import other_makers
from balr_hf.training import state
from balr_hf.training.arguments import DataArguments, TrainerArguments
from balr_hf.training.graphed_step import GraphedStep
from balr_hf.training.losses import LOSSES, AutoEncoderLoss
from balr_hf.training.samplers import (
    SAMPLERS,
    BatchSampler,
    CopiesSampler,
    ShuffledBatchSampler,
    check_batches,
    check_rows,
    sampler_class,
)
from balr_hf.training.settings import (
    check_folders,
    check_hyperplanes,
    check_pairs,
    checked_losses,
    loss_record,
    unused_data_settings,
    warn_unrecorded,
    with_batch_size,
)
from balr_hf.training.speaker_embeddings import (
    SpeakerEmbeddings,
    check_dataset,
    describe_set,
    warn_shared_speakers,
)
from balr_hf.training.trained_speakers import KEY, pack_speakers

if TYPE_CHECKING:
    import datasets
    from huggingface_hub import CommitInfo

logger = logging.getLogger(__name__)

# What to do about a loss without a gradient.
AS_GIVEN = "Compute it of the tensors as they are given, without detach(), comparisons or rounding"

VERSIONS = {
    "balr_hf": __version__,
    "torch": torch.__version__,
    "accelerate": accelerate.__version__,
    "transformers": transformers.__version__,
}


def process_state(device: str | torch.device | None = None) -> accelerate.PartialState:
    """Join the processes that `accelerate launch` or `torchrun` started, until the program ends.

    Args:
        device (str, *optional*): `cpu` for training without GPUs; with any other value Accelerate chooses.

    Returns:
        `accelerate.PartialState`
    """
    # Without cpu=True, processes on a machine without GPUs would each train alone.
    cpu = str(device) == "cpu" or not torch.accelerator.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU")
    atexit.unregister(part_from_other_processes)
    atexit.register(part_from_other_processes)
    return accelerate.PartialState(cpu=cpu)


class BinaryAttributeEncoderTrainer:
    """Fits a [`BinaryAttributeAutoEncoder`] to the embeddings of a corpus.

    `train` writes into the run's folder: `best/` (lowest total validation loss), `last/` and `epochN/` as
    `save_pretrained` folders, `history.json`, `run.json` (all settings), tracker logs, and `state/`, from which an
    interrupted run can be resumed. Before that nothing is written, and an earlier run in that folder stays as it is.
    On a CPU a resumed run ends with the same weights, bit for bit, as one that was not interrupted.

    Args:
        train (`datasets.Dataset`): the training set, with `embedding` and `speaker`.
        val (`datasets.Dataset`): the validation set, likewise.
        data_config (`DataArguments`): how batches are drawn.
        loss_funcs (list[AutoEncoderLoss]): the losses; the total is their weighted sum.
        input_dim (int): number of values in an embedding.
        internal_dim (int): number of binary attributes.
        learning_rate (float): learning rate of Adam.
        epochs (int, *optional*): number of passes of the sampler over the training set; by default 100, and with
            `resume_from` as many as the run was to have.
        seed (int): decides the weights, the batches and the sparsity targets.
        save_dir (Path, *optional*): the run's folder; `runs/train`, `runs/train2`, ... by default.
        exist_ok (bool): use `save_dir` even if it exists, rather than `save_dir2`, ... An earlier run in it is removed
            when training starts.
        save_period (int): keep `epochN/` every so many epochs (0: never).
        log_period (int): log training losses every so many epochs (0: never).
        val_period (int): validate every so many epochs, and after the last one.
        state_period (int): write `last/` and `state/` every so many epochs, and at each validation. That takes some
            25 ms with the default sizes; a larger period pays where epochs are as short as that.
        device (str, *optional*): `cpu` for training without GPUs; with any other value Accelerate chooses.
        mixed_precision (str, *optional*): `no`, `fp16` or `bf16`; by default that of `accelerate launch`, or `no`.
        gradient_accumulation_steps (int, *optional*): number of batches per step of the optimizer; by default that of
            `accelerate launch`, or 1.
        cuda_graph (bool): capture a step as a CUDA graph and replay it, rather than launch its operations one by one.
            For one GPU, full precision, and losses that do the same work whatever the batch holds (`MSELoss`).
        log_with (str): name of an Accelerate tracker, or `none`.
        resume_from (Path, *optional*): the folder of an interrupted run that is to be continued in it; `save_dir` can
            name no other. The number of epochs may be larger than it was then.
        allow_mismatch (bool): train on embeddings that several embedders made; the run's settings, the models, their
            cards and all that is made with them say so.
        encoder (str): `learned`, or `hyperplanes`: the attributes are those of
            [`BinaryAttributeAutoEncoder.set_hyperplanes`] for the training set, and the decoder alone is trained, by
            the loss `mse`.
        activation (float, *optional*): with hyperplanes, the share of the training recordings in which each attribute
            is active, below 0.5; by default about half.

    Raises:
        ConfigError: losses or settings are not what is expected, or do not go together.
        UserError: a set is no Dataset, has no usable recording, or has embeddings of another size.
        MismatchError: several embedders made the embeddings.

    Attributes:
        save_dir (Path): the run's folder; None until `train` has made it.

    Example:
        >>> trainer = BinaryAttributeEncoderTrainer(train, val, DataArguments(), [MSELoss()], epochs=10)
        >>> model = trainer.train()
    """

    def __init__(
        self,
        train: "datasets.Dataset",
        val: "datasets.Dataset",
        data_config: DataArguments | None = None,
        loss_funcs: Sequence[AutoEncoderLoss] = (),
        input_dim: int = 256,
        internal_dim: int = 512,
        learning_rate: float = 0.001,
        epochs: int | None = None,
        seed: int = 1234,
        save_dir: Path | str | None = None,
        exist_ok: bool = False,
        save_period: int = 0,
        log_period: int = 2,
        val_period: int = 10,
        state_period: int = 1,
        device: str | torch.device | None = "cpu",
        mixed_precision: str | None = None,
        gradient_accumulation_steps: int | None = None,
        cuda_graph: bool = False,
        log_with: str = "tensorboard",
        resume_from: Path | str | None = None,
        allow_mismatch: bool = False,
        encoder: str = "learned",
        activation: float | None = None,
    ):
        self.data_config = data_config or DataArguments()
        if not isinstance(self.data_config, DataArguments):
            raise ConfigError(
                f"data_config={data_config!r}: expected DataArguments(...); losses are given as loss_funcs=[...]"
            )
        wanted, self.data_config = self.data_config, with_batch_size(self.data_config)
        self.loss_funcs = checked_losses(loss_funcs)
        check_folders(save_dir, resume_from)
        for name, given in (("train", train), ("val", val)):
            check_dataset(name, given)
        names = [loss.name for loss in self.loss_funcs]
        if not names:
            raise ConfigError(f"trainer.losses is empty: name at least one of {', '.join(LOSSES)}, or one of your own")
        if len(set(names)) < len(names):
            raise ConfigError(f"trainer.losses=[{', '.join(names)}]: each loss may be there once")
        _check_tracker(log_with)
        if mixed_precision is None:
            mixed_precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
        if gradient_accumulation_steps is None:
            gradient_accumulation_steps = int(os.environ.get("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", 1))
        checked = TrainerArguments(
            input_dim=input_dim,
            internal_dim=internal_dim,
            encoder=encoder,
            activation=activation,
            learning_rate=learning_rate,
            epochs=TrainerArguments.epochs if epochs is None else epochs,
            seed=seed,
            save_period=save_period,
            log_period=log_period,
            val_period=val_period,
            state_period=state_period,
            mixed_precision=mixed_precision,
            gradient_accumulation_steps=gradient_accumulation_steps,
            cuda_graph=cuda_graph,
        )
        self.learns_attributes = checked.encoder == "learned"
        if not self.learns_attributes:
            check_hyperplanes(self.loss_funcs, input_dim, internal_dim)
        elif activation is not None:
            raise ConfigError(
                f"trainer.activation={activation} with learned attributes would do nothing: expected "
                "trainer.encoder=hyperplanes beside it"
            )
        self.activation = checked.activation
        self.learning_rate, self.epochs, self.seed = checked.learning_rate, checked.epochs, checked.seed
        self.save_period, self.log_period = checked.save_period, checked.log_period
        self.val_period, self.state_period = checked.val_period, checked.state_period
        self.process = process_state(device)
        self.trainset = SpeakerEmbeddings(train, self.process.device, "training")
        self.valset = SpeakerEmbeddings(val, self.process.device, "validation")
        for name, found in (("training", self.trainset), ("validation", self.valset)):
            if found.embeddings.shape[1] != input_dim:
                raise UserError(
                    f"the {name} set has embeddings of {found.embeddings.shape[1]} values, the autoencoder expects "
                    f"{input_dim}: set trainer.input_dim"
                )
        check_pairs(self.loss_funcs, self.data_config, int(self.trainset.labels.unique().numel()))
        embedder, wrong = _embedder_of(train, val, allow_mismatch)
        if self.process.is_main_process:
            self._tell_of_settings(batch_size_is_chosen=wanted.batch_size is None, wrong=wrong)
        self.settings = self._settings_of(checked) | ({} if wrong is None else {"mismatch": wrong})
        if checked.cuda_graph:
            self._check_graph()
        self.epoch, self.best_loss = 0, math.inf
        self.history: list[dict[str, float]] = []
        self._with_gradient: set[str] = set()  # the losses that had a gradient in some batch
        self._wanted_folder = save_dir, exist_ok
        self.save_dir = None if resume_from is None else self._check_resumable(Path(resume_from), epochs)
        self.accelerator = Accelerator(
            cpu=self.process.device.type == "cpu",
            mixed_precision=mixed_precision,
            # A plain number would be overruled by that of the launcher.
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=checked.gradient_accumulation_steps),
            log_with=None if log_with in (None, "none") else log_with,
            project_config=ProjectConfiguration(logging_dir="logs"),  # a tracker wants one; train() says where it is
        )
        self._set_up(checked.input_dim, checked.internal_dim, embedder, checked.cuda_graph)

    def _tell_of_settings(self, batch_size_is_chosen: bool, wrong: str | None) -> None:
        """Say what was chosen, and warn of what makes a model worse than it looks."""
        if wrong is not None:
            logger.warning("%s: its attributes mean nothing", wrong)
        if batch_size_is_chosen:
            logger.info("data.batch_size is not set: batches hold %d recordings", self.data_config.batch_size)
        warn_shared_speakers(self.trainset, self.valset)
        for loss in self.loss_funcs:
            warn_unrecorded(loss)
            if not float(loss.weight):
                logger.warning("The loss %s has the weight 0: it is computed and logged only", loss.name)

    def _settings_of(self, checked: TrainerArguments) -> dict[str, Any]:
        """What decides the model, for `run.json` and for a run that is resumed."""
        unused = unused_data_settings(self.data_config, self.loss_funcs)
        return {
            "input_dim": checked.input_dim,
            "internal_dim": checked.internal_dim,
            **({} if self.learns_attributes else {"encoder": checked.encoder}),
            **({} if checked.activation is None else {"activation": checked.activation}),
            "learning_rate": checked.learning_rate,
            "seed": checked.seed,
            "mixed_precision": checked.mixed_precision,
            "gradient_accumulation_steps": checked.gradient_accumulation_steps,
            "num_processes": self.process.num_processes,
            "data": {
                name: value for name, value in dataclasses.asdict(self.data_config).items() if name not in unused
            },
            "losses": {loss.name: loss_record(loss) for loss in self.loss_funcs},
            "training_set": describe_set(self.trainset),
            "validation_set": describe_set(self.valset),
        }

    @torch.enable_grad()
    @local_torch_dtype(torch.float32)
    def train(self) -> BinaryAttributeAutoEncoder:
        """Train, from the first epoch or from where the resumed run stopped.

        Returns:
            [`BinaryAttributeAutoEncoder`]: the best model, in eval mode, on the CPU.
        """
        accelerator, start, first = self.accelerator, time.time(), self.epoch
        self.save_dir = folder = self.save_dir or self._open_run(*self._wanted_folder)
        self._note_epochs(folder)
        accelerator.project_configuration = ProjectConfiguration(str(folder), logging_dir=str(folder / "logs"))
        if accelerator.is_main_process:
            logger.info("Training on %s\n%s", accelerator.device, json.dumps(self.settings, indent=2))
            if first == self.epochs:
                logger.info("%s has all %d epochs already: nothing is left to train", folder, first)
        if accelerator.log_with:
            accelerator.init_trackers("balr_hf", config=_flat(self.settings))
        with self._progress_bar() as progress:
            for epoch in range(self.epoch, self.epochs):
                losses = self._run_epoch(epoch)
                if epoch == first:
                    self._warn_of_nothing(losses, "training")
                    self._warn_untrained(losses)
                self.epoch = epoch + 1
                done = self.epoch == self.epochs
                if self._due(self.log_period) or (done and self.log_period):
                    self._log(losses, "train")
                validation = self._validate() if done or self._due(self.val_period) else None
                if self._due(self.save_period):
                    self._save_model(f"epoch{self.epoch}", validation)
                if validation or self._due(self.state_period):
                    self._save_model("last", validation)
                    self._save_state()
                progress.set_postfix({name: f"{value:.4g}" for name, value in losses.items()}, refresh=False)
                progress.update()
        if accelerator.is_main_process:
            logger.info("%d epochs in %.1f s; results in %s", self.epoch - first, time.time() - start, folder)
        accelerator.wait_for_everyone()
        for tracker in accelerator.trackers:  # end_training() would part the processes, which may have more to do
            tracker.finish()
        return BinaryAttributeAutoEncoder.from_pretrained(folder / "best").eval()

    def push_to_hub(self, repo_id: str, **options: Any) -> "CommitInfo | None":
        """Upload the best model with its card, history and curves, from the main process; the others do nothing.

        Args:
            repo_id (str): `name/repository`; the repository is made if it does not exist.
            **options: keywords of [`balr_hf.hub.publishing.publish_model`], e.g. `private`, `revision`, `datasets`.

        Returns:
            `huggingface_hub.CommitInfo`, or None in other processes.

        Raises:
            UserError: nothing was trained yet, or the Hub cannot be reached or refuses the upload.
        """
        from balr_hf.hub.publishing import publish_model

        if self.save_dir is None:
            raise UserError("there is no model to upload yet: call train() first")
        if self.accelerator.is_main_process:
            return publish_model(self.save_dir, repo_id, **options)
        return None

    def _due(self, period: int) -> bool:
        """Whether something that happens every so many epochs (0: never) is due after this one."""
        return period > 0 and self.epoch % period == 0

    # --- one epoch -------------------------------------------------------------------------------

    def _run_epoch(self, epoch: int) -> dict[str, float]:
        """Train on every batch of the epoch; returns the mean of each loss over all processes."""
        self.train_sampler.set_epoch(epoch)  # for several processes: Accelerate's shard does not pass the epoch on
        self.train_loader.set_epoch(epoch)  # for one: Accelerate otherwise counts from 0, also in a resumed run
        self.model.train()
        if not self.learns_attributes:  # batch norm, too, is to stay what it is
            self.accelerator.unwrap_model(self.model).encoder.eval()
        sums = torch.zeros(len(self.losses) + 1, device=self.accelerator.device)
        batches = 0
        for embeddings, labels, originals in self.train_loader:
            sums += self._step(embeddings, labels, originals)
            batches += 1
        means = self.accelerator.reduce(sums / batches, reduction="mean").tolist()
        if not all(map(math.isfinite, means)):
            wrong = [
                loss.name for loss, value in zip(self.loss_funcs, means[1:], strict=True) if not math.isfinite(value)
            ]
            of = f" ({', '.join(wrong)})" if wrong else ""
            raise UserError(
                f"the training loss{of} is not finite after epoch {epoch + 1}: try a lower trainer.learning_rate"
            )
        return dict(zip(["loss", *(loss.name for loss in self.loss_funcs)], means, strict=True))

    def _warn_of_nothing(self, values: dict[str, float], name: str) -> None:
        """Say which losses were 0 in every batch, as where these hold nothing that a loss could compare."""
        idle = [loss.name for loss in self.loss_funcs if values.get(loss.name) == 0 and float(loss.weight)]
        if idle and self.accelerator.is_main_process:
            logger.warning(
                "0 in every batch of the %s set, as where there is nothing to compare: %s. Such a loss %s",
                *(name, ", ".join(idle), "trains nothing" if name == "training" else "does not judge the models"),
            )

    def _warn_untrained(self, values: dict[str, float]) -> None:
        """Say which losses had a gradient in no batch, as where they are computed of detached tensors.

        In some batches, a loss may be the number 0 for want of anything to compare, and have none.
        """
        found = [loss.name for loss in self.loss_funcs if values.get(loss.name) != 0 and float(loss.weight)]
        untrained = [name for name in found if name not in self._with_gradient]
        if untrained and self.accelerator.is_main_process:
            logger.warning(
                "No gradient from %s: such a loss is in the total, but trains nothing. %s",
                *(", ".join(untrained), AS_GIVEN),
            )

    def _train_step(self, embeddings: torch.Tensor, labels: torch.Tensor, originals: torch.Tensor) -> torch.Tensor:
        """Learn from one batch; returns the weighted total and each loss."""
        with self.accelerator.accumulate(self.model, *self.losses):
            losses = self._losses(self.model, self.losses, embeddings, labels, originals)
            if not losses.requires_grad:
                raise ConfigError(
                    f"nothing can be learnt of a batch, in which no loss has a gradient ({_names(self.loss_funcs)}). "
                    f"{AS_GIVEN}; where there is nothing to compare, return latent.sum() * 0"
                )
            self.accelerator.backward(losses[0])
            self.optimizer.step()
            self.optimizer.zero_grad()
        return losses.detach()

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Losses on the same validation batches every time; keeps the model if the total is the lowest so far.

        Where no loss means anything for other speakers, the total is the error of the autoencoder's reconstruction.
        """
        model = self.accelerator.unwrap_model(self.model).eval()
        if self.accelerator.num_processes > 1:  # batch-norm statistics differ by process; the first one's are saved
            for buffer in model.buffers():
                torch.distributed.broadcast(buffer, src=0)
        losses = [loss for loss in self.loss_funcs if not loss.closed_set]
        sums = torch.zeros(len(losses) + 1, device=self.accelerator.device)
        batches = list(self.val_sampler)
        for rows in batches[self.accelerator.process_index :: self.accelerator.num_processes]:
            with self.accelerator.autocast():
                sums += self._losses(model, losses, *self.valset.__getitems__(rows))
        means = (self.accelerator.reduce(sums, reduction="sum") / len(batches)).tolist()
        active = model.encode(self.valset.embeddings).float().mean(0)
        results = dict(zip(["loss", *(loss.name for loss in losses)], means, strict=True))
        results["constant_attributes"] = int(((active == 0) | (active == 1)).sum())
        self._log(results, "val")
        if self.best_loss == math.inf:  # the first of the run
            self._warn_of_nothing(results, "validation")
        if means[0] < self.best_loss:
            self.best_loss = means[0]
            self._save_model("best", results)
        return results

    def _losses(
        self,
        model: torch.nn.Module,
        losses: Sequence[torch.nn.Module],
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        originals: torch.Tensor,
    ) -> torch.Tensor:
        """The weighted total, then each loss, of one batch; without losses, the autoencoder's own as the total."""
        output = model(embeddings, return_loss=not losses)
        if not losses:
            return output.loss.float()[None]
        binary, reconstruction, latent = output.binary.float(), output.reconstruction.float(), output.latent.float()
        own = [getattr(loss, "module", loss) for loss in losses]  # without what several processes wrap it in
        more = [{"originals": originals} if loss.uses_originals else {} for loss in own]
        tensors = embeddings, labels, binary, reconstruction, latent
        values = [loss(*tensors, **keywords) for loss, keywords in zip(losses, more, strict=True)]
        for loss, value in zip(own, values, strict=True):
            if not torch.is_tensor(value) or value.ndim:
                found = f"a tensor of shape {tuple(value.shape)}" if torch.is_tensor(value) else type(value).__name__
                raise ConfigError(
                    f"the loss {loss.name} returned {found}: expected a tensor of shape (), one number for the whole "
                    "batch, such as values.mean()"
                )
        weights = [loss.weight for loss in own]
        learnt_of = [loss for loss, value in zip(own, values, strict=True) if value.requires_grad]
        self._with_gradient.update(str(loss.name) for loss in learnt_of)
        return torch.stack([sum(w * v for w, v in zip(weights, values, strict=True)), *values])

    # --- setting up ------------------------------------------------------------------------------

    def _check_graph(self) -> None:
        varying = [loss for loss in self.loss_funcs if not loss.same_work]
        needs = {
            "a GPU (device='cuda')": self.process.device.type == "cuda",
            "one process": self.process.num_processes == 1,
            "mixed_precision=no": self.settings["mixed_precision"] == "no",
            "gradient_accumulation_steps=1": self.settings["gradient_accumulation_steps"] == 1,
            f"losses that do the same work for any batch (not {_names(varying)})": not varying,
        }
        lacking = [name for name, given in needs.items() if not given]
        if lacking:
            raise ConfigError(f"trainer.cuda_graph needs {', '.join(lacking)}")

    @local_torch_dtype(torch.float32)  # whatever torch's default type is, a seed gives the same weights
    def _set_up(self, input_dim: int, internal_dim: int, embedder: str | None, cuda_graph: bool) -> None:
        set_seed(self.seed)
        config = BinaryAttributeAutoEncoderConfig(input_dim, internal_dim, embedder_identity=embedder)
        model = BinaryAttributeAutoEncoder(config)
        if not self.learns_attributes:
            try:
                model.set_hyperplanes(self.trainset.embeddings, self.seed, self.activation)
            except ValueError as error:  # they are all alike, as where there is one recording
                raise UserError(f"trainer.encoder=hyperplanes: {error}") from error
            model.encoder.requires_grad_(False)
        for loss in self.loss_funcs:
            loss.setup(
                nb_train_classes=len(self.trainset.speakers),
                internal_dim=internal_dim,
                M_samples_per_class=self.data_config.M_samples_per_class,
            )
        learned = (parameter for parameter in model.parameters() if parameter.requires_grad)
        parameters = [*learned, *(p for loss in self.loss_funcs for p in loss.parameters())]
        optimizer = torch.optim.Adam(parameters, lr=self.learning_rate, fused=True, capturable=cuda_graph)
        self.train_sampler = self._sampler(self.trainset, "training")
        self.val_sampler = self._sampler(self.valset, "validation")
        check_rows(self.train_sampler)
        loader = DataLoader(self.trainset, batch_sampler=self.train_sampler, collate_fn=lambda batch: batch)
        self.model, self.optimizer, self.train_loader = self.accelerator.prepare(model, optimizer, loader)
        self.losses = [
            self.accelerator.prepare(loss)
            if any(True for _ in loss.parameters())
            else loss.to(self.accelerator.device)
            for loss in self.loss_funcs
        ]
        closed = [loss for loss in self.loss_funcs if loss.closed_set]
        if closed and self.accelerator.is_main_process:
            instead = "; validated by the error of the reconstruction" * (len(closed) == len(self.loss_funcs))
            logger.info("Not validated, as it knows the training speakers only: %s%s", _names(closed), instead)
        self._step = GraphedStep(self._train_step) if cuda_graph else self._train_step
        if self.save_dir is not None:
            self._load_state(self.save_dir / "state")

    def _sampler(self, dataset: SpeakerEmbeddings, name: str) -> BatchSampler:
        comparing = [loss for loss in self.loss_funcs if loss.uses_originals]
        if not comparing:
            return self._plain_sampler(dataset, name)
        if not (dataset.originals >= 0).any():
            raise UserError(
                f"the {name} set has no copies of recordings for {_names(comparing)}: it needs the column source_id, "
                "in which several rows name the same original; `balr degrade --condition 'unchanged;snr=10'` makes it"
            )
        return CopiesSampler(self._plain_sampler(dataset, name), dataset.originals, self.seed)

    def _plain_sampler(self, dataset: SpeakerEmbeddings, name: str) -> BatchSampler:
        data, kind = self.data_config, sampler_class(self.data_config.sampler)
        assert data.batch_size is not None  # see with_batch_size
        if kind is None:
            return ShuffledBatchSampler(len(dataset), data.batch_size, data.shuffle, self.seed)
        speakers, wanted, size = int(dataset.labels.unique().numel()), data.N_classes_per_batch, data.batch_size
        if speakers < wanted and wanted * data.M_samples_per_class == size:
            if self.accelerator.is_main_process:
                logger.warning(
                    "The %s set has %d speakers, fewer than data.N_classes_per_batch=%d: batches hold %d x %d "
                    "recordings",
                    *(name, speakers, wanted, speakers, data.M_samples_per_class),
                )
            wanted, size = speakers, speakers * data.M_samples_per_class
        sampler = kind(
            dataset.labels,
            wanted,
            M_samples_per_class=data.M_samples_per_class,
            batch_size=size,
            shuffle=data.shuffle,
            seed=self.seed,
        )
        if kind not in SAMPLERS.values():
            check_batches(sampler, str(data.sampler))
        return sampler

    def _open_run(self, save_dir: Path | str | None, exist_ok: bool) -> Path:
        """Make the run's folder, once, in the main process."""
        folder = ""
        if self.process.is_main_process:
            made = new_run_folder(save_dir, "runs/train", exist_ok)
            _remove_earlier_run(made)
            write_json(made / "run.json", {**self.settings, "epochs": self.epochs, "versions": VERSIONS})
            folder = str(made)
        if self.process.num_processes > 1:
            folder = broadcast_object_list([folder])[0]
        return Path(folder)

    def _note_epochs(self, folder: Path) -> None:
        """Let `run.json` say how many epochs a resumed run is to have now."""
        if self.process.is_main_process:
            known = state.read_json(folder / "run.json")
            if known.get("epochs") != self.epochs:
                write_json(folder / "run.json", {**known, "epochs": self.epochs})

    def _check_resumable(self, folder: Path, epochs: int | None) -> Path:
        """Check that a run can be resumed with these settings, to `epochs`, by default as many as it was to have."""
        if self.process.is_main_process:
            _recover_state(folder)
        self.process.wait_for_everyone()
        progress = state.read_progress(folder / "state")
        known = state.read_json(folder / "run.json")
        # Settings name the encoder and the share of recordings only where these are not the usual ones.
        unnamed = {"encoder": "learned", "activation": None}
        before, now = ({**unnamed, **each} for each in (known, json.loads(json.dumps(self.settings))))
        if isinstance(before.get("data"), dict):  # earlier versions also noted the settings that have no effect
            unused = unused_data_settings(self.data_config, self.loss_funcs)
            before["data"] = {name: value for name, value in before["data"].items() if name not in unused}
        changed = [f"{key} was {before.get(key)}, now {now[key]}" for key in now if before.get(key) != now[key]]
        if changed:
            raise UserError(
                f"cannot resume {folder} with other settings: {name_some(changed)}. Give the settings of the run "
                "again (its run.json has them), as flags or by --config-path and --config-name"
            )
        if epochs is None and isinstance(known.get("epochs"), int):
            self.epochs = max(known["epochs"], progress.epoch)
            if self.process.is_main_process:
                logger.info(
                    "Going on with %s to its own %d epochs, of which %d are done: trainer.epochs=... (--epochs) asks "
                    "for others",
                    *(folder, self.epochs, progress.epoch),
                )
        if progress.epoch > self.epochs:
            raise UserError(f"{folder} has {progress.epoch} epochs already: ask for more (trainer.epochs=...)")
        self.epoch, self.history, self.best_loss = progress.epoch, progress.history, progress.best_loss
        self._scaler = progress.scaler
        return folder

    # --- writing ---------------------------------------------------------------------------------

    def _log(self, values: dict[str, float], split: str) -> None:
        named = {f"{split}/{name}": value for name, value in values.items()}
        self.accelerator.log(named, step=self.epoch)
        self.history.append({"epoch": self.epoch, **named})
        if self.accelerator.is_main_process and self.save_dir is not None:
            write_json(self.save_dir / "history.json", self.history)
            if split == "val":
                shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
                logger.info("Epoch %d: validation %s", self.epoch, shown)

    def _save_model(self, name: str, validation: dict | None = None) -> None:
        if self.accelerator.is_main_process and self.save_dir is not None:
            model = self.accelerator.unwrap_model(self.model)
            model.config.training = self._record(validation)
            with atomic_folder(self.save_dir / name) as temporary, _no_bars():
                model.save_pretrained(temporary)

    def _record(self, validation: dict | None) -> dict:
        """What a model's configuration and card say about its training."""
        of_weights = ("input_dim", "internal_dim")
        record = {name: value for name, value in self.settings.items() if name not in of_weights}
        names = (name for found in (self.trainset, self.valset) for name in found.speakers)
        return record | {
            KEY: pack_speakers(names),
            "epoch": self.epoch,
            "epochs": self.epochs,
            "versions": VERSIONS,
            "validation": validation,
        }

    def _save_state(self) -> None:
        """Write everything that resuming needs beside the earlier state, then put it in its place."""
        assert self.save_dir is not None
        temporary, accelerator = self.save_dir / ".state.tmp", self.accelerator
        if accelerator.is_main_process:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
        accelerator.wait_for_everyone()
        state.save_tensors(temporary / self._random_name(), state.random_tensors(accelerator.device))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            state.save_tensors(temporary / state.MODEL, accelerator.unwrap_model(self.model).state_dict())
            state.save_tensors(temporary / state.LOSSES, state.loss_tensors(self.loss_funcs))
            state.save_tensors(temporary / state.OPTIMIZER, state.optimizer_tensors(self.optimizer))
            scaler = {} if accelerator.scaler is None else accelerator.scaler.state_dict()
            state.write_progress(temporary, state.Progress(self.epoch, self.best_loss, self.history, scaler))
            replace_folder(temporary, self.save_dir / "state")
        accelerator.wait_for_everyone()

    def _load_state(self, folder: Path) -> None:
        state.load_model(folder / state.MODEL, self.accelerator.unwrap_model(self.model))
        state.load_losses(folder / state.LOSSES, self.loss_funcs)
        state.load_optimizer(folder / state.OPTIMIZER, self.optimizer)
        if self.accelerator.scaler is not None and self._scaler:
            self.accelerator.scaler.load_state_dict(self._scaler)
        state.load_random(folder / self._random_name(), self.accelerator.device)

    def _random_name(self) -> str:
        return f"random_{self.process.process_index}.safetensors"

    def _progress_bar(self) -> tqdm:
        return tqdm(
            total=self.epochs,
            initial=self.epoch,
            desc="Training",
            unit="epoch",
            disable=not self.accelerator.is_main_process,
        )


@contextmanager
def _no_bars() -> Iterator[None]:
    """Keep `save_pretrained` from showing a progress bar of its own at every epoch."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def _check_tracker(log_with: str | None) -> None:
    """Refuse a tracker that is not installed."""
    if log_with not in (None, "none") and log_with not in map(str, get_available_trackers()):
        known = ", ".join(["none", *map(str, get_available_trackers())])
        raise ConfigError(f"trainer.log_with={log_with}: not installed, or unknown; here there is {known}")


def _embedder_of(
    train: "datasets.Dataset", val: "datasets.Dataset", allow_mismatch: bool
) -> tuple[str | None, str | None]:
    """The embedder that made the embeddings of both sets.

    Returns:
        `(embedder, wrong)`: its identity, None if that is unknown; and a sentence that several embedders made them,
        None if they did not.

    Raises:
        MismatchError: several embedders made them, and that was not allowed.
    """
    makers = [maker for corpus in (train, val) for maker in makers_of(corpus, "embedding") if maker]
    wrong = other_makers(makers, None, "embeddings", "embedder")
    if wrong is not None:
        if not allow_mismatch:
            raise MismatchError(wrong)
        return None, f"The autoencoder was trained although {wrong[0].lower()}{wrong[1:]}"
    found = [one_maker(corpus, "embedding", "embedder") for corpus in (train, val)]
    return None if None in found else found[0], None


def _names(losses: Sequence[AutoEncoderLoss]) -> str:
    return ", ".join(loss.name for loss in losses)


def _remove_earlier_run(folder: Path) -> None:
    """Remove what an earlier run left in the folder, which would pass for this run's."""
    for name in ("state", "best", "last", "epoch*"):
        for path in folder.glob(name):
            if (path / "config.json").exists() or (path / "progress.json").exists():
                shutil.rmtree(path)
    (folder / "history.json").unlink(missing_ok=True)


def _recover_state(folder: Path) -> None:
    """Put the state back in place if the run was killed while it was replaced, or before it was first put there."""
    restore_folder(folder / "state")
    whole = folder / ".state.tmp"
    if not (folder / "state").exists() and (whole / state.PROGRESS).exists():
        whole.rename(folder / "state")


def _flat(settings: dict, prefix: str = "") -> dict:
    """Nested settings as one level of plain values, which is what trackers take."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat

"""The LightningModule that fits a coordinate network to one signal."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor
from torchmetrics.image import PeakSignalNoiseRatio

from quinr_pl.checkpoint_io import write_checkpoints_atomically
from quinr_pl.class_paths import class_path, find_class
from quinr_pl.errors import QuinrError
from quinr_pl.fields import require_at_least
from quinr_pl.network import Network
from quinr_pl.training.follow import follow
from quinr_pl.training.optimizers import OptimizerKind, OptimizerSettings
from quinr_pl.training.replayed_module import ReplayedModule

Batch = tuple[Tensor, Tensor]


class CoordinateNetworkModule(ReplayedModule):
    """Fits any coordinate network to one signal by mean squared error.

    Args:
        network: The network. A checkpoint passes the dictionary of its class path and constructor
            arguments instead, which this class saved as a hyperparameter.
        learning_rate: Peak learning rate.
        optimizer: "adam"; or "soap": Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al., "SOAP:
            Improving and Stabilizing Shampoo using Adam", 2024), which takes fewer steps where weights are
            small matrices. Latents, what a file holds apart from weights, it takes as Adam does.
        betas: Decay rates of the moment estimates; SOAP's preconditioner decays at the second.
        latent_betas: Decay rates of the moment estimates of latents, whose gradients are noisy.
        precondition_frequency: Steps between SOAP's eigenbases; without meaning for Adam.
        schedule: "cosine": falls along half a cosine to ``final_learning_rate`` at the last step;
            "constant": stays.
        warmup_steps: Steps over which the learning rate first rises from zero.
        final_learning_rate: Where the cosine ends, as a share of ``learning_rate``.
        weight_decay: How fast weights of hidden features shrink: each step takes the learning rate times
            this share off (as in AdamW, Loshchilov & Hutter 2019). Smaller weights take fewer bits.
        frozen: Beginnings of the names of parameters that stay as they were drawn, such as ``circuits``.
        graphs: Whether a GPU replays steps from graphs, where nothing needs to see gradients.

    Raises:
        QuinrError: If a value is out of range, or the data has other channels than the network.
    """

    def __init__(
        self,
        network: Network,
        learning_rate: float = 1e-2,
        optimizer: OptimizerKind = "adam",
        betas: tuple[float, float] = (0.9, 0.99),
        latent_betas: tuple[float, float] = (0.9, 0.99),
        precondition_frequency: int = 10,
        schedule: Literal["cosine", "constant"] = "cosine",
        warmup_steps: int = 0,
        final_learning_rate: float = 0.01,
        weight_decay: float = 0.0,
        frozen: Sequence[str] = (),
        graphs: bool = True,
    ) -> None:
        if not 0 < learning_rate < math.inf:
            raise QuinrError(f"--model.learning_rate {learning_rate}: must be positive and finite")
        for flag, share in (("weight_decay", weight_decay), ("final_learning_rate", final_learning_rate)):
            if not 0 <= share < math.inf:
                raise QuinrError(f"--model.{flag} {share}: must not be negative, and finite")
        for flag, rates in (("betas", betas), ("latent_betas", latent_betas)):
            if len(rates) != 2 or not all(0 <= rate < 1 for rate in rates):
                raise QuinrError(f"--model.{flag} {list(rates)}: two numbers from 0 to below 1")
        if warmup_steps < 0:
            raise QuinrError(f"--model.warmup_steps {warmup_steps}: must not be negative")
        require_at_least(1, {"--model.precondition_frequency": precondition_frequency})
        super().__init__(network if isinstance(network, Network) else _build(network), graphs)
        self._freeze(frozen)
        self.optimizer_settings = OptimizerSettings(
            optimizer,
            learning_rate,
            (betas[0], betas[1]),
            (latent_betas[0], latent_betas[1]),
            precondition_frequency,
            weight_decay,
        )
        self.save_hyperparameters(
            {
                "network": {"name": class_path(type(self.network)), **self.network.architecture()},
                "learning_rate": learning_rate,
                "optimizer": optimizer,
                "betas": self.optimizer_settings.betas,
                "latent_betas": self.optimizer_settings.latent_betas,
                "precondition_frequency": precondition_frequency,
                "schedule": schedule,
                "warmup_steps": warmup_steps,
                "final_learning_rate": final_learning_rate,
                "weight_decay": weight_decay,
                "frozen": list(frozen),
            },
            logger=False,  # logged once, with the final figures, by the callback that knows them
        )  # without ``graphs``: the results are the same
        self._digest: str | None = None
        # Targets lie in [0, 1], and so does every decoded value: a tuple clamps the prediction.
        self.validation_psnr = PeakSignalNoiseRatio(data_range=(0.0, 1.0))
        self.test_psnr = PeakSignalNoiseRatio(data_range=(0.0, 1.0))

    def _freeze(self, frozen: Sequence[str]) -> None:
        """Leaves the parameters whose names begin so out of training."""
        for beginning in frozen:
            found = [p for name, p in self.network.named_parameters() if name.startswith(beginning)]
            if not found:
                layers = ", ".join(dict.fromkeys(name.partition(".")[0] for name in self.network.weights()))
                raise QuinrError(
                    f"--model.frozen {beginning}: no parameter's name begins so; choose from {layers}"
                )
            for parameter in found:
                parameter.requires_grad_(False)

    def setup(self, stage: str) -> None:
        """Refuses data that the network does not take; keeps checkpoints from being lost."""
        write_checkpoints_atomically(self.trainer)
        data = getattr(self.trainer, "datamodule", None)
        batch_size, spec = getattr(data, "batch_size", None), getattr(data, "spec", None)
        if self.network.whole_signal and batch_size is not None:
            raise QuinrError(
                f"--data.batch_size {batch_size}: {type(self.network).__name__} takes the whole signal at "
                "every step; give null"
            )
        if spec is not None and len(spec.shape) != self.network.in_features:
            raise QuinrError(
                f"--model.network.in_features {self.network.in_features}: the signal has {len(spec.shape)} "
                "axes; give that number"
            )
        if spec is not None and spec.channels != self.network.out_features:
            raise QuinrError(
                f"--model.network.out_features {self.network.out_features}: the signal has "
                f"{spec.channels} channel(s); give that number"
            )

    def on_fit_start(self) -> None:
        """Calibrates a network that has not been trained yet; says where steps are too few."""
        if self.trainer.ckpt_path is None:
            self.calibrate()
        steps, needed = self.trainer.estimated_stepping_batches, self._fewest_steps()
        if steps < needed:
            rank_zero_info(
                f"--trainer.max_steps {steps:.0f}: too few to look at all of the signal once at its full "
                f"resolution; give {needed} or more"
            )

    def _fewest_steps(self) -> int:
        """Steps of a training that sees the whole signal once with all that a file holds of it."""
        full = [stage for stage in self.network.training_stages() if stage.steered and stage.steps]
        return max((math.ceil(stage.tiles / stage.steps) for stage in full), default=0)

    def calibrate(self) -> None:
        """Prepares freshly drawn weights for the signal."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        sample = torch.randperm(len(data.coordinates))[:4096]
        self.network.calibrate(data.coordinates[sample].to(self.device, self.dtype))

    def on_fit_end(self) -> None:
        """Tells what engines that count it have run, the rounding included."""
        for engine in dict.fromkeys(layer.engine for layer in self.network.quantum_layers()):
            if report := engine.report():
                rank_zero_info(report)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Notes which signal was fitted, and what the network needs to go on."""
        checkpoint["signal"] = self._signal_digest()
        checkpoint["network_training"] = self.network.training_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses a checkpoint of another signal; older checkpoints do not tell."""
        self.network.load_training_state(checkpoint.get("network_training", {}))
        fitted, given = checkpoint.get("signal"), self._signal_digest()
        if fitted is not None and given is not None and fitted != given:
            raise QuinrError(
                f"--ckpt_path {self.trainer.ckpt_path}: it was fitted to another signal; give the data of "
                "its run, or start a new fit"
            )

    def _signal_digest(self) -> str | None:
        """Of the shape and the targets; None without data."""
        data: Any = getattr(self._trainer, "datamodule", None)
        if self._digest is None and data is not None:
            shape = " ".join(map(str, (*data.spec.shape, data.spec.channels, "")))
            digest = hashlib.sha256(shape.encode())
            digest.update(data.targets.numpy())
            self._digest = digest.hexdigest()
        return self._digest

    def forward(self, coordinates: Tensor) -> Tensor:
        """Values of coordinates: (batch, in_features) -> (batch, out_features)."""
        return self.network(coordinates)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """The network's loss over one block of coordinates."""
        steps = self.trainer.estimated_stepping_batches
        progress = self.begin_step(self.trainer.optimizers[0], self.global_step, steps)
        loss, figures = self.replayed_step(batch) or self.network.loss(*batch, progress)
        # `log` costs as much as a small network: once in a while is enough for a curve.
        interval: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if self.global_step % interval == 0:
            if not torch.isfinite(loss):
                raise QuinrError(
                    f"--model.learning_rate {self.hparams['learning_rate']}: the loss is {loss.item()} at "
                    f"step {self.global_step}; lower it. The best file before stays"
                )
            self.log("train/loss", loss.detach())
            self.log("train/psnr", -10 * torch.log10(figures["mse"]))
            others = figures.keys() - {"mse"}
            self.log_dict({f"train/{name}": figures[name] for name in sorted(others)})
            self.log("train/learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"])
        return loss

    def begin_step(self, optimizer: torch.optim.Optimizer, step: int, steps: float) -> float:
        """Tells the network of a step before its loss; the optimizer follows what the network moves.

        Args:
            optimizer: Of the network's parameters.
            step: From 0.
            steps: Of the training.

        Returns:
            Share of the work that is done before the step.
        """
        progress = self.work_done(step, steps)
        follow(optimizer, self.network.begin_step(step, progress))
        return progress

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """PSNR of the float weights over all coordinates."""
        self.validation_psnr(*self._compared(batch))
        self.log("val/psnr", self.validation_psnr, on_epoch=True)

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """PSNR of the float weights over all coordinates."""
        self.test_psnr(*self._compared(batch))
        self.log("test/psnr", self.test_psnr, on_epoch=True)

    def _compared(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Values and targets of a block; where any value will do, the file itself knows the right one."""
        coordinates, targets = batch
        values = self.network(coordinates)
        return values, torch.where(targets.isnan(), values, targets)

    def predict_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Values in [0, 1] of one block of consecutive coordinates: (block, out_features)."""
        return self.network(batch[0]).clamp(0, 1)

    def configure_optimizers(self) -> Any:
        """The optimizer, with a schedule that ends at the trainer's last step."""
        optimizer = self.make_optimizer()
        total = self.trainer.estimated_stepping_batches
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.learning_rate_factor(step, total)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def make_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer at its peak learning rate."""
        return self.optimizer_settings.optimizer(self.network)

    def work_done(self, step: int, total: float, first: int = 0) -> float:
        """Share of the work done before a step, counted from a first one."""
        if math.isinf(total):
            return 0.0
        return self.network.progress(min((step - first) / max(total - first, 1), 1.0))

    def learning_rate_factor(self, step: int, total: float) -> float:
        """Learning rate of a step in units of the peak."""
        warmup, final = self.hparams["warmup_steps"], self.hparams["final_learning_rate"]
        if step < warmup:
            return (step + 1) / warmup
        if self.hparams["schedule"] == "constant" or math.isinf(total):
            return 1.0
        progress = self.work_done(step, total, warmup)
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))


# Lightning asks for it at every step, which takes Python longer than most of a step's hooks.
CoordinateNetworkModule.training_step.__signature__ = inspect.signature(  # type: ignore[attr-defined]
    CoordinateNetworkModule.training_step
)


def _build(description: Mapping[str, Any]) -> Network:
    arguments = dict(description)
    cls: Any = find_class(arguments.pop("name", None), Network, "checkpoint with network")
    network: Network = cls(**arguments)
    return network

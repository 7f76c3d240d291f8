"""The LightningModule that fits a coordinate network to one signal."""

from __future__ import annotations

import hashlib
import inspect
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor
from torchmetrics.image import PeakSignalNoiseRatio

from quinr_pl.checkpoint_io import write_checkpoints_atomically
from quinr_pl.class_paths import class_path, find_class
from quinr_pl.errors import QuinrError
from quinr_pl.fields import require_at_least
from quinr_pl.lazy_adam import LazyAdam
from quinr_pl.network import Network
from quinr_pl.training.adam import Adam
from quinr_pl.training.follow import follow
from quinr_pl.training.graphable import reason_against_graphs
from quinr_pl.training.graphed_steps import CudaRecorder, GraphedSteps, Schedule
from quinr_pl.training.soap import SOAP

Batch = tuple[Tensor, Tensor]
_LOG = logging.getLogger(__name__)


class CoordinateNetworkModule(pl.LightningModule):
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
        optimizer: Literal["adam", "soap"] = "adam",
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
        super().__init__()
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
        self.network = network if isinstance(network, Network) else _build(network)
        self._freeze(frozen)
        self.betas = (betas[0], betas[1])
        self.save_hyperparameters(
            {
                "network": {"name": class_path(type(self.network)), **self.network.architecture()},
                "learning_rate": learning_rate,
                "optimizer": optimizer,
                "betas": self.betas,
                "latent_betas": (latent_betas[0], latent_betas[1]),
                "precondition_frequency": precondition_frequency,
                "schedule": schedule,
                "warmup_steps": warmup_steps,
                "final_learning_rate": final_learning_rate,
                "weight_decay": weight_decay,
                "frozen": list(frozen),
            },
            logger=False,  # logged once, with the final figures, by the callback that knows them
        )
        self._graphs = graphs  # no hyperparameter: the results are the same
        self._graphed: GraphedSteps | None = None
        self._replayed = False
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
        """Calibrates a network that has not been trained yet."""
        if self.trainer.ckpt_path is None:
            self.calibrate()

    def calibrate(self) -> None:
        """Prepares freshly drawn weights for the signal."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        sample = torch.randperm(len(data.coordinates))[:4096]
        self.network.calibrate(data.coordinates[sample].to(self.device, self.dtype))

    def on_train_start(self) -> None:
        """Prepares steps that a GPU replays, where nothing needs to see gradients."""
        reason = (
            reason_against_graphs(self.trainer, self, self.network)
            if self._graphs
            else "they are switched off"
        )
        self._graphed = None if reason else self._prepared_graphs()
        if not reason:  # in this fit alone: Lightning's own methods are the fewer frames in a traceback
            vars(self).update(self._hooks_of_replays())
        if reason and self.device.type == "cuda":
            rank_zero_info(f"Steps are not replayed from graphs: {reason}")

    def on_train_end(self) -> None:
        """Lets go of the graphs."""
        self._graphed = None
        for name in self._hooks_of_replays():
            vars(self).pop(name, None)

    def on_fit_end(self) -> None:
        """Tells what engines that count it have run, the rounding included."""
        for engine in dict.fromkeys(layer.engine for layer in self.network.quantum_layers()):
            if report := engine.report():
                rank_zero_info(report)

    def _hooks_of_replays(self) -> dict[str, Callable[..., None]]:
        """Methods of Lightning's whose work a replayed step has done."""
        return {
            "backward": self._backward_unless_replayed,
            "optimizer_zero_grad": self._zero_grad_unless_replayed,
            "optimizer_step": self._step_unless_replayed,
        }

    def _prepared_graphs(self) -> GraphedSteps:
        optimizer: Any = self.trainer.optimizers[0]
        optimizer._opt_called = (
            True  # schedulers warn where an optimizer's own `step` was not called before them
        )
        return GraphedSteps(self.network, optimizer, self._schedule(optimizer), CudaRecorder())

    def _schedule(self, optimizer: torch.optim.Optimizer) -> Schedule:
        """Learning rates and progress of all steps from the present one on."""
        first, total = self.global_step, self.trainer.estimated_stepping_batches
        steps = range(first, max(first, int(total)))
        factors = [self.learning_rate_factor(step, total) for step in steps]
        rates = [[group["initial_lr"] * factor for group in optimizer.param_groups] for factor in factors]
        return Schedule(first, rates, [self.work_done(step, total) for step in steps])

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
        loss, figures = self._replayed_step(batch) or self.network.loss(*batch, progress)
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

    def _replayed_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]] | None:
        """Loss and figures of a step that a GPU has taken as a whole; None where it has not."""
        self._replayed = False
        if self._graphed is None:
            return None
        try:
            if not self._graphed.fits(self.global_step):
                raise RuntimeError("the learning rates are not those of the schedule")
            result = self._graphed(batch, self.global_step)
        except Exception as error:  # whatever a recording meets, the step can be taken without one
            first_line = str(error).strip().partition("\n")[0] or type(error).__name__
            rank_zero_warn(f"Steps are not replayed from graphs: {first_line}")
            _LOG.debug("Steps are not replayed from graphs", exc_info=True)
            self._graphed = None
            return None
        self._replayed = True
        return result

    def _backward_unless_replayed(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        if not self._replayed:
            super().backward(loss, *args, **kwargs)

    def _zero_grad_unless_replayed(
        self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer
    ) -> None:
        if not self._replayed:
            super().optimizer_zero_grad(epoch, batch_idx, optimizer)

    def _step_unless_replayed(self, epoch: int, batch_idx: int, optimizer: Any, closure: Any) -> None:
        """Takes a step; where a GPU replays it, the hooks around it are called all the same."""
        stand_in: Any = _MovesUnlessReplayed(self, optimizer.optimizer)
        self.trainer.strategy.optimizer_step(stand_in, closure, self)

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
        groups = self._parameter_groups()
        optimizer: torch.optim.Optimizer
        if self.hparams["optimizer"] == "soap":
            frequency = self.hparams["precondition_frequency"]
            optimizer = SOAP(groups, betas=self.betas, precondition_frequency=frequency)
        else:
            optimizer = Adam(groups, self.betas)
        optimizer.register_step_post_hook(LazyAdam(self.network))
        return optimizer

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters of equal learning rate and weight decay, weights apart from latents."""
        groups: dict[tuple[float, bool, bool], list[torch.nn.Parameter]] = {}
        factors = self.network.learning_rate_factors()
        decayed = {id(weight) for weight in self.network.feature_weights()}
        weights = {id(weight) for weight in self.network.weights().values()}
        for name, parameter in self.network.named_parameters():
            factor = next((f for prefix, f in factors.items() if name.startswith(prefix)), 1.0)
            key = factor, id(parameter) in decayed, id(parameter) in weights
            groups.setdefault(key, []).append(parameter)
        rate, decay = self.hparams["learning_rate"], self.hparams["weight_decay"]
        # A grid is no linear map, and its sides are hundreds: SOAP leaves its elements apart.
        latent = {"betas": self.hparams["latent_betas"], "max_precondition_dim": 1}
        return [
            {
                "params": parameters,
                "lr": factor * rate,
                "weight_decay": decay if shrinks else 0.0,
                **({} if is_weight else latent),
            }
            for (factor, shrinks, is_weight), parameters in groups.items()
        ]

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


class _MovesUnlessReplayed:
    """An optimizer that leaves steps alone which were replayed.

    Args:
        module: Knows whether a step was.
        optimizer: Takes the others.
    """

    def __init__(self, module: CoordinateNetworkModule, optimizer: torch.optim.Optimizer) -> None:
        self._module, self._optimizer = module, optimizer

    def step(self, closure: Callable[[], Any]) -> Any:
        """Calls the closure, as every optimizer does."""
        loss = closure()
        if not self._module._replayed:
            self._optimizer.step()
        return loss


def _build(description: Mapping[str, Any]) -> Network:
    arguments = dict(description)
    cls: Any = find_class(arguments.pop("name", None), Network, "checkpoint with network")
    network: Network = cls(**arguments)
    return network

"""The network in TensorBoard: its circuit and its weights."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from quinr_pl.callbacks.quantization import fitted_network
from quinr_pl.callbacks.tensorboard import writers
from quinr_pl.circuit.drawing import draw


class NetworkLogger(Callback):
    """Shows the drawn circuit once, and histograms of every weight at each validation."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws the circuit."""
        circuits = fitted_network(pl_module).quantum_layers()
        for writer in writers(trainer) if circuits else ():
            figure = draw(circuits[0].ansatz)
            writer.add_figure("circuit", figure)
            plt.close(figure)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Adds the histograms."""
        if trainer.sanity_checking:
            return
        network = fitted_network(pl_module)
        for writer in writers(trainer):
            for name, weights in network.named_parameters():
                writer.add_histogram(f"weights/{name}", weights.detach().cpu(), trainer.global_step)

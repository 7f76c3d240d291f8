"""fit, validate, test and predict: LightningCLI over this package's modules, data and callbacks."""

from __future__ import annotations

import glob
import inspect
import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytorch_lightning as pl
import yaml
from jsonargparse import ActionConfigFile
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback, instantiate_class

from quinr_pl.atomic_file import make_folder, write_bytes
from quinr_pl.class_paths import find_class, own_classes
from quinr_pl.configs.find import find_config, packaged_config, read_text, read_tree
from quinr_pl.datamodules import CoordinateDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.fitting.checkpoints import find_checkpoint, load_checkpoint
from quinr_pl.fitting.checks import check_fit
from quinr_pl.fitting.quantizers import KEY, overrides_key, set_final_quantization
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.native.memory import keep_freed_memory
from quinr_pl.native.threads import native_threads
from quinr_pl.network import Network
from quinr_pl.refusals import in_one_line, interpreting
from quinr_pl.spelling import did_you_mean

_UNKNOWN = re.compile(
    r"(?:unrecognized arguments: -*|Option '|Key '|import path string: )([^'\s]+)", re.IGNORECASE
)
SUBCOMMANDS = ("fit", "validate", "test", "predict")


class PackagedConfigFile(ActionConfigFile):
    """``--config NAME``: a user's own file, or a packaged config by its bare name."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        """Called by the parser with the flag's value."""
        found = find_config(values) if isinstance(values, str) else values
        super().__call__(parser, cfg, found, option_string)
        if isinstance(found, str) and overrides_key(read_tree(read_text(found), found)):
            cfg[KEY] = None


class OneLineParser(LightningArgumentParser):
    """Says what is wrong with the arguments in one line, and reads no file but the configs that are named."""

    def _add_signature_parameter(self, *args: Any, **kwargs: Any) -> None:
        # With sub-configs, a file called `ImageDataModule` or `auto` in the current folder would be read for
        # the class or the value of that name.
        super()._add_signature_parameter(*args, **{**kwargs, "sub_configs": False})

    def parse_path(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        """A config in any encoding that ``read_text`` knows, checked as a whole first."""
        text = read_text(str(path))
        read_tree(text, str(path))
        return self.parse_string(text, str(path), *args, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raises QuinrError, which ends the program with exit status 2."""
        line = in_one_line(message)
        if "are required" in line:
            line += "; give --config, such as --config sample.yaml"
        unknown = _UNKNOWN.search(line)
        remedy = self._remedy(unknown[1].split("=")[0]) if unknown else ""
        raise QuinrError(line if remedy in line else line + remedy) from ex

    def _remedy(self, word: str) -> str:
        """Says whose argument a word is that was given to another class, or what is spelled nearly alike."""
        owners = [name for name, cls in own_classes().items() if word in inspect.signature(cls).parameters]
        if owners:
            return f"; it is an argument of {', '.join(owners)}"
        return did_you_mean(word, self._known_words())

    def _known_words(self) -> set[str]:
        """Keys of the parser and its commands, and arguments and names of this package's classes."""
        commands = getattr(self._subcommands_action, "_name_parser_map", {}).values()
        words = {action.dest for parser in (self, *commands) for action in parser._actions}
        for name, cls in own_classes().items():
            words |= {name, *inspect.signature(cls).parameters}
        return words


def _quieten() -> None:
    """Keeps advertisements and other packages' deprecations off the terminal; warnings to users stay."""
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
    for name in (
        "pytorch_lightning.utilities.rank_zero",
        "pytorch_lightning.trainer.connectors.checkpoint_connector",
        "lightning_fabric.utilities.seed",  # config.yaml has the seed, and a refusal is one line
    ):
        logging.getLogger(name).addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not any(known in message for known in ("litlogger", "`weights_only` was not set", "Seed set to"))


class ConfigFile(SaveConfigCallback):
    """Keeps the config of a run in its folder, whole; a continued fit writes into the folder it had."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Writes it once."""
        folder = trainer.log_dir  # every process must ask
        if folder is not None and trainer.is_global_zero and not self.already_saved:
            make_folder(Path(folder))
            text = self.parser.dump(self.config, skip_none=False)
            write_bytes(Path(folder) / self.config_filename, text.encode())
        self.already_saved = True


class QuinrCLI(LightningCLI):
    """LightningCLI with packaged configs, run folders that can be continued, and channels from the data."""

    def __init__(self, args: list[str]) -> None:
        _quieten()
        own_classes()  # jsonargparse resolves the bare names of what is imported
        defaults = {"default_config_files": [glob.escape(str(packaged_config("defaults.yaml")))]}
        keep_freed_memory()
        with native_threads():
            super().__init__(
                CoordinateNetworkModule,
                CoordinateDataModule,
                subclass_mode_data=True,
                save_config_callback=ConfigFile,
                parser_kwargs={name: dict(defaults) for name in SUBCOMMANDS},
                args=args,
            )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The trainer's methods."""
        skipped = {"model", "dataloaders", "datamodule"}
        return {
            "fit": skipped | {"train_dataloaders", "val_dataloaders"},
            "validate": skipped,
            "test": skipped,
            "predict": skipped,
        }

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """A parser that reports in one line and knows the packaged configs."""
        parser = OneLineParser(**{"prog": "quinr-pl", **kwargs})
        parser.add_argument(
            "-c", "--config", action=PackagedConfigFile, help="A YAML file, or the name of a packaged config."
        )
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds ``quantization``: how the final file is rounded, without a list of callbacks of one's own."""
        parser.add_argument(
            f"--{KEY}",
            type=dict[str, Any] | None,
            help="How the final file is quantized: `final` of the WeightQuantization among the callbacks.",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Reads the flags and the configs."""
        with interpreting():
            super().parse_arguments(parser, args)

    def _set_seed(self) -> None:
        try:
            super()._set_seed()
        except ValueError as error:
            seed = self.config[self.subcommand].seed_everything
            raise QuinrError(f"--seed_everything {seed}: {error}") from error

    def before_instantiate_classes(self) -> None:
        """Refuses what cannot end well, and finds the run that ``--ckpt_path last`` or ``best`` means."""
        config = self.config[self.subcommand]
        set_final_quantization(config)
        if self.subcommand == "fit":
            check_fit(config.trainer)
        elif not config.ckpt_path:
            raise QuinrError(
                f"quinr-pl {self.subcommand}: without a checkpoint it would judge a network that was never "
                "fitted; give --ckpt_path best, or the path of a checkpoint"
            )
        if config.ckpt_path in ("last", "best"):
            config.ckpt_path = find_checkpoint(config.trainer, config.ckpt_path)

    def instantiate_classes(self) -> None:
        """Builds data, network and trainer."""
        with interpreting():
            data = self._take_shape_from_data()
            super().instantiate_classes()
        if data is not None:
            self.datamodule = data  # may have read its signal already

    def _take_shape_from_data(self) -> CoordinateDataModule | None:
        """Sets what a network takes from the signal, such as its channels, before it is built.

        Returns:
            The data; None where the config does not say what the network is of.
        """
        config = self.config[self.subcommand]
        arguments = config.model.network.get("init_args") if "network" in config.model else None
        if arguments is None or config.get("data") is None:
            return None
        data: CoordinateDataModule = instantiate_class((), config.data.as_dict())
        data.prepare_data()
        data.setup()
        network = find_class(config.model.network.class_path, Network, "--model.network")
        for name, value in network.signal_arguments(data.spec).items():
            arguments[name] = value
        return data

    def _run_subcommand(self, subcommand: str) -> None:
        with interpreting(beneath=__file__):
            super()._run_subcommand(subcommand)

    def _parse_ckpt_path(self) -> None:
        """Keeps Lightning from laying a checkpoint's hyperparameters over the user's: they are compared."""

    def before_fit(self) -> None:
        """A continued fit keeps its checkpoint's hyperparameters: refuses flags that say otherwise."""
        self._compare_with_checkpoint(list(self.model.hparams))

    def before_validate(self) -> None:
        """Refuses a checkpoint of another network."""
        self._compare_with_checkpoint(["network"])

    before_test = before_predict = before_validate

    def _compare_with_checkpoint(self, names: list[str]) -> None:
        path = self.config[self.subcommand].ckpt_path
        if path is None:
            return
        kept = load_checkpoint(path).get("hyper_parameters", {})
        for name in names:
            if kept.get(name) != self.model.hparams[name]:
                flag, own, other = _difference(f"--model.{name}", self.model.hparams[name], kept.get(name))
                raise QuinrError(
                    f"{flag} {own}: {path} was fitted with {other}; leave the flag out or start a new fit"
                )


def _difference(flag: str, own: Any, kept: Any) -> tuple[str, Any, Any]:
    """The flag of what two settings first differ in, and what both have: a class before its arguments."""
    if isinstance(own, Mapping) and isinstance(kept, Mapping):
        key = next(key for key in [*own, *kept] if own.get(key) != kept.get(key))
        return flag if key == "name" else f"{flag}.{key}", own.get(key), kept.get(key)
    return flag, own, kept


class _SettingsOnly(QuinrCLI):
    """Reads a command line, and stops there."""

    def _set_seed(self) -> None:
        pass

    def before_instantiate_classes(self) -> None:
        pass

    def instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def read_settings(flags: Sequence[str]) -> dict[str, Any]:
    """All settings that flags of `quinr-pl fit` and the configs among them come to, as YAML would hold them.

    Raises:
        QuinrError: If a flag or config is wrong.
    """
    cli = _SettingsOnly(["fit", *flags])
    settings: dict[str, Any] = yaml.safe_load(cli.parser.dump(cli.config, skip_none=False))["fit"]
    settings.pop("config", None)
    return settings

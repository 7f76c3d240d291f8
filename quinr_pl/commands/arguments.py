"""What the commands' parsers share."""

from __future__ import annotations

import argparse
from typing import NoReturn

from quinr_pl.errors import QuinrError


class OneLineArgumentParser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        """Raises QuinrError, which ends the program with exit status 2."""
        raise QuinrError(f"{message}; see {self.prog} --help")

"""``python -m quinr_pl`` is ``quinr-pl``."""

import sys

from quinr_pl.commands.main import main

if __name__ == "__main__":
    sys.exit(main())

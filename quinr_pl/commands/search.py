"""`quinr-pl search`: the best settings of a fit at one number of bytes, or at every one."""

from __future__ import annotations

import dataclasses
import os

from quinr_pl.commands.arguments import OneLineArgumentParser, add_experiment


def search(args: list[str]) -> int:
    """The best settings of a fit at one number of bytes, or at every one."""
    parser = OneLineArgumentParser(
        "quinr-pl search",
        description="Find the settings of a fit that give the best PSNR at a number of bytes "
        "(kodak_search.yaml), or the front of the best ones at every number (kodak_pareto.yaml). A search "
        "that was interrupted goes on where it was.",
        epilog="example: quinr-pl search --config kodak_search.yaml --trials 30",
    )
    add_experiment(parser, "search", "the study, the trials and what was found")
    parser.add_argument("--bytes", type=int, metavar="N", help="what a file may take")
    parser.add_argument("--trials", type=int, metavar="N", help="in all, pruned ones included")
    parser.add_argument("--workers", type=int, metavar="N", help="trials at a time, of one thread each")
    parser.add_argument("--seed", type=int, metavar="N", help="of the sampler")
    parser.add_argument("--storage", help="URL of a database (default: SQLite in the folder)")
    options = parser.parse_args(args)

    from quinr_pl.configs.find import find_base, find_config, read_text
    from quinr_pl.experiments.config_keys import check_keys
    from quinr_pl.experiments.search import search as run
    from quinr_pl.experiments.search_config import SEARCH_KEYS, Search

    if options.root is not None:
        os.environ["QUINR_DATA"] = options.root  # the workers inherit it
    path = find_config(options.config)
    settings = Search.read(read_text(path), options.config)
    changes = {name: getattr(options, name) for name in ("folder", "bytes", "trials", "workers", "seed")}
    given = {name: value for name, value in changes.items() if value is not None}
    check_keys(given, SEARCH_KEYS, "--")
    found = dataclasses.replace(settings, **given, base=find_base(settings.base, path))
    found.check()
    return run(found, settings.base, options.storage)

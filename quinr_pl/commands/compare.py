"""The command line of `quinr-pl compare`."""

from __future__ import annotations

from quinr_pl.commands.arguments import OneLineArgumentParser


def compare(args: list[str]) -> int:
    """Rate and distortion of methods, images and seeds."""
    parser = OneLineArgumentParser(
        "quinr-pl compare",
        description="Rate and distortion of methods, images and seeds: a report from one command. "
        "A comparison that was interrupted goes on where it was.",
        epilog="example: quinr-pl compare --config kodak_rd_quick.yaml --processes 2",
    )
    parser.add_argument("--config", required=True, help="a YAML file or a packaged comparison")
    parser.add_argument("--folder", help="where the jobs and the report lie")
    parser.add_argument("--root", help="folder of the data, instead of QUINR_DATA")
    parser.add_argument("--images", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N")
    parser.add_argument("--processes", type=int, metavar="N", help="jobs at a time, of one thread each")
    parser.add_argument("--executor", choices=("local", "ray"), default="local")
    parser.add_argument("--address", default="auto", help="of the Ray cluster")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--report-only", action="store_true", help="of the jobs that are finished")
    mode.add_argument("--verify", action="store_true", help="decode every file again, recompute its figures")
    options = parser.parse_args(args)

    from quinr_pl.commands.compare_cli import compare as run

    return run(options)

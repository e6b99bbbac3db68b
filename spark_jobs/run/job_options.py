"""Options of a job's command line, for the jobs themselves and for `millrace submit`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from settings import Settings, load_settings
from spark_jobs.state.acceptance import (
    ACCEPT_CLOCK,
    ACCEPT_CODE,
    ACCEPT_LOSS,
    ACCEPT_PARTITIONS,
    add_acceptance,
)

FLAGS = ("--available-now", ACCEPT_LOSS, ACCEPT_PARTITIONS, ACCEPT_CODE, ACCEPT_CLOCK)
VALUES = ("--sinks", "--output-path", "--output-format", "--starting-offsets")


def add_job_options(parser: ArgumentParser) -> None:
    """Add a job's options; `--master` and `--memory` are for Spark, the others for the job."""
    parser.add_argument(
        "--available-now",
        action="store_true",
        help="process what is on the topic now, then end (default: run until stopped)",
    )
    parser.add_argument("--sinks", help="stores that receive records, separated by commas")
    parser.add_argument("--output-path", help="where files go: a folder, s3a://… or hdfs://…")
    parser.add_argument("--output-format", help="parquet, json, csv, or several with commas")
    parser.add_argument("--master", help="Spark master, such as local[*] or spark://host:7077")
    parser.add_argument("--memory", help="heap of Spark's driver, such as 2g")
    parser.add_argument(
        "--starting-offsets",
        choices=("earliest", "latest"),
        default="earliest",
        help="where the very first start begins to read (default: %(default)s)",
    )
    add_acceptance(parser)


def settings_of(options: Namespace) -> Settings:
    """The settings, in which the options take precedence.

    Raises:
        SettingsError: lists all invalid settings.
    """
    return load_settings(
        {
            "sinks": options.sinks,
            "output_path": options.output_path,
            "output_format": options.output_format,
            "spark_master": options.master,
            "spark_driver_memory": options.memory,
        }
    )


def job_args(options: Namespace) -> list[str]:
    """The job's own options as command-line arguments."""
    words = [flag for flag in FLAGS if getattr(options, _name(flag))]
    for option in VALUES:
        value = getattr(options, _name(option))
        if value is not None:
            words += [option, value]
    return words


def _name(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")

"""Options of a job's command line, for the jobs themselves and for whoever submits them."""

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
    """Add what a job can be told; `--master` and `--memory` are for Spark, the rest for the job."""
    parser.add_argument(
        "--available-now",
        action="store_true",
        help="process what is on the topic now, then end (default: go on until stopped)",
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
        help="where the first start of all begins (default: %(default)s)",
    )
    add_acceptance(parser)


def settings_of(options: Namespace) -> Settings:
    """The settings, with what the options say over all.

    Raises:
        SettingsError: one text that names every fault.
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
    """The options that are for the job, as its command line takes them."""
    words = [flag for flag in FLAGS if getattr(options, _name(flag))]
    for option in VALUES:
        value = getattr(options, _name(option))
        if value is not None:
            words += [option, value]
    return words


def _name(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")

"""A pipeline as its producers know it: the topic, the contract, the fields of the key."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from errors import PipelineError
from runtime import remedies
from runtime.config.pipeline_folders import BUILT_IN, pipeline_folders
from schemas.contract import load_contract, read_contract
from schemas.fields import Contract, FieldContract
from settings import Settings


@dataclass(frozen=True)
class NamedInput:
    """Where a pipeline's records go and what they must be."""

    name: str
    topic: str
    contract: Contract
    key_fields: tuple[FieldContract, ...]


def input_named(name: str, settings: Settings, topic: str | None = None) -> NamedInput:
    """Return the input of a pipeline, built-in or in a folder under `PIPELINES_PATH`.

    Args:
        name: The pipeline.
        settings: They may name its topic.
        topic: The topic, if it is not that of the settings or the pipeline's name.

    Raises:
        PipelineError: There is no such pipeline.
        ContractError: Its contract has faults; lists them all.
    """
    known = (*BUILT_IN, *pipeline_folders(settings.pipelines_path))
    if name not in known:
        raise PipelineError(
            f"There is no pipeline `{name}`.{remedies.nearest(name, known)} Valid:"
            f" {', '.join(known)}. Your own are in `{settings.pipelines_path}` (PIPELINES_PATH)."
        )
    if name in BUILT_IN:
        contract = load_contract(name.removesuffix("s"))
        key = import_module(f"producers.{name}").KEY_FIELDS
        fields = tuple(contract.field(each) for each in key)
    else:
        contract = read_contract(settings.pipelines_path / name / "contract.schema.json", name)
        fields = contract.id_fields
    return NamedInput(name, topic or settings.topic_of(name) or name, contract, fields)

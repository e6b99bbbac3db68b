"""From a sample to a proposal: the contract of its records, what is stored and what is counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from operations.new.contract import NamedField, document, named
from operations.new.declaration import declaration
from operations.new.example import test_source
from operations.new.guess import Guess
from operations.new.infer import infer
from operations.new.observed import LeftOut, observe
from operations.new.personal import personal, secret_in
from operations.new.plan import Plan
from operations.new.propose import propose
from operations.new.roles import Field, repeated, with_asked_id, with_event_time, with_likely_id
from operations.new.sample import Sample
from operations.new.tables import tables_cql, tables_sql
from schemas.contract import contract_from
from spark_jobs.pipeline import CQL_FILE, SQL_FILE
from spark_jobs.registry import CONTRACT


@dataclass(frozen=True)
class Proposal:
    """What a sample makes of a pipeline.

    Attributes:
        sample: What was read.
        fields: The fields of the contract.
        left: What is not in the contract, and why.
        contract: The content of the contract's file.
        plan: What is stored and counted.
        repeats: How many records have the id of an earlier one.
    """

    sample: Sample
    fields: list[NamedField]
    left: list[LeftOut]
    contract: dict[str, Any]
    plan: Plan
    repeats: int

    def files(self, readme: str) -> dict[str, str]:
        """The files of the folder: name -> text."""
        return {
            CONTRACT: json.dumps(self.contract, indent=2, ensure_ascii=False) + "\n",
            "pipeline.py": declaration(self.plan),
            CQL_FILE: tables_cql(self.plan),
            SQL_FILE: tables_sql(self.plan),
            "README.md": readme,
            "test_pipeline.py": test_source(self.plan.name, self.fields),
        }


def proposal(
    sample: Sample, name: str, ids: Sequence[str], now: datetime, topic: str | None = None
) -> Proposal:
    """Guess and propose; nothing is read or written.

    Args:
        sample: The records.
        name: The pipeline's name.
        ids: Fields that identify a record; the likeliest if none is given.
        now: The latest instant at which a record of the sample can have happened.
        topic: The topic that it reads, if not the one of its name.

    Raises:
        PipelineError: Nothing identifies a record, or `ids` cannot.
    """
    fields, left = _fields(sample, name)
    fields = with_event_time(fields, now)
    fields = with_asked_id(fields, ids) if ids else with_likely_id(fields, sample.records, name)
    in_contract = named(fields, {name for record in sample.records for name in record})
    contract = document(name, in_contract, sample.origin)
    read = contract_from(name, contract, place="contract.schema.json", stands_alone=True)
    plan = propose(name, in_contract, read, topic)
    return Proposal(sample, in_contract, left, contract, plan, repeated(fields, sample.records))


def _fields(sample: Sample, name: str) -> tuple[list[Field], list[LeftOut]]:
    """The fields of a sample, and what is left out; no secret is, as `send` must know it."""
    observed, unable = observe(sample.records)
    fields: list[Field] = []
    for each in observed:
        guess = infer(each, from_text=sample.kind == "csv", exact=sample.kind != "parquet")
        is_personal = personal(each, name)
        if isinstance(guess, str):
            unable.append(LeftOut(each.name, guess, each))
        elif is_personal and guess.is_array and is_personal.sensitivity != "never":
            why = f"an array of personal data ({is_personal.why}), which has no digest"
            unable.append(LeftOut(each.name, why))
        else:
            fields.append(Field(each, guess, is_personal))
    left: list[LeftOut] = []
    for out in unable:
        secret = out.observed and secret_in(out.observed)
        if out.observed and secret:
            fields.append(Field(out.observed, _of_any_type(out), secret))
        else:
            left.append(out)
    return fields, left


def _of_any_type(out: LeftOut) -> Guess:
    """A type that a contract can have, for what is never sent and so never judged."""
    values = out.observed.filled if out.observed else []
    if values and all(isinstance(value, list) for value in values):
        keywords = {"type": "array", "items": {"type": "string"}}
        return Guess("string", keywords, out.why, is_array=True)
    return Guess("string", {"type": "string"}, out.why)

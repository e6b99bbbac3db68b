"""Checks of the stores: endpoint, login, and whether tables and collections are as expected."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cassandra import AuthenticationFailed, InvalidRequest, Unauthorized
from cassandra.cluster import Session
from pymongo.errors import PyMongoError

from cql import tables as cql_tables
from cql.access import UNTRUSTED, advice
from cql.client import close, connect
from errors import SinkUnavailable
from local_stack.mongodb import MongoDB
from operations.doctor.check import Fault, Line, line_of, not_yet
from operations.doctor.endpoints import (
    absence,
    away_faults,
    cassandra_endpoint,
    mongodb_endpoint,
    postgres_endpoint,
)
from operations.doctor.version_checks import OLDEST_CASSANDRA
from runtime import remedies
from settings import Settings
from spark_jobs.registry import pipelines_of
from spark_jobs.sinks.base import Sink
from spark_jobs.sinks.cassandra_log import LONGEST_PAUSE_SECONDS, SETTINGS, lag_seconds
from spark_jobs.sinks.mongodb import (
    DRAFT_SUFFIX,
    check_mongodb,
    confirmed_database,
    connect_mongodb,
)
from spark_jobs.sinks.postgres import LEDGER as BATCHES
from spark_jobs.sinks.registry import sinks_of
from spark_jobs.state.ledger import COLLECTION as LEDGER
from sql import client as sql_client
from sql import tables as sql_tables
from sql.declared import declared

ASK_SECONDS: Final = 4.0
LEDGER_INDEX: Final = [("pipeline", 1), ("batch_id", -1)]
# MongoDB's names of the privileges that jobs need.
MONGODB_ACTIONS: Final = frozenset({"find", "insert", "update", "remove", "createIndex"})


def look_at_cassandra(settings: Settings) -> list[Line]:
    """Whether Cassandra accepts the login, and its tables match `cql/`."""
    if away := absence(cassandra_endpoint(settings), settings):
        return [line_of("cassandra", [away], ""), *not_yet("tables", because="Cassandra is away")]
    try:
        # Without a data centre, so that the cluster reports its own.
        anywhere = settings.model_copy(update={"cassandra_local_datacenter": ""})
        session = connect(anywhere, ASK_SECONDS)
    except SinkUnavailable as error:
        fault = _refused_by_cassandra(error, settings)
        return [line_of("cassandra", [fault], ""), *not_yet("tables", because="see cassandra")]
    try:
        local = session.execute("SELECT release_version, data_center FROM system.local").one()
        peers = list(session.execute("SELECT data_center FROM system.peers"))
        centres = [local["data_center"], *(peer["data_center"] for peer in peers)]
        hosts = session.cluster.metadata.all_hosts()
        nodes = sorted((str(host.endpoint.address), host.endpoint.port) for host in hosts)
        node = away_faults(nodes, "node")
        node += node_faults(local["release_version"], centres, settings)
        where = f"{settings.cassandra_contact_points}:{settings.cassandra_port}"
        node_text = f"{local['release_version']} at {where}, data centre {local['data_center']}"
        node_text += said_of_its_log(session, len(centres), settings)
        shapes = {p.name: {t.place: t.declared for t in p.tables} for p in pipelines_of(settings)}
        wanted = [place for tables in shapes.values() for place in tables]
        rows = session.execute("SELECT keyspace_name, replication FROM system_schema.keyspaces")
        factors = {row["keyspace_name"]: dict(row["replication"]) for row in rows}
        found = cql_tables.present(session, wanted)
        differing = [
            each
            for name, tables in shapes.items()
            for each in cql_tables.differences(tables, found, name)
        ]
    finally:
        close(session)
    keyspaces = {place.partition(".")[0] for place in wanted}
    tables = [
        *(Fault(each.text, each.is_absent) for each in differing),
        *replication_faults(
            {name: factors[name] for name in factors if name in keyspaces}, len(centres), settings
        ),
    ]
    return [
        line_of("cassandra", node, node_text),
        line_of("tables", tables, f"{len(wanted)} match cql/"),
    ]


def said_of_its_log(session: Session, nodes: int, settings: Settings) -> str:
    """A remark if confirmed rows are in one place that a crash may lose."""
    if settings.cassandra_replication_factor > 1:
        return ""
    if nodes > 1:
        return f"; one copy on {nodes} nodes: a crash may lose the last rows, so keep three copies"
    try:
        rows = session.execute(SETTINGS)
    except (InvalidRequest, Unauthorized):
        rows = []
    lag = lag_seconds({row["name"]: row["value"] for row in rows})
    if lag is None:
        return (
            "; it does not say how it syncs its log, so a crash may lose the last rows:"
            f" GRANT SELECT ON system_views.settings TO {settings.cassandra_username or '…'}"
        )
    if lag <= LONGEST_PAUSE_SECONDS:
        return ""
    return (
        f"; a crash may lose rows of the last {lag:g} s (`make verify` names them): set"
        " commitlog_sync_period: 20ms in its cassandra.yaml, or keep three copies"
    )


def _refused_by_cassandra(error: SinkUnavailable, settings: Settings) -> Fault:
    causes = getattr(error.__cause__, "errors", None) or {}
    if any(isinstance(cause, AuthenticationFailed) for cause in causes.values()):
        return Fault(
            f"{settings.cassandra_contact_points}:{settings.cassandra_port} refused the login:"
            " correct CASSANDRA_USERNAME and CASSANDRA_PASSWORD"
        )
    reason = "; ".join(str(cause) for cause in causes.values())
    if UNTRUSTED in reason.lower():
        where = f"{settings.cassandra_contact_points}:{settings.cassandra_port}"
        return Fault(f"{where} is not trusted. {advice(reason)}")
    kinds = sorted({type(cause).__name__ for cause in causes.values()})
    return Fault(
        f"{settings.cassandra_contact_points}:{settings.cassandra_port} does not speak CQL"
        f" within {ASK_SECONDS:g} s ({', '.join(kinds) or type(error.__cause__).__name__}): check"
        " that it is Cassandra and not overloaded, or correct CASSANDRA_CONTACT_POINTS,"
        " CASSANDRA_PORT and CASSANDRA_SSL"
    )


def node_faults(version: str, centres: list[str], settings: Settings) -> Iterator[Fault]:
    """Faults of a cluster with this version and these data centres."""
    # Such as `5.0-rc1`.
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < OLDEST_CASSANDRA:
        yield Fault(f"it is Cassandra {version}: the tables need 5.0 or later")
    if settings.cassandra_local_datacenter not in centres:
        yield Fault(
            f"it has no data centre `{settings.cassandra_local_datacenter}`: set"
            f" CASSANDRA_LOCAL_DATACENTER={centres[0]}"
        )


def replication_faults(
    found: Mapping[str, Mapping[str, str]], nodes: int, settings: Settings
) -> Iterator[Fault]:
    """Those of these keyspaces with a wrong number of copies, or more copies than nodes."""
    factor = settings.cassandra_replication_factor
    if factor > nodes:
        yield Fault(
            f"CASSANDRA_REPLICATION_FACTOR is {factor}, the cluster has {nodes} nodes: set it to"
            f" {nodes} at most"
        )
    centre = settings.cassandra_local_datacenter
    for keyspace, options in found.items():
        copies = options.get(centre, options.get("replication_factor"))
        if copies is None:
            yield Fault(
                f"keyspace {keyspace} keeps no copies in data centre `{centre}`:"
                f" `{_replicated(keyspace, centre, factor)}`, or correct CASSANDRA_LOCAL_DATACENTER"
            )
        elif copies != str(factor):
            yield Fault(
                f"keyspace {keyspace} keeps {copies} copies, CASSANDRA_REPLICATION_FACTOR is"
                f" {factor}: set it to {copies}, or"
                f" `{_replicated(keyspace, centre, factor)}` and then `nodetool repair`"
            )


def _replicated(keyspace: str, centre: str, factor: int) -> str:
    options = f"{{'class': 'NetworkTopologyStrategy', '{centre}': {factor}}}"
    return remedies.cqlsh(f"ALTER KEYSPACE {keyspace} WITH replication = {options}")


def look_at_mongodb(settings: Settings) -> list[Line]:
    """Whether MongoDB accepts the login with the rights that jobs need, and what it holds."""
    if away := absence(mongodb_endpoint(settings), settings):
        because = "MongoDB is away"
        return [line_of("mongodb", [away], ""), *not_yet("collections", because=because)]
    with connect_mongodb(settings, ASK_SECONDS) as client:
        check_mongodb(client, settings)
        database = confirmed_database(client, settings)
        rights = list(right_faults(_privileges(client), settings.mongo_database))
        names = database.list_collection_names()
        has_index = LEDGER in names and any(
            list(index["key"].items()) == LEDGER_INDEX for index in database[LEDGER].list_indexes()
        )
        version = str(client.server_info()["version"])
    flavour = MongoDB(settings).version if settings.stack == "embedded" else f"MongoDB {version}"
    return [
        line_of("mongodb", rights, f"{flavour} at {settings.mongo_address}"),
        line_of(
            "collections",
            list(collection_faults(names, has_index=has_index)),
            f"{len(names)} in {settings.mongo_database}, the ledger indexed",
        ),
    ]


def _privileges(client: Any) -> list[dict[str, Any]] | None:
    """The user's privileges; None if logins are off or the server does not report them."""
    try:
        answer = client.admin.command("connectionStatus", showPrivileges=True)
    except PyMongoError:
        return None
    login = answer.get("authInfo", {})
    return login.get("authenticatedUserPrivileges") if login.get("authenticatedUsers") else None


def right_faults(privileges: list[dict[str, Any]] | None, database: str) -> Iterator[Fault]:
    """Rights in the database that the user lacks; none if logins are off."""
    granted: set[str] = set()
    for privilege in privileges or []:
        resource = privilege.get("resource", {})
        # An empty name stands for all databases, an empty collection for all of one.
        is_ours = resource.get("db") in {"", database} and resource.get("collection") == ""
        if is_ours or resource.get("anyResource"):
            granted |= {*privilege.get("actions", [])}
    missing = MONGODB_ACTIONS - granted
    if privileges and missing and "anyAction" not in granted:
        yield Fault(
            f"the user of MONGO_URI lacks {', '.join(sorted(missing))} in `{database}`: grant the"
            " role `readWrite` there"
        )


def collection_faults(names: list[str], *, has_index: bool) -> Iterator[Fault]:
    """A missing index, or drafts left over; most collections appear with their first document."""
    if not has_index:
        yield Fault(f"`{LEDGER}` has no index: `make up` creates it", by_itself=True)
    if drafts := sorted(name for name in names if name.endswith(DRAFT_SUFFIX)):
        yield Fault(
            f"{', '.join(drafts)} are left over from an interrupted rebuild:"
            f" `{remedies.rebuild()}` completes it"
        )


def look_at_postgres(settings: Settings) -> list[Line]:
    """Whether PostgreSQL accepts the login, and its tables match `sql/`."""
    if away := absence(postgres_endpoint(settings), settings):
        because = "PostgreSQL is away"
        return [line_of("postgres", [away], ""), *not_yet("sql tables", because=because)]
    with sql_client.connect(settings, int(ASK_SECONDS)) as connection:
        version = connection.info.server_version // 10_000
    tables = (table for p in pipelines_of(settings) for table in p.sql_tables)
    wanted = {table.name: table.declared for table in tables}
    wanted |= {BATCHES: declared()[BATCHES]}
    faults = list(sql_faults(sql_tables.faults(settings, wanted)))
    return [
        line_of("postgres", [], f"PostgreSQL {version} at {settings.postgres_address}"),
        line_of("sql tables", faults, f"{len(wanted)} match sql/"),
    ]


def look_at_sink(kind: type[Sink], settings: Settings) -> list[Line]:
    """Whether a sink can take what pipelines have for it, by its own check."""
    with connect_mongodb(settings, ASK_SECONDS) as client:
        database = confirmed_database(client, settings)
        sinks = [
            sink
            for pipeline in pipelines_of(settings)
            for sink in sinks_of(pipeline, settings, database)
            if isinstance(sink, kind)
        ]
        for sink in sinks:
            sink.check()
    places = dict.fromkeys(sink.describe() or sink.store for sink in sinks)
    return [line_of(sinks[0].name, [], ", ".join(places))]


def sql_faults(found: Sequence[str]) -> Iterator[Fault]:
    """Tables that are missing, which `make up` creates, and tables that differ."""
    absent = [text for text in found if text.startswith("no table ")]
    if absent:
        yield Fault(f"{', '.join(absent)}: `make up` creates what is missing", by_itself=True)
    if differing := [text for text in found if text not in absent]:
        yield Fault(f"{', '.join(differing)}: alter them to match sql/, or drop them first")

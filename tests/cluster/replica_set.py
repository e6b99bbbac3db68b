"""A replica set of `mongod`, where the machine has one."""

from __future__ import annotations

from collections.abc import Sequence

import pymongo
from pymongo.errors import PyMongoError

from local_stack.mongodb import REPLICA_SET
from tests.support.processes import wait_for

START_SECONDS = 60


def start_replica_set(addresses: Sequence[str]) -> None:
    """Make the servers one replica set, and wait for its primary."""
    first = pymongo.MongoClient(addresses[0], directConnection=True, serverSelectionTimeoutMS=30000)
    with first:
        members = [{"_id": n, "host": address} for n, address in enumerate(addresses)]
        first.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
    wait_for(lambda: _has_primary(addresses), START_SECONDS, "primary of the replica set")


def _has_primary(addresses: Sequence[str]) -> bool:
    with pymongo.MongoClient(
        list(addresses), replicaSet=REPLICA_SET, serverSelectionTimeoutMS=1000
    ) as client:
        try:
            # Only a primary is asked.
            return bool(client.admin.command("ping")["ok"])
        except PyMongoError:
            return False

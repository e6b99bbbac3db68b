"""Words that are no name without quotes, in CQL, in SQL and in Spark SQL."""

from __future__ import annotations

from typing import Final

# Apache Cassandra 5, doc/cql3, appendix A.
RESERVED_IN_CQL: Final = frozenset(
    "add allow alter and apply asc authorize batch begin by columnfamily create default delete"
    " desc describe drop entries execute from full grant if in index infinity insert into is"
    " keyspace limit materialized mbean mbeans modify nan norecursive not null of on or order"
    " primary rename replace revoke schema select set table to token truncate unlogged unset"
    " update use using view where with".split()
)
# PostgreSQL's manual, appendix C, and the columns that every table has.
RESERVED_IN_SQL: Final = frozenset(
    "all analyse analyze and any array as asc asymmetric authorization binary both case cast check"
    " collate collation column concurrently constraint create cross current_catalog current_date"
    " current_role current_schema current_time current_timestamp current_user default deferrable"
    " desc distinct do else end except false fetch for foreign freeze from full grant group having"
    " ilike in initially inner intersect into is isnull join lateral leading left like limit"
    " localtime localtimestamp natural not notnull null offset on only or order outer overlaps"
    " placing primary references returning right select session_user similar some symmetric table"
    " tablesample then to trailing true union unique user using variadic verbose when where window"
    " with tableoid xmin cmin xmax cmax ctid system_user".split()
)
# Spark SQL in its own mode, and words that its expressions begin with.
RESERVED_IN_SPARK: Final = frozenset(
    "anti between div exists interval lambda map rlike semi struct".split()
)

package millrace.spark;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.DefaultConsistencyLevel;
import com.datastax.oss.driver.api.core.cql.BoundStatement;
import com.datastax.oss.driver.api.core.cql.Row;
import com.datastax.oss.driver.api.core.servererrors.QueryValidationException;
import com.datastax.spark.connector.cql.CassandraConnector;
import java.util.Iterator;

/** What `spark_jobs/sinks/cassandra_log.py` asks, through the connector's session. */
public final class CassandraLog {
    private CassandraLog() {
    }

    /**
     * The two texts of each row of a query, a line of "name=value" each, as one call to Java takes
     * as long as a row. None if this user or this server may not answer it.
     */
    public static String pairs(CassandraConnector connector, String query) {
        StringBuilder lines = new StringBuilder();
        CqlSession session = connector.openSession();
        try {
            Iterator rows = session.execute(query).iterator();
            while (rows.hasNext()) {
                Row row = (Row) rows.next();
                if (row.getString(1) != null) {
                    lines.append(row.getString(0)).append('=').append(row.getString(1)).append('\n');
                }
            }
        } catch (QueryValidationException refused) {
            return "";
        } finally {
            session.close();
        }
        return lines.toString();
    }

    /** Reads any partition of a table by Paxos; nothing if the table is empty. `key`: its columns. */
    public static void serialRead(CassandraConnector connector, String table, String key) {
        String query = "SELECT " + key + " FROM " + table;
        CqlSession session = connector.openSession();
        try {
            Row any = (Row) session.execute(query + " LIMIT 1").one();
            if (any == null) {
                return;
            }
            String condition = key.replace(",", " = ? AND ") + " = ?";
            BoundStatement read = session.prepare(query + " WHERE " + condition + " LIMIT 1").bind(new Object[0]);
            for (int i = 0; i < any.size(); i++) {
                read = (BoundStatement) read.setBytesUnsafe(i, any.getBytesUnsafe(i));
            }
            session.execute(read.setConsistencyLevel(DefaultConsistencyLevel.LOCAL_SERIAL));
        } finally {
            session.close();
        }
    }
}

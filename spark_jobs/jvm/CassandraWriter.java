package millrace.spark;

import com.datastax.oss.driver.api.core.ConsistencyLevel;
import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.DefaultConsistencyLevel;
import com.datastax.oss.driver.api.core.cql.BatchStatement;
import com.datastax.oss.driver.api.core.cql.BoundStatementBuilder;
import com.datastax.oss.driver.api.core.cql.DefaultBatchType;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.metadata.Metadata;
import com.datastax.oss.driver.api.core.metadata.TokenMap;
import com.datastax.oss.driver.api.core.metadata.schema.ColumnMetadata;
import com.datastax.oss.driver.api.core.metadata.schema.KeyspaceMetadata;
import com.datastax.oss.driver.api.core.metadata.schema.TableMetadata;
import com.datastax.oss.driver.api.core.metadata.token.Token;
import com.datastax.oss.driver.api.core.type.DataType;
import com.datastax.oss.protocol.internal.ProtocolConstants;
import com.datastax.spark.connector.cql.CassandraConnector;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiConsumer;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.VoidFunction;
import org.apache.spark.sql.catalyst.InternalRow;

/**
 * Writes the rows of a task to a table over the connector's session, without its conversions.
 *
 * Two things make it cheaper than the connector's own writer. Spark's values become Cassandra's
 * bytes at once, with no object between them. And the rows of a task go out in the order in which
 * Cassandra keeps them: by token, in a partition by clustering columns; so a row is put beside the
 * one before. Figures: docs/performance.md.
 *
 * What the connector promises holds: unlogged batches, a bounded number of them in flight, nulls
 * not written, the task fails unless each batch was confirmed at the wanted consistency.
 */
public class CassandraWriter implements VoidFunction {
    /** Rows that a task sorts at a time; what it keeps in memory is some 1 KB for each. */
    static final int ROWS_AT_A_TIME = 60000;
    /** Places of the order at which a task writes by turns, so that not all goes to one node. */
    static final int LANES = 5;
    /** What a row takes beside its values, as Cassandra counts: some 190 bytes. */
    static final int ROW_BYTES = 200;

    private final CassandraConnector connector;
    private final String keyspace;
    private final String table;
    private final String columns;
    private final String consistency;
    private final int inFlight;
    private final int batchBytes;

    /**
     * `columns`: names with commas between them, in the order of the rows' values; `batchBytes`:
     * bound of a batch, as Cassandra counts it.
     */
    public CassandraWriter(CassandraConnector connector, String keyspace, String table, String columns,
            String consistency, int inFlight, int batchBytes) {
        this.connector = connector;
        this.keyspace = keyspace;
        this.table = table;
        this.columns = columns;
        this.consistency = consistency;
        this.inFlight = inFlight;
        this.batchBytes = batchBytes;
    }

    public void call(Object iterator) throws Exception {
        Iterator rows = (Iterator) iterator;
        if (!rows.hasNext()) {
            return;
        }
        CqlSession session = this.connector.openSession();
        try {
            String[] names = this.columns.split(",");
            PreparedStatement insert = session.prepare(insertStatement(names));
            Encoder encoder = new Encoder(insert, clustering(session, names), session);
            Sender sender = new Sender(session, insert);
            ArrayList taken = new ArrayList();
            while (rows.hasNext()) {
                taken.add(encoder.encode((InternalRow) rows.next()));
                if (taken.size() == ROWS_AT_A_TIME || !rows.hasNext()) {
                    sender.send(taken);
                    taken.clear();
                }
            }
            sender.finish();
        } catch (InterruptedException interrupted) {
            throw interrupted;
        } catch (Exception error) {
            throw new IOException("Failed to write to " + this.keyspace + "." + this.table
                    + ". The latest exception was\n" + error, error);
        } finally {
            session.close();
        }
    }

    private String insertStatement(String[] names) {
        String[] marks = new String[names.length];
        Arrays.fill(marks, "?");
        return "INSERT INTO " + this.keyspace + "." + this.table + " (" + this.columns + ") VALUES ("
                + String.join(",", marks) + ")";
    }

    /** Positions of the clustering columns; none where the session has not heard of the table yet. */
    private int[] clustering(CqlSession session, String[] names) {
        Metadata metadata = session.getMetadata();
        KeyspaceMetadata keyspace = (KeyspaceMetadata) metadata.getKeyspace(this.keyspace).orElse(null);
        TableMetadata table = keyspace == null ? null : (TableMetadata) keyspace.getTable(this.table).orElse(null);
        if (table == null) {
            return new int[0];
        }
        int[] positions = new int[table.getClusteringColumns().size()];
        Iterator columns = table.getClusteringColumns().keySet().iterator();
        for (int i = 0; i < positions.length; i++) {
            String name = ((ColumnMetadata) columns.next()).getName().asInternal();
            positions[i] = Arrays.asList(names).indexOf(name);
        }
        return positions;
    }

    /** Makes Cassandra's bytes of Spark's rows. */
    static final class Encoder {
        private final DataType[] types;
        private final int[] partitionKey;
        private final int[] clustering;
        private final TokenMap tokens;

        Encoder(PreparedStatement insert, int[] clustering, CqlSession session) {
            this.types = new DataType[insert.getVariableDefinitions().size()];
            for (int i = 0; i < this.types.length; i++) {
                this.types[i] = insert.getVariableDefinitions().get(i).getType();
            }
            List key = insert.getPartitionKeyIndices();
            this.partitionKey = new int[key.size()];
            for (int i = 0; i < this.partitionKey.length; i++) {
                this.partitionKey[i] = ((Integer) key.get(i)).intValue();
            }
            this.clustering = clustering;
            this.tokens = (TokenMap) session.getMetadata().getTokenMap().get();
        }

        Row encode(InternalRow row) {
            ByteBuffer[] values = new ByteBuffer[this.types.length];
            int bytes = ROW_BYTES;
            for (int i = 0; i < values.length; i++) {
                if (!row.isNullAt(i)) {
                    values[i] = value(row, i);
                    bytes += values[i].remaining();
                }
            }
            ByteBuffer[] key = new ByteBuffer[this.partitionKey.length];
            for (int i = 0; i < key.length; i++) {
                key[i] = (ByteBuffer) values[this.partitionKey[i]].duplicate();
            }
            return new Row(values, this.tokens.newToken(key), this.clustering, bytes);
        }

        private ByteBuffer value(InternalRow row, int position) {
            switch (this.types[position].getProtocolCode()) {
                case ProtocolConstants.DataType.VARCHAR:
                    return ByteBuffer.wrap(row.getUTF8String(position).getBytes());
                case ProtocolConstants.DataType.TIMESTAMP:
                    // Spark counts microseconds, Cassandra milliseconds.
                    return eight(Math.floorDiv(row.getLong(position), 1000L));
                case ProtocolConstants.DataType.BIGINT:
                    return eight(row.getLong(position));
                case ProtocolConstants.DataType.INT:
                    ByteBuffer four = ByteBuffer.allocate(4);
                    four.putInt(0, row.getInt(position));
                    return four;
                case ProtocolConstants.DataType.UUID:
                    UUID uuid = UUID.fromString(row.getUTF8String(position).toString());
                    ByteBuffer sixteen = ByteBuffer.allocate(16);
                    sixteen.putLong(0, uuid.getMostSignificantBits());
                    sixteen.putLong(8, uuid.getLeastSignificantBits());
                    return sixteen;
                default:
                    throw new IllegalStateException("a column of type " + this.types[position]
                            + ", which only the connector writes (CASSANDRA_WRITER=connector)");
            }
        }

        private static ByteBuffer eight(long number) {
            ByteBuffer eight = ByteBuffer.allocate(8);
            eight.putLong(0, number);
            return eight;
        }
    }

    /** A row as Cassandra gets it, and its place in Cassandra's order (or one that is as close). */
    static final class Row implements Comparable {
        final ByteBuffer[] values;
        final Token token;
        final int bytes;
        private final int[] clustering;

        Row(ByteBuffer[] values, Token token, int[] clustering, int bytes) {
            this.values = values;
            this.token = token;
            this.clustering = clustering;
            this.bytes = bytes;
        }

        public int compareTo(Object other) {
            Row row = (Row) other;
            int order = this.token.compareTo(row.token);
            for (int i = 0; order == 0 && i < this.clustering.length; i++) {
                order = this.values[this.clustering[i]].compareTo(row.values[this.clustering[i]]);
            }
            return order;
        }
    }

    /** Sends batches, a few of them in flight, and remembers the first failure. */
    final class Sender implements BiConsumer {
        private final CqlSession session;
        private final PreparedStatement insert;
        private final ConsistencyLevel level;
        private final Semaphore free;
        private final AtomicReference failure = new AtomicReference();

        Sender(CqlSession session, PreparedStatement insert) {
            this.session = session;
            this.insert = insert;
            this.level = DefaultConsistencyLevel.valueOf(CassandraWriter.this.consistency);
            this.free = new Semaphore(CassandraWriter.this.inFlight);
        }

        void send(ArrayList rows) throws Exception {
            Collections.sort(rows);
            ArrayList batches = batches(rows);
            int length = (batches.size() + LANES - 1) / LANES;
            // Each task begins elsewhere, lest all of them write to one partition.
            TaskContext task = TaskContext.get();
            int first = length * task.partitionId() / task.numPartitions();
            for (int step = 0; step < length; step++) {
                for (int lane = 0; lane < LANES; lane++) {
                    int index = lane * length + (first + step) % length;
                    if (index < batches.size()) {
                        execute((List) batches.get(index));
                    }
                }
            }
        }

        /** Rows in order, cut into batches: of one partition where many lie in it, else mixed. */
        ArrayList batches(ArrayList rows) {
            ArrayList batches = new ArrayList();
            ArrayList mixed = new ArrayList();
            int mixedBytes = 0;
            int start = 0;
            while (start < rows.size()) {
                int end = start;
                int bytes = 0;
                do {
                    bytes += ((Row) rows.get(end)).bytes;
                    end++;
                } while (end < rows.size()
                        && ((Row) rows.get(end)).token.equals(((Row) rows.get(start)).token)
                        && bytes + ((Row) rows.get(end)).bytes <= CassandraWriter.this.batchBytes);
                List same = new ArrayList(rows.subList(start, end));
                if (bytes > CassandraWriter.this.batchBytes / 2) {
                    batches.add(same);
                } else {
                    if (mixedBytes + bytes > CassandraWriter.this.batchBytes) {
                        batches.add(mixed);
                        mixed = new ArrayList();
                        mixedBytes = 0;
                    }
                    mixed.addAll(same);
                    mixedBytes += bytes;
                }
                start = end;
            }
            if (!mixed.isEmpty()) {
                batches.add(mixed);
            }
            return batches;
        }

        private void execute(List rows) throws Exception {
            ArrayList statements = new ArrayList(rows.size());
            for (int i = 0; i < rows.size(); i++) {
                ByteBuffer[] values = ((Row) rows.get(i)).values;
                BoundStatementBuilder bound = this.insert.boundStatementBuilder(new Object[0]);
                for (int column = 0; column < values.length; column++) {
                    if (values[column] != null) {
                        bound.setBytesUnsafe(column, values[column]);
                    }
                }
                statements.add(bound.build());
            }
            BatchStatement batch = BatchStatement.newInstance(DefaultBatchType.UNLOGGED, statements);
            batch = (BatchStatement) batch.setConsistencyLevel(this.level);
            // The same rows again change nothing, so the driver may repeat it.
            batch = (BatchStatement) batch.setIdempotent(Boolean.TRUE);
            this.free.acquire();
            if (this.failure.get() != null) {
                this.free.release();
                finish();
            }
            this.session.executeAsync(batch).whenComplete(this);
        }

        public void accept(Object result, Object error) {
            if (error != null) {
                this.failure.compareAndSet(null, error);
            }
            this.free.release();
        }

        /** Wait until nothing is in flight; throws what went wrong. */
        void finish() throws Exception {
            this.free.acquire(CassandraWriter.this.inFlight);
            this.free.release(CassandraWriter.this.inFlight);
            Throwable error = (Throwable) this.failure.get();
            if (error instanceof Exception) {
                throw (Exception) error;
            }
            if (error != null) {
                throw new IOException(error);
            }
        }
    }
}

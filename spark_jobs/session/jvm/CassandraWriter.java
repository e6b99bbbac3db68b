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
 * Writes a task's rows to a table through the connector's session, without its conversions.
 *
 * Two things make it cheaper than the connector's own writer. Spark's values become Cassandra's
 * bytes directly, with no object in between. And a task's rows are sent in Cassandra's order: by
 * token, and within a partition by clustering columns, so each row is stored next to the one
 * before. Figures: docs/experiments.md.
 *
 * It keeps the connector's guarantees: unlogged batches, a bounded number of them in flight, nulls
 * not written, and the task fails unless every batch was confirmed at the configured consistency.
 */
public class CassandraWriter implements VoidFunction {
    /** Rows that a task sorts at a time; each takes about 400 bytes of memory. */
    static final int ROWS_AT_A_TIME = 100000;
    /** Positions in the order between which a task alternates, so as not to load a single node. */
    static final int LANES = 5;
    /** What a row takes in addition to its values, as Cassandra counts: about 190 bytes. */
    static final int ROW_BYTES = 200;
    /** The length of a value that a row does not have. */
    static final int ABSENT = -1;

    private final CassandraConnector connector;
    private final String keyspace;
    private final String table;
    private final String columns;
    private final String consistency;
    private final int inFlight;
    private final int batchBytes;

    /**
     * `columns`: comma-separated names in the order of the rows' values; `batchBytes`: largest
     * batch, as Cassandra counts it.
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

    /** Positions of the clustering columns; none if the session does not know the table yet. */
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

    /** Turns Spark's rows into Cassandra's bytes. */
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
            int size = 4 * this.types.length;
            for (int i = 0; i < this.types.length; i++) {
                size += row.isNullAt(i) ? 0 : size(row, i);
            }
            ByteBuffer values = ByteBuffer.allocate(size);
            for (int i = 0; i < this.types.length; i++) {
                if (row.isNullAt(i)) {
                    values.putInt(ABSENT);
                } else {
                    int start = values.position() + 4;
                    values.position(start);
                    put(row, i, values);
                    values.putInt(start - 4, values.position() - start);
                }
            }
            ByteBuffer[] all = split(values.array());
            ByteBuffer[] key = new ByteBuffer[this.partitionKey.length];
            for (int i = 0; i < key.length; i++) {
                key[i] = all[this.partitionKey[i]];
            }
            return new Row(this, values.array(), this.tokens.newToken(key));
        }

        /** Views of a row's values; null for an absent value. */
        ByteBuffer[] split(byte[] row) {
            ByteBuffer[] values = new ByteBuffer[this.types.length];
            ByteBuffer rest = ByteBuffer.wrap(row);
            for (int i = 0; i < values.length; i++) {
                int length = rest.getInt();
                if (length != ABSENT) {
                    values[i] = ByteBuffer.wrap(row, rest.position(), length);
                    rest.position(rest.position() + length);
                }
            }
            return values;
        }

        /** The most bytes that a value takes. */
        private int size(InternalRow row, int position) {
            return isText(position) ? row.getUTF8String(position).numBytes() : 16;
        }

        private boolean isText(int position) {
            return this.types[position].getProtocolCode() == ProtocolConstants.DataType.VARCHAR;
        }

        private void put(InternalRow row, int position, ByteBuffer values) {
            switch (this.types[position].getProtocolCode()) {
                case ProtocolConstants.DataType.VARCHAR:
                    row.getUTF8String(position).writeTo(values);
                    break;
                case ProtocolConstants.DataType.TIMESTAMP:
                    // Spark counts microseconds, Cassandra milliseconds.
                    values.putLong(Math.floorDiv(row.getLong(position), 1000L));
                    break;
                case ProtocolConstants.DataType.BIGINT:
                    values.putLong(row.getLong(position));
                    break;
                case ProtocolConstants.DataType.INT:
                    values.putInt(row.getInt(position));
                    break;
                case ProtocolConstants.DataType.UUID:
                    UUID uuid = UUID.fromString(row.getUTF8String(position).toString());
                    values.putLong(uuid.getMostSignificantBits());
                    values.putLong(uuid.getLeastSignificantBits());
                    break;
                default:
                    throw new IllegalStateException("a column of type " + this.types[position]
                            + ", which only the connector writes (CASSANDRA_WRITER=connector)");
            }
        }
    }

    /** A row as sent to Cassandra, with its position in Cassandra's order or close to it. */
    static final class Row implements Comparable {
        final Token token;
        private final Encoder encoder;
        private final byte[] values;

        /** `values`: each after its length, in one array to save memory, as many rows wait. */
        Row(Encoder encoder, byte[] values, Token token) {
            this.encoder = encoder;
            this.values = values;
            this.token = token;
        }

        ByteBuffer[] values() {
            return this.encoder.split(this.values);
        }

        /** Size in bytes as Cassandra counts it, or slightly more. */
        int bytes() {
            return ROW_BYTES + this.values.length - 4 * this.encoder.types.length;
        }

        public int compareTo(Object other) {
            Row row = (Row) other;
            int order = this.token.compareTo(row.token);
            int[] clustering = this.encoder.clustering;
            for (int i = 0; order == 0 && i < clustering.length; i++) {
                int mine = start(clustering[i]);
                int theirs = row.start(clustering[i]);
                order = Arrays.compareUnsigned(this.values, mine, end(mine), row.values, theirs, row.end(theirs));
            }
            return order;
        }

        private int start(int column) {
            int start = 4;
            for (int i = 0; i < column; i++) {
                start = end(start) + 4;
            }
            return start;
        }

        /** End of the value that begins at `start`, after its length. */
        private int end(int start) {
            int length = (this.values[start - 4] & 0xff) << 24 | (this.values[start - 3] & 0xff) << 16
                    | (this.values[start - 2] & 0xff) << 8 | this.values[start - 1] & 0xff;
            return start + Math.max(length, 0);
        }
    }

    /** Sends batches with a few in flight, and remembers the first failure. */
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
            // Each task begins elsewhere, so that they do not all write to one partition.
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

        /** Splits sorted rows into batches: one per partition with many rows, the others mixed. */
        ArrayList batches(ArrayList rows) {
            ArrayList batches = new ArrayList();
            ArrayList mixed = new ArrayList();
            int mixedBytes = 0;
            int start = 0;
            while (start < rows.size()) {
                int end = start;
                int bytes = 0;
                do {
                    bytes += ((Row) rows.get(end)).bytes();
                    end++;
                } while (end < rows.size()
                        && ((Row) rows.get(end)).token.equals(((Row) rows.get(start)).token)
                        && bytes + ((Row) rows.get(end)).bytes() <= CassandraWriter.this.batchBytes);
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
                ByteBuffer[] values = ((Row) rows.get(i)).values();
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
            // Writing the same rows again changes nothing, so the driver may retry.
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

        /** Waits until nothing is in flight; throws the first failure. */
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

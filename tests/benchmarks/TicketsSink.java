package peer;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.CqlSessionBuilder;
import com.datastax.oss.driver.api.core.config.DefaultDriverOption;
import com.datastax.oss.driver.api.core.config.DriverConfigLoader;
import com.datastax.oss.driver.api.core.config.ProgrammaticDriverConfigLoaderBuilder;
import com.datastax.oss.driver.api.core.cql.BatchStatement;
import com.datastax.oss.driver.api.core.cql.DefaultBatchType;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.mongodb.WriteConcern;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import com.mongodb.client.MongoDatabase;
import com.mongodb.client.model.BulkWriteOptions;
import com.mongodb.client.model.UpdateOneModel;
import com.mongodb.client.model.UpdateOptions;
import java.net.InetSocketAddress;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiConsumer;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.sink.SinkConnector;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTask;
import org.bson.Document;

/**
 * A PEER in `make bench`: the sink that a Java programmer writes for Kafka Connect. Not part of Millrace.
 *
 * Prepared statements in unlogged batches, a bounded number in flight, into the two tables that
 * Millrace fills; MongoDB's `$inc`. No validation, deduplication, dead letters or ledger: a crash
 * doubles counts, and no one notices.
 */
public class TicketsSink extends SinkConnector {
    private Map settings;

    public void start(Map settings) {
        this.settings = settings;
    }

    public Class taskClass() {
        return Task.class;
    }

    public List taskConfigs(int most) {
        return Collections.nCopies(most, this.settings);
    }

    public void stop() {
    }

    public ConfigDef config() {
        return new ConfigDef();
    }

    public String version() {
        return "1";
    }

    public static class Task extends SinkTask implements BiConsumer {
        static final String[] FIELDS = {
            "ticket_id", "client_id", "created_at", "request", "request_type", "priority"};
        static final String[] COLUMNS = {
            "ticket_id", "client_id", "created_at", "request", "request_type", "priority",
            "assigned_team", "kafka_partition", "kafka_offset", "kafka_timestamp", "created_hour"};
        /** Table and number of its columns, which are the first of `COLUMNS`. */
        static final Object[][] TABLES = {{"tickets", 10}, {"tickets_by_team", 11}};
        static final int CREATED_AT = 2;
        static final Map TEAMS = new HashMap();
        /** Name of what is counted -> its place among `COLUMNS`. */
        static final Map COUNTED = new HashMap();

        static {
            TEAMS.put("billing", "Billing");
            TEAMS.put("technical", "Technical Support");
            TEAMS.put("account", "Account Management");
            TEAMS.put("general", "Customer Service");
            COUNTED.put("assigned_team", 6);
            COUNTED.put("request_type", 4);
            COUNTED.put("priority", 5);
        }

        private int rows;
        private int inFlight;
        private Semaphore free;
        private final AtomicReference failure = new AtomicReference();
        private CqlSession session;
        private final PreparedStatement[] inserts = new PreparedStatement[TABLES.length];
        private MongoClient client;
        private MongoDatabase database;
        /** Name of what is counted -> a document's id -> what is to be added to it. */
        private final Map counts = new HashMap();

        public String version() {
            return "1";
        }

        public void start(Map settings) {
            this.rows = Integer.parseInt((String) settings.get("batch.rows"));
            this.inFlight = Integer.parseInt((String) settings.get("batches.in.flight"));
            this.free = new Semaphore(this.inFlight);
            ProgrammaticDriverConfigLoaderBuilder options = DriverConfigLoader.programmaticBuilder();
            options.withDuration(DefaultDriverOption.REQUEST_TIMEOUT, Duration.ofSeconds(30L));
            options.withString(DefaultDriverOption.REQUEST_CONSISTENCY, (String) settings.get("cassandra.consistency"));
            options.withBoolean(DefaultDriverOption.REQUEST_LOG_WARNINGS, false);
            CqlSessionBuilder builder = CqlSession.builder();
            builder.addContactPoint(new InetSocketAddress((String) settings.get("cassandra.host"),
                    Integer.parseInt((String) settings.get("cassandra.port"))));
            builder.withLocalDatacenter((String) settings.get("cassandra.datacenter"));
            builder.withConfigLoader(options.build());
            this.session = (CqlSession) builder.build();
            for (int i = 0; i < TABLES.length; i++) {
                String[] names = (String[]) Arrays.copyOf(COLUMNS, ((Integer) TABLES[i][1]).intValue());
                String[] marks = new String[names.length];
                Arrays.fill(marks, "?");
                this.inserts[i] = this.session.prepare("INSERT INTO " + settings.get("cassandra.keyspace") + "."
                        + TABLES[i][0] + " (" + String.join(",", names) + ") VALUES (" + String.join(",", marks) + ")");
            }
            this.client = MongoClients.create((String) settings.get("mongo.uri"));
            this.database = this.client.getDatabase((String) settings.get("mongo.database"))
                    .withWriteConcern(WriteConcern.MAJORITY.withJournal(Boolean.TRUE));
        }

        public void put(Collection records) {
            List tickets = new ArrayList(records.size());
            for (Iterator each = records.iterator(); each.hasNext();) {
                Object[] ticket = ticket((SinkRecord) each.next());
                if (ticket != null) {
                    tickets.add(ticket);
                    count(ticket);
                }
            }
            for (int table = 0; table < TABLES.length; table++) {
                for (int first = 0; first < tickets.size(); first += this.rows) {
                    write(table, tickets.subList(first, Math.min(first + this.rows, tickets.size())));
                }
            }
        }

        /** Waits for all rows, then adds the counts. */
        public void flush(Map offsets) {
            acquire(this.inFlight);
            this.free.release(this.inFlight);
            refuseFailure();
            for (Iterator each = this.counts.entrySet().iterator(); each.hasNext();) {
                Map.Entry counted = (Map.Entry) each.next();
                List updates = new ArrayList();
                for (Iterator ids = ((Map) counted.getValue()).entrySet().iterator(); ids.hasNext();) {
                    Map.Entry id = (Map.Entry) ids.next();
                    updates.add(new UpdateOneModel(new Document("_id", id.getKey()),
                            new Document("$inc", new Document("count", id.getValue())),
                            new UpdateOptions().upsert(true)));
                }
                this.database.getCollection("connect_" + counted.getKey())
                        .bulkWrite(updates, new BulkWriteOptions().ordered(false));
            }
            this.counts.clear();
        }

        public void stop() {
            if (this.session != null) {
                this.session.close();
            }
            if (this.client != null) {
                this.client.close();
            }
        }

        /** A record's columns; null if it lacks one. */
        private static Object[] ticket(SinkRecord record) {
            if (!(record.value() instanceof Map)) {
                return null;
            }
            Map fields = (Map) record.value();
            Object[] ticket = new Object[COLUMNS.length];
            for (int i = 0; i < FIELDS.length; i++) {
                Object value = fields.get(FIELDS[i]);
                if (!(value instanceof String)) {
                    return null;
                }
                ticket[i] = value;
            }
            Instant created;
            try {
                created = OffsetDateTime.parse((String) ticket[CREATED_AT]).toInstant();
            } catch (DateTimeException unreadable) {
                return null;
            }
            ticket[CREATED_AT] = created;
            ticket[6] = TEAMS.get(fields.get("request_type"));
            ticket[7] = record.kafkaPartition();
            ticket[8] = Long.valueOf(record.kafkaOffset());
            ticket[9] = Instant.ofEpochMilli(record.timestamp().longValue());
            ticket[10] = created.truncatedTo(ChronoUnit.HOURS);
            return ticket[6] == null ? null : ticket;
        }

        private void count(Object[] ticket) {
            String day = ticket[CREATED_AT].toString().substring(0, 10);
            for (Iterator each = COUNTED.entrySet().iterator(); each.hasNext();) {
                Map.Entry counted = (Map.Entry) each.next();
                Map ids = (Map) this.counts.get(counted.getKey());
                if (ids == null) {
                    ids = new HashMap();
                    this.counts.put(counted.getKey(), ids);
                }
                String id = day + "|" + ticket[((Integer) counted.getValue()).intValue()];
                Integer before = (Integer) ids.get(id);
                ids.put(id, before == null ? 1 : before.intValue() + 1);
            }
        }

        private void write(int table, List tickets) {
            int columns = ((Integer) TABLES[table][1]).intValue();
            List statements = new ArrayList(tickets.size());
            for (int i = 0; i < tickets.size(); i++) {
                try {
                    statements.add(this.inserts[table].bind(Arrays.copyOf((Object[]) tickets.get(i), columns)));
                } catch (IllegalArgumentException broken) {
                    // The JSON parser accepts halves of surrogate pairs, which the driver refuses.
                    continue;
                }
            }
            if (statements.isEmpty()) {
                return;
            }
            acquire(1);
            refuseFailure();
            this.session.executeAsync(BatchStatement.newInstance(DefaultBatchType.UNLOGGED, statements)).whenComplete(this);
        }

        public void accept(Object result, Object error) {
            if (error != null) {
                this.failure.compareAndSet(null, error);
            }
            this.free.release();
        }

        private void acquire(int permits) {
            try {
                this.free.acquire(permits);
            } catch (InterruptedException interrupted) {
                throw new ConnectException(interrupted);
            }
        }

        private void refuseFailure() {
            Throwable error = (Throwable) this.failure.get();
            if (error != null) {
                throw new ConnectException("Cassandra did not take a batch", error);
            }
        }
    }
}

package millrace.spark;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerInterceptor;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableProvider;
import org.apache.spark.sql.connector.expressions.Transform;
import org.apache.spark.sql.connector.read.Batch;
import org.apache.spark.sql.connector.read.Scan;
import org.apache.spark.sql.connector.read.ScanBuilder;
import org.apache.spark.sql.connector.read.streaming.MicroBatchStream;
import org.apache.spark.sql.kafka010.KafkaBatchInputPartition;
import org.apache.spark.sql.kafka010.KafkaSourceProvider;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/**
 * Spark's source of Kafka messages, made safe for any timestamp.
 *
 * Spark 3.5 converts timestamps to microseconds (KafkaRecordToRowConverter), so a single message
 * whose sender wrote nanoseconds stops every query that reads it, before any column exists. A
 * message whose timestamp is outside the years 1970 to 9999 therefore gets the timestamp -1, and its
 * own as text in an additional last header. Kafka's interceptors can do this; Spark refuses them as
 * an option, so they are added to the parameters that it sends to the executors.
 */
public class KafkaMessages implements TableProvider {
    /** The end of the year 9999, in milliseconds since 1970. */
    static final long LATEST = 253402300799999L;
    static final long FOREIGN = -1L;
    /** Also named in sources/kafka.py. */
    static final String HEADER = "millrace-timestamp";

    private final KafkaSourceProvider source = new KafkaSourceProvider();

    public StructType inferSchema(CaseInsensitiveStringMap options) {
        return source.inferSchema(options);
    }

    public Table getTable(StructType schema, Transform[] partitioning, Map properties) {
        return (Table) Step.of(source.getTable(schema, partitioning, properties));
    }

    /** Wraps each object from the table down to the partitions that executors read. */
    public static class Step implements InvocationHandler {
        private final Object own;

        private Step(Object own) {
            this.own = own;
        }

        /** A proxy for the object with all of its interfaces. */
        static Object of(Object own) {
            Set interfaces = new HashSet();
            for (Class each = own.getClass(); each != null; each = each.getSuperclass()) {
                Class[] declared = each.getInterfaces();
                for (int i = 0; i < declared.length; i++) {
                    interfaces.add(declared[i]);
                }
            }
            Class[] all = (Class[]) interfaces.toArray(new Class[0]);
            ClassLoader loader = KafkaMessages.class.getClassLoader();
            return Proxy.newProxyInstance(loader, all, new Step(own));
        }

        public Object invoke(Object proxy, Method method, Object[] arguments) throws Throwable {
            if (method.getName().equals("equals")) {
                return Boolean.valueOf(proxy == arguments[0]);
            }
            Object found;
            try {
                found = method.invoke(own, arguments);
            } catch (InvocationTargetException error) {
                throw error.getCause();
            }
            if (method.getName().equals("planInputPartitions")) {
                Object[] parts = (Object[]) found;
                for (int i = 0; i < parts.length; i++) {
                    Map options = ((KafkaBatchInputPartition) parts[i]).executorKafkaParams();
                    options.put("interceptor.classes", Timestamps.class.getName());
                }
            }
            boolean leadsOn = found instanceof ScanBuilder || found instanceof Scan
                    || found instanceof Batch || found instanceof MicroBatchStream;
            return leadsOn ? of(found) : found;
        }
    }

    /** Gives messages a timestamp that Spark can represent; runs where messages are read. */
    public static class Timestamps implements ConsumerInterceptor {
        public ConsumerRecords onConsume(ConsumerRecords records) {
            Map changed = new HashMap();
            boolean hasForeign = false;
            for (Iterator places = records.partitions().iterator(); places.hasNext(); ) {
                TopicPartition place = (TopicPartition) places.next();
                List found = records.records(place);
                List held = new ArrayList(found.size());
                for (int i = 0; i < found.size(); i++) {
                    ConsumerRecord record = (ConsumerRecord) found.get(i);
                    boolean isForeign = record.timestamp() < 0 || record.timestamp() > LATEST;
                    hasForeign |= isForeign;
                    held.add(isForeign ? marked(record) : record);
                }
                changed.put(place, held);
            }
            return hasForeign ? new ConsumerRecords(changed) : records;
        }

        private static ConsumerRecord marked(ConsumerRecord record) {
            byte[] own = Long.toString(record.timestamp()).getBytes(StandardCharsets.US_ASCII);
            Headers headers = new RecordHeaders(record.headers()).add(HEADER, own);
            return new ConsumerRecord(
                    record.topic(), record.partition(), record.offset(), FOREIGN,
                    record.timestampType(), record.serializedKeySize(),
                    record.serializedValueSize(), record.key(), record.value(), headers,
                    record.leaderEpoch());
        }

        public void onCommit(Map offsets) {}

        public void close() {}

        public void configure(Map options) {}
    }
}

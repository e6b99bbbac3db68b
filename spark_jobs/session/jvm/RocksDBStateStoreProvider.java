package millrace.spark;

import java.util.concurrent.ConcurrentHashMap;
import org.apache.spark.sql.catalyst.expressions.UnsafeRow;
import org.apache.spark.sql.execution.streaming.state.StateStore;
import org.apache.spark.sql.execution.streaming.state.StateStoreId;
import org.apache.spark.sql.execution.streaming.state.StateStoreMetrics;

/**
 * Spark's RocksDB state, searched for expired ids at intervals instead of in every batch.
 *
 * Spark 3.5 ends each micro-batch of a deduplication by reading all remembered ids
 * (StreamingDeduplicateWithinWatermarkExec.evictDupInfoFromState, the only caller of iterator()), so
 * batches take longer the more ids there are. See docs/decisions/009-eviction.md.
 */
public class RocksDBStateStoreProvider
        extends org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider {
    /** Seconds between two searches, and the property with which tests change them. */
    static final long PAUSE_SECONDS = 900;
    static final String PAUSE_PROPERTY = "millrace.state.pause";
    /** When each store in this process was last searched. */
    static final ConcurrentHashMap LAST_SEARCH = new ConcurrentHashMap();

    public StateStore getStore(long version) {
        return new Store(super.getStore(version));
    }

    /** Delegates everything except a search that comes too soon after the previous one. */
    public static class Store implements StateStore {
        private final StateStore store;

        public Store(StateStore store) {
            this.store = store;
        }

        public scala.collection.Iterator iterator() {
            long now = System.nanoTime();
            Long before = (Long) LAST_SEARCH.get(store.id());
            long pause = Long.getLong(PAUSE_PROPERTY, PAUSE_SECONDS).longValue();
            if (before != null && now - before.longValue() < pause * 1000 * 1000 * 1000) {
                return scala.collection.Iterator$.MODULE$.empty();
            }
            LAST_SEARCH.put(store.id(), Long.valueOf(now));
            return store.iterator();
        }

        public StateStoreId id() {
            return store.id();
        }

        public long version() {
            return store.version();
        }

        public UnsafeRow get(UnsafeRow key) {
            return store.get(key);
        }

        public scala.collection.Iterator prefixScan(UnsafeRow prefix) {
            return store.prefixScan(prefix);
        }

        public void put(UnsafeRow key, UnsafeRow value) {
            store.put(key, value);
        }

        public void remove(UnsafeRow key) {
            store.remove(key);
        }

        public long commit() {
            return store.commit();
        }

        public void abort() {
            store.abort();
        }

        public StateStoreMetrics metrics() {
            return store.metrics();
        }

        public boolean hasCommitted() {
            return store.hasCommitted();
        }
    }
}

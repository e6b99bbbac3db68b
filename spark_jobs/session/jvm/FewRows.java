package millrace.spark;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.Partition;
import org.apache.spark.SparkContext;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.rdd.RDD;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.UnsafeRow;
import scala.collection.JavaConverters;
import scala.collection.immutable.Nil$;
import scala.reflect.ClassTag$;

/**
 * The rows of one small batch after the other, in one partition that stays the same.
 *
 * Spark plans a DataFrame once, however often it is computed. So DataFrames over these rows are
 * planned for a query's first small batch, and computed for each later one; planning took four
 * fifths of a small batch's time. Figures: docs/experiments.md.
 */
public class FewRows extends RDD {
    private final transient Held held = new Held();

    public FewRows(SparkContext context) {
        super(context, Nil$.MODULE$, ClassTag$.MODULE$.apply(InternalRow.class));
    }

    /** Rows, computed in tasks; null if they are too large. */
    public static ArrayList read(RDD rows, long mostBytes) {
        List taken = rows.toJavaRDD().mapPartitions(new Copies(mostBytes)).collect();
        long bytes = 0;
        for (int i = 0; i < taken.size(); i++) {
            UnsafeRow row = (UnsafeRow) taken.get(i);
            bytes += row == null ? mostBytes + 1 : row.getSizeInBytes();
        }
        return bytes > mostBytes ? null : new ArrayList(taken);
    }

    /** Takes these rows in the place of those before; null for none. */
    public void hold(ArrayList rows) {
        this.held.rows = rows == null ? new ArrayList() : rows;
    }

    public Partition[] getPartitions() {
        return new Partition[] {this.held};
    }

    public scala.collection.Iterator compute(Partition partition, TaskContext task) {
        return (scala.collection.Iterator) JavaConverters.asScalaIteratorConverter(
                ((Held) partition).rows.iterator()).asScala();
    }

    /** Goes to a task with the rows that it has when the task is made. */
    public static class Held implements Partition {
        ArrayList rows = new ArrayList();

        public int index() {
            return 0;
        }

        /** What Scala would add to a class with this trait. */
        public boolean org$apache$spark$Partition$$super$equals(Object other) {
            return this == other;
        }
    }

    /** Copies of a task's rows; a single null if they are too large to be brought to the driver. */
    public static class Copies implements FlatMapFunction {
        private final long mostBytes;

        Copies(long mostBytes) {
            this.mostBytes = mostBytes;
        }

        public Iterator call(Object iterator) {
            List copies = new ArrayList();
            long bytes = 0;
            for (Iterator rows = (Iterator) iterator; rows.hasNext(); ) {
                UnsafeRow row = (UnsafeRow) rows.next();
                bytes += row.getSizeInBytes();
                if (bytes > this.mostBytes) {
                    return Arrays.asList(new Object[] {null}).iterator();
                }
                copies.add(row.copy());
            }
            return copies.iterator();
        }
    }
}

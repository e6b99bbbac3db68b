package millrace.spark;

import java.util.Iterator;
import java.util.Map;
import org.apache.spark.api.java.function.VoidFunction;
import org.apache.spark.api.python.PythonUtils;
import org.apache.spark.sql.catalyst.util.CaseInsensitiveMap$;
import org.apache.spark.sql.kafka010.KafkaSourceProvider$;
import org.apache.spark.sql.kafka010.KafkaWriteTask;
import scala.Option;
import scala.collection.JavaConverters;
import scala.collection.Seq;

/**
 * Sends a task's rows to Kafka by Spark's own writer, without a plan for each write.
 *
 * Spark's sink plans and checks each write again, which takes longer than sending a few messages.
 */
public class KafkaSender implements VoidFunction {
    private final Map parameters;
    private final Seq columns;

    /** `options`: those of Spark's sink; `columns`: the rows' attributes, `topic` and `value` among them. */
    public KafkaSender(Map options, Seq columns) {
        this.parameters = KafkaSourceProvider$.MODULE$.kafkaParamsForProducer(
                CaseInsensitiveMap$.MODULE$.apply(PythonUtils.toScalaMap(options)));
        this.columns = columns;
    }

    public void call(Object iterator) {
        KafkaWriteTask task = new KafkaWriteTask(this.parameters, this.columns, Option.empty());
        try {
            task.execute((scala.collection.Iterator)
                    JavaConverters.asScalaIteratorConverter((Iterator) iterator).asScala());
        } finally {
            task.close();
        }
    }
}

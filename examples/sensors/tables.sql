CREATE TABLE IF NOT EXISTS readings (
  sensor_id       text NOT NULL,
  at              timestamptz NOT NULL,
  reading_day     date NOT NULL,
  state           text NOT NULL,
  temperature     double precision NOT NULL,
  humidity        double precision,
  battery         bigint,
  firmware        text,
  kafka_partition int NOT NULL,
  kafka_offset    bigint NOT NULL,
  kafka_timestamp timestamptz NOT NULL,
  PRIMARY KEY (sensor_id, at)
);

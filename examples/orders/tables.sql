CREATE TABLE IF NOT EXISTS orders (
  order_id        text PRIMARY KEY,
  created_at      timestamptz NOT NULL,
  status          text NOT NULL,
  amount          numeric(12, 2) NOT NULL,
  currency        text NOT NULL,
  items           text[],
  express         boolean,
  customer_id     text,
  customer_email  text,
  country         text,
  hash_key_id     text,
  kafka_partition int NOT NULL,
  kafka_offset    bigint NOT NULL,
  kafka_timestamp timestamptz NOT NULL
);

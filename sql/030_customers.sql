-- Customers. Safe to run again: `psql -f 030_customers.sql` or `make up`.

-- One row per valid customer in the USA.
CREATE TABLE IF NOT EXISTS customers_usa (
  customer_id     text PRIMARY KEY,
  first_name      text,
  last_name       text,
  email           text,
  phone           text,
  address         text,
  city            text,
  state           text,
  country         text,
  postal_code     text,
  created_at      timestamptz,  -- null if the file has none
  kafka_partition int,          -- where the message was: partition,
  kafka_offset    bigint,       -- offset,
  kafka_timestamp timestamptz   -- and its timestamp by broker or producer
);

-- One row per message of an incomplete customer, with all its reasons.
CREATE TABLE IF NOT EXISTS customers_alerts (
  kafka_topic     text,
  kafka_partition int,
  kafka_offset    bigint,
  kafka_timestamp timestamptz,
  reasons         text[],       -- codes such as missing_email, invalid_created_at
  customer_id     text,
  first_name      text,
  last_name       text,
  email           text,
  phone           text,
  address         text,
  city            text,
  state           text,
  country         text,
  postal_code     text,
  created_at      timestamptz,  -- null if absent or unreadable
  PRIMARY KEY (kafka_topic, kafka_partition, kafka_offset)
);

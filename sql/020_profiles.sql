-- Profiles. Safe to run again: `psql -f 020_profiles.sql` or `make up`.

-- One row per person older than 13. Digests are lower-case hex; the original values are stored nowhere.
CREATE TABLE IF NOT EXISTS users_profiles (
  identifiant     uuid PRIMARY KEY,  -- login.uuid
  title           text,
  gender          text,
  full_name       text,              -- last name, then first name
  username        text,
  email           text,              -- digest
  domain_name     text,              -- of the e-mail address, lower case
  phone           text,              -- digest
  full_address    text,              -- digest of number, street, city, state, country, postcode
  age             int,               -- full years on the day of kafka_timestamp, UTC
  inscription     text,              -- registered.date as sent
  nationality     text,
  hash_key_id     text,              -- which key made the digests, or sha256 for none
  kafka_partition int,               -- where the message was: partition,
  kafka_offset    bigint,            -- offset,
  kafka_timestamp timestamptz        -- and its timestamp by broker or producer
);

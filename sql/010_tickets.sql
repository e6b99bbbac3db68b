-- Tickets, and the ledger of batches. Safe to run again: `psql -f 010_tickets.sql` or `make up`.

-- One row per ticket.
CREATE TABLE IF NOT EXISTS tickets (
  ticket_id       text PRIMARY KEY,  -- UUID or short id, as sent
  client_id       text,              -- CLIENT_ or C, then digits
  created_at      timestamptz,       -- when the ticket was created, milliseconds
  request         text,              -- what the client wrote, trimmed; U+FFFD for NUL
  request_type    text,              -- billing, technical, account, general
  priority        text,              -- low, medium, high, critical
  assigned_team   text,              -- follows from request_type
  kafka_partition int,               -- where the message was: partition,
  kafka_offset    bigint,            -- offset,
  kafka_timestamp timestamptz        -- and its timestamp by broker or producer
);

-- One row per micro-batch, written in the same transaction as its rows: a repeated batch finds
-- itself here and changes nothing.
CREATE TABLE IF NOT EXISTS millrace_batches (
  query_id   text,         -- id of the query that the batch belongs to
  batch_id   bigint,       -- Spark's number for it
  pipeline   text,
  rows       bigint,       -- how many rows it wrote, over all tables
  written_at timestamptz,
  PRIMARY KEY (query_id, batch_id)
);

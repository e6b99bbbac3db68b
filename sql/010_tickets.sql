-- Tickets, and the ledger of batches. Safe to run again: `psql -f 010_tickets.sql` or `make up`.

-- One row per ticket.
CREATE TABLE IF NOT EXISTS tickets (
  ticket_id       text PRIMARY KEY,  -- UUID or short id, as sent
  client_id       text,              -- CLIENT_ or C, then digits
  created_at      timestamptz,       -- when the ticket was made, milliseconds
  request         text,              -- what the client wrote, trimmed; U+FFFD for NUL
  request_type    text,              -- billing, technical, account, general
  priority        text,              -- low, medium, high, critical
  assigned_team   text,              -- follows from request_type
  kafka_partition int,               -- where the message was: partition,
  kafka_offset    bigint,            -- offset,
  kafka_timestamp timestamptz        -- and the broker's or producer's time of it
);

-- One row per micro-batch, written in the transaction of its rows: a batch that comes again finds
-- itself here and changes nothing.
CREATE TABLE IF NOT EXISTS millrace_batches (
  query_id   text,         -- of the checkpoint that the batch belongs to
  batch_id   bigint,       -- Spark's number of it
  pipeline   text,
  rows       bigint,       -- how many rows it wrote, over all tables
  written_at timestamptz,
  PRIMARY KEY (query_id, batch_id)
);

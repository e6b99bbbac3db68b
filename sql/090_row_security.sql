-- Supabase serves the tables of `public` over HTTP to anyone who has the project's public key. With
-- row security on and no policy they see no row; the tables' owner, who writes them, sees all.
-- Safe to run again: `psql -f 090_row_security.sql` or `make up`.
DO $$
DECLARE
  name text;
BEGIN
  FOR name IN
    SELECT relname FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND NOT relrowsecurity
      AND relname IN
        ('tickets', 'users_profiles', 'customers_usa', 'customers_alerts', 'millrace_batches')
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
  END LOOP;
END
$$;

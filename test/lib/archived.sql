-- A stream with an archive: keep() makes it, feed() pushes one record. unlock() lets a test tamper with
-- the archive, which only a superuser can: it undoes what keeps the rows as they are.
CREATE FUNCTION keep(stream regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER FOREIGN TABLE %s OPTIONS (ADD archive ''on'')', stream);
END $$;
CREATE FUNCTION unlock(stream regclass) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s_archive DISABLE TRIGGER USER', stream);
END $$;
CREATE FUNCTION feed(stream regclass, message jsonb, part int DEFAULT 0) RETURNS bigint LANGUAGE sql
AS 'SELECT accepted FROM streamagg.push(stream, ARRAY[message::text], part)';

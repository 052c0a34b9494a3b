-- A stream with an archive: keep() makes it, feed() pushes one record and keeps the row that it became.
-- Once the option archive makes and fills it, keep() is ALTER FOREIGN TABLE and feed() is push() alone.
CREATE FUNCTION keep(stream regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  columns text;
BEGIN
  SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) INTO columns
  FROM pg_attribute WHERE attrelid = stream AND attnum > 0 AND NOT attisdropped;
  EXECUTE format('CREATE TABLE %s_archive (%s, rest jsonb, _partition int NOT NULL, _offset bigint NOT NULL,
    _watermark timestamptz NOT NULL, _received_at timestamptz NOT NULL)', stream, columns);
END $$;
CREATE FUNCTION feed(stream regclass, message jsonb, part int DEFAULT 0) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  met timestamptz := greatest('-infinity', (SELECT p.watermark FROM streamagg.partitions p WHERE p.stream = $1 AND p.partition = part),
    (SELECT s.watermark FROM streamagg.streams s WHERE s.stream = $1));
  accepted bigint := (SELECT p.accepted FROM streamagg.push(stream, ARRAY[message::text], part) p);
BEGIN
  IF accepted = 1 THEN
    EXECUTE format('INSERT INTO %1$s_archive SELECT (jsonb_populate_record(NULL::%1$s_archive, $1 || jsonb_build_object(
        ''_partition'', $2, ''_offset'', next_offset - 1, ''_watermark'', $3, ''_received_at'', now()))).*
      FROM streamagg.partitions WHERE stream = ''%1$s''::regclass AND partition = $2', stream) USING message, part, met;
  END IF;
  RETURN accepted;
END $$;

-- Looks every 2 ms for what a reader sees of the stream "events", until :records are there; says
-- on each line when offsets were first seen, and which, and at the end the pause between two looks.
-- Each look is a transaction of its own, as a reader's would be. Where the offsets have moved, one
-- statement reads them and the result, which must agree: what is counted is in the result.
SELECT set_config('bench.records', :'records', false), set_config('bench.seconds', :'seconds', false);
CREATE TABLE seen (at float, ends jsonb);
CREATE TABLE pauses (mean float, longest float);

DO $$
DECLARE
  records CONSTANT bigint := current_setting('bench.records');
  deadline CONSTANT timestamptz := clock_timestamp() + current_setting('bench.seconds')::float * interval '1 s';
  total bigint;
  known bigint := 0;
  counted bigint;
  ends jsonb;
  all_ends jsonb[] := '{}';
  all_at float[] := '{}';
  at float;
  began CONSTANT float := extract(epoch FROM clock_timestamp());
  before float := began;
  longest float := 0;
  looks bigint := 0;
BEGIN
  WHILE known < records LOOP
    PERFORM pg_sleep(0.002);
    SELECT sum(p.next_offset) INTO total FROM streamagg.partitions p;
    IF total > known THEN
      SELECT sum(p.next_offset), jsonb_object_agg(p.partition, p.next_offset), (SELECT sum(r.events) FROM result r)
      INTO known, ends, counted FROM streamagg.partitions p;
      IF counted IS DISTINCT FROM known THEN
        RAISE EXCEPTION '% records are read, % are in the result', known, counted;
      END IF;
    END IF;
    at := extract(epoch FROM clock_timestamp());
    IF ends IS DISTINCT FROM all_ends[cardinality(all_ends)] THEN
      all_ends := all_ends || ends;
      all_at := all_at || at;
    END IF;
    looks := looks + 1;
    longest := greatest(longest, at - before);
    before := at;
    COMMIT;
    IF clock_timestamp() > deadline THEN
      RAISE EXCEPTION 'only % of % records are there', known, records;
    END IF;
  END LOOP;
  INSERT INTO seen SELECT * FROM unnest(all_at, all_ends);
  INSERT INTO pauses VALUES ((at - began) / looks, longest);
END $$;

SELECT at, ends FROM seen ORDER BY at;
SELECT mean, longest FROM pauses;

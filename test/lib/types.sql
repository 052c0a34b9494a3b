-- For types*.sql: what becomes of values in a column of a type. Wants the current schema to be the test's, and a local server types.

-- pushes each value into a column v of the type
CREATE FUNCTION try(type text, VARIADIC vals text[]) RETURNS TABLE (value text, stored text, code text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE FOREIGN TABLE tried (v %s, o bigint OPTIONS (meta ''offset''), ts timestamptz OPTIONS (meta ''timestamp'')) '
    'SERVER types OPTIONS (event_time ''ts'')', type);
  PERFORM streamagg.create_aggregate('seen', 'SELECT o, v::text AS v, v::text IS NULL AS missing, count(*) AS n FROM tried GROUP BY 1, 2, 3');
  PERFORM streamagg.push('tried', array_agg(format('{%s}', '"v": ' || x) ORDER BY i)) FROM unnest(vals) WITH ORDINALITY t(x, i);
  RETURN QUERY EXECUTE 'SELECT x, CASE WHEN missing THEN ''(null)'' ELSE v END, q.code FROM unnest($1) WITH ORDINALITY t(x, i)
    LEFT JOIN seen ON o = i - 1 LEFT JOIN streamagg.quarantine q ON stream = ''tried''::regclass AND record_offset = i - 1 ORDER BY i' USING vals;
  PERFORM streamagg.drop_aggregate('seen');
  DROP FOREIGN TABLE tried;
EXCEPTION WHEN feature_not_supported OR fdw_invalid_attribute_value THEN
  RETURN QUERY VALUES (type, SQLERRM, SQLSTATE);
END $$;
-- the same over a list of types, a value or the code in a line
CREATE FUNCTION each(types text[], VARIADIC vals text[]) RETURNS TABLE (type text, results text) LANGUAGE sql AS $$
  SELECT t, (SELECT string_agg(coalesce(stored, code), ' · ') FROM try(t, VARIADIC vals)) FROM unnest(types) WITH ORDINALITY l(t, i) ORDER BY i $$;

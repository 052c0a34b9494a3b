-- A protected column holds a pseudonym, a network, a mask or nothing, and never the clear value.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET client_min_messages = error;
CREATE SCHEMA protection;
SET search_path = protection;
CREATE SERVER protection FOREIGN DATA WRAPPER streamagg_kafka;
-- HMAC-SHA256 from sha256() alone, as the independent judge; and case 1 of RFC 4231 as its judge
CREATE FUNCTION padded(secret bytea, pad int) RETURNS bytea LANGUAGE sql AS $$
  SELECT string_agg(set_byte('\x00', 0, pad # CASE WHEN i < length(secret) THEN get_byte(secret, i) ELSE 0 END), NULL ORDER BY i) FROM generate_series(0, 63) i $$;
CREATE FUNCTION hmac(secret bytea, message bytea) RETURNS bytea LANGUAGE sql AS $$
  SELECT sha256(padded(secret, 92) || sha256(padded(secret, 54) || message)) $$;
SELECT hmac(decode(repeat('0b', 20), 'hex'), 'Hi There') = '\xb0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7' AS judged;
CREATE FUNCTION pseudonym_of(value text, domain text) RETURNS bytea LANGUAGE sql AS $$
  SELECT hmac(hmac('\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', convert_to('streamagg:1:' || domain, 'UTF8')), convert_to(value, 'UTF8')) $$;
SELECT current_setting('data_directory') || '/protection.key' AS file \gset
COPY (SELECT '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f') TO :'file';
SELECT streamagg.create_key('protection', 'file:' || :'file');

-- every kind in every form of one value; "h" stands in the domain of its name
CREATE FOREIGN TABLE s (
  id int,
  h text OPTIONS (path 'v', protect 'hmac', protect_key 'protection'),
  h_bytes bytea OPTIONS (path 'v', protect 'hmac', protect_key 'protection', domain 'h'),
  h_uuid uuid OPTIONS (path 'v', protect 'hmac', protect_key 'protection', domain 'h'),
  other text OPTIONS (path 'v', protect 'hmac', protect_key 'protection', domain 'other'),
  low text OPTIONS (path 'v', protect 'hmac', protect_key 'protection', domain 'h', canonical 'lower'),
  plain text OPTIONS (path 'v', protect 'sha256'),
  plain_bytes bytea OPTIONS (path 'v', protect 'sha256'),
  plain_uuid uuid OPTIONS (path 'v', protect 'sha256', canonical 'none'),
  masked text OPTIONS (path 'v', protect 'mask'),
  gone text OPTIONS (path 'v', protect 'drop'),
  gone_too int OPTIONS (path 'v', protect 'drop'),
  ts timestamptz
) SERVER protection OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('seen', $$
  SELECT id, h, h_bytes, h_uuid, other, low, plain, plain_bytes, plain_uuid, masked, gone, gone_too, count(*) AS n FROM s
  GROUP BY id, h, h_bytes, h_uuid, other, low, plain, plain_bytes, plain_uuid, masked, gone, gone_too $$);
CREATE TABLE clear (id int, json text, text text);
INSERT INTO clear VALUES (1, '"alice"', 'alice'), (2, '"Alice@EXAMPLE.org"', 'Alice@EXAMPLE.org'), (3, '"\u0061lice"', 'alice'), (4, '""', ''), (5, '" "', ' '),
  (6, '"eightchr"', 'eightchr'), (7, '"ninechars"', 'ninechars'), (8, '"Ä€😀ÄÄÄÄÄ"', 'Ä€😀ÄÄÄÄÄ'), (9, '"Ä€😀ÄÄÄ€😀ßx"', 'Ä€😀ÄÄÄ€😀ßx'), (10, '42', '42'), (11, '1.50', '1.50'),
  (12, 'true', 'true'), (13, 'null', NULL), (14, to_json(repeat('long€', 200))::text, repeat('long€', 200));
SELECT accepted, quarantined FROM streamagg.push('s', (SELECT array_agg(format('{"id": %s, "v": %s, "ts": "2024-01-01T00:00:00Z"}', id, json) ORDER BY id) FROM clear));
-- known answers, computed elsewhere
SELECT h, h_uuid, other, plain FROM seen WHERE id = 1;
-- each form of each is what the judge says; I21: NULL stays NULL
SELECT id, h = encode(pseudonym_of(text, 'h'), 'hex') AS h, h_bytes = pseudonym_of(text, 'h') AS h_bytes,
  h_uuid = encode(substr(pseudonym_of(text, 'h'), 1, 16), 'hex')::uuid AS h_uuid, other = encode(pseudonym_of(text, 'other'), 'hex') AS other,
  low = encode(pseudonym_of(translate(text, 'AEXMPL', 'aexmpl'), 'h'), 'hex') AS low, plain_bytes = sha256(convert_to(text, 'UTF8')) AS plain_bytes,
  plain = encode(sha256(convert_to(text, 'UTF8')), 'hex') AS plain, plain_uuid = encode(substr(sha256(convert_to(text, 'UTF8')), 1, 16), 'hex')::uuid AS plain_uuid,
  left(masked, 20) AS masked, masked = CASE WHEN length(text) <= 8 THEN repeat('*', length(text)) ELSE repeat('*', length(text) - 4) || right(text, 4) END AS mask,
  gone, gone_too FROM seen JOIN clear USING (id) ORDER BY 1;
-- S40: one key, two domains: nothing can be linked
SELECT count(*) AS linked FROM seen a JOIN seen b ON a.h = b.other;
-- I21: an object or array is refused before anything looks at it, but for a column that drops it
SELECT accepted, quarantined FROM streamagg.push('s', ARRAY['{"v": {"mail": "alice"}, "ts": "2024-01-01T00:00:00Z"}', '{"v": ["alice"], "ts": "2024-01-01T00:00:00Z"}']);
SELECT 'I21 object' AS id, stage, code, column_name, reason, record FROM streamagg.quarantine ORDER BY record_offset;
-- pseudonym() gives what is stored, of every kind and form
SELECT id FROM seen JOIN clear USING (id) WHERE (h, h_bytes::text, h_uuid::text, other, low, plain, plain_bytes::text, plain_uuid::text, masked, gone, gone_too::text)
  IS DISTINCT FROM (streamagg.pseudonym('s', 'h', text), streamagg.pseudonym('s', 'h_bytes', text), streamagg.pseudonym('s', 'h_uuid', text),
  streamagg.pseudonym('s', 'other', text), streamagg.pseudonym('s', 'low', text), streamagg.pseudonym('s', 'plain', text), streamagg.pseudonym('s', 'plain_bytes', text),
  streamagg.pseudonym('s', 'plain_uuid', text), streamagg.pseudonym('s', 'masked', text), streamagg.pseudonym('s', 'gone', text), streamagg.pseudonym('s', 'gone_too', text));
SELECT streamagg.pseudonym('s', 'id', 'alice');
SELECT streamagg.pseudonym('s', 'nobody', 'alice');
-- S40: the domain is the column's name when it was made, also behind a new name
ALTER FOREIGN TABLE s RENAME COLUMN h TO renamed;
ALTER FOREIGN TABLE s RENAME COLUMN other TO h;
SELECT attname, attfdwoptions FROM pg_attribute WHERE attrelid = 's'::regclass AND attname IN ('h', 'renamed') ORDER BY 1;
SELECT 'S40 renamed' AS id, streamagg.pseudonym('s', 'renamed', 'alice') = h AS same, streamagg.pseudonym('s', 'h', 'alice') = other AS other FROM seen WHERE seen.id = 1;
SELECT accepted FROM streamagg.push('s', ARRAY['{"id": 1, "v": "alice", "ts": "2024-01-01T00:00:00Z"}']);
SELECT id, n FROM seen WHERE id = 1;
ALTER FOREIGN TABLE s ALTER COLUMN renamed OPTIONS (SET domain 'new');
SELECT streamagg.pseudonym('s', 'renamed', 'alice') = encode(pseudonym_of('alice', 'new'), 'hex') AS domain;

-- addresses: one host, one pseudonym, whatever its spelling; networks in each form
CREATE FOREIGN TABLE a (
  id int,
  ip text OPTIONS (path 'v', protect 'hmac', protect_key 'protection', canonical 'inet'),
  net text OPTIONS (path 'v', protect 'truncate'),
  net_inet inet OPTIONS (path 'v', protect 'truncate'),
  net_cidr cidr OPTIONS (path 'v', protect 'truncate'),
  net_host text OPTIONS (path 'v', protect 'truncate', canonical 'inet'),
  masked text OPTIONS (path 'v', protect 'mask', canonical 'inet'),
  ts timestamptz
) SERVER protection OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('hosts', 'SELECT id, ip, net, net_inet, net_cidr, net_host, masked FROM a GROUP BY id, ip, net, net_inet, net_cidr, net_host, masked');
CREATE TABLE spelt (id int, json text, host text);
INSERT INTO spelt SELECT row_number() OVER (), json, host FROM (VALUES ('"1.2.3.4"', '1.2.3.4'), ('"::ffff:1.2.3.4"', '1.2.3.4'), ('"::FFFF:102:304"', '1.2.3.4'),
  ('"0:0:0:0:0:ffff:1.2.3.4"', '1.2.3.4'), ('"1.2.3.4/24"', '1.2.3.4'), ('"1.2.3.4/32"', '1.2.3.4'), ('"::ffff:1.2.3.4/96"', '1.2.3.4'), ('" 1.2.3.4\t"', '1.2.3.4'),
  ('"0.0.0.0"', '0.0.0.0'), ('"255.255.255.255"', '255.255.255.255'), ('"10.0.100.0"', '10.0.100.0'),
  ('"2001:db8::1"', '2001:db8::1'), ('"2001:DB8:0:0:0:0:0:1"', '2001:db8::1'), ('"2001:0db8::0001"', '2001:db8::1'), ('"2001:db8:0:0::1/64"', '2001:db8::1'),
  ('"2001:db8:1:2:3:4:5:6"', '2001:db8:1:2:3:4:5:6'), ('"1:0:0:2:0:0:0:3"', '1:0:0:2::3'), ('"1:0:2:3:4:5:6:7"', '1:0:2:3:4:5:6:7'), ('"::1"', '::1'), ('"::"', '::'),
  ('"0::0"', '::'), ('"fe80::ABCD"', 'fe80::abcd'), ('null', NULL)) v(json, host);
SELECT accepted, quarantined FROM streamagg.push('a', (SELECT array_agg(format('{"id": %s, "v": %s, "ts": "2024-01-01T00:00:00Z"}', id, json) ORDER BY id) FROM spelt));
-- I20: ::ffff:1.2.3.4 is 1.2.3.4
SELECT 'I20' AS fault, json, ip = encode(pseudonym_of(host, 'ip'), 'hex') AS ip, net, net_inet, net_cidr, net_host, masked FROM hosts JOIN spelt USING (id) ORDER BY id;
SELECT count(*) AS wrong FROM hosts JOIN spelt USING (id)
WHERE net_host::cidr <> network(set_masklen(host::inet, CASE family(host::inet) WHEN 4 THEN 24 ELSE 48 END)) OR net::cidr <> net_cidr OR net_cidr <> net_inet;
-- I20: 300.1.1.1, 010.1.1.1 and what else is no address
CREATE TABLE wrong (json text);
INSERT INTO wrong VALUES ('"300.1.1.1"'), ('"010.1.1.1"'), ('"1.2.3.04"'), ('"1.2.3"'), ('"1.2.3.4.5"'), ('"::ffff:010.1.1.1"'), ('"1.2.3.4/33"'), ('"1.2.3.4/"'), ('"1.2.3.-4"'),
  ('""'), ('" "'), ('"localhost"'), ('"fe80::1%eth0"'), ('"[::1]"'), ('"1::2::3"'), ('":::"'), ('"12345::"'), ('"1.2.3.4 x"'), ('"1.2.3.4, 5.6.7.8"'), ('16909060'), ('1.2'), ('true');
SELECT accepted, quarantined FROM streamagg.push('a', (SELECT array_agg(format('{"id": 0, "v": %s, "ts": "2024-01-01T00:00:00Z"}', json)) FROM wrong), 1);
SELECT 'I20' AS fault, stage, code, column_name, reason, count(*) FROM streamagg.quarantine WHERE stream = 'a'::regclass GROUP BY 2, 3, 4, 5;
SELECT streamagg.pseudonym('a', 'ip', '300.1.1.1');
SELECT streamagg.pseudonym('a', 'net', 'somewhere');

-- a CHECK sees the protected value; keys are protected, too, and NULL and empty are not the same
CREATE FOREIGN TABLE k (
  mail text OPTIONS (protect 'mask') CONSTRAINT masked CHECK (mail ~ '^\*+[^*]{4}$'),
  who bytea OPTIONS (protect 'hmac', protect_key 'protection') CONSTRAINT digest CHECK (length(who) = 32),
  key text OPTIONS (meta 'key', protect 'hmac', protect_key 'protection', canonical 'lower'),
  tail text OPTIONS (meta 'key', protect 'mask'),
  ts timestamptz
) SERVER protection OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('keys', 'SELECT mail, who, key, tail FROM k GROUP BY mail, who, key, tail');
SELECT accepted, quarantined FROM streamagg.push('k', ARRAY['{"mail": "bob@example.org", "who": "a", "ts": "2024-01-01T00:00:00Z"}', '{"mail": "short", "ts": "2024-01-01T00:00:00Z"}',
  '{"ts": "2024-01-01T00:00:00Z"}', '{"who": "", "ts": "2024-01-01T00:00:00Z"}'], keys => ARRAY['The Key of Bob', 'x', NULL, '']);
SELECT mail, who = pseudonym_of('a', 'who') AS who, key = encode(pseudonym_of('the key of bob', 'key'), 'hex') AS key, key = encode(pseudonym_of('', 'key'), 'hex') AS empty,
  coalesce(tail, 'none') AS tail FROM keys ORDER BY mail, key NULLS FIRST;
SELECT code, column_name, failed_rules, record FROM streamagg.quarantine WHERE stream = 'k'::regclass;
-- the planner believes the CHECKs
SELECT count(*) AS broken FROM keys WHERE NOT mail ~ '^\*+[^*]{4}$' OR length(who) <> 32;

DROP SCHEMA protection CASCADE;
DROP SERVER protection;
DELETE FROM streamagg.key_store WHERE name = 'protection';
COPY (SELECT '') TO :'file';

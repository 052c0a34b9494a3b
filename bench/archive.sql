-- The stream of login.sql keeps its rows.
ALTER FOREIGN TABLE events OPTIONS (ADD archive 'on');

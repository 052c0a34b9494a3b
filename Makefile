# streamagg: Kafka topics into windowed aggregates in PostgreSQL.
#   make && make install         (PG_CONFIG names another PostgreSQL)
#   make STRICT=1                warnings are errors
#   test/run                     every test, from a bare machine

EXTENSION = streamagg
MODULE_big = streamagg
# The install script, and a script from each version that ALTER EXTENSION … UPDATE comes from.
DATA = $(wildcard sql/streamagg--*.sql)

OBJS = \
	src/streamagg.o \
	src/address.o \
	src/archive.o \
	src/archive_day.o \
	src/archive_guard.o \
	src/archive_tend.o \
	src/archive_write.o \
	src/bad_share.o \
	src/batch.o \
	src/catalog.o \
	src/check.o \
	src/column.o \
	src/dedup.o \
	src/digest.o \
	src/document.o \
	src/event.o \
	src/expression.o \
	src/fingerprint.o \
	src/gap.o \
	src/guard.o \
	src/hooks.o \
	src/ingest.o \
	src/key.o \
	src/lateness.o \
	src/message.o \
	src/memo.o \
	src/meta.o \
	src/offsets.o \
	src/options.o \
	src/partition.o \
	src/partition_drop.o \
	src/progress.o \
	src/protect.o \
	src/push.o \
	src/quarantine.o \
	src/reason.o \
	src/record.o \
	src/reread.o \
	src/redact.o \
	src/refuse.o \
	src/retry.o \
	src/retry_select.o \
	src/secret.o \
	src/sqlstate.o \
	src/start_from.o \
	src/stream.o \
	src/decode/clock.o \
	src/decode/convert.o \
	src/decode/domain.o \
	src/decode/encoding.o \
	src/decode/json.o \
	src/decode/json_verdict.o \
	src/decode/json_walk.o \
	src/decode/labels.o \
	src/decode/nested.o \
	src/decode/number.o \
	src/decode/path.o \
	src/decode/rounding.o \
	src/decode/shape.o \
	src/decode/time.o \
	src/decode/ways_bytes.o \
	src/decode/ways_number.o \
	src/decode/ways_text.o \
	src/encode/row.o \
	src/encode/tree.o \
	src/encode/value.o \
	src/encode/verify.o \
	src/fdw/modify.o \
	src/fdw/pushdown.o \
	src/fdw/scan.o \
	src/fdw/topic_explain.o \
	src/fdw/topic_range.o \
	src/fdw/topic_scan.o \
	src/fdw/validator.o \
	src/aggregate/add_column.o \
	src/aggregate/analyze.o \
	src/aggregate/as_of.o \
	src/aggregate/backfill.o \
	src/aggregate/calls.o \
	src/aggregate/coarser.o \
	src/aggregate/close_hook.o \
	src/aggregate/closing.o \
	src/aggregate/closing_late.o \
	src/aggregate/closing_session.o \
	src/aggregate/columns.o \
	src/aggregate/coverage.o \
	src/aggregate/create.o \
	src/aggregate/define.o \
	src/aggregate/distinct.o \
	src/aggregate/drop.o \
	src/aggregate/explain.o \
	src/aggregate/find_window.o \
	src/aggregate/group_steps.o \
	src/aggregate/grouping.o \
	src/aggregate/inspect.o \
	src/aggregate/inspect_session.o \
	src/aggregate/late.o \
	src/aggregate/load.o \
	src/aggregate/names.o \
	src/aggregate/panes.o \
	src/aggregate/on_close.o \
	src/aggregate/poison.o \
	src/aggregate/replace.o \
	src/aggregate/rewrite.o \
	src/aggregate/rewrite_distinct.o \
	src/aggregate/rewrite_session.o \
	src/aggregate/rewrite_view.o \
	src/aggregate/rollup.o \
	src/aggregate/rollup_fill.o \
	src/aggregate/rule_advice.o \
	src/aggregate/rule_combine.o \
	src/aggregate/rule_own.o \
	src/aggregate/rule_template.o \
	src/aggregate/rules.o \
	src/aggregate/retention.o \
	src/aggregate/retention_tend.o \
	src/aggregate/run.o \
	src/aggregate/session.o \
	src/aggregate/session_find.o \
	src/aggregate/session_judge.o \
	src/aggregate/session_moves.o \
	src/aggregate/session_replay.o \
	src/aggregate/session_run.o \
	src/aggregate/settings.o \
	src/aggregate/side.o \
	src/aggregate/source.o \
	src/aggregate/source_replace.o \
	src/aggregate/target.o \
	src/aggregate/topic.o \
	src/aggregate/verify.o \
	src/aggregate/window.o \
	src/aggregate/window_query.o src/aggregate/window_text.o \
	src/aggregate/window_run.o \
	src/kafka/ask.o \
	src/kafka/client.o \
	src/kafka/config.o \
	src/kafka/consumer.o \
	src/kafka/failures.o \
	src/kafka/questions.o \
	src/kafka/credentials.o \
	src/kafka/probe.o \
	src/kafka/producer.o \
	src/kafka/pulse.o \
	src/kafka/security.o \
	src/worker/backfill.o \
	src/worker/adopt.o \
	src/worker/attempt.o \
	src/worker/connection.o \
	src/worker/consumer.o \
	src/worker/definitions.o \
	src/worker/control.o \
	src/worker/control_state.o \
	src/worker/failure.o \
	src/worker/feed.o \
	src/worker/keeper.o \
	src/worker/launcher.o \
	src/worker/shared.o \
	src/worker/reader.o \
	src/worker/reader_health.o \
	src/worker/recover.o \
	src/worker/seek.o \
	src/worker/session.o \
	src/worker/settings.o \
	src/worker/standing.o \
	src/worker/tend.o \
	src/worker/utility.o \
	src/worker/wait.o \
	src/worker/wanted.o \
	src/worker/watch.o

# A list, so that one test can be run: make installcheck REGRESS=push
REGRESS ?= $(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --load-extension=streamagg

PG_CONFIG ?= pg_config
PG_CPPFLAGS = -Isrc
# -Bsymbolic: our functions are ours, whatever other libraries in the process export.
SHLIB_LINK = -lrdkafka -lsimdjson -lcrypto -lstdc++ -Wl,-Bsymbolic

ifdef STRICT
# -isystem: PostgreSQL's own headers are not judged.
PG_CPPFLAGS += -isystem $(shell $(PG_CONFIG) --includedir-server)
PG_CFLAGS = -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers
PG_CXXFLAGS = -Wall -Wextra -Werror
endif
PG_CXXFLAGS += -std=c++17

# A record passes through a dozen files: as one they take 6 % less time.  clang would need lld for it.
ifneq ($(findstring gcc,$(shell $(PG_CONFIG) --cc)),)
LTO = -flto -fno-semantic-interposition
PG_CFLAGS += $(LTO)
PG_CXXFLAGS += $(LTO)
SHLIB_LINK += -flto=2 -O2
endif

# The bitcode serves only to inline into JIT-compiled expressions; workers run without JIT.
override with_llvm := no

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS): $(wildcard src/*.h src/*/*.h)

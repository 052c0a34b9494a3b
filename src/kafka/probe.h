/*
 * probe.h - questions to a server's brokers from a session.
 */
#ifndef STREAMAGG_KAFKA_PROBE_H
#define STREAMAGG_KAFKA_PROBE_H

/*
 * The ends of a topic's partitions 0 … n-1, palloc'd; returns n.  Bounded and interruptible; errors
 * as kafka/consumer.h.
 */
extern int kafka_probe_ends(Oid server, Oid user, const char *topic, int64 **ends);

#endif

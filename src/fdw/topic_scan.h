/*
 * topic_scan.h - SELECT from a stream that has a topic.
 */
#ifndef STREAMAGG_TOPIC_SCAN_H
#define STREAMAGG_TOPIC_SCAN_H

#include "nodes/execnodes.h"

/*
 * Makes the node a scan of the stream's topic: its routine becomes another.  Nothing is asked of the
 * brokers before the first row is.
 */
extern void topic_scan_begin(ForeignScanState *node, int flags);

#endif

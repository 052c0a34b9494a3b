/*
 * definition_parts.h - the parts of definition_analyze().
 */
#ifndef STREAMAGG_DEFINITION_PARTS_H
#define STREAMAGG_DEFINITION_PARTS_H

#include "definition.h"

/* The window function in FROM, where there is one. */
extern void definition_find_window(Definition *definition);

/* Whether a key is start or end of that window: both stand for it. */
extern bool definition_is_window_column(const Definition *definition, Node *key);

/* A key that is a window by itself becomes the definition's; false for any other. */
extern bool definition_load_window_key(Definition *definition, Node *key);

/* Raises 0A000 for what sessions cannot have; the keys and calls are loaded. */
extern void definition_inspect_session(Definition *definition);

/* The aggregate calls of SELECT list and HAVING, each once. */
extern void definition_load_calls(Definition *definition);

/* Which calls with DISTINCT have a side table, and which of them share one.  Errors: 0A000. */
extern void definition_number_sides(Definition *definition);

#endif

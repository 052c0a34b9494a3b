/*
 * panes.h - hop and cumulate windows by the panes that they are made of.
 */
#ifndef STREAMAGG_PANES_H
#define STREAMAGG_PANES_H

#include "definition.h"

/*
 * The definition whose rows fall in one pane each, its start under the keys of the window: for
 * rewrite_rows() alone.  NULL: windows of one a row, or the query reads more of them than its keys.  In
 * the current context.
 */
extern Definition *panes_definition(const Definition *definition);

#endif

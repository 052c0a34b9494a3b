/*
 * labels.h - the labels of an enum type.
 */
#ifndef STREAMAGG_LABELS_H
#define STREAMAGG_LABELS_H

typedef struct Labels Labels;

/* In a context of its own under the current one. */
extern Labels *labels_create(Oid type);

/*
 * The value of a label, InvalidOid for none.  Usable: false for one that a transaction in progress
 * has added, which the type's input must judge.
 */
extern Oid labels_find(Labels *labels, const char *text, size_t length, bool *usable);

#endif

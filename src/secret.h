/*
 * secret.h - where a secret comes from: a literal, env:NAME or file:/path.
 *
 * `what` says whose secret it is, as a noun for messages: option "password", key "pii".
 */
#ifndef STREAMAGG_SECRET_H
#define STREAMAGG_SECRET_H

/* Not the secret itself: env:… or file:…. */
extern bool secret_is_reference(const char *source);

/*
 * Raises 42501 with a hint unless the role may name such a source: env: superusers, file: members of
 * pg_read_server_files; 22023 for env: without a name and for file: without an absolute path.
 */
extern void secret_require_rights(const char *source, Oid role, const char *what);

/*
 * The secret's text without a newline at its end, palloc'd in the current context; a literal is
 * returned as it is.  F0000, one and the same for all that can be wrong with a file or a variable,
 * so that nobody learns from it what is there; never with the content.
 */
extern char *secret_read(const char *source, const char *what);

#endif

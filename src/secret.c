/*
 * secret.c - secrets by reference, so that catalogues and dumps hold none.
 *
 * Who may name a source is asked when it is written down and again when it is used, then for the
 * one who stands behind it: else he could have the server's files sent to brokers of his own.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/acl.h"

#include "secret.h"
#include "streamagg.h"

#define MAX_BYTES 65536

static const char *
after_prefix(const char *source, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(source, prefix, length) == 0 ? source + length : NULL;
}

bool
secret_is_reference(const char *source)
{
	return after_prefix(source, "env:") || after_prefix(source, "file:");
}

static void
require_form(bool fine, const char *what)
{
	if (!fine)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid source of the secret of %s", what),
						errdetail("A reference is env:NAME or file:/absolute/path.")));
}

void
secret_require_rights(const char *source, Oid role, const char *what)
{
	const char *name = after_prefix(source, "env:");
	const char *path = after_prefix(source, "file:");

	if (name && !superuser_arg(role))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("role \"%s\" may not take the secret of %s from the environment",
							   GetUserNameFromId(role, false), what),
						errhint("Only superusers may use env:.")));
	if (path && !has_privs_of_role(role, ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("role \"%s\" may not take the secret of %s from a file",
							   GetUserNameFromId(role, false), what),
						errhint("Only members of pg_read_server_files may use file:.")));
	if (name)
		require_form(*name != '\0' && strchr(name, '=') == NULL, what);
	if (path)
		require_form(*path == '/', what);
}

/* The bytes of a regular file of text, NULL for anything else.  A pipe must not keep us waiting. */
static char *
read_file(const char *path)
{
	int file = OpenTransientFile(path, O_RDONLY | O_NONBLOCK | PG_BINARY);
	char *text = palloc(MAX_BYTES + 2);
	ssize_t total = 0;
	ssize_t got = -1;
	struct stat status;

	if (file < 0)
		return NULL;
	if (fstat(file, &status) == 0 && S_ISREG(status.st_mode))
		while ((got = read(file, text + total, MAX_BYTES + 1 - total)) > 0)
			total += got;
	CloseTransientFile(file);
	text[total] = '\0';
	return got == 0 && total <= MAX_BYTES && strlen(text) == (size_t) total ? text : NULL;
}

static void
strip_newline(char *text)
{
	size_t length = strlen(text);

	if (length > 0 && text[length - 1] == '\n')
		text[--length] = '\0';
	if (length > 0 && text[length - 1] == '\r')
		text[length - 1] = '\0';
}

char *
secret_read(const char *source, const char *what)
{
	const char *name = after_prefix(source, "env:");
	const char *path = after_prefix(source, "file:");
	const char *found;
	char *secret;

	if (name == NULL && path == NULL)
		return pstrdup(source);
	found = name ? getenv(name) : read_file(path);
	secret = found && strlen(found) <= MAX_BYTES ? pstrdup(found) : NULL;
	if (secret)
		strip_newline(secret);
	if (secret == NULL || *secret == '\0')
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR),
						errmsg("could not read the secret of %s", what),
						errdetail("It must be in a variable of the server's environment or in a "
								  "regular file that the server may read: text, not empty, not "
								  "larger than 64 kB.")));
	return secret;
}

// SPDX-License-Identifier: GPL-2.0
/* The error that ends a command: the first sentence, and its exit status. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "keel.h"

/* Each thread's own: the drain has one, and hands its sentence over. */
static _Thread_local char message[1024];
static _Thread_local int status;

static int store(int code, const char *fmt, va_list ap)
{
	if (!message[0]) {
		vsnprintf(message, sizeof(message), fmt, ap);
		for (char *p = message; *p; p++)
			if (*p == '\n' || *p == '\r')
				*p = ' ';
		status = code;
	}
	return -1;
}

int fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	store(1, fmt, ap);
	va_end(ap);
	return -1;
}

int bad(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	store(2, fmt, ap);
	va_end(ap);
	return -1;
}

/* More about the error that is stored. */
void error_add(const char *fmt, ...)
{
	size_t len = strlen(message);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message + len, sizeof(message) - len, fmt, ap);
	va_end(ap);
}

const char *error_text(void)
{
	return message[0] ? message : NULL;
}

void error_forget(void)
{
	message[0] = 0;
	status = 0;
}

/* The exit status that goes with it. */
int error_status(void)
{
	return status;
}

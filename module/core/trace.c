// SPDX-License-Identifier: GPL-2.0
/* keel's own tracepoints. */
#define CREATE_TRACE_POINTS
#include "core/trace.h"

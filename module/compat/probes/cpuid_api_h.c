/* SPDX-License-Identifier: GPL-2.0 */
/* 6.16: "x86/cpuid: Set <asm/cpuid/api.h> as the main CPUID header" */
#include <asm/cpuid/api.h>

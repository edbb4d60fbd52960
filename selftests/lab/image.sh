# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0

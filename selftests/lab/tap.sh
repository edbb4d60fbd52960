# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# TAP for the lab's own tests.

number=0
# check WHAT COMMAND...: a line of TAP; the command's output if it fails.
check() {
	local what=$1 output
	shift
	number=$((number + 1))
	if output=$("$@" 2>&1); then
		echo "ok $number $what"
	else
		echo "not ok $number $what"
		echo "$output" | sed 's/^/# /'
	fi
}

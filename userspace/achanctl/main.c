// SPDX-License-Identifier: LGPL-2.1-or-later
/* achanctl: channels from the command line. */
#include "achanctl.h"

int main(int argc, char **argv)
{
	return achanctl_run(argc, argv);
}

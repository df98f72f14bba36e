// SPDX-License-Identifier: LGPL-2.1-or-later
/* achanctl: channels from the command line. */
#include "achanctl.h"

int main(int argc, char **argv)
{
	enum status status = achanctl_run(argc, argv);

	/* What was lost is not to look as if a signal alone had ended it. */
	return status == STATUS_OK ? stop_raise() : (int)status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The verbs of the command. */
#ifndef IOMMUSE_CLI_VERB_H
#define IOMMUSE_CLI_VERB_H

/* Each takes the arguments from the verb on and returns the status to exit with. */
typedef int verb_main(int argc, char **argv);

verb_main run_main, status_main, devices_main, doctor_main;

/* Prints how a verb is used, on standard output. */
void run_usage(void);
void status_usage(void);
void devices_usage(void);
void doctor_usage(void);

#endif

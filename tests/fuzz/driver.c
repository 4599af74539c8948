/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drives a fuzzer where libFuzzer is not there: replays inputs, then tries changed ones. It does not know what an input
 * covers, so it looks around the kept corpus only.
 *
 * driver [-seed=N] [-runs=N] [-max_total_time=SECONDS] [-first=N] [FILE or FOLDER...]
 *
 * The options mean what they do to libFuzzer; others of its are ignored. Run number N depends on the seed, on N and on
 * the corpus only: -seed=S -first=N -runs=1 repeats it. An input that fails is left in a file crash-S-N.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INPUT_MAX   4096
#define INPUTS_MAX  2000
#define SECONDS_MAX 60 /* for one input; sanitizers make it slow */

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifndef WITH_ASAN
#define WITH_ASAN 0
#endif

#if WITH_ASAN
size_t __sanitizer_get_current_allocated_bytes(void);
void __sanitizer_set_death_callback(void (*callback)(void));

static size_t allocated_bytes(void)
{
	return __sanitizer_get_current_allocated_bytes();
}
#else
static size_t allocated_bytes(void)
{
	return 0;
}
#endif

struct input {
	size_t size;
	uint8_t data[INPUT_MAX];
};

struct options {
	uint64_t seed, first, runs;
	time_t seconds;
	const char *folder; /* where inputs that fail go */
};

static struct input *corpus[INPUTS_MAX];
static size_t corpus_count;
static struct options options = {.runs = 0};
static struct input current;
static uint64_t mutate_state;

/* Of the input that is being tried. */
static char crash_name[PATH_MAX];

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
	static const uint8_t special[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};

	(void)max_size;
	for (size_t n = 1 + fuzz_random(&mutate_state) % 4; n && size; n--)
		data[fuzz_random(&mutate_state) % size] = special[fuzz_random(&mutate_state) % sizeof(special)];
	return size;
}

static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		_exit(1);
}

/* Called by signal handlers, and by sanitizers. */
static void keep_input(void)
{
	int fd = open(crash_name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);

	if (fd < 0 || write(fd, current.data, current.size) != (ssize_t)current.size) {
		say("the input could not be kept\n");
	} else {
		say("the input is in ");
		say(crash_name);
		say("\n");
	}
	if (fd >= 0)
		close(fd);
}

static void on_signal(int number)
{
	if (number == SIGALRM)
		say("FAIL: the input takes too long\n");
	keep_input();
	signal(number, SIG_DFL);
	raise(number);
}

static void watch(void)
{
	signal(SIGABRT, on_signal);
	signal(SIGALRM, on_signal);
#if WITH_ASAN
	__sanitizer_set_death_callback(keep_input);
#else
	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
	signal(SIGFPE, on_signal);
	signal(SIGILL, on_signal);
#endif
}

static void run_current(void)
{
	/* As large as the input, so that the sanitizer sees what is read beyond. */
	uint8_t *copy = malloc(current.size ? current.size : 1);

	if (!copy)
		fuzz_fail("out of memory");
	memcpy(copy, current.data, current.size);
	alarm(SECONDS_MAX);
	LLVMFuzzerTestOneInput(copy, current.size);
	alarm(0);
	free(copy);
}

/* What is allocated once stays; what each run of the input leaves behind is a leak. */
static void run_and_weigh(void)
{
	size_t before = allocated_bytes();
	unsigned grown = 0;

	for (run_current(); allocated_bytes() > before; run_current()) {
		if (++grown == 4)
			fuzz_fail("each run leaves %zu bytes behind", allocated_bytes() - before);
		before = allocated_bytes();
	}
}

static void name_crash(const char *what, uint64_t number)
{
	snprintf(crash_name, sizeof(crash_name), "%scrash-%s%" PRIu64, options.folder ? options.folder : "", what,
		 number);
}

static void add_file(const char *path)
{
	struct input *input;
	ssize_t n;
	int fd;

	if (corpus_count == INPUTS_MAX)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "driver: cannot take %s\n", path);
		exit(2);
	}
	input = calloc(1, sizeof(*input));
	n = input ? read(fd, input->data, sizeof(input->data)) : -1;
	close(fd);
	if (n < 0) {
		fprintf(stderr, "driver: cannot read %s\n", path);
		exit(2);
	}
	input->size = (size_t)n;
	corpus[corpus_count++] = input;
}

static int no_dot(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void add(const char *path)
{
	struct dirent **names;
	char file[PATH_MAX];
	struct stat st;
	int n;

	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		add_file(path);
		return;
	}
	n = scandir(path, &names, no_dot, alphasort);
	for (int i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		add_file(file);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

/* A second input's tail behind a first one's head, now and then; then changes. */
static void make_input(uint64_t number)
{
	uint64_t state = options.seed * UINT64_C(0x2545f4914f6cdd1d) + number;
	const struct input *a = corpus_count ? corpus[fuzz_random(&state) % corpus_count] : NULL;

	current.size = 0;
	if (a) {
		memcpy(current.data, a->data, a->size);
		current.size = a->size;
	}
	if (a && !(fuzz_random(&state) % 4)) {
		const struct input *b = corpus[fuzz_random(&state) % corpus_count];
		size_t head = fuzz_random(&state) % (a->size + 1) / 16 * 16;
		size_t tail = b->size < INPUT_MAX - head ? b->size : INPUT_MAX - head;

		memcpy(current.data + head, b->data, tail);
		current.size = head + tail;
	}
	mutate_state = fuzz_random(&state);
	for (unsigned n = 1 + (unsigned)(fuzz_random(&state) % 6); n; n--)
		current.size =
			LLVMFuzzerCustomMutator(current.data, current.size, INPUT_MAX, (unsigned)fuzz_random(&state));
}

static void replay(void)
{
	for (size_t i = 0; i < corpus_count; i++) {
		current = *corpus[i];
		name_crash("corpus-", i);
		run_and_weigh();
	}
}

static uint64_t explore(void)
{
	time_t end = time(NULL) + options.seconds;
	uint64_t done = 0;
	char what[32];

	snprintf(what, sizeof(what), "%" PRIu64 "-", options.seed);
	while ((done < options.runs || !options.runs) && (!options.seconds || time(NULL) < end)) {
		make_input(options.first + done);
		name_crash(what, options.first + done);
		run_and_weigh();
		done++;
	}
	return done;
}

/* The value of an option, or NULL. */
static const char *value_of(const char *arg, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(arg, name, n) && arg[n] == '=' ? arg + n + 1 : NULL;
}

static void take_option(const char *arg)
{
	const char *value;

	if ((value = value_of(arg, "-seed")))
		options.seed = strtoull(value, NULL, 0);
	else if ((value = value_of(arg, "-runs")))
		options.runs = strtoull(value, NULL, 0);
	else if ((value = value_of(arg, "-first")))
		options.first = strtoull(value, NULL, 0);
	else if ((value = value_of(arg, "-max_total_time")))
		options.seconds = strtol(value, NULL, 0);
	else if ((value = value_of(arg, "-artifact_prefix")))
		options.folder = value;
}

int main(int argc, char **argv)
{
	const char *program = argv[0];
	uint64_t runs = 0;

	for (int i = 1; i < argc; i++)
		if (argv[i][0] == '-')
			take_option(argv[i]);
		else
			add(argv[i]);
	if (!options.seed)
		options.seed = (uint64_t)time(NULL);
	watch();
	LLVMFuzzerInitialize(&argc, &argv);
	replay();
	printf("%s: seed %" PRIu64 ", %zu inputs replayed\n", program, options.seed, corpus_count);
	fflush(stdout);
	if (options.runs || options.seconds)
		runs = explore();
	printf("%s: %" PRIu64 " changed inputs\n", program, runs);
	for (size_t i = 0; i < corpus_count; i++)
		free(corpus[i]);
	return 0;
}

/* Preloaded into a server, it ends the process at one step of what it does with one file: before the call, in the middle
 * of a write, or behind the call, as a kill would that comes just then. DIES_AT is the number of the step, from 0 on, and
 * DIES_NEAR the path of the file. What happens to its folder counts as well. The step is told on standard error. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_near(const char *path) {
    const char *file = getenv("DIES_NEAR");
    if (file == NULL || path == NULL) {
        return 0;
    }
    const char *slash = strrchr(file, '/');
    size_t folder = slash == NULL ? 0 : (size_t)(slash - file);
    int is_folder = strlen(path) == folder && strncmp(path, file, folder) == 0;
    return strcmp(path, file) == 0 || is_folder;
}

static int is_open_near(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) {
        return 0;
    }
    path[length] = 0;
    return is_near(path);
}

/* Whether this step is the one. */
static int is_due(void) {
    static int steps;
    const char *at = getenv("DIES_AT");
    return at != NULL && steps++ == atoi(at);
}

static void die(const char *when, const char *call) {
    dprintf(2, "dies %s %s\n", when, call);
    raise(SIGKILL);
}

static void before(int near, const char *call) {
    if (near && is_due()) {
        die("before", call);
    }
}

static void after(int near, const char *call) {
    if (near && is_due()) {
        die("after", call);
    }
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    int mode = va_arg(more, int);
    va_end(more);
    int near = is_near(path);
    before(near, "open");
    int fd = REAL(open64)(path, flags, mode);
    after(near, "open");
    return fd;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    int near = is_open_near(fd);
    before(near, "write");
    if (near && is_due()) {
        REAL(write)(fd, bytes, count / 2);
        die("within", "write");
    }
    ssize_t written = REAL(write)(fd, bytes, count);
    after(near, "write");
    return written;
}

int fsync(int fd) {
    int near = is_open_near(fd);
    before(near, "fsync");
    int result = REAL(fsync)(fd);
    after(near, "fsync");
    return result;
}

int rename(const char *from, const char *to) {
    int near = is_near(from);
    before(near, "rename");
    int result = REAL(rename)(from, to);
    after(near, "rename");
    return result;
}

/* Preloaded into a server, it kills that at the CHATD_TEST_DIES_AT-th point of saving a file by way of FILE.new: before
 * and behind each call, and in the middle of the writing. It says on standard error that it does, or that the file is
 * saved. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int point;
/* The file that is written, and the folder when that has its name. */
static int file = -1, folder = -1, renamed;

static void say(const char *what) { syscall(SYS_write, 2, what, strlen(what)); }

static void may_die(void) {
    const char *at = getenv("CHATD_TEST_DIES_AT");
    point++;
    if (at != NULL && atoi(at) == point) {
        say("dies\n");
        raise(SIGKILL);
    }
}

static int is_new(const char *path) {
    size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, ".new") == 0;
}

int open64(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(list, mode_t) : 0;
    va_end(list);
    int is_file = is_new(path), is_folder = renamed;
    if (is_file || is_folder) {
        may_die();
    }
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (is_file || is_folder) {
        may_die();
        *(is_file ? &file : &folder) = fd;
        renamed = 0;
    }
    return fd;
}

int unlink(const char *path) {
    int is_file = is_new(path);
    if (is_file) {
        may_die();
    }
    int done = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (is_file) {
        may_die();
    }
    return done;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    if (fd != file || fd < 0) {
        return syscall(SYS_write, fd, bytes, count);
    }
    may_die();
    size_t half = (size_t)syscall(SYS_write, fd, bytes, count / 2);
    may_die();
    ssize_t rest = syscall(SYS_write, fd, (const char *)bytes + half, count - half);
    may_die();
    return rest < 0 ? rest : (ssize_t)half + rest;
}

int fsync(int fd) {
    int is_file = fd >= 0 && fd == file, is_folder = fd >= 0 && fd == folder;
    if (is_file || is_folder) {
        may_die();
    }
    int done = (int)syscall(SYS_fsync, fd);
    if (is_file || is_folder) {
        may_die();
    }
    if (is_file) {
        file = -1;
    }
    if (is_folder) {
        folder = -1;
        say("saved\n");
    }
    return done;
}

int rename(const char *from, const char *to) {
    int is_file = is_new(from);
    if (is_file) {
        may_die();
    }
    int done = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (is_file) {
        may_die();
        renamed = 1;
    }
    return done;
}

/* Preloaded into a server, it plants the leak that tests must find: of 500 TCP connections that are closed, one stays
 * open and registered. */
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int option(int fd, int name) {
    int value = 0;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

int close(int fd) {
    static unsigned connections;
    if (option(fd, SO_PROTOCOL) == IPPROTO_TCP && option(fd, SO_ACCEPTCONN) == 0 &&
        __atomic_add_fetch(&connections, 1, __ATOMIC_RELAXED) % 500 == 0) {
        return 0;
    }
    return (int)syscall(SYS_close, fd);
}

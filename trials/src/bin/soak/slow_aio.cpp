// Stands between NIXL's POSIX plugin and the kernel's asynchronous I/O (loaded with LD_PRELOAD), and makes it slow or stuck
// for as long as the byte in the file $SLOW_AIO says so:
//   's': every submission takes up to 20 ms more;
//   't': nothing that was submitted ever ends, though the kernel may have done it;
//   anything else: as without.
// The queue of io_uring is only made slow: its ends are read from memory, without a call.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace {

const volatile char *mode() {
    static const volatile char *const mapped = [] {
        static const char as_without = 0;
        const char *path = getenv("SLOW_AIO");
        int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *page = file < 0 ? MAP_FAILED : mmap(nullptr, 1, PROT_READ, MAP_SHARED, file, 0);
        if (file >= 0)
            close(file);
        return page == MAP_FAILED ? &as_without : static_cast<const char *>(page);
    }();
    return mapped;
}

void pause_if_slow() {
    static thread_local unsigned seed = static_cast<unsigned>(syscall(SYS_gettid));
    if (*mode() != 's')
        return;
    timespec pause = {0, rand_r(&seed) % 20'000'000L};
    nanosleep(&pause, nullptr);
}

long or_error(long result) { return result < 0 ? -errno : result; }

} // namespace

extern "C" int io_submit(aio_context_t queue, long count, iocb **requests) {
    pause_if_slow();
    return static_cast<int>(or_error(syscall(SYS_io_submit, queue, count, requests)));
}

extern "C" int io_getevents(aio_context_t queue, long least, long most, io_event *events, timespec *limit) {
    if (*mode() == 't')
        return 0;
    return static_cast<int>(or_error(syscall(SYS_io_getevents, queue, least, most, events, limit)));
}

using UringSubmit = int (*)(void *);

// The function that this one stands before: the plugin brings its own liburing, which no name in the environment leads to.
int find_liburing(dl_phdr_info *library, size_t, void *found) {
    if (!strstr(library->dlpi_name, "liburing"))
        return 0;
    void *handle = dlopen(library->dlpi_name, RTLD_NOW | RTLD_NOLOAD);
    *static_cast<UringSubmit *>(found) = handle ? reinterpret_cast<UringSubmit>(dlsym(handle, "io_uring_submit")) : nullptr;
    return 1;
}

extern "C" int io_uring_submit(void *ring) {
    static const UringSubmit real = [] {
        UringSubmit found = nullptr;
        dl_iterate_phdr(find_liburing, &found);
        return found;
    }();
    pause_if_slow();
    return real ? real(ring) : -ENOSYS;
}

// SPDX-License-Identifier: Apache-2.0
// Preloaded into a server under test: makes the disk below the database slow, read-only or broken. The file named by
// MUSTER_SPOILED_DISK holds four ints that the test changes while the server runs: milliseconds that each read, write and sync takes, and
// the errno with which reads, writes and opening fail (0: they work). Only files with "muster.db" in their name are meant.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { descriptors_max = 65536 };
struct orders {
  int delay_ms, read_errno, write_errno, open_errno;
};
static volatile struct orders* orders;
static volatile char meant[descriptors_max];

__attribute__((constructor)) static void begin(void) {
  const char* path = getenv("MUSTER_SPOILED_DISK");
  int (*real_open)(const char*, int, ...) = (int (*)(const char*, int, ...))dlsym(RTLD_NEXT, "open64");
  if (path == NULL || real_open == NULL) return;
  const int fd = real_open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void* seen = mmap(NULL, sizeof(struct orders), PROT_READ, MAP_SHARED, fd, 0);
  if (seen != MAP_FAILED) orders = seen;
}

static int is_meant(int fd) { return orders != NULL && fd >= 0 && fd < descriptors_max && meant[fd]; }
static void wait_a_while(void) {
  const int ms = orders->delay_ms;
  if (ms <= 0) return;
  const struct timespec pause = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&pause, NULL);
}

#define REAL(name) (__typeof__(&name))dlsym(RTLD_NEXT, #name)

int open64(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
  va_end(list);
  const int ours = orders != NULL && strstr(path, "muster.db") != NULL;
  if (ours && orders->open_errno != 0 && (orders->open_errno != EROFS || (flags & O_ACCMODE) != O_RDONLY)) {
    errno = orders->open_errno;
    return -1;
  }
  const int fd = (REAL(open64))(path, flags, mode);
  if (fd >= 0 && fd < descriptors_max) meant[fd] = (char)ours;
  return fd;
}
int close(int fd) {
  if (fd >= 0 && fd < descriptors_max) meant[fd] = 0;
  return (REAL(close))(fd);
}

ssize_t pread64(int fd, void* out, size_t size, off64_t offset) {
  if (is_meant(fd)) {
    wait_a_while();
    if (orders->read_errno != 0) {
      errno = orders->read_errno;
      return -1;
    }
  }
  return (REAL(pread64))(fd, out, size, offset);
}
ssize_t pwrite64(int fd, const void* in, size_t size, off64_t offset) {
  if (is_meant(fd)) {
    wait_a_while();
    if (orders->write_errno != 0) {
      errno = orders->write_errno;
      return -1;
    }
  }
  return (REAL(pwrite64))(fd, in, size, offset);
}
int fdatasync(int fd) {
  if (is_meant(fd)) {
    wait_a_while();
    if (orders->write_errno != 0) {
      errno = orders->write_errno;
      return -1;
    }
  }
  return (REAL(fdatasync))(fd);
}

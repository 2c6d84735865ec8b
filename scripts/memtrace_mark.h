/* Marks phases of a C or C++ program, so that memtrace reports the exact peak memory of each.
 *
 *     memtrace_begin("load");
 *     ...
 *     memtrace_end("load");
 *
 * A marker is one system call that the kernel refuses and memtrace sees. Without memtrace it does
 * nothing, as on systems other than Linux; errno stays as it was. C99 or later, or C++. See
 * docs/phases.md.
 *
 * name   UTF-8. At most 63 bytes are used, cut between characters. At an end, NULL stands for the
 *        innermost phase.
 * track  0 is the calling thread's own. Any other number is a track of the process, for work that
 *        moves between threads or takes turns in one.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef MEMTRACE_MARK_H
#define MEMTRACE_MARK_H

#ifdef __linux__
#include <errno.h>
#include <sys/prctl.h>
#endif

enum memtrace_mark_operation {
    MEMTRACE_BEGIN = 1,
    MEMTRACE_END = 2,
    MEMTRACE_INSTANT = 3,
    MEMTRACE_BEGIN_TARGET = 4,
    MEMTRACE_END_TARGET = 5
};

static inline void memtrace_mark(enum memtrace_mark_operation operation, const char *name,
                                 unsigned long track)
{
#ifdef __linux__
    /* The kernel side reads the name without waiting for a page. To read it here, which `volatile`
     * makes sure of, brings it in. */
    const volatile char *text = name;
    const int before = errno;
    unsigned long length = 0;
    if (name) {
        while (length < 63 && text[length]) {
            length++;
        }
        while (length > 0 && (text[length] & 0xC0) == 0x80) {
            length--;
        }
    }
    prctl(0x4D545243, (unsigned long)operation, name, length, track);
    errno = before;
#else
    (void)operation;
    (void)name;
    (void)track;
#endif
}

/* A phase of the calling thread begins. */
static inline void memtrace_begin(const char *name)
{
    memtrace_mark(MEMTRACE_BEGIN, name, 0);
}

/* The innermost phase of that name ends. */
static inline void memtrace_end(const char *name)
{
    memtrace_mark(MEMTRACE_END, name, 0);
}

/* A moment of the calling thread. */
static inline void memtrace_instant(const char *name)
{
    memtrace_mark(MEMTRACE_INSTANT, name, 0);
}

/* A phase of all processes that memtrace follows begins; any of them may end it. */
static inline void memtrace_begin_target(const char *name)
{
    memtrace_mark(MEMTRACE_BEGIN_TARGET, name, 0);
}

/* The innermost such phase of that name ends. */
static inline void memtrace_end_target(const char *name)
{
    memtrace_mark(MEMTRACE_END_TARGET, name, 0);
}

#endif

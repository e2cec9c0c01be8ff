// The parts of Linux that Swift's Glibc module leaves out: epoll, eventfd, signalfd, thread names.
#ifndef RELAYGATE_CLINUX_H
#define RELAYGATE_CLINUX_H

#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

// Macros and anonymous enums become typed constants, so that Swift sees plain integers.
static const uint32_t rg_epollin = EPOLLIN;
static const uint32_t rg_epollout = EPOLLOUT;
static const uint32_t rg_epollrdhup = EPOLLRDHUP;
static const uint32_t rg_epollhup = EPOLLHUP;
static const uint32_t rg_epollerr = EPOLLERR;
static const uint32_t rg_epollet = 1u << 31;
_Static_assert(EPOLLET == 1u << 31, "EPOLLET is the top bit");

static inline int rg_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }
static inline int rg_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
static inline int rg_signalfd(const sigset_t *set) { return signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK); }

// Names the calling thread, as seen in `ps -L` and in debuggers; 15 characters at most.
void rg_name_thread(const char *name);

#endif

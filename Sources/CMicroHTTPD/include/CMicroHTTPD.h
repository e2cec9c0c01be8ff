// GNU libmicrohttpd for Swift: its variadic calls and unions behind plain functions.
#ifndef RELAYGATE_CMICROHTTPD_H
#define RELAYGATE_CMICROHTTPD_H

#include <microhttpd.h>
#include <stddef.h>
#include <stdint.h>

// What a reader of a streamed body returns instead of a count.
static const ssize_t rg_mhd_end_of_stream = -1;
static const ssize_t rg_mhd_end_with_error = -2;

// The library's closed enumerations, under names that do not depend on how they are imported.
static const enum MHD_Result rg_mhd_yes = MHD_YES;
static const enum MHD_Result rg_mhd_no = MHD_NO;
static const enum MHD_ValueKind rg_mhd_header_kind = MHD_HEADER_KIND;
static const enum MHD_ValueKind rg_mhd_argument_kind = MHD_GET_ARGUMENT_KIND;
static const enum MHD_ResponseMemoryMode rg_mhd_copy = MHD_RESPMEM_MUST_COPY;
static const enum MHD_RequestTerminationCode rg_mhd_completed = MHD_REQUEST_TERMINATED_COMPLETED_OK;
static const enum MHD_ConnectionNotificationCode rg_mhd_started = MHD_CONNECTION_NOTIFY_STARTED;

// What is wrong with how a request says where it ends. Two readers of such a request could see different requests, which
// is how one is smuggled behind another (RFC 9112, sections 5.1, 6.1, 6.3).
enum rg_mhd_framing {
    rg_mhd_sound = 0,
    // Both Content-Length and Transfer-Encoding, or one of them twice.
    rg_mhd_ambiguous,
    // A Content-Length that is no count.
    rg_mhd_bad_length,
    // A Transfer-Encoding other than chunked.
    rg_mhd_unknown_encoding,
    // A field name with white space at its end.
    rg_mhd_bad_field,
    // Host or Authorization twice.
    rg_mhd_repeated_field,
};

// Looks at the head of a request; to be called once, when it is complete.
enum rg_mhd_framing rg_mhd_check(struct MHD_Connection *connection);

struct rg_mhd_options {
    int listen_fd;
    unsigned int connection_limit;
    unsigned int idle_timeout_s;
    // Bytes of one connection's memory pool: request line and headers must fit.
    size_t connection_memory;
    MHD_AccessHandlerCallback on_request;
    MHD_RequestCompletedCallback on_completed;
    MHD_NotifyConnectionCallback on_connection;
    void *context;
};

// A daemon without threads of its own: the caller watches `rg_mhd_epoll_fd` and calls `MHD_run`. It owns `listen_fd`
// from here. NULL when it cannot start.
struct MHD_Daemon *rg_mhd_start(const struct rg_mhd_options *options);

int rg_mhd_epoll_fd(struct MHD_Daemon *daemon);
int rg_mhd_connection_fd(struct MHD_Connection *connection);

// Writes the caller's numeric address into `text`; an empty text when it is not an IP address.
void rg_mhd_peer(struct MHD_Connection *connection, char *text, size_t size);

// Whether work is left that does not wait for a descriptor: `MHD_run` wants to be called again at once.
int rg_mhd_is_busy(struct MHD_Daemon *daemon);

#endif

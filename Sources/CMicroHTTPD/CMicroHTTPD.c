#include "CMicroHTTPD.h"

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

struct MHD_Daemon *rg_mhd_start(const struct rg_mhd_options *options) {
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, options->on_request, options->context,
        MHD_OPTION_LISTEN_SOCKET, options->listen_fd, MHD_OPTION_CONNECTION_LIMIT, options->connection_limit,
        MHD_OPTION_CONNECTION_TIMEOUT, options->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        options->connection_memory, MHD_OPTION_NOTIFY_COMPLETED, options->on_completed, options->context,
        MHD_OPTION_NOTIFY_CONNECTION, options->on_connection, options->context, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_END);
}

int rg_mhd_epoll_fd(struct MHD_Daemon *daemon) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info ? info->epoll_fd : -1;
}

int rg_mhd_connection_fd(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

void rg_mhd_peer(struct MHD_Connection *connection, char *text, size_t size) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (size > 0) text[0] = 0;
    if (!info || !info->client_addr) return;
    const struct sockaddr *address = info->client_addr;
    socklen_t length = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (getnameinfo(address, length, text, size, NULL, 0, NI_NUMERICHOST) != 0 && size > 0) text[0] = 0;
}

int rg_mhd_is_busy(struct MHD_Daemon *daemon) {
    MHD_UNSIGNED_LONG_LONG milliseconds = 0;
    return MHD_get_timeout(daemon, &milliseconds) == MHD_YES && milliseconds == 0;
}

struct head {
    int lengths, encodings, hosts, authorizations;
    enum rg_mhd_framing framing;
};

static int is_named(const char *key, size_t size, const char *name) {
    return size == strlen(name) && strncasecmp(key, name, size) == 0;
}

static enum MHD_Result look(void *context, enum MHD_ValueKind kind, const char *key, size_t key_size,
                            const char *value, size_t value_size) {
    struct head *head = context;
    (void)kind;
    char last = key_size > 0 ? key[key_size - 1] : ' ';
    if (last == ' ' || last == '\t') {
        head->framing = rg_mhd_bad_field;
    } else if (is_named(key, key_size, "content-length")) {
        head->lengths++;
        // 18 digits are a count that every type here can hold.
        if (value_size == 0 || value_size > 18 || strspn(value, "0123456789") != value_size)
            head->framing = rg_mhd_bad_length;
    } else if (is_named(key, key_size, "transfer-encoding")) {
        head->encodings++;
        if (!is_named(value, value_size, "chunked")) head->framing = rg_mhd_unknown_encoding;
    } else if (is_named(key, key_size, "host")) {
        head->hosts++;
    } else if (is_named(key, key_size, "authorization")) {
        head->authorizations++;
    }
    return MHD_YES;
}

enum rg_mhd_framing rg_mhd_check(struct MHD_Connection *connection) {
    struct head head = {0, 0, 0, 0, rg_mhd_sound};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, look, &head);
    if (head.framing != rg_mhd_sound) return head.framing;
    if (head.lengths + head.encodings > 1) return rg_mhd_ambiguous;
    return head.hosts > 1 || head.authorizations > 1 ? rg_mhd_repeated_field : rg_mhd_sound;
}

// libcurl for Swift: its variadic setters and getters behind typed functions.
#ifndef RELAYGATE_CCURL_H
#define RELAYGATE_CCURL_H

// Handles of their own types instead of `void`.
#define CURL_STRICTER 1
#include <curl/curl.h>
#include <stddef.h>
#include <stdint.h>

typedef size_t (*rg_curl_data)(char *bytes, size_t size, size_t count, void *context);
typedef int (*rg_curl_socket)(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context);
typedef int (*rg_curl_timer)(CURLM *multi, long timeout_ms, void *context);

// What does not change between two transfers of one easy handle.
struct rg_curl_setup {
    rg_curl_data on_head;
    rg_curl_data on_body;
    long connect_timeout_ms;
    long buffer_size;
};

// NULL when libcurl cannot be initialised.
CURLM *rg_curl_multi(void);
void rg_curl_attach(CURLM *multi, rg_curl_socket on_socket, rg_curl_timer on_timer, void *context,
                    long idle_connections);
CURLcode rg_curl_prepare(CURL *easy, const struct rg_curl_setup *setup);

// One POST (body not NULL) or GET. `url`, `headers` and `body` must live until the transfer is over.
CURLcode rg_curl_request(CURL *easy, const char *url, struct curl_slist *headers, const void *body, size_t size,
                         void *context);

long rg_curl_status(CURL *easy);

// Whether any byte of the request can have reached the server: false only when it provably was not sent.
int rg_curl_was_sent(CURL *easy);

// The next finished transfer and its result; NULL when there is none.
CURL *rg_curl_next_done(CURLM *multi, CURLcode *result);

// Not a socket but the timer.
static const curl_socket_t rg_curl_no_socket = CURL_SOCKET_TIMEOUT;

CURLMcode rg_curl_act(CURLM *multi, curl_socket_t fd, int mask);

#endif

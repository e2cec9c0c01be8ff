#include "CCurl.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode ready = CURLE_FAILED_INIT;

static void prepare(void) { ready = curl_global_init(CURL_GLOBAL_DEFAULT); }

CURLM *rg_curl_multi(void) {
    pthread_once(&once, prepare);
    return ready == CURLE_OK ? curl_multi_init() : NULL;
}

void rg_curl_attach(CURLM *multi, rg_curl_socket on_socket, rg_curl_timer on_timer, void *context,
                    long idle_connections) {
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, context);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, context);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, idle_connections);
}

// libcurl sends a request again by itself when a kept connection dies without an answer, POST or not. The server may
// have worked by then, and nobody would know of it: the second try is refused and the first one's failure is told.
static int only_once(void *easy, char *ip, char *local_ip, int port, int local_port) {
    (void)ip, (void)local_ip, (void)port, (void)local_port;
    return rg_curl_was_sent(easy) ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

CURLcode rg_curl_prepare(CURL *easy, const struct rg_curl_setup *setup) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, setup->on_body);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, setup->on_head);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, setup->connect_timeout_ms);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, setup->buffer_size);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    // A redirect could carry the key of an upstream to another host.
    if (!code) code = curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (!code) code = curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, only_once);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_PREREQDATA, easy);
    return code;
}

CURLcode rg_curl_request(CURL *easy, const char *url, struct curl_slist *headers, const void *body, size_t size,
                         void *context) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, url);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_PRIVATE, context);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_WRITEDATA, context);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_HEADERDATA, context);
    if (code) return code;
    if (!body) return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    code = curl_easy_setopt(easy, CURLOPT_POST, 1L);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    return code;
}

long rg_curl_status(CURL *easy) {
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

int rg_curl_was_sent(CURL *easy) {
    long bytes = 0;
    curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &bytes);
    return bytes > 0;
}

CURL *rg_curl_next_done(CURLM *multi, CURLcode *result) {
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(multi, &left))) {
        if (message->msg != CURLMSG_DONE) continue;
        *result = message->data.result;
        return message->easy_handle;
    }
    return NULL;
}

CURLMcode rg_curl_act(CURLM *multi, curl_socket_t fd, int mask) {
    int running = 0;
    return curl_multi_socket_action(multi, fd, mask, &running);
}

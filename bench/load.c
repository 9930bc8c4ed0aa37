// Devices as a load: TLS on P-256, by libssl, each request over a connection and a full handshake of its own, over one
// that takes up the session of the one before, or all of a thread over one that is kept.
//
//   load PORT IDENTITIES AT_ONCE device|provision|issue|get new|resumed|kept 1.2|1.3
//
// IDENTITIES has a line for each identity: HOST PKCS12_FILE EXPECTED. Then each line of stdin, COUNT SECONDS NAME, makes
// COUNT requests, fewer where SECONDS pass before, AT_ONCE at a time, the identities taking turns, with kept and resumed
// connections each having its own; it is answered by a line: requests, errors, seconds. A session that is not taken up,
// and one that is though nobody offered it, is an error.
// `device` asks for /device and wants EXPECTED in the body; `provision` posts the device ID NAME-<n> to /devices and
// wants EXPECTED in the head; `issue` has an OpenBao's pki/issue/device make a certificate for NAME-<n>, by the token in
// LOAD_TOKEN, and wants EXPECTED in the body; `get` asks for the path in LOAD_PATH and wants EXPECTED in the body. Kept
// connections and sessions last from run to run.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/pkcs12.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  char host[256];
  char expected[256];
  SSL_CTX *tls;
} Identity;

typedef enum { DEVICE, PROVISION, ISSUE, GET } Call;

typedef struct {
  const Identity *identity;
  int tcp;
  SSL *tls;
  SSL_SESSION *session;
} Connection;

static int port;
static Call call;
static int kept;
static int resumed;
static int version;
static const char *token;
static const char *path;
static Identity *identities;
static int identity_count;

static int requests;
static double deadline;
static char name[64];
static atomic_int started;
static atomic_int made;
static atomic_int errors;

static void give_up(const char *why) {
  fprintf(stderr, "load: %s\n", why);
  exit(1);
}

// The server's certificate is that of a server the bench itself started: its path is not validated, so that the load
// takes less of its core. The handshake's own signature is verified by libssl all the same.
static int take_any_server(X509_STORE_CTX *ctx, void *unused) {
  (void)ctx, (void)unused;
  return 1;
}

static SSL_CTX *open_identity(const char *file) {
  FILE *stream = fopen(file, "rb");
  PKCS12 *pkcs12 = stream ? d2i_PKCS12_fp(stream, NULL) : NULL;
  EVP_PKEY *key = NULL;
  X509 *certificate = NULL;
  if (!pkcs12 || !PKCS12_parse(pkcs12, "", &key, &certificate, NULL)) give_up("an identity cannot be read");
  fclose(stream);
  PKCS12_free(pkcs12);
  SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(tls, version);
  SSL_CTX_set_max_proto_version(tls, version);
  SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_cert_verify_callback(tls, take_any_server, NULL);
  if (!SSL_CTX_set1_groups_list(tls, "P-256") || !SSL_CTX_use_certificate(tls, certificate) ||
      !SSL_CTX_use_PrivateKey(tls, key))
    give_up("an identity cannot be used");
  X509_free(certificate);
  EVP_PKEY_free(key);
  return tls;
}

static void open_identities(const char *file) {
  FILE *stream = fopen(file, "r");
  if (!stream) give_up("there are no identities");
  char host[256], pkcs12[1024], expected[256];
  while (fscanf(stream, "%255s %1023s %255s", host, pkcs12, expected) == 3) {
    identities = realloc(identities, (identity_count + 1) * sizeof *identities);
    Identity *identity = &identities[identity_count++];
    strcpy(identity->host, host);
    strcpy(identity->expected, expected);
    identity->tls = open_identity(pkcs12);
  }
  fclose(stream);
  if (identity_count == 0) give_up("there are no identities");
}

static int connect_tcp(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int tcp = socket(AF_INET, SOCK_STREAM, 0);
  struct timeval patience = {.tv_sec = 10};
  int on = 1;
  setsockopt(tcp, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(tcp, (struct sockaddr *)&address, sizeof address) == 0) return tcp;
  close(tcp);
  return -1;
}

static int write_request(SSL *tls, const Identity *identity, int n) {
  char body[128], more[256] = "", get[300], request[1024];
  snprintf(get, sizeof get, "GET %s", path);
  const char *line = call == GET         ? get
                     : call == DEVICE    ? "GET /device"
                     : call == PROVISION ? "POST /devices"
                                         : "POST /v1/pki/issue/device";
  int length = call == DEVICE || call == GET ? 0
               : call == PROVISION ? snprintf(body, sizeof body, "{\"deviceId\":\"%s-%d\",\"ttl\":\"36000\"}", name, n)
                                   : snprintf(body, sizeof body, "{\"common_name\":\"%s-%d\"}", name, n);
  if (call == ISSUE) snprintf(more, sizeof more, "X-Vault-Token: %s\r\n", token);
  if (call == PROVISION || call == ISSUE)
    snprintf(more + strlen(more), sizeof more - strlen(more),
             "Content-Type: application/json\r\nContent-Length: %d\r\n", length);
  int size = snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: %s:%d\r\nAccept: */*\r\n%s\r\n%.*s", line,
                      identity->host, port, more, length, body);
  return SSL_write(tls, request, size) == size;
}

// Reads one reply whole, be its length said or in chunks, none of which holds the end of the last. Keeps a zero after it.
static char *read_reply(SSL *tls, char *reply, int most) {
  for (int size = 0; size < most - 1;) {
    int got = SSL_read(tls, reply + size, most - 1 - size);
    if (got <= 0) return NULL;
    size += got;
    reply[size] = 0;
    char *end = strstr(reply, "\r\n\r\n");
    if (!end) continue;
    char *length = strcasestr(reply, "\r\ncontent-length:");
    if (length && length < end && size >= end + 4 - reply + atoi(length + 17)) return end + 4;
    if (!length && strcmp(reply + size - 7, "\r\n0\r\n\r\n") == 0) return end + 4;
  }
  return NULL;
}

static void disconnect(Connection *connection, int in_order) {
  if (!connection->tls) return;
  if (in_order) SSL_shutdown(connection->tls);
  SSL_free(connection->tls);
  close(connection->tcp);
  connection->tls = NULL;
}

static const char *open_connection(Connection *connection) {
  const Identity *identity = connection->identity;
  connection->tcp = connect_tcp();
  if (connection->tcp < 0) return "no connection";
  connection->tls = SSL_new(identity->tls);
  SSL_set_fd(connection->tls, connection->tcp);
  SSL_set_tlsext_host_name(connection->tls, identity->host);
  if (connection->session) SSL_set_session(connection->tls, connection->session);
  const char *fault = NULL;
  if (SSL_connect(connection->tls) != 1) fault = "no handshake";
  else if (SSL_session_reused(connection->tls) != (connection->session != NULL)) fault = "another kind of handshake";
  // What was refused is not offered again.
  if (fault && connection->session) {
    SSL_SESSION_free(connection->session);
    connection->session = NULL;
  }
  if (fault) disconnect(connection, 0);
  return fault;
}

// Of an idle connection: there is nothing to be read but its end.
static int is_over(const Connection *connection) {
  char byte;
  return connection->tls && recv(connection->tcp, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

static const char *ask(const Connection *connection, int n) {
  char reply[16384];
  char *body = NULL;
  const char *fault = NULL;
  const Identity *identity = connection->identity;
  SSL *tls = connection->tls;
  if (!write_request(tls, identity, n) || !(body = read_reply(tls, reply, sizeof reply))) fault = "no reply";
  else if (strncmp(reply, "HTTP/1.1 200 ", 13) != 0) fault = "another status than 200";
  else if (!strstr(call == PROVISION ? reply : body, identity->expected)) fault = "another reply";
  if (fault && body && atomic_load(&errors) == 0) fprintf(stderr, "load: %.600s\n", reply);
  return fault;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void *work(void *of_thread) {
  Connection *connection = of_thread;
  for (int n; (n = atomic_fetch_add(&started, 1)) < requests && now() < deadline;) {
    if (!kept && !resumed) connection->identity = &identities[n % identity_count];
    const char *fault = connection->tls ? NULL : open_connection(connection);
    if (!fault) fault = ask(connection, n);
    // In TLS 1.3 the ticket comes with the reply.
    if (!fault && resumed) {
      if (connection->session) SSL_SESSION_free(connection->session);
      connection->session = SSL_get1_session(connection->tls);
    }
    if (fault || !kept) disconnect(connection, !fault);
    atomic_fetch_add(&made, 1);
    if (fault && atomic_fetch_add(&errors, 1) == 0) fprintf(stderr, "load: %s\n", fault);
  }
  return NULL;
}

int main(int count, char **words) {
  if (count != 7) give_up("load PORT IDENTITIES AT_ONCE device|provision|issue|get new|resumed|kept 1.2|1.3");
  signal(SIGPIPE, SIG_IGN);
  port = atoi(words[1]);
  int at_once = atoi(words[3]);
  call = strcmp(words[4], "issue") == 0       ? ISSUE
         : strcmp(words[4], "provision") == 0 ? PROVISION
         : strcmp(words[4], "get") == 0       ? GET
                                              : DEVICE;
  resumed = strcmp(words[5], "resumed") == 0;
  version = strcmp(words[6], "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
  path = getenv("LOAD_PATH");
  kept = strcmp(words[5], "kept") == 0;
  token = getenv("LOAD_TOKEN");
  open_identities(words[2]);
  pthread_t threads[at_once];
  Connection connections[at_once];
  for (int i = 0; i < at_once; i++) connections[i] = (Connection){.identity = &identities[i % identity_count]};
  double seconds;
  while (scanf("%d %lf %63s", &requests, &seconds, name) == 3) {
    for (int i = 0; i < at_once; i++)
      if (is_over(&connections[i])) disconnect(&connections[i], 0);
    double start = now();
    deadline = start + seconds;
    started = made = errors = 0;
    for (int i = 0; i < at_once; i++) pthread_create(&threads[i], NULL, work, &connections[i]);
    for (int i = 0; i < at_once; i++) pthread_join(threads[i], NULL);
    printf("%d %d %.6f\n", made, errors, now() - start);
    fflush(stdout);
  }
}

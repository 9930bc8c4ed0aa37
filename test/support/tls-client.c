/* A client that does what Node's will not: sessions of one host offered to another, renegotiation, reading while it
   still writes. Copies stdin to the connection and the connection to stdout until the server ends it; says on stderr,
   a line each, what became of the handshake, of a renegotiation, and how the connection ended. Trusts every server. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

static const char *session_out;
/* The host named in the second ClientHello, once the server has asked for one; empty for none. */
static const char *retry_sni;
/* Whether nothing is read before everything is written, as simple clients do. */
static int read_last;

/* What went wrong, in OpenSSL's or the system's words. */
static const char *reason(void) {
  unsigned long error = ERR_peek_last_error();
  const char *text = error ? ERR_reason_error_string(error) : NULL;
  return text ? text : errno ? strerror(errno) : "end of file";
}

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, reason());
  exit(1);
}

static void write_session(SSL_SESSION *session) {
  BIO *out = BIO_new_file(session_out, "w");
  if (!out || !PEM_write_bio_SSL_SESSION(out, session)) fail("session");
  BIO_free(out);
}

static int new_session(SSL *ssl, SSL_SESSION *session) {
  (void)ssl;
  write_session(session);
  return 0;
}

static void message(int sent, int version, int type, const void *bytes, size_t length, SSL *ssl, void *argument) {
  static int seen;
  (void)version, (void)argument;
  if (sent || type != SSL3_RT_HANDSHAKE || length < 1 || *(const char *)bytes != SSL3_MT_SERVER_HELLO || seen++) return;
  SSL_set_tlsext_host_name(ssl, *retry_sni ? retry_sni : NULL);
}

static int connect_to(const char *address, int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || connect(fd, (void *)&to, sizeof to) != 0) fail("connect");
  return fd;
}

static void use(SSL *ssl, const char *certificate, const char *key) {
  if (SSL_use_certificate_chain_file(ssl, certificate) != 1) fail("certificate");
  if (SSL_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1) fail("key");
}

/* Says how the connection ended. */
static int ended(SSL *ssl, int result) {
  switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return 0;
    case SSL_ERROR_ZERO_RETURN:
      fprintf(stderr, "end: in order\n");
      return 1;
    default:
      fprintf(stderr, "end: %s\n", reason());
      return 1;
  }
}

static void copy(SSL *ssl, int fd) {
  static char out[65536], in[65536];
  int filled = 0, sent = 0, reading = 1, writing = 1;
  fcntl(fd, F_SETFL, O_NONBLOCK);
  for (;;) {
    struct pollfd polled[2] = {
      {.fd = fd, .events = (read_last && writing && (reading || sent < filled) ? 0 : POLLIN) | (sent < filled ? POLLOUT : 0)},
      {.fd = reading && sent == filled ? 0 : -1, .events = POLLIN},
    };
    if (!SSL_pending(ssl)) poll(polled, 2, -1);
    if (polled[1].revents) {
      filled = read(0, out, sizeof out);
      sent = 0;
      if (filled <= 0) reading = filled = 0;
    }
    ERR_clear_error();
    errno = 0;
    if (sent < filled) {
      int n = writing ? SSL_write(ssl, out + sent, filled - sent) : filled - sent;
      if (n > 0) sent += n;
      /* What the server said before it stopped reading may still be on its way. */
      else if (SSL_get_error(ssl, n) != SSL_ERROR_WANT_READ && SSL_get_error(ssl, n) != SSL_ERROR_WANT_WRITE) writing = 0;
    }
    ERR_clear_error();
    errno = 0;
    if (read_last && writing && (reading || sent < filled)) continue;
    int n = SSL_read(ssl, in, sizeof in);
    if (n > 0) {
      if (write(1, in, n) != n) fail("stdout");
    } else if (ended(ssl, n)) break;
  }
  fprintf(stderr, "sent: %s\n", writing && !reading && sent == filled ? "all" : "not all");
}

int main(int argc, char **argv) {
  const char *address = "127.0.0.1", *certificate = NULL, *key = NULL, *session_in = NULL, *sni = NULL;
  const char *then_certificate = NULL, *then_key = NULL;
  int port = atoi(argv[1]), version = 0, renegotiate = 0;
  signal(SIGPIPE, SIG_IGN);
  for (int i = 2; i < argc; i++) {
    const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
    i++;
    if (!strcmp(option, "-address")) address = value;
    else if (!strcmp(option, "-sni")) sni = value;
    else if (!strcmp(option, "-tls")) version = strcmp(value, "1.2") ? TLS1_3_VERSION : TLS1_2_VERSION;
    else if (!strcmp(option, "-certificate")) certificate = value;
    else if (!strcmp(option, "-key")) key = value;
    else if (!strcmp(option, "-session-in")) session_in = value;
    else if (!strcmp(option, "-session-out")) session_out = value;
    else if (!strcmp(option, "-then-certificate")) then_certificate = value;
    else if (!strcmp(option, "-then-key")) then_key = value;
    else if (!strcmp(option, "-renegotiate")) renegotiate = 1;
    else if (!strcmp(option, "-read-last")) read_last = 1;
    else if (!strcmp(option, "-retry-sni")) retry_sni = value;
    else return 2;
  }

  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_security_level(context, 0);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (version) {
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
  }
  if (session_out) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, new_session);
  }
  SSL *ssl = SSL_new(context);
  if (certificate) use(ssl, certificate, key);
  if (sni) SSL_set_tlsext_host_name(ssl, sni);
  if (retry_sni) {
    /* The key share is for the first group, which the server does not know: it asks for another. */
    SSL_set1_groups_list(ssl, "ffdhe2048:X25519");
    SSL_set_msg_callback(ssl, message);
  }
  if (session_in) {
    BIO *in = BIO_new_file(session_in, "r");
    SSL_SESSION *session = in ? PEM_read_bio_SSL_SESSION(in, NULL, NULL, NULL) : NULL;
    if (!session || SSL_set_session(ssl, session) != 1) fail("session");
  }
  int fd = connect_to(address, port);
  SSL_set_fd(ssl, fd);
  errno = 0;
  if (SSL_connect(ssl) != 1) fail("handshake failed");
  const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(ssl);
  fprintf(stderr, "handshake: %s, %s, %d CA names\n", SSL_get_version(ssl),
          SSL_session_reused(ssl) ? "resumed" : "full", names ? sk_X509_NAME_num(names) : 0);
  if (session_out && version == TLS1_2_VERSION) write_session(SSL_get0_session(ssl));

  if (renegotiate) {
    if (then_certificate) use(ssl, then_certificate, then_key);
    else SSL_certs_clear(ssl);
    ERR_clear_error();
    errno = 0;
    int done = SSL_renegotiate(ssl) == 1 && SSL_do_handshake(ssl) == 1;
    fprintf(stderr, "renegotiation: %s\n", done ? "done" : reason());
    if (!done) return 0;
  }
  copy(ssl, fd);
  return 0;
}

#include "stream/synthetic_server.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"

namespace pgrevive::bench {

namespace {

template <auto release>
struct Released {
  template <typename Thing>
  void operator()(Thing* thing) const {
    release(thing);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Released<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Released<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Released<X509_EXTENSION_free>>;
using TlsContext = std::unique_ptr<SSL_CTX, Released<SSL_CTX_free>>;
using TlsSession = std::unique_ptr<SSL, Released<SSL_free>>;

void require(bool good, std::string_view what) {
  if (!good) throw Error(ErrorKind::system, fmt::format("OpenSSL: cannot {}", what));
}

// Signed by itself, for this host and an hour.
Certificate make_certificate(EVP_PKEY* key) {
  Certificate certificate(X509_new());
  auto* const it = certificate.get();
  require(it != nullptr && X509_set_version(it, X509_VERSION_3) == 1 &&
              ASN1_INTEGER_set(X509_get_serialNumber(it), 1) == 1 &&
              X509_gmtime_adj(X509_getm_notBefore(it), -60) != nullptr &&
              X509_gmtime_adj(X509_getm_notAfter(it), 3600) != nullptr &&
              X509_set_pubkey(it, key) == 1,
          "make a certificate");
  auto* const subject = X509_get_subject_name(it);
  const auto* const name = reinterpret_cast<const unsigned char*>("synthetic server");
  const Extension host(X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1"));
  require(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, name, -1, -1, 0) == 1 &&
              X509_set_issuer_name(it, subject) == 1 && host &&
              X509_add_ext(it, host.get(), -1) == 1 && X509_sign(it, key, EVP_sha256()) != 0,
          "sign a certificate");
  return certificate;
}

TlsContext make_tls(const std::filesystem::path& certificate_file) {
  const Key key(EVP_EC_gen("P-256"));
  require(key != nullptr, "make a key");
  const auto certificate = make_certificate(key.get());
  const std::unique_ptr<std::FILE, Released<std::fclose>> file(
      std::fopen(certificate_file.c_str(), "w"));
  require(file && PEM_write_X509(file.get(), certificate.get()) == 1, "write a certificate");

  TlsContext tls(SSL_CTX_new(TLS_server_method()));
  require(tls && SSL_CTX_set_min_proto_version(tls.get(), TLS1_3_VERSION) == 1 &&
              SSL_CTX_use_certificate(tls.get(), certificate.get()) == 1 &&
              SSL_CTX_use_PrivateKey(tls.get(), key.get()) == 1,
          "set up a TLS server");
  return tls;
}

// One client. What it calls false is a client that is gone.
class Connection {
 public:
  // `tls` is null for plain HTTP.
  Connection(Fd socket, SSL_CTX* tls) : socket_(std::move(socket)) {
    const int on = 1;
    ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (tls == nullptr) return;
    tls_.reset(SSL_new(tls));
    require(tls_ && SSL_set_fd(tls_.get(), socket_.get()) == 1 && SSL_accept(tls_.get()) == 1,
            "accept a TLS connection");
  }

  // The head of the next request.
  std::optional<std::string> head() {
    std::string head;
    while (!head.ends_with("\r\n\r\n")) {
      char buffer[4096];
      const auto got = tls_ ? SSL_read(tls_.get(), buffer, sizeof buffer)
                            : ::recv(socket_.get(), buffer, sizeof buffer, 0);
      if (got <= 0) return {};
      head.append(buffer, static_cast<std::size_t>(got));
    }
    return head;
  }

  bool send(std::string_view text) {
    if (tls_) return SSL_write(tls_.get(), text.data(), static_cast<int>(text.size())) > 0;
    return ::send(socket_.get(), text.data(), text.size(), MSG_MORE) ==
           static_cast<ssize_t>(text.size());
  }

  bool send(const SyntheticObjects& objects, const SyntheticObjects::Run& run) {
    if (tls_) return send(as_text(run.bytes));
    auto at = static_cast<off_t>(run.in_file);
    for (auto left = run.bytes.size(); left != 0;) {
      const auto sent = ::sendfile(socket_.get(), objects.file(), &at, left);
      if (sent <= 0) return false;
      left -= static_cast<std::size_t>(sent);
    }
    return true;
  }

 private:
  Fd socket_;
  TlsSession tls_;
};

struct Wanted {
  std::uint64_t object = 0;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

// "GET /bucket/some/directory/object-0001 HTTP/1.1", and among the headers "Range: bytes=0-99".
std::optional<Wanted> parse(std::string_view head, const SyntheticObjects& objects) {
  const auto between = [&](std::string_view text, std::string_view before,
                           std::string_view behind) -> std::optional<std::uint64_t> {
    const auto begin = text.find(before);
    if (begin == std::string_view::npos) return {};
    text.remove_prefix(begin + before.size());
    return parse_unsigned(text.substr(0, text.find(behind)));
  };
  const auto range = head.find("\r\nRange: ");
  if (!head.starts_with("GET ") || range == std::string_view::npos) return {};
  const auto object = between(head, "/object-", " ");
  const auto first = between(head.substr(range), "bytes=", "-");
  const auto last = between(head.substr(range), "-", "\r\n");
  if (!object || !first || !last || *object >= objects.count() || *first > *last ||
      *last >= objects.size()) {
    return {};
  }
  return Wanted{*object, *first, *last};
}

void serve(Connection& client, const SyntheticObjects& objects) {
  while (const auto head = client.head()) {
    const auto wanted = parse(*head, objects);
    if (!wanted) {
      client.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    auto left = wanted->last - wanted->first + 1;
    if (!client.send(fmt::format("HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\n"
                                 "Content-Range: bytes {}-{}/{}\r\n\r\n",
                                 left, wanted->first, wanted->last, objects.size()))) {
      return;
    }
    for (auto at = wanted->first; left != 0;) {
      auto run = objects.run(wanted->object, at);
      run.bytes = run.bytes.first(
          static_cast<std::size_t>(std::min<std::uint64_t>(run.bytes.size(), left)));
      if (!client.send(objects, run)) return;
      at += run.bytes.size();
      left -= run.bytes.size();
    }
  }
}

// Until a signal ends the process.
[[noreturn]] void serve_all(int listener, const SyntheticObjects& objects, SSL_CTX* tls) {
  std::vector<std::jthread> connections;
  while (true) {
    Fd socket(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) continue;
    connections.emplace_back([&objects, tls, socket = std::move(socket)]() mutable {
      try {
        Connection client(std::move(socket), tls);
        serve(client, objects);
      } catch (const Error& error) {
        fmt::print(stderr, "synthetic server: {}\n", error.what());
      }
    });
  }
}

Fd listen_on_loopback(std::uint16_t& port) {
  Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (!listener || ::bind(listener.get(), generic, length) != 0 ||
      ::listen(listener.get(), SOMAXCONN) != 0 ||
      ::getsockname(listener.get(), generic, &length) != 0) {
    throw system_error(errno, "cannot listen on 127.0.0.1");
  }
  port = ntohs(address.sin_port);
  return listener;
}

}  // namespace

SyntheticServer::SyntheticServer(const SyntheticObjects& objects,
                                 const std::filesystem::path& certificate_directory) {
  TlsContext tls;
  if (!certificate_directory.empty()) {
    ca_file_ = certificate_directory / "synthetic-server.pem";
    tls = make_tls(ca_file_);
  }
  std::uint16_t port = 0;
  const auto listener = listen_on_loopback(port);
  endpoint_ = fmt::format("{}://127.0.0.1:{}", tls ? "https" : "http", port);

  const auto parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw system_error(errno, "cannot start a process");
  if (pid_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it was gone before that
  ::signal(SIGPIPE, SIG_IGN);
  serve_all(listener.get(), objects, tls.get());
}

SyntheticServer::~SyntheticServer() { stop(); }

std::chrono::duration<double> SyntheticServer::stop() {
  if (pid_ < 0) return {};
  rusage used{};
  ::kill(pid_, SIGKILL);
  ::wait4(std::exchange(pid_, -1), nullptr, 0, &used);
  const auto seconds = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

}  // namespace pgrevive::bench

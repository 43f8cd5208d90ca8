#include "http/client.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <exception>
#include <limits>
#include <mutex>
#include <new>
#include <utility>

#include <curl/curl.h>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/error.h"
#include "base/guarded.h"
#include "base/text.h"
#include "base/unix_time.h"

namespace pgrevive::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Heads of S3 are below 2 KB. The limit stands between a server gone mad and our memory.
constexpr std::size_t kMaxHeadBytes = 256 << 10;

// One call of the body callback carries at most this much; TLS records are 16 KiB anyway, plain
// HTTP profits from fewer system calls.
constexpr long kReceiveBufferBytes = 256 << 10;

void initialize_curl() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
      throw Error(ErrorKind::system, "cannot initialize libcurl");
    }
  });
}

// "Could not resolve" becomes "could not resolve"; "SSL certificate" and "OpenSSL" stay.
std::string lower_first(std::string text) {
  const auto is_upper = [](char c) { return std::isupper(static_cast<unsigned char>(c)) != 0; };
  const std::string_view word = std::string_view(text).substr(0, text.find(' '));
  if (!word.empty() && std::ranges::count_if(word, is_upper) == 1) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

// What the callbacks of one exchange share.
struct Exchange {
  const OnBody* on_body = nullptr;
  Response response;
  std::exception_ptr thrown;
  std::uint64_t moved_bytes = 0;
  std::size_t head_bytes = 0;
  bool head_too_large = false;
  bool in_body = false;
};

std::size_t on_header_line(char* data, std::size_t size, std::size_t count, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  const std::size_t bytes = size * count;
  exchange.moved_bytes += bytes;
  if (exchange.in_body) return bytes;  // trailers of a chunked body
  exchange.head_bytes += bytes;
  if (exchange.head_bytes > kMaxHeadBytes) {
    exchange.head_too_large = true;
    return 0;
  }
  const std::string_view line = trim(std::string_view(data, bytes));
  if (line.starts_with("HTTP/")) {
    // An interim answer (100 Continue) has a head of its own; the last one counts.
    exchange.response.headers.clear();
    exchange.response.status = 0;
    const auto space = line.find(' ');
    if (space != std::string_view::npos) {
      if (const auto status = parse_unsigned(line.substr(space + 1, 3))) {
        exchange.response.status = static_cast<int>(*status);
      }
    }
    return bytes;
  }
  if (const auto colon = line.find(':'); colon != std::string_view::npos) {
    exchange.response.headers.push_back(
        {std::string(line.substr(0, colon)), std::string(trim(line.substr(colon + 1)))});
  }
  return bytes;
}

std::size_t on_body_bytes(char* data, std::size_t size, std::size_t count, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  const std::size_t bytes = size * count;
  exchange.in_body = true;
  exchange.moved_bytes += bytes;
  exchange.response.body_bytes += bytes;
  // An exception must not pass through libcurl's C frames.
  try {
    (*exchange.on_body)(exchange.response, as_bytes({data, bytes}));
  } catch (...) {
    exchange.thrown = std::current_exception();
    return CURL_WRITEFUNC_ERROR;
  }
  return bytes;
}

// Notices a server that has gone silent. Only time spent waiting for the network counts: a sink
// that blocks because the disk is slow must not look like a stalled server, which is why curl's own
// low-speed limit is not used (and it counts in whole seconds).
class StallWatch {
 public:
  StallWatch(milliseconds limit, std::uint64_t rate)
      : limit_(limit),
        least_bytes_(
            std::max<std::uint64_t>(1, rate * static_cast<std::uint64_t>(limit.count()) / 1000)) {}

  milliseconds left() const { return std::chrono::ceil<milliseconds>(limit_ - waited_); }

  bool stalled(steady_clock::duration waited, std::uint64_t moved_bytes) {
    waited_ += waited;
    if (moved_bytes - window_start_ >= least_bytes_) {
      window_start_ = moved_bytes;
      waited_ = {};
    }
    return waited_ >= limit_;
  }

 private:
  steady_clock::duration limit_;
  std::uint64_t least_bytes_;
  std::uint64_t window_start_ = 0;
  steady_clock::duration waited_{};
};

Failure describe(CURLcode code, const std::string& curl_text, long os_error) {
  std::string text = lower_first(curl_text.empty() ? curl_easy_strerror(code) : curl_text);
  const auto says = [&](std::string_view words) { return text.find(words) != std::string::npos; };
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return {Trouble::resolve, text};
    case CURLE_COULDNT_CONNECT: {
      constexpr std::string_view kGeneric = "Couldn't connect to server";
      if (os_error != 0 && text.ends_with(kGeneric)) {
        text.resize(text.size() - kGeneric.size());
        text += std::strerror(static_cast<int>(os_error));
      }
      return {Trouble::connect, text};
    }
    case CURLE_OPERATION_TIMEDOUT:  // the only time limit curl itself is given is the one to
                                    // connect
      return {Trouble::connect, text};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return {Trouble::certificate, text};
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CRL_BADFILE:
      return {Trouble::setup, text};
    case CURLE_SSL_CONNECT_ERROR:
      // OpenSSL read "HTTP/1.1 400 ..." where a TLS record should have been.
      if (says("wrong version number") || says("http request") || says("packet length too long") ||
          says("record layer failure")) {
        return {Trouble::not_tls,
                "the server answered in plain text where TLS was expected (" + text + ")"};
      }
      return {Trouble::tls, text};
    case CURLE_SSL_CIPHER:
    case CURLE_USE_SSL_FAILED:
      return {Trouble::tls, text};
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return {Trouble::not_http, "the answer is not HTTP (" + text + ")"};
    default:
      return {Trouble::broken, text};
  }
}

struct StoreDeleter {
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
};
using Store = std::unique_ptr<X509_STORE, StoreDeleter>;

// The certificates to trust; empty with `trouble` set where they cannot be read.
Store load_trusted(const TlsOptions& tls, std::string& trouble) {
  std::string file = tls.ca_file.string();
  std::string directory = tls.ca_path.string();
  if (file.empty() && directory.empty()) {
    const curl_version_info_data* curl = curl_version_info(CURLVERSION_NOW);
    if (curl->cainfo != nullptr) file = curl->cainfo;
    if (curl->capath != nullptr) directory = curl->capath;
  }
  Store store(X509_STORE_new());
  if (!store) throw std::bad_alloc();
  // The same two as libcurl sets: an intermediate authority, or the server's own certificate, may
  // stand in the file alone.
  X509_STORE_set_flags(store.get(), X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
  if (!file.empty() && X509_STORE_load_file(store.get(), file.c_str()) != 1) {
    trouble = fmt::format("cannot read certificates from {}", file);
    return {};
  }
  if (!directory.empty() && X509_STORE_load_path(store.get(), directory.c_str()) != 1) {
    trouble = fmt::format("cannot use {} as a directory of certificates", directory);
    return {};
  }
  return store;
}

CURLcode use_store(CURL*, void* context, void* store) {
  SSL_CTX_set1_cert_store(static_cast<SSL_CTX*>(context), static_cast<X509_STORE*>(store));
  return CURLE_OK;
}

std::optional<std::chrono::system_clock::time_point> parse_date(const std::string& text) {
  const std::time_t time = curl_getdate(text.c_str(), nullptr);
  if (!is_unix_time(time)) return {};
  return std::chrono::system_clock::from_time_t(time);
}

// "Issuer:CN = x" and its like, a line each, in the order in which libcurl tells them.
Certificate read_certificate(const curl_slist* lines) {
  Certificate certificate;
  for (const auto* line = lines; line != nullptr; line = line->next) {
    const std::string_view text = line->data;
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) continue;
    const auto name = text.substr(0, colon);
    const auto value = text.substr(colon + 1);
    if (name == "Subject") certificate.subject = printable(value);
    if (name == "Issuer") certificate.issuer = printable(value);
    if (name == "Expire date") certificate.expires = parse_date(std::string(value));
  }
  return certificate;
}

Route route_of(CURL* easy) {
  Route route;
  const auto reached = [&](CURLINFO info) -> std::optional<std::chrono::microseconds> {
    curl_off_t time = 0;
    if (curl_easy_getinfo(easy, info, &time) != CURLE_OK || time <= 0) return {};
    return std::chrono::microseconds(time);
  };
  route.resolved = reached(CURLINFO_NAMELOOKUP_TIME_T);
  route.connected = reached(CURLINFO_CONNECT_TIME_T);
  route.secured = reached(CURLINFO_APPCONNECT_TIME_T);
  const char* address = nullptr;
  if (curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &address) == CURLE_OK && address != nullptr)
    route.address = address;
  long port = 0;
  if (curl_easy_getinfo(easy, CURLINFO_PRIMARY_PORT, &port) == CURLE_OK)
    route.port = static_cast<int>(port);
  const curl_certinfo* chain = nullptr;
  if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) == CURLE_OK && chain != nullptr)
    for (int i = 0; i < chain->num_of_certs; ++i)
      route.certificates.push_back(read_certificate(chain->certinfo[i]));
  return route;
}

class HeaderList {
 public:
  HeaderList() = default;
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  ~HeaderList() { curl_slist_free_all(list_); }

  void add(const std::string& line) {
    curl_slist* longer = curl_slist_append(list_, line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    list_ = longer;
  }
  curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

// One connection with its handles. A multi handle of its own instead of curl_easy_perform(), for
// the clock: it lets us wait no longer than the stall limit allows. Used by one thread at a time.
class Connection {
 public:
  Connection() : multi_(curl_multi_init()), easy_(curl_easy_init()) {
    if (multi_ == nullptr || easy_ == nullptr) throw std::bad_alloc();
    // A second connection would only be one to a server that a retry has just turned away from.
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, 1L);
  }

  // `trusted` is null where nothing is verified.
  Response exchange(const ClientOptions& options, X509_STORE* trusted, const Request& request,
                    const OnBody& on_body, const std::stop_token& stop);

 private:
  struct Deleter {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };
  struct EasyDeleter {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };

  template <typename Value>
  void set(CURLoption option, Value value) {
    if (const CURLcode code = curl_easy_setopt(easy_.get(), option, value); code != CURLE_OK) {
      throw Error(ErrorKind::internal,
                  fmt::format("libcurl refuses option {}: {}", static_cast<int>(option),
                              curl_easy_strerror(code)));
    }
  }
  void configure(const ClientOptions& options, X509_STORE* trusted, const Request& request,
                 Exchange& exchange, const HeaderList& headers, const HeaderList& connect_to);

  // The multi handle holds the connection and has to go last.
  std::unique_ptr<CURLM, Deleter> multi_;
  std::unique_ptr<CURL, EasyDeleter> easy_;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
};

void Connection::configure(const ClientOptions& options, X509_STORE* trusted,
                           const Request& request, Exchange& exchange, const HeaderList& headers,
                           const HeaderList& connect_to) {
  curl_easy_reset(easy_.get());  // options only: the connection stays
  error_text_[0] = '\0';
  set(CURLOPT_ERRORBUFFER, error_text_.data());
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_HTTP_CONTENT_DECODING, 0L);
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  // Refused while the handle still holds the buffer of an exchange that failed early; that one has
  // the right size.
  curl_easy_setopt(easy_.get(), CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_USERAGENT, "pgrevive");
  if (options.no_proxy) set(CURLOPT_PROXY, "");
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));

  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_SSL_VERIFYPEER, options.tls.verify ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, options.tls.verify ? 2L : 0L);
  if (trusted != nullptr) {
    // libcurl would parse the system's 140 certificates again for each connection, 30 ms of CPU
    // each time; with many connections that is seconds before the first byte.
    set(CURLOPT_CAINFO, static_cast<char*>(nullptr));
    set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
    set(CURLOPT_SSL_CTX_FUNCTION, &use_store);
    set(CURLOPT_SSL_CTX_DATA, static_cast<void*>(trusted));
  }
  if (connect_to.get() != nullptr) set(CURLOPT_CONNECT_TO, connect_to.get());
  if (request.fresh_connection) {
    set(CURLOPT_FRESH_CONNECT, 1L);
    set(CURLOPT_DNS_CACHE_TIMEOUT, 0L);
  }

  if (request.inspect) set(CURLOPT_CERTINFO, 1L);
  if (request.method == Method::head) set(CURLOPT_NOBODY, 1L);
  set(CURLOPT_URL, request.url.c_str());
  if (headers.get() != nullptr) set(CURLOPT_HTTPHEADER, headers.get());
  set(CURLOPT_HEADERFUNCTION, &on_header_line);
  set(CURLOPT_HEADERDATA, static_cast<void*>(&exchange));
  set(CURLOPT_WRITEFUNCTION, &on_body_bytes);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&exchange));
}

Response Connection::exchange(const ClientOptions& options, X509_STORE* trusted,
                              const Request& request, const OnBody& on_body,
                              const std::stop_token& stop) {
  HeaderList headers;
  for (const auto& [name, value] : request.headers) {
    // "Name:" would remove the header; "Name;" sends it empty.
    headers.add(value.empty() ? name + ";" : name + ": " + value);
  }
  HeaderList connect_to;
  if (!options.connect_host.empty() || options.connect_port != 0) {
    const bool bare_ipv6 = options.connect_host.find(':') != std::string::npos &&
                           !options.connect_host.starts_with('[');
    connect_to.add(fmt::format(
        fmt::runtime(bare_ipv6 ? "::[{}]:{}" : "::{}:{}"), options.connect_host,
        options.connect_port == 0 ? std::string() : std::to_string(options.connect_port)));
  }
  Exchange exchange{.on_body = &on_body};
  configure(options, trusted, request, exchange, headers, connect_to);

  CURLMcode added = curl_multi_add_handle(multi_.get(), easy_.get());
  if (added != CURLM_OK) {
    throw Error(ErrorKind::internal, fmt::format("libcurl: {}", curl_multi_strerror(added)));
  }
  // Also on every way out: a handle still in the multi handle when it goes is a use after free.
  struct Removal {
    CURLM* multi;
    CURL* easy;
    ~Removal() { curl_multi_remove_handle(multi, easy); }
  } removal{multi_.get(), easy_.get()};

  const std::stop_callback wake(stop, [this] { curl_multi_wakeup(multi_.get()); });
  StallWatch watch(options.stall_timeout, options.stall_rate);
  bool stalled = false;
  for (int running = 1; !stalled;) {
    if (stop.stop_requested()) throw Error(ErrorKind::cancelled, "the request was stopped");
    CURLMcode code = curl_multi_perform(multi_.get(), &running);
    if (running == 0) break;
    const auto before = steady_clock::now();
    if (code == CURLM_OK) {
      const auto most = std::clamp(watch.left(), milliseconds(1), milliseconds(1000));
      code = curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(most.count()), nullptr);
    }
    if (code != CURLM_OK) {
      throw Error(ErrorKind::internal, fmt::format("libcurl: {}", curl_multi_strerror(code)));
    }
    // Until it is connected, the limit to connect is the one that counts.
    curl_off_t connected = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_PRETRANSFER_TIME_T, &connected);
    if (connected > 0) {
      stalled = watch.stalled(steady_clock::now() - before, exchange.moved_bytes);
    }
  }
  if (exchange.thrown) std::rethrow_exception(exchange.thrown);

  Response& response = exchange.response;
  if (request.inspect) response.route = route_of(easy_.get());
  if (stalled) {
    response.failure = {Trouble::stalled,
                        fmt::format("fewer than {} bytes a second arrived for {}",
                                    options.stall_rate, format_duration(options.stall_timeout))};
    return std::move(response);
  }
  CURLcode result = CURLE_RECV_ERROR;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg == CURLMSG_DONE) result = message->data.result;
  }
  if (exchange.head_too_large) {
    response.failure = {Trouble::not_http, "the head of the answer is longer than 256 KiB"};
  } else if (result == CURLE_URL_MALFORMAT) {
    throw Error(ErrorKind::internal, fmt::format("{} is not a URL", printable(request.url)));
  } else if (result == CURLE_OUT_OF_MEMORY) {
    throw std::bad_alloc();
  } else if (result != CURLE_OK) {
    long os_error = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &os_error);
    response.failure = describe(result, error_text_.data(), os_error);
  }
  return std::move(response);
}

}  // namespace

const std::string* Response::find(std::string_view name) const {
  const auto found = std::ranges::find_if(
      headers, [&](const Header& header) { return equal_ignoring_case(header.name, name); });
  return found == headers.end() ? nullptr : &found->value;
}

std::optional<std::uint64_t> Response::content_length() const {
  const std::string* text = find("content-length");
  const auto length = text == nullptr ? std::nullopt : parse_unsigned(*text);
  // libcurl, which counts with a sign, takes what is longer for a length that is not known.
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  return length && *length <= kMost ? length : std::nullopt;
}

bool Response::has_framed_body() const {
  if (content_length()) return true;
  const std::string* encoding = find("transfer-encoding");
  return encoding != nullptr && equal_ignoring_case(trim(*encoding), "chunked");
}

std::optional<milliseconds> retry_after(const Response& response,
                                        std::chrono::system_clock::time_point now) {
  const std::string* text = response.find("retry-after");
  if (text == nullptr) return {};
  if (const auto seconds = parse_unsigned(*text)) {
    // Beyond a day it is nonsense, and would overflow somewhere.
    return std::chrono::seconds(std::min<std::uint64_t>(*seconds, 86'400));
  }
  const auto time = parse_date(*text);
  if (!time) return {};
  return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(*time - now));
}

std::optional<std::chrono::system_clock::time_point> date(const Response& response) {
  const std::string* text = response.find("date");
  return text == nullptr ? std::nullopt : parse_date(*text);
}

// Connections nobody is using. The last one returned is the first one taken, so that the number in
// use follows the number of callers and not its peak.
struct Client::Pool {
  Guarded<std::vector<std::unique_ptr<Connection>>> idle;

  std::once_flag trusted_loaded;
  Store trusted;
  std::string trusted_trouble;
};

Client::Client(ClientOptions options) : options_(std::move(options)) {
  initialize_curl();
  pool_ = std::make_unique<Pool>();
}

Client::~Client() = default;

Response Client::perform(const Request& request, const OnBody& on_body,
                         std::stop_token stop) const {
  if (options_.tls.verify && request.url.starts_with("https:")) {
    std::call_once(pool_->trusted_loaded,
                   [&] { pool_->trusted = load_trusted(options_.tls, pool_->trusted_trouble); });
    if (!pool_->trusted) {
      Response response;
      response.failure = {Trouble::setup, pool_->trusted_trouble};
      return response;
    }
  }
  std::unique_ptr<Connection> connection;
  if (auto idle = pool_->idle.lock(); !idle->empty()) {
    connection = std::move(idle->back());
    idle->pop_back();
  }
  if (!connection) connection = std::make_unique<Connection>();

  // Back to the pool also when the callback throws: curl has closed the socket then, the handle is
  // as good as new.
  struct Return {
    Pool& pool;
    std::unique_ptr<Connection>& connection;
    ~Return() {
      try {
        pool.idle.lock()->push_back(std::move(connection));
      } catch (...) {  // no memory: the connection is closed instead
      }
    }
  } back{*pool_, connection};
  return connection->exchange(options_, pool_->trusted.get(), request, on_body, stop);
}

}  // namespace pgrevive::http

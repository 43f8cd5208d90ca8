#include <algorithm>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <random>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "http/client.h"
#include "storage/s3/errors.h"
#include "storage/s3/list.h"
#include "storage/s3/s3.h"
#include "storage/s3/signer.h"
#include "storage/s3/transfer.h"
#include "storage/s3/uri.h"

namespace pgrevive::storage {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

// A page of a list has 1000 entries of a few hundred bytes. The tree that pugixml makes of it is
// some times larger, and this is what bounds it.
constexpr std::size_t kMaxDocumentBytes = 8 << 20;

// No directory of a repository has so many objects, and a list of them still fits into memory.
constexpr std::size_t kMostEntries = 10'000'000;
constexpr std::size_t kMostPages = kMostEntries / 1000;

// An attempt that got this far was not in vain: the count of failures in a row starts again, so
// that a large object gets through a bad line.
constexpr std::uint64_t kProgressBytes = 64 << 10;

double draw_spread() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(random);
}

void collect(std::string& document, ByteView bytes, const std::string& doing) {
  if (bytes.size() > kMaxDocumentBytes - document.size()) {
    throw Error(ErrorKind::corrupt, fmt::format("cannot {}: the answer is longer than {}", doing,
                                                format_bytes(kMaxDocumentBytes)));
  }
  document += as_text(bytes);
}

std::string trim_slashes(std::string_view text) {
  while (text.starts_with('/')) text.remove_prefix(1);
  while (text.ends_with('/')) text.remove_suffix(1);
  return std::string(text);
}

// Counts the failures of one call and waits between its attempts. Used by one thread at a time.
class Retries {
 public:
  explicit Retries(const S3Options& options, std::stop_token stop = {})
      : options_(options), stop_(std::move(stop)) {}

  bool any() const { return any_; }
  const std::stop_token& stop() const { return stop_; }
  void forget() { failures_ = 0; }

  // Waits until it is time for the next attempt, or throws what went wrong with this one.
  void wait_or_throw(s3::Refusal refusal) {
    if (!refusal.retry) throw std::move(refusal.error);
    any_ = true;
    ++failures_;
    if (failures_ >= options_.backoff.attempts) {
      if (failures_ > 1) refusal.error.add_frame(fmt::format("trying {} times", failures_));
      throw std::move(refusal.error);
    }
    const auto delay =
        backoff_delay(options_.backoff, failures_, draw_spread(), refusal.retry_after);
    if (refusal.throttled && options_.on_throttled) options_.on_throttled();
    if (options_.on_retry) {
      options_.on_retry(fmt::format("{}; trying again in {} (attempt {} of {})",
                                    refusal.error.what(), format_duration(delay), failures_ + 1,
                                    options_.backoff.attempts));
    }
    // A wait that a stop request ends, which the next attempt then notices.
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any().wait_for(lock, stop_, delay, [] { return false; });
  }

 private:
  const S3Options& options_;
  const std::stop_token stop_;
  int failures_ = 0;  // in a row
  bool any_ = false;
};

// Constant after construction, but for the pool of connections, which looks after itself.
class S3Storage : public Storage {
 public:
  explicit S3Storage(const S3Options& options)
      : options_(options),
        prefix_(trim_slashes(options.prefix)),
        uri_(s3::bucket_uri(options.bucket, options.endpoint, options.uri_style)),
        credentials_{.access_key = options.access_key,
                     .secret_key = options.secret_key,
                     .session_token = options.session_token},
        client_({.tls = {.verify = options.verify_tls,
                         .ca_file = options.ca_file,
                         .ca_path = options.ca_path},
                 .connect_host = options.connect_host,
                 .connect_port = options.connect_port,
                 .connect_timeout = options.connect_timeout,
                 .stall_timeout = options.stall_timeout}) {}

  std::string describe(const std::string& path) const override {
    return fmt::format("s3://{}/{}", options_.bucket, key_of(path));
  }

  std::optional<std::uint64_t> stat(const std::string& path) const override;
  std::vector<Entry> list(const std::string& directory) const override;
  void read(const std::string& path, std::optional<Range> range, Sink& sink,
            std::stop_token stop) const override;

 private:
  std::string key_of(const std::string& path) const {
    if (prefix_.empty()) return path;
    return path.empty() ? prefix_ : prefix_ + "/" + path;
  }

  s3::Asked asked(std::string doing, bool one_object) const {
    return {.doing = std::move(doing),
            .bucket = options_.bucket,
            .endpoint = options_.endpoint,
            .region = options_.region,
            .tls = uri_.tls,
            .one_object = one_object};
  }

  // One signed request. The signature holds the time, so every attempt is signed anew.
  http::Response send(http::Method method, const std::string& key, const s3::Query& query,
                      std::vector<http::Header> headers, const Retries& retries,
                      const http::OnBody& on_body) const;

  std::optional<std::uint64_t> stat_by_get(const std::string& path) const;
  std::string list_document(const std::string& doing, const s3::Query& query) const;

  S3Options options_;
  std::string prefix_;  // without slashes at its ends
  s3::BucketUri uri_;
  s3::Credentials credentials_;
  http::Client client_;
};

http::Response S3Storage::send(http::Method method, const std::string& key, const s3::Query& query,
                               std::vector<http::Header> headers, const Retries& retries,
                               const http::OnBody& on_body) const {
  auto request = s3::signed_request(method, uri_, key, query, std::move(headers), credentials_,
                                    options_.region, system_clock::now());
  request.fresh_connection = retries.any();
  return client_.perform(request, on_body, retries.stop());
}

std::optional<std::uint64_t> S3Storage::stat(const std::string& path) const {
  const std::string doing = "look at " + describe(path);
  Retries retries(options_);
  for (;;) {
    const auto response = send(http::Method::head, key_of(path), {}, {}, retries,
                               [](const http::Response&, ByteView) {});
    if (!response.failure && response.status == 200) {
      if (const auto size = response.content_length()) return size;
      return stat_by_get(path);
    }
    auto refusal = s3::refuse(asked(doing, true), response, {}, system_clock::now());
    // An answer to HEAD has no body, so a 403 cannot say why, and a 404 not whether it is the
    // object, the bucket or the whole S3 server that is missing. The answer to a GET can.
    if (!refusal.retry && !response.failure) return stat_by_get(path);
    retries.wait_or_throw(std::move(refusal));
  }
}

std::optional<std::uint64_t> S3Storage::stat_by_get(const std::string& path) const {
  const std::string doing = "look at " + describe(path);
  Retries retries(options_);
  for (;;) {
    std::string document;
    const auto response =
        send(http::Method::get, key_of(path), {}, {{"Range", "bytes=0-0"}}, retries,
             [&](const http::Response&, ByteView bytes) { collect(document, bytes, doing); });
    const std::string* text = response.find("content-range");
    if (!response.failure && response.status == 206 && text != nullptr) {
      if (const auto range = s3::parse_content_range(*text)) return range->total;
    }
    if (!response.failure && response.status == 200) return response.body_bytes;
    // No byte of an empty object can be asked for.
    if (!response.failure && response.status == 416 && text != nullptr && *text == "bytes */0") {
      return 0;
    }
    auto refusal = s3::refuse(asked(doing, true), response, document, system_clock::now());
    if (!response.failure && response.status == 416 &&
        s3::parse_error(document).code == "InvalidRange") {
      return 0;  // not every server says "bytes */0"; any other object has a byte 0
    }
    if (refusal.error.kind() == ErrorKind::not_found) return {};
    retries.wait_or_throw(std::move(refusal));
  }
}

std::string S3Storage::list_document(const std::string& doing, const s3::Query& query) const {
  Retries retries(options_);
  for (;;) {
    std::string document;
    auto response =
        send(http::Method::get, "", query, {}, retries,
             [&](const http::Response&, ByteView bytes) { collect(document, bytes, doing); });
    // S3 may send 200 at once to keep the connection busy, and an error document after it.
    const bool late_error = response.status == 200 && !s3::parse_error(document).code.empty();
    if (!response.failure && response.status == 200 && !late_error) return document;
    if (late_error) response.status = 500;
    retries.wait_or_throw(s3::refuse(asked(doing, false), response, document, system_clock::now()));
  }
}

std::vector<Entry> S3Storage::list(const std::string& directory) const {
  const std::string key = key_of(directory);
  const std::string prefix = key.empty() ? "" : key + "/";
  const std::string doing = fmt::format("list s3://{}/{}", options_.bucket, prefix);

  std::vector<Entry> entries;
  std::string token;
  std::set<std::string> known;
  do {
    s3::Query query{{"list-type", "2"},
                    {"delimiter", "/"},
                    {"prefix", prefix},
                    // XML cannot hold every key; encoded it can.
                    {"encoding-type", "url"}};
    if (!token.empty()) query.emplace_back("continuation-token", token);
    const std::string document = list_document(doing, query);
    s3::ListPage page =
        while_doing("trying to " + doing, [&] { return s3::parse_list(document, prefix); });
    token = std::move(page.continuation_token);
    std::ranges::move(page.entries, std::back_inserter(entries));
    if (entries.size() > kMostEntries || known.size() >= kMostPages)
      throw Error(ErrorKind::corrupt, fmt::format("cannot {}: the list has no end", doing));
    if (!token.empty() && !known.insert(token).second)
      throw Error(ErrorKind::corrupt,
                  fmt::format("cannot {}: the server goes round in circles", doing));
  } while (!token.empty());

  std::ranges::sort(entries, [](const Entry& a, const Entry& b) {
    return std::tie(a.name, a.directory) < std::tie(b.name, b.directory);
  });
  return entries;
}

void S3Storage::read(const std::string& path, std::optional<Range> range, Sink& sink,
                     std::stop_token stop) const {
  const std::string name = describe(path);
  if (range && range->length > std::numeric_limits<std::uint64_t>::max() - range->offset) {
    throw Error(ErrorKind::internal, fmt::format("a range of {} overflows", name));
  }
  if (range && range->length == 0) {
    const auto size = stat(path);
    if (!size) throw Error(ErrorKind::not_found, name + " does not exist");
    if (range->offset > *size) {
      throw Error(ErrorKind::corrupt, fmt::format("{} has {} bytes and ends before offset {}", name,
                                                  *size, range->offset));
    }
    return;
  }

  s3::Transfer transfer(name, range);
  Retries retries(options_, std::move(stop));
  for (;;) {
    const std::uint64_t reached_before = transfer.reached();
    const std::string doing = reached_before == 0
                                  ? "read " + name
                                  : fmt::format("read {} from offset {} on", name, reached_before);
    std::string document;
    bool begun = false;
    const auto response = send(http::Method::get, key_of(path), {}, transfer.headers(), retries,
                               [&](const http::Response& head, ByteView bytes) {
                                 if (head.status != 200 && head.status != 206) {
                                   collect(document, bytes, doing);
                                   return;
                                 }
                                 if (!begun) transfer.begin(head);
                                 begun = true;
                                 transfer.advance(bytes.size());
                                 sink.write(bytes);
                               });
    const bool good = response.status == 200 || response.status == 206;
    if (good && !response.failure) {
      if (!begun) transfer.begin(response);  // an empty object
      if (transfer.complete()) return;
    }
    if (!response.failure && response.status == 416) {
      throw Error(ErrorKind::corrupt, fmt::format("{} ends before the range from offset {} does",
                                                  name, transfer.reached()));
    }
    if (!response.failure && response.status == 412) {
      throw Error(ErrorKind::corrupt, fmt::format("{} was replaced while it was being read", name))
          .with_hint("nothing may write to a backup; run the command again");
    }
    if (transfer.reached() - reached_before >= kProgressBytes) retries.forget();
    if (good && !response.failure) {
      // Chunked, and the last chunk came too early.
      retries.wait_or_throw(
          {.error = Error(ErrorKind::corrupt,
                          fmt::format("cannot {}: the answer ends too early", doing)),
           .retry = true});
    } else {
      retries.wait_or_throw(
          s3::refuse(asked(doing, true), response, document, system_clock::now()));
    }
  }
}

}  // namespace

std::string amazon_endpoint(const std::string& region) { return "s3." + region + ".amazonaws.com"; }

void check(const S3Options& options) {
  const auto missing = [](const char* what, const char* name) {
    throw Error(ErrorKind::usage, fmt::format("no S3 {} is given", what))
        .with_hint(fmt::format("set {}", name));
  };
  if (options.bucket.empty()) missing("bucket", "S3_BUCKET");
  if (options.endpoint.empty()) missing("endpoint", "S3_ENDPOINT");
  if (options.region.empty()) missing("region", "S3_REGION");
  if (options.access_key.empty()) missing("access key", "S3_ACCESS_KEY");
  if (options.secret_key.empty()) missing("secret key", "S3_SECRET_KEY");
  if (options.connect_port < 0 || options.connect_port > 65535) {
    throw Error(ErrorKind::usage,
                fmt::format("{} is not a port (1 to 65535)", options.connect_port));
  }
  // Header lines: what has a line break in it could add headers of its own.
  for (const auto& [text, name] : {std::pair{options.access_key.reveal(), "S3_ACCESS_KEY"},
                                   std::pair{options.session_token.reveal(), "S3_SESSION_TOKEN"},
                                   std::pair{options.region, "S3_REGION"}}) {
    if (std::ranges::any_of(text, [](char c) { return c <= ' ' || c > '~'; })) {
      throw Error(ErrorKind::usage, fmt::format("{} holds a space or a control character", name))
          .with_hint("copy it again, without quotes or a line break");
    }
  }
}

std::unique_ptr<Storage> open_s3(const S3Options& options) {
  check(options);
  return std::make_unique<S3Storage>(options);
}

}  // namespace pgrevive::storage

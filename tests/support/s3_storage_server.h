#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "base/bytes.h"
#include "base/guarded.h"
#include "base/text.h"
#include "storage/s3/uri.h"
#include "support/scripted_http_server.h"

namespace pgrevive::test {

// As much of S3 as a reader sees, path style, keys in memory: GET with ranges, HEAD, and lists in
// pages. It does not check signatures; Ceph does that in the functional tests.
//
//   BucketServer bucket("name");
//   bucket.put("key", "text");
//   ... bucket.server().endpoint() ...
class BucketServer {
 public:
  explicit BucketServer(std::string bucket, std::size_t page = 1000)
      : bucket_(std::move(bucket)),
        page_(page),
        server_([this](const HttpRequest& request) { return answer(request); }) {}

  ScriptedHttpServer& server() { return server_; }
  void put(const std::string& key, std::string text) { (*objects_.lock())[key] = std::move(text); }

  // Every answer goes through it, so that a test can spoil some.
  void spoil(std::function<void(const HttpRequest&, HttpAnswer&)> spoiler) {
    *spoiler_.lock() = std::move(spoiler);
  }

  static HttpAnswer error(int status, const std::string& code) {
    return {.status = status,
            .headers = {{"Content-Type", "application/xml"}},
            .body = "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code></Error>"};
  }

 private:
  HttpAnswer answer(const HttpRequest& request) {
    HttpAnswer answer;
    try {
      answer = unspoiled(request);
    } catch (const std::exception&) {  // a query or token of no sense
      answer = error(400, "InvalidArgument");
    }
    const auto spoiler = *spoiler_.lock();
    if (spoiler) spoiler(request, answer);
    return answer;
  }

  HttpAnswer unspoiled(const HttpRequest& request) {
    const std::string root = "/" + bucket_ + "/";
    const std::string path = request.path();
    if (!path.starts_with(root)) return error(404, "NoSuchBucket");
    if (path == root) return list(request.query());

    auto objects = objects_.lock();
    const auto found = objects->find(storage::s3::decode(path.substr(root.size())));
    if (found == objects->end()) return error(404, "NoSuchKey");
    const std::string& text = found->second;
    HttpAnswer answer{
        .headers = {{"ETag", "\"" + std::to_string(std::hash<std::string>()(text)) + "\""}},
        .body = text};
    const std::string range = request.header("range");
    if (!range.empty()) {  // "bytes=FIRST-LAST", both there
      const auto dash = range.find('-');
      const auto first = parse_unsigned(std::string_view(range).substr(6, dash - 6)).value();
      auto last = parse_unsigned(std::string_view(range).substr(dash + 1)).value();
      if (first >= text.size()) return error(416, "InvalidRange");
      last = std::min<std::uint64_t>(last, text.size() - 1);
      answer.status = 206;
      answer.body = text.substr(first, last - first + 1);
      answer.headers.emplace_back("Content-Range", "bytes " + std::to_string(first) + "-" +
                                                       std::to_string(last) + "/" +
                                                       std::to_string(text.size()));
    }
    return answer;
  }

  // Pages over objects and common prefixes together, like S3; the token holds the last one shown.
  HttpAnswer list(const std::string& query) {
    std::map<std::string, std::string> arguments;
    for (const auto& part : split(query, '&')) {
      const auto equals = part.find('=');
      arguments[part.substr(0, equals)] = storage::s3::decode(part.substr(equals + 1));
    }
    if (arguments["list-type"] != "2" || arguments["delimiter"] != "/" ||
        arguments["encoding-type"] != "url") {
      return error(400, "InvalidArgument");
    }
    const std::string prefix = arguments["prefix"];
    std::map<std::string, std::string> shown;  // key or common prefix, and its element
    for (const auto& [key, text] : *objects_.lock()) {
      if (!key.starts_with(prefix)) continue;
      const auto slash = key.find('/', prefix.size());
      if (slash != std::string::npos) {
        const std::string directory = key.substr(0, slash + 1);
        shown[directory] = "<CommonPrefixes><Prefix>" + storage::s3::encode_key(directory) +
                           "</Prefix></CommonPrefixes>";
      } else {
        shown[key] = "<Contents><Key>" + storage::s3::encode_key(key) + "</Key><Size>" +
                     std::to_string(text.size()) + "</Size></Contents>";
      }
    }
    std::string body =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
        "<ListBucketResult><EncodingType>url</EncodingType>";
    auto at = shown.begin();
    if (arguments.contains("continuation-token")) {
      at = shown.upper_bound(std::string(as_text(from_hex(arguments["continuation-token"]))));
    }
    std::string last;
    for (std::size_t i = 0; i < page_ && at != shown.end(); ++i, ++at) {
      body += at->second;
      last = at->first;
    }
    body += at == shown.end() ? "<IsTruncated>false</IsTruncated>"
                              : "<IsTruncated>true</IsTruncated><NextContinuationToken>" +
                                    to_hex(as_bytes(last)) + "</NextContinuationToken>";
    return {.body = body + "</ListBucketResult>"};
  }

  std::string bucket_;
  std::size_t page_;
  Guarded<std::map<std::string, std::string>> objects_;
  Guarded<std::function<void(const HttpRequest&, HttpAnswer&)>> spoiler_;
  ScriptedHttpServer server_;  // last: it answers from the others
};

}  // namespace pgrevive::test
